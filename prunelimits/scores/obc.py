"""Optimal Brain Compression: each output's weights go one by one, the others make up for it."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import checked_number
from prunelimits.modes import in_plain_modes
from prunelimits.progress import stage, tracked
from prunelimits.scores.gradient import check_real, masked
from prunelimits.scores.layer_inputs import LayerInputs, gram, layer_inputs
from prunelimits.scores.obs import check_survivors
from prunelimits.scores.refit import check_definite, damped, refit
from prunelimits.scores.removal import losses_of_removal
from prunelimits.types import Masks, Params, Problem, Scores


@in_plain_modes
@torch.no_grad()
def obc(
    problem: Problem,
    params: Params,
    masks: Masks,
    noise: Params | None = None,
    *,
    damping: float = 0.01,
) -> Scores:
    """How much the squared error of a layer's outputs rises when the weight goes in its turn.

    ExactOBS of [Optimal Brain Compression](https://arxiv.org/abs/2208.11580). A layer's problem is
    to change `||W X - W' X||^2` least, with `X` all that comes in; every output is a problem of its
    own with the same `H = X X^T`. In each the weight with the least `w_p^2 / [H^-1]_pp` goes, the
    others change by `-w_p / [H^-1]_pp H^-1_:p`, and so on until none is left. The score is the
    rise when the weight goes, or of one before it in its output, if that was larger: what a
    ranking by it keeps is what went last of each output, as in the paper's global step.

    `obc_correction` gives the weights that belong to a choice.

    Args:
        problem: Batches; the loss is not used.
        params: Parameters and buffers by name.
        masks: The weights that count.
        noise: Not used.
        damping: What is added to the diagonal of H, as a share of its mean.

    Returns:
        Float64; pruned weights have score zero.

    Raises:
        ValueError: If there are no batches, the masks do not fit, `damping` is negative or too
            small, or what comes in at a weight is not known; see `layer_inputs`.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 1.0]])  # H = [[2, 1], [1, 1]]
        >>> problem, params = problem_of(torch.nn.Linear(2, 1), batches=[(x, x)])
        >>> params["weight"] = torch.tensor([[3.0, -1.0]])
        >>> obc(problem, params, {"weight": torch.tensor([[True, True]])}, damping=0.0)
        {'weight': tensor([[12.5000,  0.5000]], dtype=torch.float64)}
    """
    with stage(1, of=2):
        found = layer_grams(problem, params, masks, damping)
    weights = masked(params, masks)
    with stage(2, of=2):
        return {
            name: removal_scores(weights[name], masks[name], found[name]) * masks[name]
            for name in tracked(list(masks))
        }


@in_plain_modes
@torch.no_grad()
def obc_correction(
    problem: Problem, params: Params, masks: Masks, survivors: Masks, *, damping: float = 0.01
) -> Params:
    """The weights of the survivors that give each layer's outputs best, zero elsewhere.

    `w_S + H_SS^-1 H_SP w_P` for each output with survivors S, where P are those of `masks` that go:
    the least-squares answer for the layer's inputs as they are now. It is where the changes of
    `obc`, one after the other, lead.

    Args:
        problem: As for `obc`.
        params: As for `obc`.
        masks: The weights that count before.
        survivors: Those that count afterwards; what `masks` prunes cannot come back.
        damping: As for `obc`.

    Returns:
        Name -> tensor, for the names in `masks`, in the parameters' dtype.

    Raises:
        ValueError: As for `obc`.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
        >>> problem, params = problem_of(torch.nn.Linear(2, 1), batches=[(x, x)])
        >>> params["weight"] = torch.tensor([[3.0, -1.0]])
        >>> both, one = torch.tensor([[True, True]]), torch.tensor([[True, False]])
        >>> obc_correction(problem, params, {"weight": both}, {"weight": one}, damping=0.0)
        {'weight': tensor([[2.5000, 0.0000]])}
    """
    check_survivors(masks, survivors)
    found = layer_grams(problem, params, masks, damping)
    weights = masked(params, masks)
    return {
        name: refitted(weights[name], mask & survivors[name], found[name])
        for name, mask in masks.items()
    }


def layer_grams(
    problem: Problem, params: Params, masks: Masks, damping: float
) -> dict[str, LayerInputs]:
    """`X X^T` of every weight's inputs, damped; see `layer_inputs`."""
    damping = checked_number("damping", damping, least=0)
    check_real(params, masks)
    found = layer_inputs(problem, params, masks, gram)
    return {name: part._replace(sums=damped(part.sums, damping)) for name, part in found.items()}


def removal_scores(weight: Tensor, mask: Tensor, inputs: LayerInputs) -> Tensor:
    """The losses of one weight, in its shape; see `losses_of_removal`."""
    blocks = zip(inputs.rows(weight).double(), inputs.rows(mask), inputs.sums, strict=True)
    losses = [losses_of_removal(rows, _inverse(gram, kept)) for rows, kept, gram in blocks]
    return inputs.like(torch.stack(losses), weight)


def refitted(weight: Tensor, survivors: Tensor, inputs: LayerInputs) -> Tensor:
    """One weight on its survivors, in its shape and dtype; see `refit`."""
    blocks = zip(inputs.rows(weight).double(), inputs.rows(survivors), inputs.sums, strict=True)
    fitted = [refit(rows, gram, kept) for rows, kept, gram in blocks]
    return inputs.like(torch.stack(fitted), weight).to(weight.dtype)


def _inverse(gram: Tensor, kept: Tensor) -> Tensor:
    """`H^-1`, of the weights that count: one for all outputs, if everywhere all of them do."""
    if concrete_all(kept):
        whole, info = torch.linalg.inv_ex(gram)
    else:
        identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        within = torch.where(kept[:, :, None] & kept[:, None, :], gram, identity)
        whole, info = torch.linalg.inv_ex(within)
    check_definite(info)
    return whole


def concrete_all(values: Tensor) -> bool:
    """Whether all are True; False under `torch.vmap`, where that differs from model to model."""
    try:
        return bool(values.all())
    except RuntimeError:
        return False
