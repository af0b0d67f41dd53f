"""Shapes that divide every layer into tiles, each kept or cut as a whole."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits.arguments import checked_integer, shown
from prunelimits.masks import top
from prunelimits.pruners.scopes import Scope, divide
from prunelimits.pruners.selection import grouped, ranking_of
from prunelimits.pruners.shapes.shape import Shape
from prunelimits.types import Masks, Scores


@dataclass(frozen=True)
class Tiling(Shape):
    """Divides every layer into tiles: a tile matters as much as its weights together.

    A subclass says how. Budgets are weights, of which as many are kept as whole tiles make up:
    those of one size fill a budget that is a multiple of it exactly; of tiles of several sizes in
    one ranking, the best are kept until the next one does not fit any more.

        >>> class Rows(Tiling):
        ...     def tiles(self, weight):
        ...         return weight.flatten(1)
    """

    @abstractmethod
    def tiles(self, weight: Tensor) -> Tensor:
        """A weight's entries as `(tiles, entries of a tile)`: reshaped and permuted, nothing else.

        Raises:
            ValueError: If its shape cannot be divided.
        """

    @override
    def budget(self, masks: Masks, keep: int | None, scope: Scope, floor: int) -> Tensor:
        """See `Shape.budget`."""
        sizes = [self._checked_size(name, mask) for name, mask in masks.items()]
        keep = checked_integer("keep", keep, 0)
        # Whole tiles: of each layer as many as the floor needs.
        floors = {
            name: min(-(-floor // size) * size, int(mask.sum()))
            for (name, mask), size in zip(masks.items(), sizes, strict=True)
        }
        if keep < sum(floors.values()):
            raise ValueError(
                f"keep must be at least {sum(floors.values())}, as floor={floor} holds for each of "
                f"{len(masks)} layers in whole tiles, got {keep}"
            )
        budget = divide(masks, keep, scope=scope, floor=floor)
        if scope == "global":
            return budget - budget % sizes[0] if len(set(sizes)) == 1 else budget
        return self._in_tiles(budget, sizes, list(floors.values()), masks)

    def _in_tiles(
        self, budget: Tensor, sizes: list[int], floors: list[int], masks: Masks
    ) -> Tensor:
        """Quotas in whole tiles: what rounding down leaves goes to the largest remainders."""
        quotas, room = budget.tolist(), [int(mask.sum()) for mask in masks.values()]
        whole = [
            max(quota - quota % size, floor)
            for quota, size, floor in zip(quotas, sizes, floors, strict=True)
        ]
        left = sum(quotas) - sum(whole)
        places = range(len(whole))
        while left < 0:  # floors in whole tiles took more than there was: from the largest
            above = [(whole[p], p) for p in places if whole[p] - sizes[p] >= floors[p]]
            place = max(above)[1]
            whole[place] -= sizes[place]
            left += sizes[place]
        surplus = [(whole[p] - quotas[p]) / sizes[p] for p in places]
        for place in sorted(places, key=surplus.__getitem__):
            if sizes[place] <= left and whole[place] + sizes[place] <= room[place]:
                whole[place] += sizes[place]
                left -= sizes[place]
        return torch.tensor(whole, device=budget.device)

    @override
    def select(
        self,
        scores: Scores,
        allowed: Masks,
        budget: Tensor,
        *,
        floor: int = 0,
        groups: Sequence[Sequence[str]] | None = None,
        forced: Masks | None = None,
    ) -> Masks:
        """See `Shape.select`."""
        found: Masks = {}
        for names, keep in zip(grouped(allowed, budget, groups), budget, strict=True):
            ranked: Scores = {}
            sizes: dict[str, int] = {}
            for name in names:
                live = self.tiles(allowed[name])
                sizes[name] = live.shape[1]
                ranked[name] = ranking_of(
                    name, self._together(name, scores.get(name), allowed[name]), live.any(1),
                    floor=-(-floor // live.shape[1]),
                    forced=None if forced is None else self.tiles(forced[name]).any(1),
                )  # fmt: skip
            if len(set(sizes.values())) == 1:
                kept = top(ranked, keep // next(iter(sizes.values())))
            else:
                kept = _while_they_fit(ranked, sizes, keep)
            found |= {name: self._spread(kept[name], allowed[name]) for name in names}
        return {name: found[name] & mask for name, mask in allowed.items()}

    def _together(self, name: str, score: Tensor | None, allowed: Tensor) -> Tensor:
        """The sum of each tile's scores."""
        ranked = ranking_of(name, score, allowed)
        return self.tiles(ranked.masked_fill(~allowed, 0)).sum(1)

    def _spread(self, tiles: Tensor, like: Tensor) -> Tensor:
        """Bool `(tiles,)` as a mask of the weight's shape."""
        places = self.tiles(torch.arange(like.numel(), device=like.device).reshape(like.shape))
        numbers = torch.arange(len(places), device=like.device)[:, None].expand_as(places)
        tile_of = torch.empty_like(places.flatten())
        tile_of[places.flatten()] = numbers.flatten()
        return tiles[tile_of].reshape(like.shape)

    def _checked_size(self, name: str, mask: Tensor) -> int:
        """The entries of a tile.

        Raises:
            ValueError: If the tiles do not hold each entry once, or what is pruned already cuts
                through one.
            TypeError: If they are no tensor of the weight's dtype.
        """
        try:
            tiles = self.tiles(torch.arange(mask.numel(), device=mask.device).reshape(mask.shape))
        except (ValueError, RuntimeError, IndexError) as error:  # torch's own, for most views
            raise ValueError(f"shape {self} does not fit {name!r}: {error}") from None
        what = f"shape {self} must give each entry of {name!r} to one tile, as (tiles, entries)"
        found: object = tiles
        if not isinstance(found, Tensor):
            raise TypeError(f"{what}, got {shown(found)}")
        every = torch.arange(mask.numel(), device=mask.device)
        if tiles.dtype != every.dtype:
            raise TypeError(f"{what}, moved and nothing else, got {tiles.dtype} of {every.dtype}")
        if tiles.dim() != 2 or not torch.equal(tiles.flatten().sort().values, every):
            raise ValueError(f"{what}, got {tuple(tiles.shape)} of {tuple(mask.shape)}")
        live = self.tiles(mask)
        if bool((live.any(1) & ~live.all(1)).any()):
            raise ValueError(f"masks must prune whole tiles of {self}, but cut through {name!r}")
        return tiles.shape[1]


