"""From scores and a budget to masks: exact, within the weights that may be kept."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.masks import top
from prunelimits.types import Masks, Scores


def select(scores: Scores, allowed: Masks, budget: Tensor, *, floor: int = 0) -> Masks:
    """The masks that keep the largest scores among the weights allowed, exactly `budget` of them.

    Ties go to the lower flat index; infinities count as the largest numbers. Works under
    `torch.vmap`, with scores, allowed weights and a budget per model: there NaN, which nothing can
    refuse, counts as the lowest number.

    Args:
        scores: Name -> tensor, for every name in `allowed`; larger means keep.
        allowed: Name -> bool tensor: what may be kept.
        budget: Integers, not checked: `(1,)` for one ranking of all, or `(layers,)` for one a
            layer.
        floor: How many weights of every layer are kept whatever the ranking, if it has them.

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
    ranked = {name: _ranked(name, scores.get(name), mask) for name, mask in allowed.items()}
    if floor:
        ranked = {
            name: score.masked_fill(
                top({name: score}, min(floor, score.numel()))[name] & allowed[name], torch.inf
            )
            for name, score in ranked.items()
        }
    if len(budget) == 1:
        return top(ranked, budget[0])
    return {
        name: top({name: score}, keep)[name]
        for (name, score), keep in zip(ranked.items(), budget, strict=True)
    }


def counts(masks: Masks, like: Tensor) -> Tensor:
    """How many weights the masks keep, int64 and shaped like a budget: `(1,)` or `(layers,)`."""
    layers = torch.stack([mask.sum() for mask in masks.values()])
    return layers.sum().reshape(1) if len(like) == 1 else layers


def concrete(value: Tensor) -> int | None:
    """The number that an integer tensor without axes holds; None under `torch.vmap`."""
    try:
        return int(value)
    except RuntimeError:  # there it differs from model to model
        return None


def has_nan(values: Tensor, where: Tensor) -> bool:
    """Whether a value that `where` marks is NaN; False under `torch.vmap`."""
    # A sum with NaN is NaN: one quick pass where, as nearly always, there is none.
    if concrete(values.sum().isnan().long()) == 0:
        return False
    return concrete((values.isnan() & where).any().long()) == 1


def _ranked(name: str, score: Tensor | None, allowed: Tensor) -> Tensor:
    if score is None or score.shape != allowed.shape:
        got = "none" if score is None else tuple(score.shape)
        raise ValueError(f"scores[{name!r}] must have shape {tuple(allowed.shape)}, got {got}")
    score = score if score.is_floating_point() else score.double()
    if has_nan(score, allowed):
        raise ValueError(f"scores[{name!r}] must be numbers, got NaN: something has diverged")
    # Infinities are kept for what must not and what must be chosen.
    lowest, largest = torch.finfo(score.dtype).min, torch.finfo(score.dtype).max
    finite = score.nan_to_num(nan=lowest, posinf=largest, neginf=lowest)
    return finite.masked_fill(~allowed, -torch.inf)
