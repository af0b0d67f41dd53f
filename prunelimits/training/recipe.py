"""How to train: the numbers of an SGD run, without the network and the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from prunelimits.arguments import checked_choice, checked_integer, checked_number

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
        TypeError: If a number is not one, or not an integer where it must be.

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
        checked = {
            "epochs": checked_integer("epochs", self.epochs, 1),
            "batch_size": checked_integer("batch_size", self.batch_size, 1),
            "lr": checked_number("lr", self.lr, above=0),
            "momentum": checked_number("momentum", self.momentum, least=0, below=1),
            "weight_decay": checked_number("weight_decay", self.weight_decay, least=0),
            "schedule": checked_choice("schedule", self.schedule, get_args(Schedule)),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

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
