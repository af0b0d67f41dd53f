"""From scores and a budget to masks: exact, within the weights that may be kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from prunelimits.masks import top
from prunelimits.masks.zeroing import ruled_out
from prunelimits.modes import is_of_many, many_at_once
from prunelimits.types import Masks, Scores


def select(
    scores: Scores,
    allowed: Masks,
    budget: Tensor,
    *,
    floor: int = 0,
    groups: Sequence[Sequence[str]] | None = None,
    forced: Masks | None = None,
) -> Masks:
    """The masks that keep the largest scores among the weights allowed, exactly `budget` of them.

    Ties go to the lower flat index; infinities count as the largest numbers. Works under
    `torch.vmap`, with scores, allowed weights and a budget per model: there NaN, which nothing can
    refuse, counts as the lowest number.

    Args:
        scores: Name -> tensor, for every name in `allowed`; larger means keep.
        allowed: Name -> bool tensor: what may be kept.
        budget: Integers, not checked: `(1,)` for one ranking of all, `(layers,)` for one a layer,
            or one number a group.
        floor: How many weights of every layer are kept whatever the ranking, if it has them.
        groups: The layers that are ranked together. None: all, or each by itself, as `budget` says.
        forced: What is kept whatever its score, among the weights allowed.

    Raises:
        ValueError: If scores are missing for a name or have another shape, or that of an allowed
            weight is NaN.

    Examples:
        >>> scores = {"a": torch.tensor([5.0, 4.0]), "b": torch.tensor([3.0, 9.0, 2.0])}
        >>> allowed = {"a": torch.tensor([True, True]), "b": torch.tensor([True, False, True])}
        >>> select(scores, allowed, torch.tensor([2]))
        {'a': tensor([True, True]), 'b': tensor([False, False, False])}
        >>> select(scores, allowed, torch.tensor([2]), floor=1)
        {'a': tensor([ True, False]), 'b': tensor([ True, False, False])}
        >>> select(scores, allowed, torch.tensor([0, 1]))
        {'a': tensor([False, False]), 'b': tensor([ True, False, False])}
    """
    found: Masks = {}
    for names, keep in zip(grouped(allowed, budget, groups), budget, strict=True):
        ranked = {
            name: ranking_of(
                name, scores.get(name), allowed[name], floor=floor,
                forced=None if forced is None else forced[name],
            )
            for name in names
        }  # fmt: skip
        found |= top(ranked, keep)
    return {name: found[name] for name in allowed}


def grouped(
    allowed: Masks, budget: Tensor, groups: Sequence[Sequence[str]] | None
) -> Sequence[Sequence[str]]:
    """The names of the layers that each number of a budget is for."""
    if groups is not None:
        return groups
    return [list(allowed)] if len(budget) == 1 else [[name] for name in allowed]


def ranking_of(
    name: str,
    score: Tensor | None,
    allowed: Tensor,
    *,
    floor: int = 0,
    forced: Tensor | None = None,
) -> Tensor:
    """A layer's scores, checked: infinite for what must be kept, minus infinity for what must not.

    Raises:
        ValueError: As `select` does.
    """
    ranked = _ranked(name, score, allowed)
    if floor:
        first = top({name: ranked}, min(floor, ranked.numel()))[name]
        ranked = ranked.masked_fill(first & allowed, torch.inf)
    return ranked if forced is None else ranked.masked_fill(forced & allowed, torch.inf)


def counts(masks: Masks, like: Tensor, groups: Sequence[Sequence[str]] | None = None) -> Tensor:
    """How many weights the masks keep, int64 and shaped like a budget; see `select`."""
    layers = {
        name: mask.sum() if many_at_once() else mask.count_nonzero() for name, mask in masks.items()
    }
    together = grouped(masks, like, groups)
    return torch.stack([torch.stack([layers[name] for name in names]).sum() for names in together])


def concrete(value: Tensor) -> int | None:
    """The number that an integer tensor without axes holds; None under `torch.vmap`."""
    if is_of_many(value):  # without the error, which takes a hundred times as long
        return None
    try:
        return int(value)
    except RuntimeError:  # there it differs from model to model
        return None


def has_nan(values: Tensor, where: Tensor) -> bool:
    """Whether a value that `where` marks is NaN; False under `torch.vmap`."""
    if is_of_many(values):
        return False
    # A sum with NaN is NaN: one quick pass where, as nearly always, there is none.
    if concrete(values.sum().isnan().long()) == 0:
        return False
    return concrete((values.isnan() & where).any().long()) == 1


def has_infinity(values: Tensor, where: Tensor) -> bool:
    """Whether a value that `where` marks is infinite; False under `torch.vmap`."""
    if is_of_many(values):
        return False
    if concrete(values.sum().isfinite().long()) == 1:  # one quick pass, as for NaN
        return False
    return concrete((values.isinf() & where).any().long()) == 1


def _ranked(name: str, score: Tensor | None, allowed: Tensor) -> Tensor:
    if score is None or score.shape != allowed.shape:
        got = "none" if score is None else tuple(score.shape)
        raise ValueError(f"scores[{name!r}] must have shape {tuple(allowed.shape)}, got {got}")
    if score.device != allowed.device:
        raise ValueError(
            f"scores[{name!r}] must be on {allowed.device}, as the weight is, got {score.device}"
        )
    score = score if score.is_floating_point() else score.double()
    if not is_of_many(score) and concrete(score.sum().isfinite().long()) == 1:  # and so are all
        return ruled_out(score, allowed)
    if has_nan(score, allowed):
        raise ValueError(f"scores[{name!r}] must be numbers, got NaN: something has diverged")
    # Infinities are kept for what must not and what must be chosen.
    lowest, largest = torch.finfo(score.dtype).min, torch.finfo(score.dtype).max
    finite = score.nan_to_num(nan=lowest, posinf=largest, neginf=lowest)
    return finite.masked_fill(~allowed, -torch.inf)
