# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Products that sum: linear layers, convolutions, matrix products, attention."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from prunelimits.connectivity.following import transposes
from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.mixing import shares
from prunelimits.connectivity.following.recording import Followed, double
from prunelimits.connectivity.following.ruling_out import ruled_out
from prunelimits.connectivity.following.table import aten, rule
from prunelimits.connectivity.following.values import Argument

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


@rule(*aten("linear"))
def linear(call: Call) -> Argument:
    """`x W^T + b`."""
    x, weight = call.args[:2]
    if not (isinstance(weight, Tensor | Followed) and len(weight.shape) == 2):
        return call.product(x, weight, functional.linear, contracts=True)
    return call.layer(
        x, weight, call.argument(2, "bias"), functional.linear, -1,
        paths=transposes.linear, transposed=transposes.linear_transposed,
    )  # fmt: skip


@rule(*aten("addmm"))
def add_product(call: Call) -> Argument:
    """`b + x W`."""
    bias, x, weight = call.args
    beta, alpha = call.kwargs.get("beta", 1), call.kwargs.get("alpha", 1)
    if (beta, alpha) != (1, 1) or len(bias.shape) != 1:
        return _sum_of_product(call, bias, x, weight, torch.mm, beta, alpha)
    return _matrix_layer(call, x, weight, bias, torch.mm)


@rule(*aten("addmv"))
def add_product_with_vector(call: Call) -> Argument:
    """`b + W x`, a vector."""
    bias, weight, x = call.args
    beta, alpha = call.kwargs.get("beta", 1), call.kwargs.get("alpha", 1)
    return _sum_of_product(call, bias, weight, x, torch.mv, beta, alpha)


@rule(*aten("baddbmm"))
def add_products(call: Call) -> Argument:
    """`b + x y`, for each of a batch."""
    bias, x, y = call.args
    beta, alpha = call.kwargs.get("beta", 1), call.kwargs.get("alpha", 1)
    return _sum_of_product(call, bias, x, y, torch.bmm, beta, alpha)


@rule(*aten("addbmm"))
def add_sum_of_products(call: Call) -> Argument:
    """`b + x y`, the products of a batch summed."""
    bias, x, y = call.args

    def function(a: Tensor, b: Tensor) -> Tensor:
        return torch.einsum("bij,bjk->ik", a, b)

    beta, alpha = call.kwargs.get("beta", 1), call.kwargs.get("alpha", 1)
    return _sum_of_product(call, bias, x, y, function, beta, alpha)


def _sum_of_product(
    call: Call,
    bias: Argument,
    x: Argument,
    y: Argument,
    function: Argument,
    beta: float,
    alpha: float,
) -> Argument:
    total = call.shapes[0][0]
    if not (isinstance(x, Followed) or isinstance(y, Followed)):
        product: Any = function(x, y) * alpha
    elif alpha == 0:
        product = torch.zeros(total, dtype=torch.float64, device="cpu")
    else:
        product = call.product(
            x, y, lambda a, b: function(a, b) * alpha, paths=function, contracts=True
        )
    if beta == 0:
        return product
    if isinstance(bias, Followed) and isinstance(product, Followed):
        return call.step(
            (bias, product), lambda a, b: a.expand(total) + b, lambda a, b: beta * a + b,
            keeps_zero=True,
        )  # fmt: skip
    if isinstance(bias, Followed):
        return call.step((bias,), lambda a: a.expand(total), lambda a: beta * a + product)
    return call.step((product,), lambda b: b, lambda b: beta * bias + b)


@rule(*aten("mm"))
def matrix_product(call: Call) -> Argument:
    """`x W`, or a product of two tensors that both depend on the input."""
    x, weight = call.args[:2]
    return _matrix_layer(call, x, weight, None, torch.mm)


def _matrix_layer(
    call: Call, x: Argument, weight: Argument, bias: Argument, function: Argument
) -> Argument:
    return call.layer(
        x, weight, bias, function, -1, paths=transposes.product,
        transposed=transposes.product_transposed, inputs_first=True,
    )  # fmt: skip


@rule(*aten("bmm", "dot", "mv", "outer"))
def batched_product(call: Call) -> Argument:
    """Products of matrices or vectors."""
    packet: Any = call.operation
    contracts = "outer" not in str(packet)

    def function(a: Tensor, b: Tensor) -> Tensor:
        return packet(a, b)

    left, right = call.args[:2]
    return call.product(left, right, function, contracts=contracts)


@rule(*aten("convolution", "_convolution"))
def convolution(call: Call) -> Argument:
    """Convolutions of one to three axes, also transposed and grouped."""
    x, weight, bias, *settings = call.args[:9]

    def function(a: Tensor, w: Tensor) -> Tensor:
        return torch.ops.aten.convolution.default(a, w, None, *settings)

    def paths(a: Tensor, w: Tensor) -> Tensor:
        return transposes.convolution(a, w, settings)

    transposed = transposes.convolution_transposed(*settings)
    return call.layer(
        x, weight, bias, function, 1, paths=paths, transposed=transposed,
        inputs_first=bool(settings[3]),
    )  # fmt: skip