@final
@dataclass(frozen=True)
class Blocks(Tiling):
    """Blocks of a matrix, `height` rows by `width` columns; of a kernel, all its cells with them.

    Attributes:
        height: Outputs that a block spans.
        width: Inputs that it spans.

    Raises:
        ValueError: If one is below 1.

    Examples:
        >>> Blocks(2, 1).tiles(torch.arange(8).reshape(4, 2)).tolist()
        [[0, 2], [1, 3], [4, 6], [5, 7]]
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            object.__setattr__(self, name, checked_integer(name, getattr(self, name), 1))

    @override
    def tiles(self, weight: Tensor) -> Tensor:
        """See `Tiling.tiles`."""
        rows, columns = weight.shape[:2] if weight.dim() > 1 else (weight.shape[0], 1)
        if rows % self.height or columns % self.width:
            raise ValueError(
                f"{rows} x {columns} cannot be divided into blocks of {self.height} x "
                f"{self.width}: leave it out with ignore=, or take other blocks"
            )
        grid = weight.reshape(
            rows // self.height, self.height, columns // self.width, self.width, -1
        )
        return grid.transpose(1, 2).flatten(2).flatten(0, 1)


def _while_they_fit(ranked: Scores, sizes: dict[str, int], keep: Tensor) -> Masks:
    """The best tiles, in their order, until the next one does not fit into the budget."""
    flat = torch.cat(list(ranked.values()))
    size = torch.cat(
        [torch.full_like(score, sizes[name], dtype=torch.int64) for name, score in ranked.items()]
    )
    order = flat.sort(descending=True, stable=True).indices
    fits = size.gather(0, order).cumsum(0) <= keep
    chosen = torch.zeros_like(fits).scatter(0, order, fits) & (flat > -torch.inf)
    parts = chosen.split([len(score) for score in ranked.values()])
    return dict(zip(ranked, parts, strict=True))
