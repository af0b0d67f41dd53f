"""How published methods move the weights of a sparse network, beyond `DropGrow`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits.masks import flatten
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules import Moves, Moving
from prunelimits.pruners.schedules.curves import half_cosine
from prunelimits.pruners.scopes import share_out
from prunelimits.pruners.selection import select
from prunelimits.pruners.state import Seen, State
from prunelimits.types import Masks, Params, Scores


@final
@dataclass(frozen=True, kw_only=True)
class MovesByMomentum(Moving):
    """Moves towards where the smoothed gradient is largest; see `SNFS`."""

    fraction: float
    smoothing: float

    @property
    @override
    def needs_gradients(self) -> bool:
        """It smooths them."""
        return True

    @override
    def memory(self, params: Params, masks: Masks) -> Params:
        """`M`, zero."""
        return {f"momentum of {name}": torch.zeros_like(params[name]) for name in masks}

    def moves(self, ranking: Ranking, seen: Seen, state: State) -> Moves:
        """See `Moving.moves`."""
        grads = ranking.needed("grads", seen.grads)
        momentum = {
            name: self.smoothing * state.memory[f"momentum of {name}"]
            + (1 - self.smoothing) * grads[name]
            for name in state.masks
        }
        share = self.fraction * half_cosine((state.round + 1).double() / self.rounds)
        kept = _layer_counts(state.masks)
        dropped = (share * kept + 1e-9).floor().long().minimum((kept - ranking.floor).clamp(min=0))
        stay = _largest(ranking.scores(seen, state.masks), state.masks, kept - dropped)
        size = {name: value.abs() for name, value in momentum.items()}
        demand = torch.stack([(size[n] * mask).sum() for n, mask in state.masks.items()])
        free = _free(state, stay)
        growth = share_out(dropped.sum(), demand / kept.clamp(min=1), _layer_counts(free))
        masks = _with(stay, _largest(size, free, growth))
        memory = {**state.memory, **{f"momentum of {n}": value for n, value in momentum.items()}}
        return Moves(seen.params, masks, memory)


@final
@dataclass(frozen=True, kw_only=True)
class MovesByThreshold(Moving):
    """Moves what is below a threshold that adapts; see `DSR`."""

    fraction: float
    tolerance: float
    threshold: float

    @override
    def memory(self, params: Params, masks: Masks) -> Params:
        """The threshold."""
        return {"threshold": torch.full_like(flatten(masks)[0], self.threshold, dtype=torch.float)}

    def moves(self, ranking: Ranking, seen: Seen, state: State) -> Moves:
        """See `Moving.moves`."""
        noise = ranking.needed("noise", seen.noise)
        threshold = state.memory["threshold"]
        size = ranking.scores(seen, state.masks)
        stay = {name: mask & (size[name] >= threshold) for name, mask in state.masks.items()}
        stay = _with(stay, _spared(ranking, size, state.masks))
        left = _layer_counts(stay)
        dropped = _layer_counts(state.masks).sum() - left.sum()
        free = _free(state, stay)
        growth = share_out(dropped, left.double(), _layer_counts(free))
        wanted = self.fraction * state.budget.sum()
        factor = 1.0 + (dropped < (1 - self.tolerance) * wanted).double()
        factor = factor - 0.5 * (dropped > (1 + self.tolerance) * wanted).double()
        memory = {**state.memory, "threshold": (threshold * factor).to(threshold.dtype)}
        return Moves(seen.params, _with(stay, _largest(noise, free, growth)), memory)


@final
@dataclass(frozen=True, kw_only=True)
class MovesBySign(Moving):
    """Moves what has changed its sign; see `DeepR`."""

    lr: float
    l1: float
    noise: float

    @override
    def memory(self, params: Params, masks: Masks) -> Params:
        """Which weights are negative for life."""
        return {f"sign of {name}": params[name] < 0 for name in masks}

    def moves(self, ranking: Ranking, seen: Seen, state: State) -> Moves:
        """See `Moving.moves`."""
        noise, params = ranking.needed("noise", seen.noise), seen.params
        changed, sizes, stay = dict(params), dict[str, Tensor](), dict[str, Tensor]()
        for name, mask in state.masks.items():
            sign = 1 - 2 * state.memory[f"sign of {name}"].to(params[name].dtype)
            # The normal number's own digits decide what grows, so it takes other ones.
            normal = _normal((noise[name] * 4096) % 1).to(params[name].dtype)
            size = sign * params[name] + self.lr * (self.noise * normal - self.l1)
            stay[name] = mask & (size >= 0)
            # What has passed zero is dormant, and whatever grows starts from zero.
            sizes[name] = size.where(stay[name], 0)
            changed[name] = sign * sizes[name]
        stay = _with(stay, _spared(ranking, sizes, state.masks))
        masks = ranking._replace(floor=0).keep(
            noise, {name: state.memory[name] for name in stay}, state.budget, forced=stay
        )
        return Moves(changed, masks, state.memory)


def _free(state: State, stay: Masks) -> Masks:
    return {name: state.memory[name] & ~mask for name, mask in stay.items()}


def _with(stay: Masks, grown: Masks) -> Masks:
    return {name: mask | grown[name] for name, mask in stay.items()}


def _largest(sizes: Scores, allowed: Masks, layers: Tensor) -> Masks:
    """The largest of each layer, so many."""
    return select(sizes, allowed, layers, groups=[[name] for name in allowed])


def _spared(ranking: Ranking, sizes: Scores, masks: Masks) -> Masks:
    """The largest of each layer that stay whatever becomes of them."""
    if not ranking.floor:  # nothing to rank, which takes a third of a round
        return {name: torch.zeros_like(mask) for name, mask in masks.items()}
    return _largest(sizes, masks, _layer_counts(masks).clamp(max=ranking.floor))


def _layer_counts(masks: Masks) -> Tensor:
    return torch.stack([mask.sum() for mask in masks.values()])


def _normal(uniform: Tensor) -> Tensor:
    safe = uniform.double().clamp(1e-7, 1 - 1e-7)
    return torch.special.ndtri(safe)