@rule(*aten("scaled_dot_product_attention"))
def attention(call: Call) -> Argument:
    """Attention: the products of queries and keys, their softmax, and its product with values."""
    query, key, value = call.args[:3]
    mask = call.argument(3, "attn_mask")
    causal = call.argument(5, "is_causal", False)
    scale = call.argument(6, "scale", None) or call.kwargs.get("scale")
    if call.argument(4, "dropout_p", 0.0):
        return call.unknown()
    if not all(isinstance(v, Followed) for v in (query, key, value)):
        query, key, value = (
            v if isinstance(v, Followed) else call.record.constant(v) for v in (query, key, value)
        )
    if query.shape[-3:-2] != key.shape[-3:-2] and call.argument(7, "enable_gqa", False):
        key, value = (_repeated(call, v, query.shape[-3]) for v in (key, value))
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    batch = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    shape = torch.Size([*batch, query.shape[-2], key.shape[-2]])

    def scores(q: Tensor, k: Tensor) -> Tensor:
        return q @ k.transpose(-1, -2)

    found = call.product(
        query, key, lambda q, k: scores(q, k) * factor, paths=scores, contracts=True, shape=shape
    )
    if causal:
        mask = torch.ones(shape[-2:], dtype=torch.bool, device="cpu").tril()
    found = _masked(call, found, mask)
    weights: Any
    if shape[-1] == 1:
        weights = torch.ones(shape, dtype=torch.float64, device="cpu")
    else:
        weights = shares(call, found, -1, torch.softmax)
    return call.product(weights, value, torch.matmul, contracts=True)


def _repeated(call: Call, x: Followed, heads: int) -> Followed:
    """Every head of the keys or values for several of the queries."""
    times = heads // x.shape[-3]
    shape = torch.Size([*x.shape[:-3], heads, *x.shape[-2:]])

    def repeat(v: Tensor) -> Tensor:
        return v.repeat_interleave(times, -3)

    return call.step((x,), repeat, repeat, keeps_zero=True, shape=shape)


def _masked(call: Call, scores: Followed, mask: Argument) -> Followed:
    shape = scores.shape
    if mask is None:
        return scores
    if isinstance(mask, Followed):
        if mask.dtype is torch.bool:
            mask = call.step(
                (mask,), lambda m: m, lambda m: torch.where(m, 0.0, -torch.inf).double(),
                shape=mask.shape,
            )  # fmt: skip
        blocked = mask.blocked
        marks = None if blocked is None else (~blocked).expand(shape).float()

        def paths(s: Tensor, m: Tensor) -> Tensor:
            total = s + m
            return total if marks is None else total * marks.to(total.dtype)

        step = call.step((scores, mask), paths, torch.add, shape=shape)
        whole = None if blocked is None else blocked.expand(shape)
        return Followed(step.step, step.shape, step.dtype, whole)
    if mask.dtype is torch.bool:
        mask = torch.where(mask, 0.0, -torch.inf)
    fixed = double(mask)
    part = ruled_out(fixed)
    marks = (
        torch.ones(shape, dtype=torch.float32, device="cpu")
        if part is None
        else (~part).expand(shape).float()
    )
    step = call.step((scores,), lambda s: s * marks.to(s.dtype), lambda s: s + fixed, shape=shape)
    return Followed(step.step, shape, step.dtype, None if part is None else part.expand(shape))


@rule(*aten("conv1d", "conv2d", "conv3d"))
def forward_convolution(call: Call) -> Argument:
    """A convolution; padding may be given by a word."""
    x, weight = call.args[:2]
    axes = len(weight.shape) - 2
    stride, padding, dilation, groups = (
        call.argument(place, name, default)
        for place, (name, default) in enumerate(
            (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)), start=3
        )
    )
    bias = call.argument(2, "bias")
    if len(x.shape) == len(weight.shape) and not isinstance(padding, str):
        sizes = [_each(v, axes) for v in (stride, padding, dilation)]
        args = (x, weight, bias, *sizes, False, [0] * axes, groups)
        return convolution(replace(call, args=args))
    operation: Any = _CONVOLUTIONS[axes]

    def function(a: Tensor, w: Tensor) -> Tensor:
        return operation(a, w, None, stride, padding, dilation, groups)

    # Without an axis of samples, channels come first.
    return call.layer(x, weight, bias, function, 1 if len(x.shape) == len(weight.shape) else 0)


def _each(sizes: Argument, axes: int) -> list[int]:
    given = [sizes] if isinstance(sizes, int) else list(sizes)
    return given * axes if len(given) == 1 else given


@rule(*aten("conv_transpose1d", "conv_transpose2d.input", "conv_transpose3d.input"))
def transposed_convolution(call: Call) -> Argument:
    """A transposed convolution."""
    x, weight = call.args[:2]
    operation: Any = _TRANSPOSED[len(weight.shape) - 2]
    names = (("stride", 1), ("padding", 0), ("output_padding", 0), ("groups", 1), ("dilation", 1))
    settings = [call.argument(place, *named) for place, named in enumerate(names, start=3)]

    def function(a: Tensor, w: Tensor) -> Tensor:
        return operation(a, w, None, *settings)

    axis = 1 if len(x.shape) == len(weight.shape) else 0
    return call.layer(x, weight, call.argument(2, "bias"), function, axis, inputs_first=True)


@rule(*aten("matmul"))
def any_matrix_product(call: Call) -> Argument:
    """A product of matrices, vectors or batches of matrices."""
    left, right = call.args
    if isinstance(right, Tensor | Followed) and len(right.shape) == 2 and len(left.shape) > 1:
        return _matrix_layer(call, left, right, None, torch.matmul)
    return call.product(left, right, torch.matmul, contracts=True)
