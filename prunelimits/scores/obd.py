"""Optimal Brain Damage: what the loss gains when a weight alone is deleted."""

from __future__ import annotations

import torch

from prunelimits.arguments import checked_flag, checked_integer
from prunelimits.modes import in_plain_modes
from prunelimits.progress import tracked
from prunelimits.scores.curvature import curvature_diagonal, curvature_product
from prunelimits.scores.gradient import check_noise, check_problem, check_real, masked
from prunelimits.types import Masks, Params, Problem, Scores

# A float32 number of torch.rand has this many random bits.
MOST_PROBES = 24


@in_plain_modes
@torch.no_grad()
def obd(
    problem: Problem,
    params: Params,
    masks: Masks,
    noise: Params | None = None,
    *,
    probes: int = 0,
    gauss_newton: bool = False,
) -> Scores:
    """`h_ii w_i^2 / 2`: how much the loss rises without weight i, at a minimum, to second order.

    The saliency of
    [Optimal Brain Damage](https://proceedings.neurips.cc/paper/1989/hash/6c9882bbac1c7093bd25041881277658-Abstract.html),
    with the diagonal of the Hessian of the masked network's loss, the mean over the batches. It is
    meant for a trained network: elsewhere `h_ii`, and so the score, can be negative. Pruned weights
    have score zero.

    The paper gets the diagonal from a backward recursion that neglects the terms between units.
    Here it is exact, at the cost of a Hessian-vector product a weight, or for large networks an
    estimate without bias from a few products in all: the mean of `v (H v)` over random signs `v`
    ([Bekas, Kokiopoulou and Saad](https://doi.org/10.1016/j.apnum.2007.01.003)).

    Args:
        problem: Loss and batches.
        params: Parameters and buffers by name.
        masks: The weights that count.
        noise: Uniform in [0, 1), shaped like the masks, at least float32: where `probes` is not 0.
        probes: How many random sign vectors the estimate takes, 1 to 24; 0 for the exact diagonal.
        gauss_newton: Instead of the Hessian the Gauss-Newton matrix, whose diagonal is never
            negative where the loss is convex in the outputs: the paper's Levenberg-Marquardt
            approximation.

    Raises:
        ValueError: If there are no batches, the loss is not one number, masks or noise do not fit,
            or `probes` is not in 0 to 24.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> batch = (torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]]))
        >>> model, mse = torch.nn.Linear(2, 1, bias=False), torch.nn.functional.mse_loss
        >>> problem, params = problem_of(model, mse, [batch])  # h = (2, 8)
        >>> params["weight"] = torch.tensor([[3.0, -1.0]])
        >>> obd(problem, params, {"weight": torch.tensor([[True, True]])})
        {'weight': tensor([[9., 4.]])}
    """
    checked_flag("gauss_newton", gauss_newton)
    check_problem(problem)
    check_real(params, masks)
    if probes := checked_integer("probes", probes, 0, MOST_PROBES):
        drawn = check_noise(noise, masks)
        diagonal = _estimate(problem, params, masks, drawn, probes, gauss_newton)
    else:
        diagonal = curvature_diagonal(problem, params, masks, gauss_newton=gauss_newton)
    weights = masked(params, masks)
    return {name: diagonal[name] * weight.square() / 2 for name, weight in weights.items()}


def _estimate(
    problem: Problem,
    params: Params,
    masks: Masks,
    noise: Params,
    probes: int,
    gauss_newton: bool,
) -> Params:
    product = curvature_product(problem, params, masks, gauss_newton=gauss_newton)
    total = {name: torch.zeros_like(weight) for name, weight in masked(params, masks).items()}
    for probe in tracked(range(probes)):
        # The binary digits of a uniform number are independent: each is a sign vector's.
        signs = {
            name: 1 - 2 * (noise[name] * 2 ** (probe + 1)).floor().remainder(2).to(value.dtype)
            for name, value in total.items()
        }
        products = product(signs)
        total = {name: value + signs[name] * products[name] for name, value in total.items()}
    return {name: value / probes for name, value in total.items()}
