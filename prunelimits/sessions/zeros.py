"""Zeros where a session has pruned: in weights, gradients and the state of optimizers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from prunelimits.sessions.entries import PrunedEntries
from prunelimits.sessions.optimizers import keeps_zeros
from prunelimits.sessions.roots import small_bits, squared
from prunelimits.sharding import is_sharded, local, part_like
from prunelimits.types import Masks

# One such part a step is looked at of what is large and was not written, as far as is known.
_PARTS = 16
_LARGE = 2**16  # entries
_WEIGHT, _GRADIENT = 0, 1  # beside the places of an optimizer's state, which are text


class Zeros:
    """Keeps what is pruned at zero, and rewrites only what may have changed.

    Weights are zeroed after every step. What else was zeroed and not written since (its version
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
        self._of = {name: _ZerosOfOne(weight) for name, weight in weights.items()}
        self._optimizers = optimizers
        self._trained = 0  # how many parameters the optimizers have
        self._turn = 0

    def set(self, masks: Masks) -> None:
        """From now on these masks; zeroes everything that they prune."""
        for name, one in self._of.items():
            one.set(masks[name])
        self.everywhere()

    @torch.no_grad()
    def everywhere(self) -> None:
        """Zeroes weights, gradients and state, whatever is known of them."""
        self._find_holders()
        for one in self._of.values():
            one.everywhere()

    @torch.no_grad()
    def came_back(self) -> bool:
        """Whether a pruned weight was not zero: those up to the first such one are zero now."""
        return any(one.is_alive() for one in self._of.values())

    @torch.no_grad()
    def before_step(self) -> bool:
        """Zeroes what was written since the last step; whether a pruned weight had come back."""
        self._turn = (self._turn + 1) % _PARTS
        self._find_holders()
        slow = {id(optimizer): squared(optimizer) for optimizer in self._optimizers}
        return sum([one.before_step(self._turn, slow) for one in self._of.values()]) > 0

    @torch.no_grad()
    def after_step(self) -> None:
        """Zeroes the weights, and the state where the optimizer may have written to it."""
        keeping = {id(optimizer) for optimizer in self._optimizers if keeps_zeros(optimizer)}
        for one in self._of.values():
            one.after_step(self._turn, keeping)

    def gradient(self, name: str) -> None:
        """Zeroes the gradient of one weight."""
        self._of[name].gradient()

    def _find_holders(self) -> None:
        """Which optimizer trains each weight: parameters may be added to one under way."""
        groups = [(group, one) for one in self._optimizers for group in one.param_groups]
        trained = sum([len(group["params"]) for group, _ in groups])
        if trained != self._trained:
            self._trained = trained
            holder = {id(weight): one for group, one in groups for weight in group["params"]}
            for one in self._of.values():
                one.holder = holder.get(id(one.weight))


class _ZerosOfOne:
    """Zeros in one weight, its gradient and its state.

    Args:
        weight: The parameter.

    Attributes:
        weight: The same.
        holder: The optimizer that trains it, if one does.
    """

    def __init__(self, weight: nn.Parameter) -> None:
        self.weight = weight
        self.holder: Optimizer | None = None
        self._is_sharded = is_sharded(weight)
        # The tensors themselves, not their ids: an id may be given to another tensor later.
        self._clean: dict[int | str, tuple[Tensor, int, int]] = {}

    def set(self, mask: Tensor) -> None:
        weight = self.weight
        self._kept = part_like(mask.to(weight.device), weight)
        self._pruned = PrunedEntries(self._kept)
        self._small: dict[torch.dtype, int | None] = {}

    def everywhere(self) -> None:
        self._clean = {}
        self._write(_WEIGHT, self.weight)
        self.gradient()
        for place, buffer in self._buffers():
            self._write(place, buffer)

    def is_alive(self) -> bool:
        """Whether a pruned weight was not zero."""
        return not self._pruned.are_zero(self._local(self.weight))

    def before_step(self, turn: int, slow: Mapping[int, Sequence[str]]) -> bool:
        """As that of all; `slow` names the state whose roots take longer where it is zero."""
        came_back = self._came_back(turn)
        if came_back:
            self._write(_WEIGHT, self.weight)
        gradient = self.weight.grad
        if gradient is not None and not (
            self._is_clean(_GRADIENT, gradient) and self._seem_zero(gradient, turn)
        ):
            self.gradient()
        for place, buffer in self._buffers():
            if not self._is_clean(place, buffer):
                self._write(place, buffer)
            if self.holder is not None and place in slow[id(self.holder)]:
                self._fill(place, buffer)
        return came_back

    def after_step(self, turn: int, keeping: set[int]) -> None:
        """As that of all; `keeping` are the optimizers that keep zeros."""
        self._write(_WEIGHT, self.weight)
        kept = self.holder is not None and id(self.holder) in keeping
        for place, buffer in self._buffers():
            if kept and place in self._clean and self._seem_zero(buffer, turn):
                self._remember(place, buffer)
            else:
                self._write(place, buffer)
        gradient = self.weight.grad
        if gradient is not None and not self._is_clean(_GRADIENT, gradient):
            self.gradient()
        self._clean.pop(_GRADIENT, None)  # no gradient is kept alive past its step

    def gradient(self) -> None:
        gradient = self.weight.grad
        if gradient is not None and gradient.is_sparse:
            self.weight.grad = self._sparse(gradient)
        elif gradient is not None:
            self._write(_GRADIENT, gradient)

    @torch.no_grad()
    def _sparse(self, gradient: Tensor) -> Tensor:
        """A gradient that holds some rows alone, as an embedding's may."""
        gradient = gradient.coalesce()
        kept = self._kept.to(gradient.device)[tuple(gradient.indices())]
        gradient.values().masked_fill_(~kept, 0)
        return gradient

    def _came_back(self, turn: int) -> bool:
        """Whether a pruned weight is not zero, as far as it is looked at."""
        if not self._is_clean(_WEIGHT, self.weight):
            return self.is_alive()
        plain = self._local(self.weight)
        if not plain.is_cpu:
            return False
        return not self._pruned.are_zero(plain, (turn, _PARTS) if _is_large(plain) else (0, 1))

    def _seem_zero(self, value: Tensor, turn: int) -> bool:
        """Whether nothing is found where this step looks; False where writing is as quick.

        So it is in what is small, and where looking waits for a device.
        """
        plain = self._local(value)
        return _is_large(plain) and self._pruned.are_zero(plain, (turn, _PARTS))

    def _buffers(self) -> Iterator[tuple[str, Tensor]]:
        """State of the weight's shape; whole numbers are left alone, for they may be codes."""
        state = {} if self.holder is None else self.holder.state.get(self.weight, {})
        shape = self._local(self.weight).shape
        for place, value in state.items():
            if not isinstance(value, Tensor) or not value.is_floating_point():
                continue
            if self._local(value).shape == shape:
                yield str(place), value

    def _fill(self, place: str, value: Tensor) -> None:
        """Spares the optimizer the roots of zeros, see `roots`; what is filled is not clean."""
        plain = self._local(value)
        if not _is_large(plain):
            return
        if value.dtype not in self._small:
            self._small[value.dtype] = small_bits(self._kept, value.dtype)
        number = self._small[value.dtype]
        if number is not None:
            self._pruned.fill(plain, number)
            self._clean.pop(place, None)

    def _write(self, place: int | str, value: Tensor) -> None:
        self._pruned.zero(self._local(value))
        self._remember(place, value)

    def _is_clean(self, place: int | str, value: Tensor) -> bool:
        known = self._clean.get(place)
        return known is not None and known[0] is value and known[1:] == self._written(value)

    def _remember(self, place: int | str, value: Tensor) -> None:
        self._clean[place] = (value, *self._written(value))

    def _written(self, value: Tensor) -> tuple[int, int]:
        """How often a tensor's memory was written, and where it is."""
        held = self._local(value)
        return held._version, held.data_ptr()  # pyright: ignore[reportPrivateUsage]

    def _local(self, value: Tensor) -> Tensor:
        """What this process has of the weight, its gradient or its state."""
        return local(value) if self._is_sharded else value


def _is_large(plain: Tensor) -> bool:
    """Whether looking at a part is quicker than writing all, and waits for no device."""
    return plain.is_cpu and plain.numel() >= _LARGE
