"""Random: the baseline that any score should beat."""

from __future__ import annotations

import torch

from prunelimits.modes import in_plain_modes
from prunelimits.scores.gradient import check_noise, check_real
from prunelimits.types import Masks, Params, Problem, Scores


@in_plain_modes
@torch.no_grad()
def random(problem: Problem, params: Params, masks: Masks, noise: Params | None = None) -> Scores:
    """The noise itself, zero where the masks prune: every choice of weights is equally likely.

    Args:
        problem: Not used.
        params: Only the shapes are used.
        masks: The weights that count.
        noise: Uniform in [0, 1), shaped like the masks.

    Raises:
        ValueError: If noise is missing, or masks or noise do not fit.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> noise = {"weight": torch.tensor([[0.25, 0.75]])}
        >>> problem, params = problem_of(torch.nn.Linear(2, 1))
        >>> random(problem, params, {"weight": torch.tensor([[True, True]])}, noise)
        {'weight': tensor([[0.2500, 0.7500]])}
    """
    check_real(params, masks)
    drawn = check_noise(noise, masks)
    return {name: drawn[name].masked_fill(~mask, 0) for name, mask in masks.items()}
