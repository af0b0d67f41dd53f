"""LAMP: a weight's magnitude beside the larger ones of its layer."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.modes import in_plain_modes
from prunelimits.scores.gradient import masked
from prunelimits.types import Masks, Params, Problem, Scores


@in_plain_modes
@torch.no_grad()
def lamp(problem: Problem, params: Params, masks: Masks, noise: Params | None = None) -> Scores:
    """`w^2 / (the sum of v^2 over w and all that outrank it in its layer)`, float64.

    From [Layer-adaptive sparsity for the magnitude-based pruning](https://arxiv.org/abs/2010.07611).
    One ranking of all layers by it keeps at least the largest weight of each, whose score is 1,
    as long as there are no fewer to keep than layers. Among equal magnitudes the lower flat index
    outranks. Pruned weights act as zero, and a zero's score is zero. Problem and noise are not
    used.

    Raises:
        ValueError: If the masks do not fit the parameters.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> problem, params = problem_of(torch.nn.Linear(3, 1))
        >>> params["weight"] = torch.tensor([[1.0, -3.0, 2.0]])
        >>> scores = lamp(problem, params, {"weight": torch.ones(1, 3, dtype=torch.bool)})
        >>> scores["weight"].tolist() == [[1 / 14, 1.0, 4 / 13]]
        True
    """
    return {name: _share(weight) for name, weight in masked(params, masks).items()}


def _share(weight: Tensor) -> Tensor:
    descending, order = weight.abs().flatten().sort(descending=True, stable=True)
    squares = descending.double().square()
    # Not 0 / 0 in a layer of zeros; what is not a number stays so, for the caller to see.
    shares = torch.where(squares == 0, 0, squares / squares.cumsum(0))
    return torch.empty_like(shares).scatter(0, order, shares).reshape(weight.shape)
