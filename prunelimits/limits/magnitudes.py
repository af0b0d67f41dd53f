"""How far magnitude pruning moves the weights."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import checked_integer, shown
from prunelimits.limits.checks import check_weights, checked_magnitudes
from prunelimits.masks import flatten, top
from prunelimits.types import Masks, Params


def sorted_magnitudes(weights: Params, masks: Masks | None = None) -> Tensor:
    """The absolute values of all weights together, ascending: float64 `(weights,)`, on the CPU.

    Weights that `masks` prunes are left out.

    Raises:
        ValueError: If nothing is left or a weight is not finite.
    """
    check_weights(weights, masks)
    kept = {
        n: w if masks is None or n not in masks else w[masks[n].to(w.device)]
        for n, w in weights.items()
    }
    values = flatten(kept).detach().abs().double().cpu().sort().values
    if not len(values):
        raise ValueError("weights must hold at least one that is not pruned, got none")
    if not values.isfinite().all():
        raise ValueError("weights must be finite: the network has diverged")
    return values


def pruning_distances(magnitudes: Tensor) -> Tensor:
    """The distance from the weights to what magnitude pruning makes of them.

    `R(m)` is the root of the sum of the m smallest squares: the least distance to any weights of
    which m are zero.

    Args:
        magnitudes: Ascending, `(weights,)`.

    Returns:
        For every number of removed weights from 0 to all: `(weights + 1,)`, ascending.

    Examples:
        >>> pruning_distances(torch.tensor([0.0, 3.0, 4.0]))
        tensor([0., 0., 3., 5.])
    """
    checked_magnitudes(magnitudes)
    zero = magnitudes.new_zeros(1)
    return torch.cat([zero, magnitudes.square().cumsum(0)]).sqrt()


def magnitude_masks(weights: Params, removed: int | Tensor, masks: Masks | None = None) -> Masks:
    """The masks of one-shot magnitude pruning, all weights ranked together: `masks.top` of |w|.

    Args:
        weights: The weights to prune, by name.
        removed: How many to remove; with `masks`, how many more.
        masks: What is pruned already.
    """
    check_weights(weights, masks)
    scores = {name: weight.detach().abs() for name, weight in weights.items()}
    # Every score is at least 0, so that what is pruned already goes first.
    for name in scores.keys() & (masks or {}).keys():
        scores[name] = scores[name].masked_fill(~(masks or {})[name].to(scores[name].device), -1.0)
    kept = sum(int((score >= 0).sum()) for score in scores.values())
    if isinstance(removed, Tensor):
        if removed.dim() or removed.dtype not in (torch.int32, torch.int64):
            raise TypeError(f"removed must be an integer, got {shown(removed)}")
    else:
        removed = checked_integer("removed", removed, 0, kept)
    return top(scores, kept - removed)
