"""Magnitude: a weight matters as much as it is large."""

from __future__ import annotations

import torch

from prunelimits.modes import in_plain_modes
from prunelimits.scores.gradient import masked
from prunelimits.types import Masks, Params, Problem, Scores


@in_plain_modes
@torch.no_grad()
def magnitude(
    problem: Problem, params: Params, masks: Masks, noise: Params | None = None
) -> Scores:
    """`|w|`, zero where the masks prune.

    From [Learning both Weights and Connections](https://arxiv.org/abs/1506.02626). Problem and
    noise are not used.

    Raises:
        ValueError: If the masks do not fit the parameters.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> problem, params = problem_of(torch.nn.Linear(3, 1))
        >>> params["weight"] = torch.tensor([[1.0, -3.0, 2.0]])
        >>> magnitude(problem, params, {"weight": torch.tensor([[True, True, False]])})
        {'weight': tensor([[1., 3., 0.]])}
    """
    return {name: weight.abs_() for name, weight in masked(params, masks).items()}
