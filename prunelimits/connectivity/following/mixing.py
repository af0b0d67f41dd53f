# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Operations in which elements meet: reductions, sorting, softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.recording import Followed
from prunelimits.connectivity.following.table import aten, rule
from prunelimits.connectivity.following.values import Argument


@rule(*aten("mean", "amax", "amin", "any", "all", "logsumexp", "norm", "var", "std",
            "linalg_vector_norm", "argmax", "argmin", "max.dim", "min.dim", "max", "min", "median",
            "median.dim", "nanmedian", "nanmedian.dim", "mode", "nansum", "nanmean",
            "count_nonzero", "var_mean", "std_mean", "aminmax"))  # fmt: skip
def reduced(call: Call) -> Argument:
    """Some axes taken together."""
    if len(call.followed) != 1 or (
        len(call.args) > 1 and isinstance(call.args[1], Tensor | Followed)
    ):
        return call.elementwise() if len(call.shapes) == 1 else call.unknown()
    schema: Any = call.operation._schema  # pyright: ignore[reportFunctionMemberAccess]
    names = [argument.name for argument in schema.arguments]
    axes: Any = None
    if "dim" in names:
        place = names.index("dim")
        axes = call.argument(place, "dim", schema.arguments[place].default_value)
    keep = False
    if "keepdim" in names:
        place = names.index("keepdim")
        keep = call.argument(place, "keepdim", False)
    return call.reduces(axes, keepdim=bool(keep))


@rule(*aten("cummax", "cummin", "logcumsumexp"))
def cumulative(call: Call) -> Argument:
    """Each element and all before it along an axis."""
    axis = call.argument(1, "dim")
    (x,) = call.followed
    return call._each(lambda v: v.cumsum(axis) if x.shape else v)  # pyright: ignore[reportPrivateUsage]


@rule(*aten("sort", "topk", "kthvalue", "argsort", "msort"))
def ordered(call: Call) -> Argument:
    """Everything along an axis meets there."""
    (x,) = call.followed
    schema: Any = call.operation._schema  # pyright: ignore[reportFunctionMemberAccess]
    names = [argument.name for argument in schema.arguments]
    place = names.index("dim") if "dim" in names else -1
    axis = -1 if place < 0 else call.argument(place, "dim", -1)
    if not x.shape:
        return call.unknown()
    shapes = [shape for shape, _ in call.shapes]
    if any(len(shape) != len(x.shape) for shape in shapes):
        return call.reduces(axis)

    def paths(v: Tensor) -> Tensor:
        return v.sum(axis, keepdim=True).expand(shapes[0])

    return call._each(paths)  # pyright: ignore[reportPrivateUsage]


@rule(*aten("bucketize", "searchsorted"))
def between(call: Call) -> Argument:
    """Where each value falls among all the bounds, or among those of its row."""
    searches = "searchsorted" in str(call.operation)
    if call.kwargs.get("sorter") is not None:
        return call.unknown()
    bounds, values = call.args[:2] if searches else (call.args[1], call.args[0])
    shape = call.shapes[0][0]

    def paths(*inputs: Tensor) -> Tensor:
        given = iter(inputs)
        total = torch.zeros((), dtype=inputs[0].dtype, device="cpu")
        for x in call.followed:
            v = next(given)
            total = total + (v.sum(-1, keepdim=True) if x is bounds else v)
        return total.reshape(shape) if total.numel() == shape.numel() else total.expand(shape)

    del values
    return call.linear(paths)


@rule(*aten("_cdist_forward", "cdist", "_euclidean_dist"))
def distances(call: Call) -> Argument:
    """Between each row of one and each of the other."""
    left, right = call.args[:2]
    shape = call.shapes[0][0]
    axes = [-1 if isinstance(x, Followed) else None for x in (left, right)]

    def paths(*inputs: Tensor) -> Tensor:
        given = iter(inputs)
        total = torch.zeros((), dtype=inputs[0].dtype, device="cpu")
        if axes[0] is not None:
            total = total + next(given).sum(-1).unsqueeze(-1)
        if axes[1] is not None:
            total = total + next(given).sum(-1).unsqueeze(-2)
        return total.expand(shape)

    return call.linear(paths)


@rule(*aten("_softmax", "_log_softmax", "softmax.int", "log_softmax.int", "_safe_softmax"))
def softmax(call: Call) -> Argument:
    """A share of the whole axis, but for what is ruled out, which is nothing and adds nothing."""
    x, axis = call.args[:2]
    if not x.shape:
        return torch.ones((), dtype=torch.float32, device="cpu")
    logs = "log" in str(call.operation)
    if x.shape[axis] == 1:
        # One alone has all of it.
        return torch.full(x.shape, 0.0 if logs else 1.0, dtype=torch.float64, device="cpu")
    function = torch.log_softmax if logs else torch.softmax
    return shares(call, x, axis, function)


def shares(call: Call, x: Followed, axis: int, function: Callable[..., Tensor]) -> Followed:
    """The step of a softmax or its logarithm."""
    open_ = torch.ones(x.shape, dtype=torch.bool, device="cpu")
    if x.blocked is not None:
        # Where all are ruled out, what they are is all that counts.
        open_ = ~x.blocked | x.blocked.all(axis, keepdim=True)
    # The softmax of a known minus infinity is zero, and its logarithm as good as that.
    marks = open_.float()

    def paths(v: Tensor) -> Tensor:
        return (v * marks.to(v.dtype)).sum(axis, keepdim=True) * marks.to(v.dtype)

    def compute(v: Tensor) -> Tensor:
        return function(v.double(), axis).nan_to_num(0.0)

    return call.step((x,), paths, compute, shape=x.shape)
