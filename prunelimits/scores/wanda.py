"""Wanda: a weight's magnitude times the norm of what it is multiplied by."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import checked_flag
from prunelimits.modes import in_plain_modes
from prunelimits.scores.gradient import check_real
from prunelimits.scores.layer_inputs import layer_inputs, squares
from prunelimits.types import Masks, Params, Problem, Scores
from prunelimits.versions import quiet_vmap


@in_plain_modes
@torch.no_grad()
def wanda(
    problem: Problem,
    params: Params,
    masks: Masks,
    noise: Params | None = None,
    *,
    per_output: bool = False,
) -> Scores:
    """`|W_ij| ||X_j||_2`, with `X_j` all that comes in at input j, over samples and positions.

    From [A simple and effective pruning approach for large language
    models](https://arxiv.org/abs/2306.11695). Convolutions count each place of the kernel as an
    input. Pruned weights have score zero.

    The paper compares the weights of each output with each other alone. `per_output=True` gives
    scores whose ranking does that: first the best weight of every output, then the second best of
    every output, and so on, the larger product first; so any budget leaves outputs of a layer alike
    within one weight.

    Args:
        problem: Batches; the loss is not used.
        params: Parameters and buffers by name.
        masks: The weights that count.
        noise: Not used.
        per_output: Whether to rank within each output: scores in [0, 1], float64.

    Raises:
        ValueError: If there are no batches, the masks do not fit, or what comes in at a weight is
            not known; see `layer_inputs`.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> x = torch.tensor([[3.0, 1.0], [4.0, 0.0]])  # norms 5 and 1
        >>> problem, params = problem_of(torch.nn.Linear(2, 2), batches=[(x, x)])
        >>> params["weight"] = torch.tensor([[1.0, -2.0], [0.5, 0.1]])
        >>> masks = {"weight": torch.ones(2, 2, dtype=torch.bool)}
        >>> wanda(problem, params, masks)
        {'weight': tensor([[5.0000, 2.0000],
                [2.5000, 0.1000]])}
        >>> wanda(problem, params, masks, per_output=True)["weight"] > 0.5  # the best of each
        tensor([[ True, False],
                [ True, False]])
    """
    checked_flag("per_output", per_output)
    check_real(params, masks)
    found = layer_inputs(problem, params, masks, squares)
    result: Scores = {}
    for name, mask in masks.items():
        norms = found[name].sums.sqrt()[:, None]
        weights = found[name].rows(params[name] * mask).double()
        products = weights.abs() * norms
        if per_output:
            with quiet_vmap():
                products = _ranked(products, found[name].rows(mask))
        else:
            products = products.to(params[name].dtype)
        result[name] = found[name].like(products, mask) * mask
    return result


def _ranked(products: Tensor, allowed: Tensor) -> Tensor:
    """For `(groups, outputs, inputs)`: from the place within the output, ties by the product."""
    inputs = products.shape[-1]
    order = products.masked_fill(~allowed, -1).sort(dim=-1, descending=True, stable=True).indices
    ranks = torch.arange(inputs, device=order.device).expand_as(order)
    places = torch.empty_like(order).scatter(-1, order, ranks)
    share = products / (2 * products.amax().clamp(min=torch.finfo(products.dtype).tiny))
    return (inputs - 1 - places + share) / inputs
