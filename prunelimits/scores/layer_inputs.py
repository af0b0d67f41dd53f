"""What comes into the layers of a network: sums over the samples, for each weight's matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from prunelimits.modes import many_at_once
from prunelimits.progress import tracked
from prunelimits.scores.gradient import check_batches, check_problem, check_some, masked
from prunelimits.scores.uses import Use, Watch
from prunelimits.types import Masks, Params, Problem


class LayerInputs(NamedTuple):
    """What the inputs of a weight add up to.

    Attributes:
        sums: A sum for each group of outputs, `(groups, ...)`: one for a linear layer, those of a
            convolution, three for the stacked matrices of torch's attention.
        flipped: Whether the weight's first axis is that of the inputs.
    """

    sums: Tensor
    flipped: bool

    def rows(self, weight: Tensor) -> Tensor:
        """A tensor shaped like the weight as `(groups, outputs, inputs)`."""
        matrix = weight.mT if self.flipped else weight.flatten(1)
        return matrix.unflatten(0, (len(self.sums), -1))

    def like(self, matrices: Tensor, weight: Tensor) -> Tensor:
        """What `rows` made of a tensor shaped like the weight, as it was."""
        matrix = matrices.flatten(0, 1)
        return matrix.mT if self.flipped else matrix.reshape(weight.shape)


def divided(total: Tensor, groups: Tensor) -> list[Tensor]:
    """A layer's budget divided among its groups, in proportion to what `groups` allow.

    Whole numbers that add up to it: of any first groups together, rounded down.

    Args:
        total: An integer without axes, at most what is allowed in all.
        groups: Bool, `(groups, ...)`.
    """
    allowed = groups.flatten(1).sum(1).cumsum(0)
    ends = total * allowed // allowed[-1].clamp(min=1)
    return [ends[0], *(ends[1:] - ends[:-1])]


def squares(inputs: Tensor) -> Tensor:
    """The sum of the squares of each input: of `(n, d)`, `(d,)`, float64."""
    return inputs.double().square().sum(0)


def gram(inputs: Tensor) -> Tensor:
    """`X^T X` of inputs `(n, d)`: `(d, d)`, float64."""
    inputs = inputs.double()
    return inputs.mT @ inputs


@torch.no_grad()
def layer_inputs(
    problem: Problem, params: Params, masks: Masks, measure: Callable[[Tensor], Tensor]
) -> dict[str, LayerInputs]:
    """Sums over all that the masked network feeds to each weight, in the order of their first use.

    A layer that is called several times adds up, and so do all batches.

    Args:
        problem: The network and its batches; the loss is not used.
        params: Parameters and buffers by name.
        masks: Which weights.
        measure: Of inputs `(n, d)`, one output's, what is summed.

    Raises:
        ValueError: If there are no batches, the masks do not fit, no batch reaches a weight, what
            comes in is no finite number, or a weight is used otherwise than in a product from one
            side; the message names it.
        TypeError: If a mask is not a bool tensor.
    """
    check_problem(problem)
    check_some(masks)
    check_matrices(masks)
    weights = masked(params, masks)
    found: dict[str, LayerInputs] = {}
    unknown: dict[str, str] = {}

    def add(use: Use) -> None:
        for part in use.inputs:
            sums = torch.stack([measure(inputs) for inputs in part])
            if use.name not in found:
                found[use.name] = LayerInputs(sums, use.flipped)
            elif found[use.name].flipped != use.flipped or len(found[use.name].sums) != len(sums):
                unknown[use.name] = "products from both sides"
            else:
                found[use.name] = LayerInputs(found[use.name].sums + sums, use.flipped)

    watch = Watch(weights, add)
    for x, _ in tracked(check_batches(problem)):
        with watch:
            problem.apply({**params, **weights}, x)
    check_followed(watch.unknown | unknown, masks, set(found))
    for name, part in found.items():
        if not many_at_once() and not bool(part.sums.isfinite().all()):
            raise ValueError(
                f"batches must give finite numbers: what comes in at {name!r} is NaN, infinite or "
                "too large to be squared"
            )
    return found


def check_matrices(masks: Masks) -> None:
    """Raises `ValueError` if a mask is of no matrix or kernel: nothing is multiplied by a bias."""
    for name, mask in masks.items():
        if mask.dim() < 2:
            raise ValueError(
                f"masks names {name!r} of shape {tuple(mask.shape)}, by which no inputs are "
                "multiplied: this method ranks matrices and kernels, leave it out of include"
            )


def check_followed(unknown: dict[str, str], masks: Masks, found: set[str]) -> None:
    """Raises `ValueError` if weights were used in a way that is not followed, or not at all."""
    for name, function in unknown.items():
        raise ValueError(
            f"masks names {name!r}, which goes through {function}: what comes in is known of "
            "linear layers, convolutions, matrix products and torch's attention; leave it out "
            f"by ignore=[{name!r}]"
        )
    for name in masks:
        if name not in found:
            raise ValueError(
                f"masks names {name!r}, which no batch reaches: leave it out by ignore=[{name!r}]"
            )
