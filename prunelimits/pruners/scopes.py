"""Who competes with whom, and for how large a share: one budget for all layers, or several."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor

from prunelimits import quotas
from prunelimits.arguments import checked_callable, checked_integer, shown
from prunelimits.masks import check_bools, count, top
from prunelimits.types import Masks

Quotas: TypeAlias = Callable[[Mapping[str, Sequence[int]], int], dict[str, int]]
"""A rule for quotas: from the layers' shapes by name and a budget, how many each layer keeps."""

Rule: TypeAlias = Literal["global", "uniform", "erk", "igq", "smart_ratio"]


@final
@dataclass(frozen=True)
class Groups:
    """Layers that are ranked together, group by group, each with a budget of its own.

    `keep={"encoder.*": 0.2, "head": 40}` makes one; no need to write it.

    Attributes:
        layers: The names of the weights of each group.
        labels: What the caller calls the groups.
    """

    layers: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]


Scope: TypeAlias = Rule | Quotas | Groups
"""One ranking of the weights of all layers together, or a quota for each by a rule: `"uniform"`,
`"erk"`, `"igq"`, `"smart_ratio"`, or a function as those of `prunelimits.quotas`."""

RULES: dict[str, Quotas] = {
    "uniform": quotas.uniform,
    "erk": quotas.erk,
    "igq": quotas.igq,
    "smart_ratio": quotas.smart_ratio,
}


def check_scope(scope: object) -> None:
    """Raises unless it is a scope.

    Raises:
        ValueError: If it is another text.
        TypeError: If it is of another kind.
    """
    names = ", ".join(map(repr, ("global", *RULES)))
    what = f"scope must be one of {names} or a function of shapes and a budget"
    if isinstance(scope, str):
        if scope != "global" and scope not in RULES:
            raise ValueError(f"{what}, got {scope!r}")
    elif isinstance(scope, type) or not (callable(scope) or isinstance(scope, Groups)):
        raise TypeError(f"{what}, got {shown(scope)}")
    elif not isinstance(scope, Groups):
        checked_callable("scope", scope, what.removeprefix("scope must be "), arguments=2)


def divide(masks: Masks, keep: int, *, scope: Scope = "global", floor: int = 0) -> Tensor:
    """`keep` weights as one budget, int64 `(1,)`, or as quotas of the layers, `(layers,)`.

    A layer of which the masks allow only some rows and columns counts as a layer of that size: the
    quotas of a narrow network inside a wide one are those of the narrow network.

    Args:
        masks: The weights that may be kept, first layer first, without a model axis.
        keep: How many survive in all.
        scope: By which rule.
        floor: How many weights every layer keeps at least, if it has them. Quotas below it are
            raised, the others give in proportion to what they have above it.

    Raises:
        ValueError: If `keep` is more than the masks allow, or less than the floors together.
        TypeError: If `keep` is not an integer.

    Examples:
        >>> masks = {"a": torch.ones(16, 2).bool(), "b": torch.ones(1, 16).bool()}
        >>> divide(masks, 12), divide(masks, 12, scope="uniform")
        (tensor([12]), tensor([8, 4]))
    """
    check_bools(masks)
    sizes = {name: int(mask.sum()) for name, mask in masks.items()}
    floors = {name: min(floor, size) for name, size in sizes.items()}
    if checked_integer("keep", keep, 0) > sum(sizes.values()):
        raise ValueError(
            f"keep must be at most the {count(masks)} prunable weights, got {shown(keep)}"
        )
    if keep < sum(floors.values()):
        raise ValueError(
            f"keep must be at least {sum(floors.values())}, as floor={floor} holds for each of "
            f"{len(masks)} layers, got {keep}"
        )
    device = next(iter(masks.values())).device
    if scope == "global":
        return torch.tensor([keep], device=device)
    if isinstance(scope, Groups):
        raise ValueError(f"keep must say how much each of {scope.labels} keeps, got {keep}")
    shapes = {name: _extent(mask) for name, mask in masks.items() if sizes[name]}
    shares = dict.fromkeys(masks, 0) | (_by_rule(scope, shapes, keep) if shapes else {})
    return torch.tensor(list(_between(floors, shares, sizes, keep).values()), device=device)


def share_out(total: Tensor, weights: Tensor, room: Tensor) -> Tensor:
    """`total` as whole numbers in proportion to `weights`, none of them above its `room`.

    What a full layer cannot take goes to the others, in proportion too, equally if no weight is
    left; whole numbers by largest remainder, ties to the earlier layer. Works under `torch.vmap`.

    Args:
        total: An integer without axes, at most the sum of `room`.
        weights: Not negative, `(layers,)`.
        room: Integers, `(layers,)`.

    Examples:
        >>> share_out(torch.tensor(7), torch.tensor([4.0, 1.0, 1.0]), torch.tensor([2, 9, 9]))
        tensor([2, 3, 2])
    """
    shares = torch.zeros_like(room, dtype=torch.float64)
    for _ in range(len(room)):  # each time at least one layer is filled, or nothing is left
        is_open = shares < room
        open_weights = weights.double().nan_to_num() * is_open
        open_weights = open_weights.where(open_weights.sum() > 0, is_open.double())
        left = total - shares.sum()
        shares = shares + left * open_weights / open_weights.sum().clamp(min=1e-300)
        shares = shares.minimum(room.double())
    whole = (shares + 1e-9).floor().long().minimum(room)
    remainder = (shares - whole).masked_fill(whole == room, -torch.inf)
    return whole + top({"layers": remainder}, total - whole.sum())["layers"]


def _by_rule(scope: Rule | Quotas, shapes: dict[str, tuple[int, ...]], keep: int) -> dict[str, int]:
    if isinstance(scope, str):
        return RULES[scope](shapes, keep)
    found = scope(dict(shapes), keep)
    if not isinstance(found, Mapping) or set(found) != set(shapes):
        raise ValueError(f"scope must give a number for each of {list(shapes)}, got {shown(found)}")
    result = {
        name: checked_integer(f"scope of {name!r}", found[name], 0, math.prod(shape))
        for name, shape in shapes.items()
    }
    if sum(result.values()) != keep:
        raise ValueError(
            f"scope must give quotas that add up to keep={keep}, got {sum(result.values())}"
        )
    return result


def _extent(mask: Tensor) -> tuple[int, ...]:
    """The shape of the smallest layer that holds what is allowed, rows and columns closed up."""
    mask = mask if mask.dim() else mask.unsqueeze(0)  # a single number is a vector of one
    axes = range(mask.dim())
    return tuple(
        int(mask.movedim(axis, 0).reshape(mask.shape[axis], -1).any(1).sum()) for axis in axes
    )


def _between(
    low: dict[str, int], shares: dict[str, int], high: dict[str, int], keep: int
) -> dict[str, int]:
    """The shares within their bounds: what that takes or gives, others give or take."""
    shares = {name: min(max(share, low[name]), high[name]) for name, share in shares.items()}
    missing = keep - sum(shares.values())
    sign = 1 if missing > 0 else -1
    bound = high if missing > 0 else low
    room = {name: (abs(bound[name] - share),) for name, share in shares.items()}
    room = {name: size for name, size in room.items() if size[0]}
    if missing:
        for name, part in quotas.uniform(room, abs(missing)).items():
            shares[name] += sign * part
    return shares
