"""What a caller asks to keep, as a budget: a number, a share, or several by parts of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from fractions import Fraction
from numbers import Integral, Real
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from prunelimits.arguments import checked_integer, shown, warn
from prunelimits.masks import count
from prunelimits.pruners.parts import Part, checked_parts, parameters_of
from prunelimits.pruners.pruner import AbstractPruner
from prunelimits.pruners.scopes import Groups
from prunelimits.pruners.shapes import Units
from prunelimits.types import Masks

Keep: TypeAlias = int | Mapping[str, int | float] | Mapping[Part, int | float]
"""How many weights survive: a number, or numbers by layers or groups of layers. There a key is the
name of a parameter or module, a pattern of such names, a module of the model, a class of modules or
a function, see `Part`; a layer belongs to the first key that names it. An integer is weights, a
float the share of the group that is kept; with `Units`, both are of units."""

P = TypeVar("P", bound=AbstractPruner)

_MOST_UNTOLD = 0.1


def asked(
    pruner: P,
    dense: Masks,
    masks: Masks,
    keep: Keep | None,
    sparsity: float | None = None,
    *,
    model: nn.Module | None = None,
    warns: bool = True,
) -> tuple[P, Tensor]:
    """The method and the budget that a caller asks for.

    Args:
        pruner: The method.
        dense: All weights that could be kept.
        masks: Those that are not pruned already.
        keep: As in `prune`.
        sparsity: As in `prune`.
        model: What the weights belong to, for keys of `keep` that are no names, and for shapes
            that find units.
        warns: Whether what does not come out as asked is told.

    Returns:
        The method, which ranks group by group where `keep` names groups; and the budget.

    Raises:
        ValueError: If not exactly one is given, or it is out of its range, or a group names
            nothing.
        TypeError: If one is of the wrong kind.
    """
    if model is not None:
        pruner = pruner.for_model(model)
    if isinstance(keep, Mapping):
        if sparsity is not None:
            raise ValueError(f"exactly one of keep and sparsity must be given, got both: {keep}")
        return by_groups(pruner, masks, keep, model=model, warns=warns)
    if pruner.shape.fixes_budget and keep is None and sparsity is None:
        return pruner, pruner.budget(masks)
    number = checked_keep(keep, sparsity, count(dense))
    budget = pruner.budget(masks, number)
    tiles = not isinstance(pruner.shape, Units)  # what units come to, scores decide
    if keep is not None and warns and tiles and int(budget.sum()) != number:
        warn(
            f"keep={number} is no whole number of tiles of {pruner.shape}: {int(budget.sum())} "
            "weights are kept",
        )
    return pruner, budget


def checked_keep(keep: object, sparsity: object, total: int) -> int:
    """How many of `total` weights survive, from the one of both that is given.

    Raises:
        ValueError: If not exactly one is given, or it is out of its range.
        TypeError: If it is of the wrong kind.
    """
    if (keep is None) == (sparsity is None):
        raise ValueError(f"exactly one of keep and sparsity must be given, got {keep}, {sparsity}")
    if keep is not None:
        return checked_integer("keep", keep, 0)
    if isinstance(sparsity, bool) or not isinstance(sparsity, Real):
        raise TypeError(f"sparsity must be a number, got {sparsity!r}")
    if not 0 <= float(sparsity) <= 1:
        raise ValueError(f"sparsity must be between 0 and 1, got {sparsity}")
    return share_of(total, 1 - Fraction(str(float(sparsity))))


def share_of(total: int, share: Fraction) -> int:
    """The nearest number of weights, halves up."""
    # Of the decimal that the user wrote: 1 - 0.9 is a little less than 0.1 in floating point.
    return math.floor(share * total + Fraction(1, 2))


def by_groups(
    pruner: P,
    masks: Masks,
    keep: Mapping[Any, int | float],
    *,
    model: nn.Module | None = None,
    warns: bool = True,
) -> tuple[P, Tensor]:
    """The method with layers ranked group by group, and the groups' budgets.

    With a rule as scope, each group's budget is divided among its layers by it. What no group names
    stays whole, with a warning where that is more than a tenth.

    Raises:
        ValueError: If a group names nothing, its number is out of its range or less than the
            floors, or the shape leaves no choice.
        TypeError: If a key names no part or a value is not a number.
    """
    if pruner.shape.fixes_budget:
        raise ValueError(f"keep must be left out for {pruner.shape}, which says it, got {keep}")
    names, asked_for = _groups(masks, keep, model)
    scope = pruner.combination.scope
    found = pruner.shape.budget_by_groups(masks, asked_for, names, scope, pruner.floor, warns=warns)
    if found is not None:
        return replace(pruner, scope=found[0]), found[1]
    rest = [name for name in masks if not any(name in group for group in names.values())]
    parts = {label: {name: masks[name] for name in group} for label, group in names.items()}
    numbers = {
        label: _number(label, asked_for[label], count(part)) for label, part in parts.items()
    }
    if rest:
        parts |= {name: {name: masks[name]} for name in rest}
        numbers |= {name: count(parts[name]) for name in rest}
        if warns:
            _warn_of_rest(rest, masks)
    budgets: dict[str, Tensor] = {}
    for label, part in parts.items():
        try:
            budgets[label] = pruner.budget(part, numbers[label])
        except ValueError as error:
            raise ValueError(f"keep[{label!r}] cannot be met: {error}") from None
    if pruner.combination.scope == "global":
        groups = Groups(tuple(tuple(part) for part in parts.values()), tuple(parts))
        return replace(pruner, scope=groups), torch.cat(list(budgets.values()))
    layers = {
        name: budget
        for label, part in parts.items()
        for name, budget in zip(part, budgets[label], strict=True)
    }
    return pruner, torch.stack([layers[name] for name in masks])


def _groups(
    masks: Masks, keep: Mapping[Any, object], model: nn.Module | None
) -> tuple[dict[str, list[str]], dict[str, int | Fraction]]:
    """The names of the weights of each group, and what is asked of it, by label."""
    if not keep:
        raise ValueError("keep must name at least one layer or group, got none")
    groups: dict[str, list[str]] = {}
    numbers: dict[str, int | Fraction] = {}
    free = list(masks)
    for key, value in keep.items():
        label, named = _named(key, masks, model)
        while label in groups:  # as two classes of one name have
            label += "'"
        groups[label] = [name for name in named if name in free]
        if not groups[label]:
            why = "names no layer" if not named else "names only layers of keys before it"
            raise ValueError(f"keep[{label!r}] {why}: there are {', '.join(masks)}")
        numbers[label] = _asked_for(label, value)
        free = [name for name in free if name not in groups[label]]
    return groups, numbers


def _named(key: object, masks: Masks, model: nn.Module | None) -> tuple[str, list[str]]:
    """A key's label, and the weights that it names."""
    if isinstance(key, str):
        return key, [name for name in masks if _names(key, name)]
    if model is None:
        raise TypeError(f"keep must be numbers by name, got the key {shown(key)}")
    (part,) = checked_parts("keep", [key])
    chosen = parameters_of(model, "keep", [part])
    named = [n for n, p in model.named_parameters() if n in masks and id(p) in chosen]
    if isinstance(part, nn.Module):
        return next(path for path, module in model.named_modules() if module is part), named
    return getattr(part, "__name__", shown(part)), named


