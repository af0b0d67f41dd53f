"""Zeros where a session has pruned: in weights, gradients and the state of optimizers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import EllipsisType

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from prunelimits.masks.zeroing import integer_like, kept_bits
from prunelimits.sessions.optimizers import keeps_zeros
from prunelimits.sessions.roots import filling, squared
from prunelimits.sharding import local, part_like
from prunelimits.types import Masks

# One such part a step is looked at of what is large and was not written, as far as is known.
_PARTS = 16
_LARGE = 2**16  # entries


class Zeros:
    """Keeps what is pruned at zero, and rewrites only what may have changed.

    Weights are written after every step. What else was zeroed and not written since (its version
    says so) is not written again where it is large, nor is the large state of optimizers that are
    known to keep zeros. What is written to `.data` leaves the version as it is: so a part of each
    is looked at in every step, another one each time, and all of it is written once something is
    found.

    Args:
        weights: Name -> the parameters under pruning; of sharded ones, this process has a part.
        optimizers: Those that train them.
    """

    def __init__(
        self, weights: Mapping[str, nn.Parameter], optimizers: Sequence[Optimizer]
    ) -> None:
        self._weights = weights
        self._holder = {
            id(weight): optimizer
            for optimizer in optimizers
            for group in optimizer.param_groups
            for weight in group["params"]
        }
        self._masks: Masks = {}
        self._bits: dict[tuple[str, int, torch.device], Tensor] = {}
        self._fillings: dict[tuple[str, torch.dtype], Tensor | None] = {}
        # The tensors themselves, not their ids: an id may be given to another tensor later.
        self._clean: dict[tuple[str, int | str], tuple[Tensor, int, int]] = {}
        self._turn = 0

    def set(self, masks: Masks) -> None:
        """From now on these masks; zeroes everything that they prune."""
        self._masks = {
            name: part_like(masks[name].to(weight.device), weight)
            for name, weight in self._weights.items()
        }
        self._bits, self._fillings = {}, {}
        self.everywhere()

    @torch.no_grad()
    def everywhere(self) -> None:
        """Zeroes weights, gradients and state, whatever is known of them."""
        self._clean = {}
        for name, weight in self._weights.items():
            self._zero(name, 0, weight)
            self.gradient(name)
            for place, buffer in self._buffers(weight):
                self._zero(name, place, buffer)

    @torch.no_grad()
    def came_back(self) -> bool:
        """Whether a pruned weight is not zero."""
        return any(self._is_alive(name, weight) for name, weight in self._weights.items())

    @torch.no_grad()
    def before_step(self) -> bool:
        """Zeroes what was written since the last step; whether a pruned weight had come back."""
        came_back = False
        self._turn = (self._turn + 1) % _PARTS
        for name, weight in self._weights.items():
            if self._came_back(name, weight):
                came_back = True
                self._write(name, 0, weight)
            if not self._is_clean(name, -1, weight.grad) or not self._seems_zero(name, weight.grad):
                self.gradient(name)
            for place, buffer in self._buffers(weight):
                self._zero(name, place, buffer)
            self._fill(name, weight)
        return came_back

    @torch.no_grad()
    def after_step(self) -> None:
        """Zeroes the weights, and the state where the optimizer may have written to it."""
        for name, weight in self._weights.items():
            self._write(name, 0, weight)
            holder = self._holder.get(id(weight))
            for place, buffer in self._buffers(weight):
                kept = holder is not None and keeps_zeros(holder) and (name, place) in self._clean
                if kept and self._seems_zero(name, buffer):
                    self._remember(name, place, buffer)
                else:
                    self._write(name, place, buffer)
            if weight.grad is not None and not self._is_clean(name, -1, weight.grad):
                self.gradient(name)
            self._clean.pop((name, -1), None)  # no gradient is kept alive past its step

    @torch.no_grad()
    def gradient(self, name: str) -> None:
        """Zeroes the gradient of one weight."""
        weight = self._weights[name]
        if weight.grad is not None and weight.grad.is_sparse:
            weight.grad = self._sparse(name, weight.grad)
        elif weight.grad is not None:
            self._write(name, -1, weight.grad)

    def _sparse(self, name: str, gradient: Tensor) -> Tensor:
        """A gradient that holds some rows alone, as an embedding's may."""
        gradient = gradient.coalesce()
        kept = self._masks[name].to(gradient.device)[tuple(gradient.indices())]
        gradient.values().masked_fill_(~kept, 0)
        return gradient

    def _is_alive(self, name: str, value: Tensor, rows: slice | EllipsisType = ...) -> bool:
        """Whether a pruned entry among some rows is not zero."""
        plain = local(value).detach()
        kind = integer_like(plain)
        if kind is None:
            return bool(plain[rows][~self._masks[name][rows]].any())
        pruned = self._kept_bits(name, kind, plain.device)[rows].bitwise_not()
        outside = pruned.bitwise_and_(plain[rows].view(kind)).view(plain.dtype)
        if not outside.numel():
            return False
        least, most = outside.aminmax()  # several times as fast as `any`
        return not (least == 0 and most == 0)

    def _seems_zero(self, name: str, value: Tensor | None) -> bool:
        """Whether nothing is found where this step looks; False where writing is as quick."""
        if value is None:
            return True
        rows = self._rows(value)
        return rows is not None and not self._is_alive(name, value, rows)

    def _rows(self, value: Tensor) -> slice | None:
        """Where this step looks; nowhere in what is small, or where looking waits for a device."""
        plain = local(value)
        if plain.device.type != "cpu" or plain.numel() < _LARGE:
            return None
        first = self._turn * len(plain) // _PARTS
        return slice(first, max(first + 1, (self._turn + 1) * len(plain) // _PARTS))

    def _came_back(self, name: str, weight: nn.Parameter) -> bool:
        """Whether a pruned weight is not zero, as far as it is looked at."""
        if not self._is_clean(name, 0, weight):
            return self._is_alive(name, weight)
        if weight.device.type != "cpu":
            return False
        return self._is_alive(name, weight, self._rows(weight) or ...)

    def _buffers(self, weight: nn.Parameter) -> Iterator[tuple[str, Tensor]]:
        holder = self._holder.get(id(weight))
        state = {} if holder is None else holder.state.get(weight, {})
        for place, value in state.items():
            if isinstance(value, Tensor) and local(value).shape == local(weight).shape:
                yield str(place), value

    def _fill(self, name: str, weight: nn.Parameter) -> None:
        """Spares the optimizer the roots of zeros, see `roots`; what is filled is not clean."""
        holder = self._holder.get(id(weight))
        if holder is None or local(weight).device.type != "cpu" or weight.numel() < _LARGE:
            return
        names = squared(holder)
        for place, value in self._buffers(weight):
            if place not in names:
                continue
            if (name, value.dtype) not in self._fillings:
                self._fillings[name, value.dtype] = filling(self._masks[name], value.dtype)
            bits = self._fillings[name, value.dtype]
            if bits is not None:
                local(value).view(bits.dtype).bitwise_or_(bits)
                self._clean.pop((name, place), None)

    def _zero(self, name: str, place: int | str, value: Tensor) -> None:
        if not self._is_clean(name, place, value):
            self._write(name, place, value)

    def _write(self, name: str, place: int | str, value: Tensor) -> None:
        # `detach`: a leaf that requires gradients is written through one that does not.
        plain = local(value).detach()
        kind = integer_like(plain)
        if kind is None:
            plain.masked_fill_(~self._masks[name].to(plain.device), 0)
        else:
            plain.view(kind).bitwise_and_(self._kept_bits(name, kind, plain.device))
        self._remember(name, place, value)

    def _kept_bits(self, name: str, kind: torch.dtype, device: torch.device) -> Tensor:
        """All ones where the mask keeps, all zeros elsewhere."""
        key = (name, kind.itemsize, device)
        if key not in self._bits:
            self._bits[key] = kept_bits(self._masks[name].to(device), kind)
        return self._bits[key]

    def _is_clean(self, name: str, place: int | str, value: Tensor | None) -> bool:
        known = self._clean.get((name, place))
        return value is None or (
            known is not None and known[0] is value and known[1:] == _written(value)
        )

    def _remember(self, name: str, place: int | str, value: Tensor) -> None:
        self._clean[name, place] = (value, *_written(value))


def _written(value: Tensor) -> tuple[int, int]:
    """How often a tensor's memory was written, and where it is."""
    held = local(value)
    return held._version, held.data_ptr()  # pyright: ignore[reportPrivateUsage]
