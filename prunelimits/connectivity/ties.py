"""Sets of units that are tied to each other, and why some cannot be cut."""

from __future__ import annotations

import torch
from torch import Tensor


class Ties:
    """Units by number, joined into sets; each set has a root, the lowest of its units.

    Args:
        size: How many units there are.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._parent = list(range(size))
        self._reasons: dict[int, str] = {}
        self._flat: Tensor | None = None
        # Codes far from each other, so that a sum of two is hardly ever that of another two.
        generator = torch.Generator().manual_seed(0)
        self._codes = torch.randperm(size, generator=generator, device="cpu") + 1
        self._decode = torch.empty(size + 1, dtype=torch.int64, device="cpu")
        self._decode[self._codes] = torch.arange(size, device="cpu")
        self._decode[0] = -1

    def roots(self, labels: Tensor) -> Tensor:
        """The root of each unit; negative labels stay."""
        if self._flat is None:
            found = torch.tensor(self._parent, dtype=torch.int64, device="cpu")
            while not torch.equal(found, found[found]):
                found = found[found]
            # A negative label indexes from the end.
            self._flat = torch.cat([found, torch.tensor([-3, -2, -1], device="cpu")])
        small = labels[tuple(slice(0, 1) if n == 0 else slice(None) for n in labels.stride())]
        return self._flat[small].expand(labels.shape)

    def code(self, labels: Tensor) -> Tensor:
        """A number for each unit, 1 to the number of units, float64; any for negative labels."""
        small = labels[tuple(slice(0, 1) if n == 0 else slice(None) for n in labels.stride())]
        return self._codes[small.clamp(min=0)].double().expand(labels.shape)

    def decoded(self, codes: Tensor) -> Tensor:
        """The units of codes; any for what is no code."""
        return self._decode[codes.clamp(0, self.size)]

    def join(self, units: Tensor) -> None:
        """Ties units to each other."""
        numbers: list[int] = units.tolist()
        for other in numbers[1:]:
            a, b = sorted((self._root(numbers[0]), self._root(other)))
            if a == b:
                continue
            self._flat = None
            self._parent[b] = a
            if b in self._reasons:
                self._reasons.setdefault(a, self._reasons[b])

    def fix(self, labels: Tensor, reason: str) -> None:
        """The units among labels, and all that are tied to them, stay whole."""
        small = labels[tuple(slice(0, 1) if n == 0 else slice(None) for n in labels.stride())]
        for unit in small[small >= 0].unique().tolist():
            self._reasons.setdefault(self._root(unit), reason)

    def why_fixed(self, unit: int) -> str | None:
        """Why a unit cannot be cut. None: it can."""
        return self._reasons.get(self._root(unit))

    def _root(self, unit: int) -> int:
        parent = self._parent
        while parent[unit] != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit
