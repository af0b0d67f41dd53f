"""Masks that keep the largest scores."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from prunelimits.arguments import checked_integer, checked_tensors, shown
from prunelimits.masks.entries import flatten, unflatten
from prunelimits.modes import many_at_once
from prunelimits.types import Masks

# From so many entries on, choosing among those between two bounds is quicker than among all.
_MANY = 2**20
_SAMPLE = 2**16  # about so many entries give the bounds
_AT_ONCE = 2**17  # entries that are looked at together: they stay in the processor's cache
_WORD = 8  # so many bools are one int64


def top(scores: Mapping[str, Tensor], keep: int | Tensor) -> Masks:
    """The masks that keep exactly the `keep` largest scores of all tensors together.

    Ties go to the lower flat index, counted through the tensors in the order of their names in
    `scores`. NaN counts as minus infinity. Works under `torch.vmap`, with a budget per model.

    Args:
        scores: Name -> tensor; larger means keep.
        keep: How many entries survive, 0 to the number of scores: an int, or an integer tensor
            without axes, whose value is not checked.

    Raises:
        ValueError: If `keep` is out of its range or a tensor with axes, or `scores` is empty or on
            several devices.
        TypeError: If `keep` is not an integer, or `scores` is not a dict of dense tensors of real
            numbers.

    Examples:
        >>> top({"a": torch.tensor([1.0, 3.0]), "b": torch.tensor([[3.0, 2.0]])}, keep=2)
        {'a': tensor([False,  True]), 'b': tensor([[ True, False]])}
    """
    _check_scores(scores)
    keep = _checked_keep(keep, sum(score.numel() for score in scores.values()))
    number = None if many_at_once() else _number(keep)
    if number is None:
        chosen = _largest_of_many(flatten(scores), keep)
        return unflatten(chosen, {name: score.shape for name, score in scores.items()})
    parts = _largest([_ordered(part) for part in _flat(scores)], number)
    return {
        name: part.reshape(score.shape)
        for (name, score), part in zip(scores.items(), parts, strict=True)
    }


def _flat(scores: Mapping[str, Tensor]) -> list[Tensor]:
    """Each tensor as a row, all of the type that can hold them together."""
    kinds = [score.dtype for score in scores.values()]
    kind = functools.reduce(torch.promote_types, kinds)
    return [score.detach().reshape(-1).to(kind) for score in scores.values()]


def _ordered(flat: Tensor) -> Tensor:
    """NaN as minus infinity."""
    # A sum with NaN is NaN: one quick pass without a copy where, as nearly always, there is none.
    if not flat.is_floating_point() or not bool(flat.sum().isnan()):
        return flat
    return flat.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)


def _largest_of_many(flat: Tensor, keep: int | Tensor) -> Tensor:
    """True at the `keep` largest entries of each model: no value may decide what is done."""
    flat = flat.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    ordered = flat.sort(descending=True).values
    place = (torch.as_tensor(keep, device=flat.device) - 1).clamp(0, len(flat) - 1)
    last = ordered.gather(0, place.reshape(1))
    above, equal = flat > last, flat == last
    missing = keep - above.sum()
    fits = torch.int32 if len(flat) < 2**31 else torch.int64  # half the memory, where it is enough
    return above | (equal & (equal.cumsum(0, dtype=fits) <= missing))


def _largest(parts: Sequence[Tensor], number: int) -> list[Tensor]:
    """True at the `number` largest entries: all above the least of them, and the first equals.

    Finding the least one takes less time and memory than sorting all entries.
    """
    if number == 0:
        return [torch.zeros_like(part, dtype=torch.bool) for part in parts]
    last = _smallest(parts, sum(len(part) for part in parts) - number)
    chosen = [part >= last for part in parts]
    surplus = sum(int(one.count_nonzero()) for one in chosen) - number
    if surplus:  # more equals than are needed
        equals = [part == last for part in parts]
        needed = sum(int(one.count_nonzero()) for one in equals) - surplus
        for one, equal in zip(chosen, equals, strict=True):
            needed = _keep_first(one, equal, needed)
    return chosen


def _keep_first(chosen: Tensor, equal: Tensor, number: int) -> int:
    """Takes the equals after the first `number` out of `chosen`; how many are still needed.

    Piece by piece, since a running count of all would take 8 bytes an entry and more.
    """
    for some, those in zip(chosen.split(_MANY), equal.split(_MANY), strict=True):
        found = int(those.count_nonzero())
        if found > number:
            some.logical_and_(those.logical_not().logical_or_(those.cumsum(0) <= number))
        number -= min(found, number)
    return number


def _smallest(parts: Sequence[Tensor], place: int) -> Tensor:
    """The entry at `place`, counted from 0, of all parts together in ascending order.

    Among many entries, an evenly spaced sample gives two bounds between which it very likely lies.
    Counting the entries beyond them makes sure, so the result is exact, and takes little memory.
    """
    entries = sum(len(part) for part in parts)
    if entries < _MANY:
        return torch.cat(list(parts)).kthvalue(place + 1).values
    some = torch.cat([part[:: entries // _SAMPLE] for part in parts]).sort().values
    centre, slack = place * len(some) // entries, 4 * math.isqrt(len(some))
    low, high = some[max(0, centre - slack)], some[min(len(some) - 1, centre + slack)]
    between, below, up_to = _between(parts, low, high)
    if up_to <= place < below:
        return between.kthvalue(place - up_to + 1).values
    if place < up_to and place >= sum(int((part < low).count_nonzero()) for part in parts):
        return low
    if place >= below and place < sum(int((part <= high).count_nonzero()) for part in parts):
        return high
    return torch.cat(list(parts)).kthvalue(place + 1).values  # the sample has misled


def _between(parts: Sequence[Tensor], low: Tensor, high: Tensor) -> tuple[Tensor, int, int]:
    """The entries between two bounds, how many are below `high`, and how many not above `low`."""
    at_once = _AT_ONCE if low.device.type == "cpu" else max(len(part) for part in parts)
    found: list[Tensor] = []
    below, up_to = 0, 0
    for part in parts:
        for some in part.split(at_once):
            lesser, least = some < high, some <= low
            below += int(lesser.count_nonzero())
            up_to += int(least.count_nonzero())
            found.append(_picked(some, lesser.logical_and_(least.logical_not_())))
    return torch.cat(found), below, up_to


def _picked(values: Tensor, where: Tensor) -> Tensor:
    """`values[where]`, in a fraction of the time where `where` is mostly false."""
    if not len(values) or len(values) % _WORD or not values.is_contiguous():
        return values[where]
    words = (where.view(torch.int64) != 0).nonzero().flatten()
    return values.view(-1, _WORD)[words][where.view(-1, _WORD)[words]]


def _number(value: int | Tensor) -> int | None:
    """The number itself; None under `torch.vmap`, where it differs from model to model."""
    try:
        return int(value)
    except RuntimeError:
        return None


def _check_scores(scores: Mapping[str, Tensor]) -> None:
    if not checked_tensors("scores", scores):
        raise ValueError("scores must hold at least one tensor, got none")
    for name, score in scores.items():
        if score.dtype == torch.bool:
            raise TypeError(f"scores[{name!r}] must hold real numbers, got {score.dtype}")
    devices = sorted({str(score.device) for score in scores.values()})
    if len(devices) > 1:
        raise ValueError(f"scores must be on one device, got {', '.join(devices)}")


def _checked_keep(keep: object, scores: int) -> int | Tensor:
    if isinstance(keep, Tensor):
        if keep.dtype == torch.bool or keep.is_floating_point() or keep.is_complex():
            raise TypeError(f"keep must be an integer, got a tensor of {keep.dtype}")
        if keep.dim():
            shape = tuple(keep.shape)
            raise ValueError(f"keep must be one number, or one a model under vmap, got {shape}")
        return keep
    number = checked_integer("keep", keep)
    if not 0 <= number <= scores:
        raise ValueError(f"keep must be between 0 and the {scores} scores, got {shown(number)}")
    return number
