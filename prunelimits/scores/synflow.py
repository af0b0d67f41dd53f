"""SynFlow: the share of a weight in all paths through the network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prunelimits.arguments import checked_flag
from prunelimits.modes import in_plain_modes
from prunelimits.nested import main_tensor, map_tensors
from prunelimits.scores.derivatives import gradient_times_point
from prunelimits.scores.gradient import check_batches, check_outputs, check_real, check_some, live
from prunelimits.types import Masks, Params, Problem, Scores


@in_plain_modes
@torch.no_grad()
def synflow(
    problem: Problem,
    params: Params,
    masks: Masks,
    noise: Params | None = None,
    *,
    biases: bool = True,
) -> Scores:
    """`|w| dR/d|w|`, the synaptic flow of [SynFlow](https://arxiv.org/abs/2006.05467).

    `R` is the sum of the outputs for one input of ones when every parameter is replaced by its
    absolute value. In a ReLU network without biases that is the sum over all paths from an input to
    an output of the product of their weights' magnitudes, and the score is the sum over the paths
    through the weight.

    Float64 throughout, scores too: products of many weights leave the range of float32.

    Args:
        problem: Only the shape of the first batch's inputs is used; the loss is not.
        params: Parameters and buffers by name. Whatever ends in `bias` counts as a bias. A running
            mean (BatchNorm's) counts as zero: a shift would take the sign of a path away.
        masks: The weights that count.
        noise: Not used.
        biases: Whether `|b|` stays in the pass, as in the published code of SynFlow and of
            [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075); biases then begin
            paths, so a weight without a path from an input can matter. False: zero, as in the
            paper's text.

    Raises:
        ValueError: If there are no batches, or the masks do not fit the parameters.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Linear(1, 1))
        >>> problem, params = problem_of(model, batches=[(torch.zeros(5, 2), torch.zeros(5))])
        >>> params["0.weight"] = torch.tensor([[1.0, -2.0]])
        >>> params["1.weight"] = torch.tensor([[-3.0]])
        >>> masks = {n: torch.ones_like(params[n]).bool() for n in ("0.weight", "1.weight")}
        >>> scores = synflow(problem, params, masks, biases=False)  # paths: 1 * 3 and 2 * 3
        >>> scores["0.weight"].tolist(), scores["1.weight"].tolist()
        ([[3.0, 6.0]], [[9.0]])
    """
    checked_flag("biases", biases)
    check_real(params, masks)
    check_some(masks)
    ones = one_input(check_batches(problem)[0][0])
    check_outputs(problem, "SynFlow")
    weights = {
        name: live({name: _positive(name, params[name], biases)}, {name: mask})[name]
        for name, mask in masks.items()
    }
    others = {
        name: _positive(name, value, biases) for name, value in params.items() if name not in masks
    }

    def flow(weights: Params) -> Tensor:
        return main_tensor(problem.apply({**others, **weights}, ones)).sum()

    return gradient_times_point(flow, weights)


def one_input(inputs: Any) -> Any:  # noqa: ANN401
    """One input of ones, float64: of several tensors each, or they would not go together."""
    if isinstance(inputs, Tensor):
        return double(torch.ones_like(inputs[:1]))
    return map_tensors(lambda value: double(torch.ones_like(value)), inputs)


def _positive(name: str, value: Tensor, biases: bool) -> Tensor:
    value = double(value)
    is_shift = name.endswith("running_mean") or (name.endswith("bias") and not biases)
    return torch.zeros_like(value) if is_shift else value.abs()


def double(value: Tensor) -> Tensor:
    """A floating-point tensor in float64; others as they are."""
    return value.double() if value.is_floating_point() else value
