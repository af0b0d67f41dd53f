"""GraSP: what a weight does for the gradient flow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prunelimits.arguments import checked_flag, checked_number
from prunelimits.modes import in_plain_modes
from prunelimits.nested import map_tensors
from prunelimits.scores.curvature import curvature_times_gradient
from prunelimits.scores.gradient import check_outputs, check_problem, live
from prunelimits.scores.xavier import xavier_normal
from prunelimits.types import Masks, Params, Problem, Scores


@in_plain_modes
@torch.no_grad()
def grasp(
    problem: Problem,
    params: Params,
    masks: Masks,
    noise: Params | None = None,
    *,
    temperature: float = 200.0,
    xavier: bool = False,
) -> Scores:
    """`w (H g)`, after [GraSP](https://arxiv.org/abs/2002.07376): what `g . g` owes to a weight.

    To first order, pruning a weight takes `2 w (H g)` off the squared norm of the gradient `g`. `H`
    and `g` are those of the loss of `outputs / temperature` at the masked network, means over the
    batches, by the kept weights alone. A pruned weight's score is zero, and others can be less.

    The paper ranks by `-w (H g)` and prunes the largest; here larger means keep. Its code takes 25
    samples a class, in two halves: two batches. It divides by the sum of all scores, which changes
    no ranking.

    Args:
        problem: Loss and batches.
        params: Parameters and buffers by name.
        masks: The weights that count.
        noise: Needed for `xavier` alone.
        temperature: What divides the outputs; the paper's is 200.
        xavier: Whether to score a fresh Glorot start instead of the weights, as the published code
            does (for linear layers); see `xavier_normal`.

    Raises:
        ValueError: If there are no batches, the loss is not one number, masks or noise do not fit,
            or the temperature is not positive.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> batch = (torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0]]))
        >>> model, mse = torch.nn.Linear(2, 1, bias=False), torch.nn.functional.mse_loss
        >>> problem, params = problem_of(model, mse, [batch])
        >>> params["weight"] = torch.tensor([[3.0, -1.0]])  # g = (4, 4), H g = (16, 16)
        >>> grasp(problem, params, {"weight": torch.tensor([[True, True]])}, temperature=1.0)
        {'weight': tensor([[ 48., -16.]])}
    """
    check_problem(problem)
    temperature = checked_number("temperature", temperature, above=0)
    if checked_flag("xavier", xavier):
        params = xavier_normal(params, masks, noise)

    if temperature != 1:
        check_outputs(problem, "GraSP with a temperature")

    def cooled_outputs(params: Params, x: Any) -> Any:  # noqa: ANN401
        return map_tensors(_cooled, problem.apply(params, x))

    def _cooled(value: Tensor) -> Tensor:
        if not value.is_floating_point():
            return value
        # A number is a loss that the model computes by itself, of outputs that were not cooled.
        return value / temperature if value.dim() else value.detach()

    cooled = problem if temperature == 1 else problem._replace(apply=cooled_outputs)
    product = curvature_times_gradient(cooled, params, masks)
    return {name: weight * product.pop(name) for name, weight in live(params, masks).items()}