def _names(key: str, name: str) -> bool:
    """Whether a key is, or matches, a parameter's name or that of a module that holds it."""
    parts = name.split(".")
    holders = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return any(fnmatchcase(holder, key) for holder in holders)


def _number(label: str, number: int | Fraction, total: int) -> int:
    if isinstance(number, Fraction):
        return share_of(total, number)
    return checked_integer(f"keep[{label!r}]", number, 0, total)


def _asked_for(label: str, value: object) -> int | Fraction:
    """A number, or a share as the decimal that the caller wrote."""
    what = f"keep[{label!r}]"
    if isinstance(value, Integral) and not isinstance(value, bool):
        return checked_integer(what, value, 0)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            f"{what} must be a number of weights or a share of them, got {shown(value)}"
        )
    if not 0 <= float(value) <= 1:
        raise ValueError(f"{what} must be a share between 0 and 1 if it is no integer, got {value}")
    return Fraction(str(float(value)))


def _warn_of_rest(rest: list[str], masks: Masks) -> None:
    whole = sum(masks[name].numel() for name in rest)
    total = sum(mask.numel() for mask in masks.values())
    if whole > _MOST_UNTOLD * total:
        more = f" and {len(rest) - 3} more" if len(rest) > 3 else ""
        warn(
            f"keep names nothing for {', '.join(rest[:3])}{more}: {whole:,} of the {total:,} "
            'weights stay whole; a last key "*" says how many of them are kept, 1.0 for all',
        )
