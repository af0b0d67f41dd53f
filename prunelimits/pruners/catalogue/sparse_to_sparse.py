"""Published methods that train a sparse network and move its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from typing_extensions import override

from prunelimits import scores
from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.catalogue.moves import MovesByMomentum, MovesBySign, MovesByThreshold
from prunelimits.pruners.schedules import Category, DropGrow, Moving, at_random, by_gradient
from prunelimits.pruners.schedules.drop_grow import Decay, Growth
from prunelimits.pruners.scopes import Scope
from prunelimits.pruners.scoring import Score
from prunelimits.pruners.settings import choice_setting, number_setting


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
        _check_drop_grow(self)

    @property
    @override
    def schedule(self) -> DropGrow:
        """Moves by gradient."""
        return _drop_grow(self, by_gradient)


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
        _check_drop_grow(self)

    @property
    @override
    def schedule(self) -> DropGrow:
        """Moves at random."""
        return _drop_grow(self, at_random)


def _check_drop_grow(method: RigL | SET) -> None:
    number_setting(method, "fraction", least=0, most=1)
    choice_setting(method, "decay", ("cosine", "constant"))


def _drop_grow(method: RigL | SET, grow: Growth) -> DropGrow:
    """The schedule of a method that drops the smallest weights and grows others."""
    return DropGrow(
        grow=grow,
        rounds=method.rounds,
        end=float(method.until),
        fraction=method.fraction,
        decay=method.decay,
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


@dataclass(frozen=True, kw_only=True)
class DeepR(_MovesSmallest):
    """Drops a weight when it changes its sign, grows at random; noise and `|w|` shrinkage.

    [Deep rewiring](https://arxiv.org/abs/1711.05136): every connection has a sign for life, here
    the one of its initial weight. A round subtracts `lr l1` from each kept weight's magnitude, adds
    `lr noise` times a normal number, drops what has passed zero, and grows as many, dropped ones
    among them. Grown weights start from zero, so that after a round none has the wrong sign. It
    belongs after every step, so the default has as many rounds as 50 epochs of 390 steps; to a
    shorter training give as many rounds as it has steps, or several, each as long, follow a step.

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
