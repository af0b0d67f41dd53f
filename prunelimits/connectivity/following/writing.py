# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Operations that put values where an index says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.recording import Followed
from prunelimits.connectivity.following.table import aten, rule
from prunelimits.connectivity.following.values import Argument


@rule(*aten("scatter.src", "scatter.value", "scatter_add", "index_add", "index_copy"))
def written(call: Call) -> Argument:
    """Values along an axis: moved where the index is known, and anywhere along it where it is not.

    An index that is not known may leave everything as it is.
    """
    target, axis, index, values = call.args[:4]
    if call.kwargs.get("alpha", 1) == 0:
        return target
    if isinstance(index, Tensor):
        return _filled(call) if isinstance(values, int | float) else _moved(call)
    shape = call.shapes[0][0]
    if not shape or not isinstance(index, Followed):
        return call.unknown()
    scatters = "scatter" in str(call.operation)
    return _anywhere(call, axis, index.shape if scatters else values.shape)


def _anywhere(call: Call, axis: int, indexed: torch.Size) -> Followed:
    """The target, and all that is read anywhere along an axis, by an index that is not known."""
    target, _, index, values = call.args[:4]
    shape = call.shapes[0][0]

    def anywhere(v: Tensor) -> Tensor:
        # An index may be shorter than what it reads from and writes to.
        read = v[tuple(slice(0, size) for size in indexed)].sum(axis, keepdim=True)
        along = axis % len(shape)
        around: list[int] = []
        for a in reversed(range(len(shape))):
            around += [0, 0 if a == along else shape[a] - read.shape[a]]
        return functional.pad(read, around).expand(shape)

    def of_index(i: Tensor) -> Tensor:
        return anywhere(i) if i.dim() == len(shape) else i.sum().expand(shape)

    maps: tuple[Any, ...] = (lambda v: v, of_index, anywhere)
    read = [(m, x) for m, x in zip(maps, (target, index, values), strict=True)]
    chosen = [m for m, x in read if isinstance(x, Followed)]

    def paths(*inputs: Tensor) -> Tensor:
        total = torch.zeros(shape, dtype=inputs[0].dtype, device="cpu")
        for m, v in zip(chosen, inputs, strict=True):
            total = total + m(v)
        return total

    return call.linear(paths)


@rule(*aten("scatter_reduce.two", "index_reduce"))
def reduced_at_places(call: Call) -> Argument:
    """What is put at the same place is taken together, with what stood there or without it."""
    target, axis, index, values, how = call.args[:5]
    shape = call.shapes[0][0]
    if how == "prod" or not shape:
        return call.unknown()
    includes = bool(call.argument(5, "include_self", True))
    scatters = "scatter" in str(call.operation)
    if isinstance(index, Followed):
        return _anywhere(call, axis, index.shape if scatters else values.shape)
    read = tuple(slice(0, size) for size in index.shape) if scatters else ()

    def paths(*inputs: Tensor) -> Tensor:
        given = iter(inputs)
        none = torch.zeros(shape, dtype=inputs[0].dtype, device="cpu")
        total = next(given) if isinstance(target, Followed) else none
        if not includes:
            empty = torch.zeros((), dtype=total.dtype, device="cpu")
            total = (
                total.scatter(axis, index, 0.0)
                if scatters
                else total.index_fill(axis, index, empty)
            )
        if not isinstance(values, Followed):
            return total
        new = next(given)
        if scatters:
            return total.scatter_add(axis, index, new[read])
        return total.index_add(axis, index, new)

    return call.linear(paths)


def _moved(call: Call) -> Argument:
    target, axis, index, values = call.args[:4]
    if "scatter" in str(call.operation) and values.shape != index.shape:
        # What is longer than its index is read as far as that: torch has no gradient then.
        read = tuple(slice(0, size) for size in index.shape)
        cut = lambda v: v[read]  # noqa: E731
        if isinstance(values, Followed):
            values = call.step((values,), cut, cut, keeps_zero=True, shape=index.shape)
        else:
            values = cut(values)
        call = replace(call, args=(target, axis, index, values))
    return call.moves()


@rule(*aten("index_put", "_unsafe_index_put"))
def put(call: Call) -> Argument:
    """`x[indices] = values`, or `+=`, at places that are known."""
    target, indices, values = call.args[:3]
    if any(isinstance(index, Followed) for index in indices):
        return call.unknown()
    accumulate = bool(call.argument(3, "accumulate", False))

    def paths(*inputs: Tensor) -> Tensor:
        given = iter(inputs)
        base, new = (
            next(given)
            if isinstance(x, Followed)
            else torch.zeros(x.shape, dtype=inputs[0].dtype, device="cpu")
            for x in (target, values)
        )
        return torch.ops.aten.index_put.default(base, indices, new, accumulate)

    return call.linear(paths)


@rule(*aten("index_fill"))
def filled(call: Call) -> Argument:
    """One number at places that are known; what was there is lost."""
    index, value = call.args[2:4]
    if isinstance(index, Tensor) and not isinstance(value, Followed):
        return _filled(call)
    return call.unknown()


def _filled(call: Call) -> Argument:
    target, axis, index = call.args[:3]
    if "index_fill" in str(call.operation):
        return call.linear(lambda v: v.index_fill(axis, index, 0))
    reduces = call.kwargs.get("reduce") is not None
    if reduces or not isinstance(target, Followed):
        return call.unknown()
    return call.linear(lambda v: v.scatter(axis, index, 0))


@rule(*aten("masked_scatter"))
def scattered(call: Call) -> Argument:
    """Values one after the other where a mask says."""
    return call.moves() if isinstance(call.args[1], Tensor) else call.unknown()
