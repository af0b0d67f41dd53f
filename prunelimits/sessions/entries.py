"""The pruned entries of one weight, in all tensors shaped like it: overwritten and looked at."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from prunelimits.masks.zeroing import integer_like, kept_bits
from prunelimits.sessions.native import library

_PLAIN = (Tensor, nn.Parameter)  # a subclass may be other than what lies in its memory
_MANY = 2**20  # entries that are worth a second thread


@final
class PrunedEntries:
    """Where a mask prunes.

    The compiled library overwrites in two thirds of the time that torch's operations take, and
    where there is nothing to overwrite it only reads. It needs no more than a byte an entry; they
    need as much as a tensor, and do the rest: other devices, layouts with gaps, complex numbers.

    Args:
        kept: The mask; what is true stays.
    """

    def __init__(self, kept: Tensor) -> None:
        self._kept = kept
        # By type and strides; None where the library or torch cannot do it.
        self._laid_out: dict[tuple[torch.dtype, tuple[int, ...]], Tensor | None] = {}
        self._bits: dict[tuple[int, torch.device], Tensor] = {}
        self._fillings: dict[int, Tensor] = {}

    def kept_on(self, device: torch.device) -> Tensor:
        """The mask itself."""
        return self._kept.to(device)

    def zero(self, value: Tensor) -> None:
        """Writes zeros, whatever is there; nobody follows it."""
        kept = self._laid_out_like(value)
        if kept is not None:
            _overwrite(value, kept)
            return
        # A leaf that requires gradients is written through one that does not.
        value = value.detach()
        kind = integer_like(value)
        if kind is None:
            value.masked_fill_(~self.kept_on(value.device), 0)
        else:
            value.view(kind).bitwise_and_(self._bits_of(kind, value.device))

    def fill(self, value: Tensor, number: int) -> None:
        """Writes a number of these bits where zeros are, on the CPU."""
        kept = self._laid_out_like(value)
        if kept is not None:
            _overwrite(value, kept, number)
            return
        kind = integer_like(value)
        assert kind is not None
        if number not in self._fillings:
            outside = self._bits_of(kind, value.device).bitwise_not()
            self._fillings[number] = outside.bitwise_and_(number)
        value.view(kind).bitwise_or_(self._fillings[number])

    def are_zero(self, value: Tensor, part: tuple[int, int] = (0, 1)) -> bool:
        """Whether nothing else is there; zeroes it at once where that costs nothing.

        Args:
            value: A tensor.
            part: Which part of it alone to look at, of how many.
        """
        which, of = part
        kept = self._laid_out_like(value)
        if kept is not None:
            differing = _overwrite(value, kept, entries=_part(value.numel(), which, of))
            sign = 1 << (8 * value.element_size() - 1)
            return not (differing & ~sign if value.is_floating_point() else differing)
        value = value.detach()
        rows = _part(len(value), which, of) if of > 1 else ...
        kind = integer_like(value)
        if kind is None:
            return not value[rows][~self.kept_on(value.device)[rows]].any()
        outside = self._bits_of(kind, value.device)[rows].bitwise_not()
        outside = outside.bitwise_and_(value[rows].view(kind)).view(value.dtype)
        if not outside.numel():
            return True
        least, most = outside.aminmax()  # several times as fast as `any`
        return bool(least == 0 and most == 0)

    def _laid_out_like(self, value: Tensor) -> Tensor | None:
        """The mask in the order in which a tensor lies in memory; None for torch's operations."""
        # Asked after each part of a backward pass, when nothing of it is in the caches: few steps.
        if not value.is_cpu or type(value) not in _PLAIN:
            return None
        key = value.dtype, value.stride()
        if key not in self._laid_out:
            self._laid_out[key] = self._laid_out_anew(value)
        return self._laid_out[key]

    def _laid_out_anew(self, value: Tensor) -> Tensor | None:
        if library.load() is None or integer_like(value) is None:
            return None
        for (_, strides), kept in self._laid_out.items():
            if strides == value.stride() and kept is not None:
                return kept
        kept = torch.empty_like(value, dtype=torch.bool, requires_grad=False)
        if kept.stride() != value.stride():  # it has gaps
            return None
        return kept.copy_(self._kept)

    def _bits_of(self, kind: torch.dtype, device: torch.device) -> Tensor:
        """All ones where the mask keeps, all zeros elsewhere."""
        key = (kind.itemsize, device)
        if key not in self._bits:
            self._bits[key] = kept_bits(self.kept_on(device), kind)
        return self._bits[key]


def _overwrite(value: Tensor, kept: Tensor, number: int = 0, entries: slice | None = None) -> int:
    compiled = library.load()
    assert compiled is not None
    threads = torch.get_num_threads() if value.numel() >= _MANY else 1
    return compiled.overwrite(value, kept, number, entries=entries, threads=threads)


def _part(size: int, which: int, of: int) -> slice:
    return slice(which * size // of, -(-(which + 1) * size // of))
