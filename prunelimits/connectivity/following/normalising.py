# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Normalisations: everything in a group meets, then a scale and a shift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.recording import Followed
from prunelimits.connectivity.following.table import aten, rule
from prunelimits.connectivity.following.values import Argument


@rule(*aten("native_layer_norm"))
def layer_norm(call: Call) -> Argument:
    """Over the last axes, then a scale and a shift."""
    x, shape, weight, bias, eps = call.args
    axes = list(range(len(x.shape) - len(shape), len(x.shape)))
    if not isinstance(x, Followed):
        x = call.record.constant(x)
    result = normalised(call, x, axes, lambda v: functional.layer_norm(v, shape, eps=eps))
    return [scaled(call, result, weight, bias, axes), None, None]


@rule(*aten("native_group_norm"))
def group_norm(call: Call) -> Argument:
    """Over groups of channels and all positions, then a scale and a shift a channel."""
    x, weight, bias, _, channels, _, groups, eps = call.args
    if not isinstance(x, Followed):
        x = call.record.constant(x)
    size = x.shape.numel() // max(1, x.shape[0] * groups)

    def paths(v: Tensor) -> Tensor:
        grouped = v.reshape(v.shape[0], groups, -1)
        return grouped.sum(-1, keepdim=True).expand(grouped.shape).reshape(v.shape)

    def function(v: Tensor) -> Tensor:
        return functional.group_norm(v, groups, eps=eps)

    if size == 1:
        return [scaled(call, _nothing(call, x), weight, bias, [1]), None, None]
    result = call.step((x,), paths, function, keeps_zero=True, shape=x.shape)
    del channels
    return [scaled(call, result, weight, bias, [1]), None, None]


def normalised(
    call: Call, x: Followed, axes: Sequence[int], function: Callable[[Tensor], Tensor]
) -> Followed:
    """What is left of each group after its mean and its scale are taken out."""
    size = 1
    for axis in axes:
        size *= x.shape[axis]
    if size == 1:
        # One alone is its own mean.
        return _nothing(call, x)

    def paths(v: Tensor) -> Tensor:
        return v.sum(list(axes), keepdim=True).expand(v.shape)

    return call.step((x,), paths, function, keeps_zero=True, shape=x.shape)


def _nothing(call: Call, x: Followed) -> Followed:
    return call.record.constant(torch.zeros(x.shape, dtype=torch.float64, device="cpu"))


def scaled(
    call: Call, x: Followed, weight: Argument, bias: Argument, axes: Sequence[int]
) -> Followed:
    """A scale and a shift, which lie along some axes."""
    lengths = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    if weight is not None:
        x = call.times(x, weight, lines=(x.shape, lengths), shape=x.shape)
    if bias is None:
        return x
    shape = x.shape

    def spread(b: Tensor) -> Tensor:
        return b.reshape(lengths).expand(shape)

    if isinstance(bias, Followed):
        both = lambda a, b: a + spread(b)  # noqa: E731
        lines = (shape, torch.Size(lengths))
        return call.step((x, bias), both, both, keeps_zero=True, shape=shape, lines=lines)
    return call.step((x,), lambda a: a, lambda a: a + spread(bias), shape=shape, lines=(shape,))


@rule(*aten("_native_batch_norm_legit_no_training", "_native_batch_norm_legit.no_stats",
            "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_functional",
            "cudnn_batch_norm", "_batch_norm_no_update"))  # fmt: skip
def batch_norm(call: Call) -> Argument:
    """By running statistics a scale and a shift; by the batch's own everything meets."""
    x, weight, bias = call.args[:3]
    name = str(call.operation)
    if not isinstance(x, Followed):
        x = call.record.constant(x)
    axes = [axis for axis in range(len(x.shape)) if axis != 1]
    if "no_training" in name or "no_update" in name:
        mean, variance = call.args[3:5]
        eps = call.args[6]
        return [_by_statistics(call, x, weight, bias, mean, variance, eps), None, None, None, None]
    training = "no_stats" in name or call.args[5]
    if not training:
        mean, variance = call.args[3:5]
        eps = call.args[7]
        return [_by_statistics(call, x, weight, bias, mean, variance, eps), None, None, None, None]
    eps = call.args[5] if "no_stats" in name else call.args[7]

    def function(v: Tensor) -> Tensor:
        return functional.batch_norm(v, None, None, training=True, eps=eps)

    result = scaled(call, normalised(call, x, axes, function), weight, bias, [1])
    # Statistics that are only written down are of no use to what is computed.
    return [result, *[None] * (len(call.shapes) - 1)]


