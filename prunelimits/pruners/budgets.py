"""How a budget of weights is divided: one for all layers, or a quota for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from prunelimits import quotas
from prunelimits.arguments import checked_integer, shown
from prunelimits.masks import check_bools, count, top
from prunelimits.types import Masks

Scope: TypeAlias = Literal["global", "uniform", "erk", "igq", "smart_ratio"]
"""One ranking of the weights of all layers together, or a quota for each layer by a rule."""

_RULES: dict[Scope, Callable[[Mapping[str, Sequence[int]], int], dict[str, int]]] = {
    "uniform": quotas.uniform,
    "erk": quotas.erk,
    "igq": quotas.igq,
    "smart_ratio": quotas.smart_ratio,
}


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
    shapes = {name: _extent(mask) for name, mask in masks.items() if sizes[name]}
    shares = {**dict.fromkeys(masks, 0), **(_RULES[scope](shapes, keep) if shapes else {})}
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


def _extent(mask: Tensor) -> tuple[int, ...]:
    """The shape of the smallest layer that holds what is allowed, rows and columns closed up."""
    axes = range(mask.dim())
    return tuple(int(mask.movedim(axis, 0).flatten(1).any(1).sum()) for axis in axes)


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
