# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Whether the rows of what a network takes are samples that never meet."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.following.steps import Constant, Parameter, Source


def are_samples(network: Network, size: int) -> bool:
    """Whether each row of the outputs depends on its own row of the inputs, all in the same way.

    Every parameter is taken to be there, so that it holds for all masks.
    """
    steps = network.steps
    sources = [n for n, step in enumerate(steps) if isinstance(step, Source)]
    ends = [*sources, *network.outputs]
    if any(not steps[n].shape or steps[n].shape[0] != size for n in ends):
        return False
    if not all(steps[n].varies for n in network.outputs):
        return False
    found = [_reached(network, row) for row in range(size)]
    for number, step in enumerate(steps):
        if isinstance(step, Parameter):
            if any(not torch.equal(found[0][number], other[number]) for other in found[1:]):
                return False
        elif isinstance(step, Source):
            rows = [reached[number][row] for row, reached in enumerate(found)]
            elsewhere = sum(int(reached[number].sum()) for reached in found)
            if elsewhere != sum(int(row.sum()) for row in rows):
                return False
            if any(not torch.equal(rows[0], other) for other in rows[1:]):
                return False
    return True


def _reached(network: Network, row: int) -> list[Tensor]:
    """What reaches a row of the outputs, if everything may be other than zero."""
    steps = network.steps
    result = [torch.zeros(step.shape, dtype=torch.bool, device="cpu") for step in steps]
    for number in network.outputs:
        result[number][row] = True
    for number in reversed(range(len(steps))):
        step, after = steps[number], result[number]
        if not step.inputs or not bool(after.any()):
            continue
        at = [_at(steps[i].shape, steps[i]) for i in step.inputs]
        wanted = [not isinstance(steps[i], Constant) for i in step.inputs]
        for i, paths in zip(step.inputs, step.gather(at, after.float(), wanted), strict=True):
            if paths is not None:
                result[i] |= paths > 0.5
    return result


def _at(shape: torch.Size, step: object) -> Tensor:
    if isinstance(step, Constant):
        return (step.content != 0).float()
    return torch.ones((), dtype=torch.float32, device="cpu").expand(shape)
