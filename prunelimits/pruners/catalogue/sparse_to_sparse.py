"""Published methods that train a sparse network and move its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits import scores
from prunelimits.masks import flatten
from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules import Category, DropGrow, Moves, Moving, at_random, by_gradient
from prunelimits.pruners.schedules.curves import half_cosine
from prunelimits.pruners.schedules.drop_grow import Decay
from prunelimits.pruners.scopes import Scope, share_out
from prunelimits.pruners.scoring import Score
from prunelimits.pruners.selection import select
from prunelimits.pruners.settings import choice_setting, number_setting
from prunelimits.pruners.state import Seen, State
from prunelimits.types import Masks, Params, Scores


@dataclass(frozen=True, kw_only=True)
class _MovesSmallest(Method):
    """Drops the smallest `|w|`."""

    category: ClassVar[Category] = "sparse to sparse"
    until: float = 1.0
    scope: Scope = "erk"

    @property
    def score(self) -> Score:
        """`scores.magnitude`: the smallest are dropped."""
        return Score(scores.magnitude)


@dataclass(frozen=True, kw_only=True)
class RigL(_MovesSmallest):
    """Drops the smallest `|w|`, grows the largest `|dL/dw|`.

    [Rigging the lottery](https://arxiv.org/abs/1911.11134). The default is every 100 steps of
    19,500 until three quarters, as in the code of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075); `rounds=73` is every 200, as
    in its text.

    Attributes:
        rounds: How often to move weights in a training.
        until: The share of the training after which the last round falls.
        scope: How the layers' quotas are set; `"global"` is not possible.
        fraction: The share of a layer's weights that the first rounds move.
        decay: How that share falls to zero: along a cosine, or not at all.
    """

    rounds: int = 146
    until: float = 0.75
    fraction: float = 0.3
    decay: Decay = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "fraction", least=0, most=1)
        choice_setting(self, "decay", ("cosine", "constant"))

    @property
    @override
    def schedule(self) -> DropGrow:
        """Moves by gradient."""
        return DropGrow(
            grow=by_gradient,
            rounds=self.rounds,
            end=float(self.until),
            fraction=self.fraction,
            decay=self.decay,
        )


@dataclass(frozen=True, kw_only=True)
class SET(_MovesSmallest):
    """Drops the smallest `|w|`, grows at random.

    [Sparse evolutionary training](https://arxiv.org/abs/1707.04780). The default moves 30 % after
    each of 50 epochs but the last. The paper drops that share of the positive and of the negative
    weights, each by itself; here, as in later work, of both together.

    Attributes:
        rounds: As for `RigL`.
        until: As for `RigL`.
        scope: As for `RigL`.
        fraction: As for `RigL`.
        decay: As for `RigL`.
    """

    rounds: int = 49
    until: float = 0.98
    fraction: float = 0.3
    decay: Decay = "constant"

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "fraction", least=0, most=1)
        choice_setting(self, "decay", ("cosine", "constant"))

    @property
    @override
    def schedule(self) -> DropGrow:
        """Moves at random."""
        return DropGrow(
            grow=at_random,
            rounds=self.rounds,
            end=float(self.until),
            fraction=self.fraction,
            decay=self.decay,
        )


@dataclass(frozen=True, kw_only=True)
class SNFS(_MovesSmallest):
    """Drops the smallest `|w|` of each layer, grows where the smoothed gradient `M` is largest.

    [Sparse networks from scratch](https://arxiv.org/abs/1907.04840): a layer gets of what all
    layers drop in proportion to the mean `|M|` of its kept weights, and grows the largest `|M|`.
    The default moves half, falling along a cosine, after each of 50 epochs.

    The paper smooths the gradients of all steps; here `M` smooths those that the rounds are given.

    Attributes:
        rounds: As for `RigL`.
        until: As for `RigL`.
        scope: How the random start divides the budget.
        fraction: The share of a layer's weights that the first rounds drop.
        smoothing: How much of `M` stays in a round: `M = smoothing M + (1 - smoothing) dL/dw`.
    """

    rounds: int = 50
    scope: Scope = "uniform"
    fraction: float = 0.5
    smoothing: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "fraction", least=0, most=1)
        number_setting(self, "smoothing", least=0, most=1)

    @property
    @override
    def schedule(self) -> Moving:
        """Moves by momentum."""
        return MovesByMomentum(
            rounds=self.rounds,
            end=float(self.until),
            fraction=self.fraction,
            smoothing=self.smoothing,
        )


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


@dataclass(frozen=True, kw_only=True)
class DSR(_MovesSmallest):
    """Drops what is below a threshold, grows at random where more is left.

    [Dynamic sparse reparameterization](https://arxiv.org/abs/1902.05967): one threshold for
    all layers, doubled when a round drops less than it should, halved when it drops more; a layer
    gets of what all layers drop in proportion to what it has left.

    Attributes:
        rounds: As for `RigL`.
        until: As for `RigL`.
        scope: How the random start divides the budget.
        fraction: The share of all weights that a round should drop.
        tolerance: How far from that, relatively, the threshold stays as it is.
        threshold: What it is at first.
    """

    rounds: int = 50
    scope: Scope = "uniform"
    fraction: float = 0.1
    tolerance: float = 0.1
    threshold: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "fraction", least=0, most=1)
        number_setting(self, "tolerance", least=0)
        number_setting(self, "threshold", least=0, most=torch.finfo(torch.float32).max)

    @property
    @override
    def schedule(self) -> Moving:
        """Moves by a threshold."""
        return MovesByThreshold(
            rounds=self.rounds,
            end=float(self.until),
            fraction=self.fraction,
            tolerance=self.tolerance,
            threshold=self.threshold,
        )


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
        least = _layer_counts(state.masks).clamp(max=ranking.floor)
        spared = _largest(size, state.masks, least)
        stay = {
            name: mask & ((size[name] >= threshold) | spared[name])
            for name, mask in state.masks.items()
        }
        left = _layer_counts(stay)
        dropped = _layer_counts(state.masks).sum() - left.sum()
        free = _free(state, stay)
        growth = share_out(dropped, left.double(), _layer_counts(free))
        wanted = self.fraction * state.budget.sum()
        factor = 1.0 + (dropped < (1 - self.tolerance) * wanted).double()
        factor = factor - 0.5 * (dropped > (1 + self.tolerance) * wanted).double()
        memory = {**state.memory, "threshold": (threshold * factor).to(threshold.dtype)}
        return Moves(seen.params, _with(stay, _largest(noise, free, growth)), memory)


@dataclass(frozen=True, kw_only=True)
class DeepR(_MovesSmallest):
    """Drops a weight when it changes its sign, grows at random; noise and `|w|` shrinkage.

    [Deep rewiring](https://arxiv.org/abs/1711.05136): every connection has a sign for life, here
    the one of its initial weight. A round subtracts `lr l1` from each kept weight's magnitude, adds
    `lr noise` times a normal number, drops what has passed zero, and grows as many, dropped ones
    among them. Grown weights start from zero, so that after a round none has the wrong sign. It
    belongs after every step, so the default has as many rounds as 50 epochs of 390 steps.

    Attributes:
        rounds: As for `RigL`.
        until: As for `RigL`.
        scope: How the layers' quotas are set.
        lr: The learning rate of the training.
        l1: The weight of the absolute values in the loss.
        noise: The standard deviation of the noise in the gradient.
    """

    rounds: int = 19_500
    lr: float = 0.05
    l1: float = 1e-5
    noise: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "lr", least=0)
        number_setting(self, "l1", least=0)
        number_setting(self, "noise", least=0)

    @property
    @override
    def schedule(self) -> Moving:
        """Moves by sign."""
        return MovesBySign(
            rounds=self.rounds,
            end=float(self.until),
            lr=self.lr,
            l1=self.l1,
            noise=self.noise,
        )


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
        least = _layer_counts(state.masks).clamp(max=ranking.floor)
        spared = _largest(sizes, state.masks, least)
        stay = {name: mask | spared[name] for name, mask in stay.items()}
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


def _layer_counts(masks: Masks) -> Tensor:
    return torch.stack([mask.sum() for mask in masks.values()])


def _normal(uniform: Tensor) -> Tensor:
    safe = uniform.double().clamp(1e-7, 1 - 1e-7)
    return torch.special.ndtri(safe)
