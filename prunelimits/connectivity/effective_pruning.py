"""Pruning to a given effective sparsity, by bisection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from torch import Tensor

from prunelimits.arguments import (
    checked_callable,
    checked_integer,
    checked_number,
    checked_tensors,
    shown,
)
from prunelimits.connectivity.analyze import effective_sparsity as measured_sparsity
from prunelimits.connectivity.analyze import model_sparsity
from prunelimits.connectivity.following.model import Inputs, Model
from prunelimits.connectivity.trace import trace
from prunelimits.masks import check_bools, top
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks


@in_plain_modes
def prune_to_effective(
    scores: Mapping[str, Tensor] | Callable[[int], Masks],
    *,
    effective_sparsity: float,
    weights: int | None = None,
    model: Model | None = None,
    inputs: Inputs = None,
) -> Masks:
    """The masks of the fewest weights whose effective sparsity is not above a given one.

    The bisection of [Connectivity Matters](https://arxiv.org/abs/2107.02306), over the number of
    weights that are kept. Where fewer kept weights never make more effective, as with the nested
    masks of one ranking, no smaller number would do; otherwise the number below would not.

    Args:
        scores: Name -> score of every weight, larger means keep. Or any pruner: a function from
            the number of weights to keep to the masks.
        effective_sparsity: The share of weights that may be pruned or on no path, in [0, 1].
        weights: How many weights there are, for a function.
        model: What the masks belong to. None: they are an MLP's, first layer first.
        inputs: For a model, as for `effective_masks`.

    Raises:
        ValueError: If `effective_sparsity` is not in [0, 1] or keeping every weight exceeds it,
            `weights` is missing or superfluous, or masks do not fit.
        TypeError: If `weights` is not an integer or `inputs` comes without a model.

    Examples:
        The largest weight of the first layer leads nowhere until the third largest is kept.

        >>> import torch
        >>> scores = {"0.weight": torch.tensor([[9.0], [5.0]]),
        ...           "2.weight": torch.tensor([[1.0, 7.0]])}
        >>> prune_to_effective(scores, effective_sparsity=0.5)["0.weight"].flatten().tolist()
        [True, True]
    """
    checked_number("effective_sparsity", effective_sparsity, least=0, most=1)
    if model is None and inputs is not None:
        raise TypeError("inputs belong to a model, and none is given")
    masks_at, total = _masks_at(scores, weights)
    # Followed once: the steps of a model are the same for all masks.
    traced = None if model is None else trace(model, None, inputs)

    def fits(masks: Masks) -> bool:
        if traced is None or model is None:
            found = measured_sparsity(masks)
        else:
            found = model_sparsity(traced.masked(model, masks))
        # The same quotient as 1 - effective / weights may round differently.
        return found <= effective_sparsity + 1e-12

    low, high, best = -1, total, masks_at(total)
    if not fits(best):
        raise ValueError(
            f"effective_sparsity must be reached with every weight kept, got {effective_sparsity}"
        )
    while high - low > 1:
        middle = (low + high) // 2
        masks = masks_at(middle)
        if fits(masks):
            high, best = middle, masks
        else:
            low = middle
    return best


def _masks_at(
    scores: Mapping[str, Tensor] | Callable[[int], Masks], weights: int | None
) -> tuple[Callable[[int], Masks], int]:
    if isinstance(scores, Mapping):
        if weights is not None:
            raise ValueError("weights belong to a function, and scores are given")
        ranked = checked_tensors("scores", scores)
        return lambda keep: top(ranked, keep), sum(score.numel() for score in ranked.values())
    prune = checked_callable(
        "scores", scores, "tensors by name, or a function from a number of weights to masks"
    )
    if weights is None:
        raise ValueError("weights is needed with a function: how many weights there are")
    total = checked_integer("weights", weights, 0)

    def masks_at(keep: int) -> Masks:
        masks: object = prune(keep)
        if not isinstance(masks, dict):
            raise TypeError(f"scores must return masks by name, got {shown(masks)}")
        named = cast("Masks", masks)
        check_bools(named)
        return named

    return masks_at, total
