"""How to train: the numbers of an SGD run, without the network and the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Literal, TypeAlias, get_args

Schedule: TypeAlias = Literal["constant", "cosine", "step"]


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent with momentum, as `torch.optim.SGD` defines it.

    The defaults are those of [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075),
    Section 3.6. The data is reshuffled every epoch and the last partial batch is dropped.

    Attributes:
        epochs: Passes over the data.
        batch_size: Samples a step.
        lr: Learning rate of the first epoch.
        momentum: Momentum, without dampening.
        weight_decay: Added to the gradient as `weight_decay * parameter`, biases included.
        schedule: The learning rate of epoch e of E: `"constant"`; `"cosine"`,
            `lr (1 + cos(pi e / E)) / 2`; `"step"`, divided by ten from `e = 0.3 E` on and
            again from `e = 0.6 E` on (epochs 15 and 30 of 50).

    Raises:
        ValueError: If a number is out of its range or the schedule is unknown.
        TypeError: If `lr`, `momentum` or `weight_decay` is not a number.

    Examples:
        >>> Recipe(epochs=4, lr=0.1, schedule="cosine").learning_rates()
        [0.1, 0.08535533905932738, 0.05, 0.014644660940672627]
    """

    epochs: int = 50
    batch_size: int = 128
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Schedule = "cosine"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        for name in ("lr", "momentum", "weight_decay"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise TypeError(f"{name} must be a number, got {value!r}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ValueError(f"lr must be a positive number, got {self.lr!r}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum!r}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay!r}")
        if self.schedule not in get_args(Schedule):
            allowed = ", ".join(map(repr, get_args(Schedule)))
            raise ValueError(f"schedule must be one of {allowed}, got {self.schedule!r}")

    def learning_rates(self) -> list[float]:
        """The learning rate of every epoch, `epochs` numbers."""
        epochs = range(self.epochs)
        match self.schedule:
            case "constant":
                return [self.lr for _ in epochs]
            case "cosine":
                return [self.lr * (1 + math.cos(math.pi * e / self.epochs)) / 2 for e in epochs]
            case "step":
                drops = (3 * self.epochs, 6 * self.epochs)
                return [self.lr * 0.1 ** sum(10 * e >= drop for drop in drops) for e in epochs]


def search_recipes() -> tuple[Recipe, ...]:
    """The six recipes of the combinatorial search: two learning rates, three schedules.

    Examples:
        >>> [(recipe.lr, recipe.schedule) for recipe in search_recipes()][:2]
        [(0.05, 'constant'), (0.05, 'cosine')]
    """
    return tuple(Recipe(lr=lr, schedule=s) for lr in (0.05, 0.1) for s in get_args(Schedule))
