"""Masks that keep the largest scores."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from prunelimits.arguments import checked_integer, checked_tensors, shown
from prunelimits.masks.entries import flatten, unflatten
from prunelimits.types import Masks

# From so many entries on, choosing among those between two bounds is quicker than among all.
_MANY = 2**20
_SAMPLE = 2**16  # about so many entries give the bounds


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
    flat = flatten(scores)
    keep = _checked_keep(keep, len(flat))
    # In place: `flat` is a copy, and a large one.
    flat.nan_to_num_(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    chosen = _largest(flat, keep)
    return unflatten(chosen, {name: score.shape for name, score in scores.items()})


def _largest(flat: Tensor, keep: int | Tensor) -> Tensor:
    """True at the `keep` largest entries: all above the least of them, and the first that equal it.

    Finding the least one takes less time and memory than sorting all entries.
    """
    number = _number(keep)
    if number is None:
        ordered = flat.sort(descending=True).values
        place = (torch.as_tensor(keep, device=flat.device) - 1).clamp(0, len(flat) - 1)
        last = ordered.gather(0, place.reshape(1))
    elif number <= 0:
        return torch.zeros_like(flat, dtype=torch.bool)
    else:
        last = _smallest(flat, len(flat) - number)
        at_least = flat >= last
        found = _number(at_least.count_nonzero())
        if found == number:  # no equals to choose among
            return at_least
        if found is not None:
            above = flat > last
            equals = at_least.logical_xor_(above)
            return above.logical_or_(_first(equals, number - int(above.count_nonzero())))
    above, equal = flat > last, flat == last
    missing = keep - above.sum()
    fits = torch.int32 if len(flat) < 2**31 else torch.int64  # half the memory, where it is enough
    return above | (equal & (equal.cumsum(0, dtype=fits) <= missing))


def _first(marked: Tensor, number: int) -> Tensor:
    """`marked`, changed in place so that only its first `number` true entries stay true.

    Part by part, since a running count of all would take 8 bytes an entry and more.
    """
    for part in marked.split(_MANY):
        found = int(part.count_nonzero())
        if found > number:
            part.logical_and_(part.cumsum(0) <= number)
        number -= min(found, number)
    return marked


def _smallest(flat: Tensor, place: int) -> Tensor:
    """The entry at `place`, counted from 0, in ascending order.

    Among many entries, an evenly spaced sample gives two bounds between which it very likely lies.
    Counting the entries beyond them makes sure, so the result is exact, and takes little memory.
    """
    place = max(0, place)
    exact = flat.kthvalue
    if len(flat) < _MANY:
        return exact(place + 1).values
    some = flat[:: len(flat) // _SAMPLE].sort().values
    centre, slack = place * len(some) // len(flat), 4 * math.isqrt(len(some))
    low = some[centre - slack] if centre >= slack else flat.min()
    high = some[centre + slack] if centre + slack < len(some) else flat.max()
    up_to_low, below_high = (
        _number((flat <= low).count_nonzero()),
        _number((flat < high).count_nonzero()),
    )
    if up_to_low is None or below_high is None:  # under `torch.vmap`
        return exact(place + 1).values
    if place < up_to_low:
        return low if place >= int((flat < low).count_nonzero()) else exact(place + 1).values
    if place >= below_high:
        return high if place < int((flat <= high).count_nonzero()) else exact(place + 1).values
    return flat[(flat > low) & (flat < high)].kthvalue(place - up_to_low + 1).values


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
