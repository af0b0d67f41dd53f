# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Products of more than two factors: bilinear layers, and products along an axis."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.recording import Followed
from prunelimits.connectivity.following.table import aten, rule
from prunelimits.connectivity.following.values import Argument


@rule(*aten("_trilinear"))
def product_of_three(call: Call) -> Argument:
    """A sum over axes of a product of three tensors, as a bilinear layer is."""
    tensors, expanded, summed = call.args[:3], call.args[3:6], call.args[6]
    axes = len(tensors[0].shape) + len(expanded[0])
    letters = [
        "".join("abcdefghij"[axis] for axis in range(axes) if axis not in missing)
        for missing in expanded
    ]
    left = "".join("abcdefghij"[axis] for axis in range(axes) if axis not in summed)
    first, second, third = letters
    # What the third one does not have is summed at once.
    both = "".join(sorted({*first, *second} & {*third, *left}))
    sizes = {
        letter: size
        for named, x in zip(letters, tensors, strict=True)
        for letter, size in zip(named, x.shape, strict=True)
    }
    shape = torch.Size([sizes[letter] for letter in both])

    def of_two(a: Tensor, b: Tensor) -> Tensor:
        return torch.einsum(f"{first},{second}->{both}", a, b)

    def of_all(a: Tensor, b: Tensor) -> Tensor:
        return torch.einsum(f"{both},{third}->{left}", a, b)

    if not any(isinstance(x, Followed) for x in tensors[:2]):
        return call.product(of_two(tensors[0], tensors[1]), tensors[2], of_all, contracts=True)
    inner = call.product(tensors[0], tensors[1], of_two, contracts=True, shape=shape)
    return call.product(inner, tensors[2], of_all, contracts=True)


@rule(*aten("prod"))
def product_along_an_axis(call: Call) -> Argument:
    """All elements of an axis, or all there are, multiplied: halves with halves."""
    (x,) = call.followed
    if not x.shape:
        return x
    if "dim_int" in str(call.operation):
        axis, keep = call.args[1] % len(x.shape), bool(call.argument(2, "keepdim", False))
    else:
        axis, keep = 0, False
        x = call.step(
            (x,), torch.flatten, torch.flatten, keeps_zero=True, shape=torch.Size([x.shape.numel()])
        )
    while x.shape[axis] > 1:
        half = x.shape[axis] // 2
        rest = x.shape[axis] - 2 * half
        parts = [_part(call, x, axis, at, half) for at in (0, half)]
        shorter = call.product(*parts, torch.mul, shape=parts[0].shape)
        if rest:
            last = _part(call, x, axis, 2 * half, 1)
            size = torch.Size([*x.shape[:axis], half + 1, *x.shape[axis + 1 :]])
            join = lambda a, b: torch.cat([a, b], axis)  # noqa: E731
            shorter = call.step((shorter, last), join, join, keeps_zero=True, shape=size)
        x = shorter
    if keep:
        return x
    shape = call.shapes[0][0]
    squeeze = lambda v: v.reshape(shape)  # noqa: E731
    return call.step((x,), squeeze, squeeze, keeps_zero=True)


@rule(*aten("cumprod"))
def product_so_far(call: Call) -> Argument:
    """Each element times all before it: with those one before, then two, four and so on."""
    (x,) = call.followed
    if not x.shape:
        return x
    axis, shape = call.args[1] % len(x.shape), x.shape
    shift = 1
    while shift < shape[axis]:
        x = call.product(x, _shifted(call, x, axis, shift), torch.mul)
        shift *= 2
    return x


def _part(call: Call, x: Followed, axis: int, start: int, length: int) -> Followed:
    shape = torch.Size([*x.shape[:axis], length, *x.shape[axis + 1 :]])
    narrow = lambda v: v.narrow(axis, start, length)  # noqa: E731
    return call.step((x,), narrow, narrow, keeps_zero=True, shape=shape)


def _shifted(call: Call, x: Followed, axis: int, shift: int) -> Followed:
    """What stands some places before, and one where nothing does."""

    def moved(v: Tensor, filling: float) -> Tensor:
        before = torch.full_like(v.narrow(axis, 0, shift), filling)
        return torch.cat([before, v.narrow(axis, 0, v.shape[axis] - shift)], axis)

    return call.step((x,), lambda v: moved(v, 0), lambda v: moved(v, 1), shape=x.shape)
