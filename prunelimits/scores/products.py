"""Functions that multiply by a weight: by which argument, and what it is multiplied by.

A rule has the signature of its function. Of each group of outputs the inputs come as rows,
`(number of inputs, inputs to an output)`, a part of the samples at a time, so that the patches of
a convolution are never there all at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

Inputs: TypeAlias = Iterable[tuple[Tensor, ...]]
"""Parts of what a weight is multiplied by, a tensor of rows for every group of outputs each."""

# Entries of the patches of a convolution that are there at a time.
_ENTRIES = 2**24


class Product(NamedTuple):
    """A weight and what comes in.

    Attributes:
        weight: The name of the function's argument.
        inputs: What it is multiplied by.
        flipped: Whether the weight's first axis is that of the inputs, not of the outputs.
    """

    weight: str
    inputs: Inputs
    flipped: bool = False


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Product:
    return Product("weight", [(rows(input),)])


def _matmul(input: Tensor, other: Tensor) -> Product:
    return Product("other", [(rows(input),)], flipped=True)


def _addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Product:
    return Product("mat2", [(rows(mat1),)], flipped=True)


def _conv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Product:
    axes = weight.dim() - 2
    batch = input if input.dim() == weight.dim() else input[None]
    window = _Window(
        tuple(weight.shape[2:]), _each(stride, axes), padding, _each(dilation, axes), groups
    )
    return Product("weight", _patches(batch, window))


RULES: dict[Callable[..., Any], Callable[..., Product]] = {
    functional.linear: _linear,
    torch.matmul: _matmul,
    torch.mm: _matmul,
    Tensor.matmul: _matmul,
    Tensor.mm: _matmul,
    Tensor.__matmul__: _matmul,
    torch.addmm: _addmm,
    Tensor.addmm: _addmm,
    torch.conv1d: _conv,
    torch.conv2d: _conv,
    torch.conv3d: _conv,
}
"""The functions that are followed; torch's attention beside them."""


def rows(inputs: Tensor) -> Tensor:
    """Inputs `(..., d)` as rows `(n, d)`."""
    return inputs.reshape(-1, inputs.shape[-1])


class _Window(NamedTuple):
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    padding: int | Sequence[int] | str
    dilations: tuple[int, ...]
    groups: int


def _patches(batch: Tensor, window: _Window) -> Iterator[tuple[Tensor, ...]]:
    """What each output of a convolution sees, `(outputs, channels of a group * kernel)`."""
    padded = functional.pad(batch, _padding(window))
    a_sample = math.prod(window.sizes) * max(1, padded[0].numel())
    for part in padded.split(max(1, _ENTRIES // a_sample)):
        for axis, (size, stride, dilation) in enumerate(
            zip(window.sizes, window.strides, window.dilations, strict=True), start=2
        ):
            # Each axis of the image gives the axis of its windows, and one at the end.
            part = part.unfold(axis, dilation * (size - 1) + 1, stride)[..., ::dilation]
        by_group = part.unflatten(1, (window.groups, -1))
        axes = len(window.sizes)
        last = by_group.movedim(2, 2 + axes)  # groups, outputs' axes, channel, kernel
        yield tuple(last.movedim(1, 0).flatten(1, 1 + axes).flatten(2))


def _padding(window: _Window) -> list[int]:
    """As `pad` takes it: the last axis first."""
    axes = len(window.sizes)
    result: list[int] = []
    for axis in reversed(range(axes)):
        if window.padding == "same":  # torch's stride is 1 there
            whole = window.dilations[axis] * (window.sizes[axis] - 1)
            result += [whole // 2, whole - whole // 2]
        elif isinstance(window.padding, str):
            result += [0, 0]
        else:
            result += [_each(window.padding, axes)[axis]] * 2
    return result


def _each(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values