def _by_statistics(
    call: Call,
    x: Followed,
    weight: Argument,
    bias: Argument,
    mean: Argument,
    variance: Argument,
    eps: float,
) -> Followed:
    shape = x.shape
    lengths = [1] * len(shape)
    lengths[1] = -1
    if isinstance(mean, Followed) or isinstance(variance, Followed):
        # Statistics that are inputs or parameters themselves.
        parts = [v for v in (x, mean, variance) if isinstance(v, Followed)]

        def paths(*values: Tensor) -> Tensor:
            total = torch.zeros(shape, dtype=torch.float32, device="cpu")
            for v in values:
                total = total + (v if v.dim() == len(shape) else v.reshape(lengths))
            return total

        def compute(*values: Tensor) -> Tensor:
            given = iter(values)
            read = [next(given) if isinstance(v, Followed) else v for v in (x, mean, variance)]
            centred = read[0] - read[1].reshape(lengths)
            return centred * (read[2].reshape(lengths) + eps).rsqrt()

        result = call.step(parts, paths, compute, shape=shape)
        return scaled(call, result, weight, bias, [1])
    factor = (variance + eps).rsqrt().reshape(lengths)
    shift = mean.reshape(lengths)
    result = call.step(
        (x,), lambda v: v, lambda v: (v - shift) * factor, shape=shape,
        keeps_zero=not mean.any(), lines=(shape,),
    )  # fmt: skip
    return scaled(call, result, weight, bias, [1])


@rule(*aten("_weight_norm_interface"))
def weight_norm(call: Call) -> Argument:
    """A direction over its length, times a length to learn."""
    v, g = call.args[:2]
    axis = call.argument(2, "dim", 0)
    if not isinstance(v, Followed):
        return call.unknown()
    axes = [a for a in range(len(v.shape)) if a != axis % len(v.shape)]
    lengths = [size if a == axis % len(v.shape) else 1 for a, size in enumerate(v.shape)]
    shape = torch.Size(lengths)
    length = call.step(
        (v,), lambda t: t.sum(axes, keepdim=True), lambda t: t.norm(dim=axes, keepdim=True),
        keeps_zero=True, shape=shape,
    )  # fmt: skip
    inverse = call.step((length,), lambda t: t, lambda t: t.reciprocal(), divides=True, shape=shape)
    ratio = call.product(g, inverse, lambda a, b: a.reshape(lengths) * b, shape=shape)
    return [call.product(v, ratio, torch.mul), length]


@rule(*aten("layer_norm"))
def whole_layer_norm(call: Call) -> Argument:
    """As `native_layer_norm`, which gives its statistics too."""
    x, shape = call.args[:2]
    weight, bias, eps = (
        call.argument(2, "weight"), call.argument(3, "bias"), call.argument(4, "eps", 1e-5)
    )  # fmt: skip
    return layer_norm(replace(call, args=(x, shape, weight, bias, eps)))[0]


@rule(*aten("group_norm"))
def whole_group_norm(call: Call) -> Argument:
    """As `native_group_norm`."""
    x, groups = call.args[:2]
    weight, bias, eps = (
        call.argument(2, "weight"), call.argument(3, "bias"), call.argument(4, "eps", 1e-5)
    )  # fmt: skip
    args = (x, weight, bias, x.shape[0], x.shape[1], 0, groups, eps)
    return group_norm(replace(call, args=args))[0]


@rule(*aten("batch_norm"))
def whole_batch_norm(call: Call) -> Argument:
    """By running statistics, or by the batch's own if there are none."""
    x, weight, bias, mean, variance, training, _, eps = call.args[:8]
    if not isinstance(x, Followed):
        x = call.record.constant(x)
    if not training and mean is not None:
        return _by_statistics(call, x, weight, bias, mean, variance, eps)
    axes = [axis for axis in range(len(x.shape)) if axis != 1]

    def function(v: Tensor) -> Tensor:
        return functional.batch_norm(v, None, None, training=True, eps=eps)

    return scaled(call, normalised(call, x, axes, function), weight, bias, [1])


@rule(*aten("embedding_renorm"))
def bounded_rows(call: Call) -> Argument:
    """Rows that are looked up, each at most so long: a row by a factor that is never nothing."""
    table, _, most, kind = call.args[:4]
    if not isinstance(table, Followed):
        return call.unknown()

    def factors(t: Tensor) -> Tensor:
        lengths = t.norm(kind, dim=-1, keepdim=True)
        return torch.where(lengths > most, most / (lengths + 1e-7), 1.0)

    shape = torch.Size([*table.shape[:-1], 1])
    factor = call.step((table,), lambda t: t.sum(-1, keepdim=True), factors, shape=shape)
    return call.product(table, factor, torch.mul)
