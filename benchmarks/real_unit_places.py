"""Splits of tasks, what is trained on them and to which budgets: for the study of units."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from real_methods import LONG
from real_tasks import RealTask, task_named
from real_trainings import start_seed

from prunelimits import Recipe, datasets
from prunelimits.datasets import Parts

SPIRAL = "Cubist Spiral"
TASKS = (SPIRAL, "Vowel", "Vehicle", "digits", "Satellite")
STARTS = 8


@dataclass(frozen=True)
class Place:
    """A split of a task, with what is trained on it.

    Attributes:
        task: Its name.
        split: From 0.
        parts: On the spiral all three are the same.
        widths: Of the dense networks.
        short: A training; LTH has five of them.
        long: Of the other methods.
        starts: Of every method.
        units: Budgets.
        weights: Budgets of the pruner of single weights.
    """

    task: str
    split: int
    parts: Parts
    widths: tuple[int, ...]
    short: Recipe
    long: Recipe
    starts: int
    units: tuple[int, ...]
    weights: tuple[int, ...]

    def seeds(self, count: int) -> list[int]:
        """Of the starts, each `count` times."""
        return [start_seed(self.split, start) for start in range(self.starts) for _ in range(count)]


def place_of(name: str, packages: Path, split: int) -> Place:
    """A split of a task."""
    if name == SPIRAL:
        pair = datasets.cubist_spiral()
        recipe = Recipe(epochs=50, lr=0.1)
        return Place(name, split, Parts(pair, pair, pair), (2, 16, 16, 16, 1), recipe, recipe, 4,
                     (*range(4, 13), 14, 16, 20), (33, 44, 65, 90, 130))  # fmt: skip
    task = task_named(name)
    return real_place(task, task.parts(packages, split), split)


def real_place(task: RealTask, parts: Parts, split: int) -> Place:
    """The budgets of a real task: from one unit a layer to half of the smallest networks."""
    units = tuple(n for n in (*range(2, 13), 14, 16, 20, 24, 28, 32, 40) if n < sum(task.hidden))
    return Place(task.name, split, parts, task.widths(parts), task.recipe(1), task.recipe(LONG),
                 STARTS, units, (*task.budgets, 2 * task.budgets[-1]))  # fmt: skip
