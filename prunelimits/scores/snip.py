"""SNIP: how much the loss feels a weight's presence."""

from __future__ import annotations

import torch

from prunelimits.arguments import checked_flag
from prunelimits.modes import in_plain_modes
from prunelimits.scores.gradient import check_problem, loss_gradient
from prunelimits.scores.xavier import xavier_normal
from prunelimits.types import Masks, Params, Problem, Scores


@in_plain_modes
@torch.no_grad()
def snip(
    problem: Problem,
    params: Params,
    masks: Masks,
    noise: Params | None = None,
    *,
    xavier: bool = False,
) -> Scores:
    """`|w dL/dw|`, the connection sensitivity of [SNIP](https://arxiv.org/abs/1810.02340).

    The gradient is that of the masked network, the mean over the batches; the weight is the one in
    `params` even where the masks prune. So a pruned weight has a score too, that of its coming
    back, as [FORCE](https://arxiv.org/abs/2006.09081) wants it; a rule that never revives ignores
    it. The paper divides by the sum of all scores, which changes no ranking.

    Args:
        problem: Loss and batches; the published code takes one batch.
        params: Parameters and buffers by name.
        masks: The weights that count.
        noise: Needed for `xavier` alone.
        xavier: Whether to score a fresh Glorot start instead of the weights, as the published code
            does; see `xavier_normal`.

    Raises:
        ValueError: If there are no batches, the loss is not one number, masks or noise do not fit.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> batch = (torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0]]))
        >>> model, mse = torch.nn.Linear(2, 1, bias=False), torch.nn.functional.mse_loss
        >>> problem, params = problem_of(model, mse, [batch])
        >>> params["weight"] = torch.tensor([[3.0, -1.0]])  # output 2, so dL/dw = 2 * 2
        >>> snip(problem, params, {"weight": torch.tensor([[True, True]])})
        {'weight': tensor([[12.,  4.]])}
    """
    check_problem(problem)
    if checked_flag("xavier", xavier):
        params = xavier_normal(params, masks, noise)
    gradient = loss_gradient(problem, params, masks)
    # Each gradient goes once it is used: memory for all of them a second time is not needed.
    return {name: (gradient.pop(name) * params[name]).abs_() for name in masks}
