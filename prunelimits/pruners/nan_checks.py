"""Refusing NaN where weights are ranked: masks from it would be arbitrary.

Under `torch.vmap` no value can be read, and nothing is refused: in an ensemble a member that
diverges prunes something, and the others go on.
"""

from __future__ import annotations

import torch

from prunelimits.masks import apply
from prunelimits.modes import many_at_once
from prunelimits.pruners.selection import concrete, has_infinity, has_nan
from prunelimits.scores.derivatives import leaves
from prunelimits.scores.gradient import batch_loss, check_batches, check_real
from prunelimits.types import Masks, Params, Problem, Scores


def check_scores(
    scores: Scores, allowed: Masks, method: str, problem: Problem, params: Params
) -> None:
    """Raises if a score of an allowed weight is NaN, and says where it comes from.

    Raises:
        ValueError: If one is.
    """
    if any(has_nan(scores[name], mask) for name, mask in allowed.items() if name in scores):
        raise ValueError(f"scores of {method} must be numbers: {_cause(problem, params)}")


def check_weights(params: Params, masks: Masks) -> None:
    """Raises if a kept weight is NaN or infinite.

    Raises:
        ValueError: If one is; the message names the parameter.
    """
    for name, mask in masks.items():
        if name not in params:
            continue
        if has_nan(params[name], mask):
            raise ValueError(f"the model has NaN in {name!r}: its training has diverged")
        if has_infinity(params[name], mask):
            raise ValueError(f"the model has infinity in {name!r}: its training has diverged")


@torch.no_grad()
def check_task(problem: Problem, params: Params, masks: Masks) -> None:
    """Raises if a kept weight is NaN, or there is no batch or one whose loss is not finite.

    Raises:
        ValueError: If so.
    """
    check_real(params, masks)
    check_weights(params, masks)
    check_batches(problem)
    for index, (x, y) in enumerate(problem.batches):
        finite = batch_loss(problem, apply(params, masks), (x, y)).isfinite()
        if concrete(finite.long()) == 0:
            raise ValueError(
                f"{_loss_name(problem)} must be finite, got NaN or infinity for batch {index}"
            )


def check_differentiable(problem: Problem, params: Params, masks: Masks) -> None:
    """Raises if the loss of the first batch has no derivative by the weights, where it can be told.

    Raises:
        ValueError: If it has none: a training would learn nothing of the task.
    """
    if many_at_once():
        return
    with torch.enable_grad():
        weights = leaves({name: params[name] for name in masks})
        loss = batch_loss(problem, apply({**params, **weights}, masks), problem.batches[0])
    if not loss.requires_grad:
        raise ValueError(
            f"{_loss_name(problem)} must be a differentiable function of the model's weights: its "
            "value has no gradient"
        )


def _loss_name(problem: Problem) -> str:
    """The argument that gives the loss."""
    return "loss" if problem.has_outputs else "step"


def _cause(problem: Problem, params: Params) -> str:
    for name, value in params.items():
        if not value.isfinite().all():
            what = "NaN" if value.isnan().any() else "infinity"
            return f"the model has {what} in {name!r}"
    for index, (x, y) in enumerate(problem.batches):
        try:
            value = problem.loss(problem.apply(params, x), y)
        except ValueError:  # the method has none
            break
        if not value.isfinite():
            return f"the loss of batch {index} is {value.item()}"
    return "the model and its loss are finite, but not what the method makes of them"
