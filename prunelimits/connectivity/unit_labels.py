"""Of which unit of what a step reads each unit of what it gives is made."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from prunelimits.connectivity.following.steps import AbstractStep


def units_behind(
    step: AbstractStep, place: int, shapes: Sequence[torch.Size], axis: int, *, flatten: bool
) -> tuple[int, Tensor] | None:
    """The axis of a step's units, and of which unit of one of its inputs each of them is made.

    Found by the map on paths: an element is made of one unit if the paths that reach it,
    weighted by the unit's number and by its square, have no variance. Blocks of units, such as
    heads, are told by a negative label: less by one than minus the units of a block.

    Args:
        step: The step.
        place: Which of its inputs.
        shapes: The shapes of its inputs.
        axis: The axis of the input's units.
        flatten: Whether units may be cut through reshapes that join or split axes.

    Returns:
        None: if an element is made of several units, or they lie along no axis.
    """
    before = shapes[place]
    numbers = torch.arange(before[axis], dtype=torch.float64, device="cpu")
    lengths = [1] * len(before)
    lengths[axis] = -1
    at = [torch.ones(shape, dtype=torch.float64, device="cpu") for shape in shapes]

    def reached(weights: Tensor) -> Tensor:
        spread = weights.reshape(lengths).expand(before).contiguous()
        return step.spread(at, [spread if i == place else None for i in range(len(at))])

    count, first, second = (reached(numbers**power) for power in (0, 1, 2))
    inside = count > 0.5
    labels = (first / count).masked_fill(~inside, -1)
    if bool((inside & ((second / count - labels**2).abs() > 1e-6)).any()):
        return None
    return _along(labels, before[axis], flatten=flatten)


def _along(labels: Tensor, units: int, *, flatten: bool) -> tuple[int, Tensor] | None:
    """The axis along which the labels change, and they along it."""
    shape = labels.shape
    for axis in range(len(shape)):
        lines = labels.movedim(axis, 0).reshape(shape[axis], -1)
        top = lines.max(1).values
        same = bool(((lines == top[:, None]) | (lines < 0)).all())
        if same and (shape[axis] > 1 or units == 1):
            joined = flatten or (shape[axis] >= units and bool((top[top >= 0].diff() == 1).all()))
            return (axis, top.long()) if joined else None
    if not flatten:
        return None
    # Units split into blocks, such as heads: the axis that numbers the blocks.
    for axis, size in enumerate(shape):
        if size > 1 and units % size == 0:
            lines = labels.movedim(axis, 0).reshape(shape[axis], -1)
            block = units // size
            blocks = torch.where(lines < 0, lines, (lines / block).floor())
            numbered = blocks == torch.arange(size, device="cpu")[:, None]
            if bool((numbered | (lines < 0)).all()):
                # Negative: a block and not a unit.
                return axis, torch.full((size,), -1 - block, device="cpu")
    return None
