"""Published methods that train a sparse network and move its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from prunelimits.masks import flatten
from prunelimits.pruners.base import State
from prunelimits.pruners.budgets import Scope, share_out
from prunelimits.pruners.drop_grow import Decay, DropGrow
from prunelimits.pruners.schedules import cosine
from prunelimits.pruners.selection import counts, select
from prunelimits.pruners.settings import number_setting
from prunelimits.pruners.sparse_to_sparse import Moves, SparseToSparse
from prunelimits.types import Masks, Params, Scores


@dataclass(frozen=True, kw_only=True)
class RigL(DropGrow):
    """Drops the smallest `|w|`, grows the largest `|dL/dw|`.

    [Rigging the lottery](https://arxiv.org/abs/1911.11134). The default is every 100 steps of
    19,500 until three quarters, as in the code of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075); `rounds=73` is every 200, as
    in its text.
    """

    needs_gradients: ClassVar[bool] = True

    def drop_scores(self, params: Params, masks: Masks) -> Scores:
        """`|w|`."""
        return {name: params[name].abs() for name in masks}

    def grow_scores(self, grads: Params | None, masks: Masks, noise: Params | None) -> Scores:
        """`|dL/dw|`."""
        grads = self.checked("grads", grads)
        return {name: grads[name].abs() for name in masks}


@dataclass(frozen=True, kw_only=True)
class SET(DropGrow):
    """Drops the smallest `|w|`, grows at random.

    [Sparse evolutionary training](https://arxiv.org/abs/1707.04780). The default moves 30 % after
    each of 50 epochs but the last. The paper drops that share of the positive and of the negative
    weights, each by itself; here, as in later work, of both together.
    """

    rounds: int = 49
    until: float = 0.98
    decay: Decay = "constant"

    def drop_scores(self, params: Params, masks: Masks) -> Scores:
        """`|w|`."""
        return {name: params[name].abs() for name in masks}

    def grow_scores(self, grads: Params | None, masks: Masks, noise: Params | None) -> Scores:
        """Uniform."""
        return self.checked("noise", noise)


@dataclass(frozen=True, kw_only=True)
class SNFS(SparseToSparse):
    """Drops the smallest `|w|` of each layer, grows where the smoothed gradient `M` is largest.

    [Sparse networks from scratch](https://arxiv.org/abs/1907.04840): a layer gets of what all
    layers drop in proportion to the mean `|M|` of its kept weights, and grows the largest `|M|`.
    The default moves half, falling along a cosine, after each of 50 epochs.

    The paper smooths the gradients of all steps; here `M` smooths those that the rounds are given.

    Attributes:
        fraction: The share of a layer's weights that the first rounds drop.
        smoothing: How much of `M` stays in a round: `M = smoothing M + (1 - smoothing) dL/dw`.
    """

    needs_gradients: ClassVar[bool] = True
    rounds: int = 50
    until: float = 1.0
    scope: Scope = "uniform"
    fraction: float = 0.5
    smoothing: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "fraction", least=0, most=1)
        number_setting(self, "smoothing", least=0, most=1)

    def start(self, params: Params, masks: Masks) -> Params:
        """`M`, zero."""
        return {f"momentum of {name}": torch.zeros_like(params[name]) for name in masks}

    def moves(
        self, state: State, params: Params, grads: Params | None, noise: Params | None
    ) -> Moves:
        """See `SparseToSparse.moves`."""
        grads = self.checked("grads", grads)
        momentum = {
            name: self.smoothing * state.memory[f"momentum of {name}"]
            + (1 - self.smoothing) * grads[name]
            for name in state.masks
        }
        share = self.fraction * cosine((state.round + 1).double() / self.rounds)
        kept = _layer_counts(state.masks)
        dropped = (share * kept + 1e-9).floor().long().minimum((kept - self.floor).clamp(min=0))
        stay = select(_magnitudes(params, state.masks), state.masks, kept - dropped)
        size = {name: value.abs() for name, value in momentum.items()}
        demand = torch.stack([(size[n] * mask).sum() for n, mask in state.masks.items()])
        room = _layer_counts({name: state.memory[name] & ~mask for name, mask in stay.items()})
        growth = share_out(dropped.sum(), demand / kept.clamp(min=1), room)
        memory = {**state.memory, **{f"momentum of {n}": value for n, value in momentum.items()}}
        return Moves(params, stay, growth, size, memory)


@dataclass(frozen=True, kw_only=True)
class DSR(SparseToSparse):
    """Drops what is below a threshold, grows at random where more is left.

    [Dynamic sparse reparameterization](https://arxiv.org/abs/1902.05967): one threshold for
    all layers, doubled when a round drops less than it should, halved when it drops more; a layer
    gets of what all layers drop in proportion to what it has left.

    Attributes:
        fraction: The share of all weights that a round should drop.
        tolerance: How far from that, relatively, the threshold stays as it is.
        threshold: What it is at first.
    """

    rounds: int = 50
    until: float = 1.0
    scope: Scope = "uniform"
    fraction: float = 0.1
    tolerance: float = 0.1
    threshold: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "fraction", least=0, most=1)
        number_setting(self, "tolerance", least=0)
        number_setting(self, "threshold", least=0, most=torch.finfo(torch.float32).max)

    def start(self, params: Params, masks: Masks) -> Params:
        """The threshold."""
        return {"threshold": torch.full_like(flatten(masks)[0], self.threshold, dtype=torch.float)}

    def moves(
        self, state: State, params: Params, grads: Params | None, noise: Params | None
    ) -> Moves:
        """See `SparseToSparse.moves`."""
        threshold = state.memory["threshold"]
        size = _magnitudes(params, state.masks)
        least = _layer_counts(state.masks).clamp(max=self.floor)
        spared = select(size, state.masks, least)
        stay = {
            name: mask & ((size[name] >= threshold) | spared[name])
            for name, mask in state.masks.items()
        }
        left = _layer_counts(stay)
        dropped = _layer_counts(state.masks).sum() - left.sum()
        room = _layer_counts({name: state.memory[name] & ~mask for name, mask in stay.items()})
        growth = share_out(dropped, left.double(), room)
        wanted = self.fraction * state.budget.sum()
        factor = 1.0 + (dropped < (1 - self.tolerance) * wanted).double()
        factor = factor - 0.5 * (dropped > (1 + self.tolerance) * wanted).double()
        memory = {**state.memory, "threshold": (threshold * factor).to(threshold.dtype)}
        return Moves(params, stay, growth, self.checked("noise", noise), memory)


@dataclass(frozen=True, kw_only=True)
class DeepR(SparseToSparse):
    """Drops a weight when it changes its sign, grows at random; noise and `|w|` shrinkage.

    [Deep rewiring](https://arxiv.org/abs/1711.05136): every connection has a sign for life, here
    the one of its initial weight. A round subtracts `lr l1` from each kept weight's magnitude, adds
    `lr noise` times a normal number, drops what has passed zero, and grows as many, dropped ones
    among them. Grown weights start from zero, so that after a round none has the wrong sign. It
    belongs after every step, so the default has as many rounds as 50 epochs of 390 steps.

    Attributes:
        lr: The learning rate of the training.
        l1: The weight of the absolute values in the loss.
        noise: The standard deviation of the noise in the gradient.
    """

    rounds: int = 19_500
    until: float = 1.0
    lr: float = 0.05
    l1: float = 1e-5
    noise: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "lr", least=0)
        number_setting(self, "l1", least=0)
        number_setting(self, "noise", least=0)

    def start(self, params: Params, masks: Masks) -> Params:
        """Which weights are negative for life."""
        return {f"sign of {name}": params[name] < 0 for name in masks}

    def moves(
        self, state: State, params: Params, grads: Params | None, noise: Params | None
    ) -> Moves:
        """See `SparseToSparse.moves`."""
        noise = self.checked("noise", noise)
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
        least = _layer_counts(state.masks).clamp(max=self.floor)
        spared = select(sizes, state.masks, least)
        stay = {name: mask | spared[name] for name, mask in stay.items()}
        return Moves(changed, stay, state.budget - counts(stay, state.budget), noise, state.memory)


def _magnitudes(params: Params, masks: Masks) -> Scores:
    return {name: params[name].abs() for name in masks}


def _layer_counts(masks: Masks) -> Tensor:
    return torch.stack([mask.sum() for mask in masks.values()])


def _normal(uniform: Tensor) -> Tensor:
    safe = uniform.double().clamp(1e-7, 1 - 1e-7)
    return torch.special.ndtri(safe)
