"""A study as data: which methods, widths, budgets and recipes, and so which runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple, get_args

from prunelimits import pruners
from prunelimits.arguments import (
    checked_instance,
    checked_integer,
    checked_integers,
    checked_sequence,
    checked_size,
    checked_sizes,
    shown,
)
from prunelimits.experiments.methods import SelfTraining, StudyMethod, method_names
from prunelimits.pruners import AbstractPruner
from prunelimits.training import Recipe
from prunelimits.training.recipe import Schedule

PAPER_METHODS: tuple[AbstractPruner, ...] = (
    pruners.LTH(),
    pruners.GMP(),
    pruners.RigL(),
    pruners.GraSP(),
    pruners.ProsPr(),
    pruners.SNIP(),
    pruners.IterSNIP(),
    pruners.FORCE(),
    pruners.SynFlow(),
)
"""The nine methods that the paper benchmarks."""
PAPER_WIDTHS = (3, 4, 5, 6, 7, 8, 16, 32, 64, 128, 256)
"""The hidden widths that the paper prunes from."""
PAPER_BUDGETS = (
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 30, 33, 37, 40, 44, 50, 53, 55, 57, 60, 65,
)  # fmt: skip
"""The numbers of weights that the paper keeps."""
PAPER_RECIPES = tuple(
    Recipe(lr=lr, schedule=s) for lr in (0.05, 0.1, 0.2) for s in get_args(Schedule)
)
"""The nine recipes of the paper's pruning experiments."""


class Run(NamedTuple):
    """One training of a study.

    Attributes:
        method: The pruner's name, see `Study.names`.
        width: Hidden width of the network that is pruned.
        keep: Weights that survive.
        recipe: Position among the study's recipes.
        repeat: From 0.
    """

    method: str
    width: int
    keep: int
    recipe: int
    repeat: int


@dataclass(frozen=True, kw_only=True)
class Study:
    """Pruning methods, widths, budgets and recipes, all combined.

    The defaults are the pruning experiments of [Sparsest Models Elude Pruning](
    https://arxiv.org/abs/2407.04075) from random initialisations: 18,954 runs.

    A run's initialisation depends on its width, recipe and repeat alone: methods and budgets are
    compared from the same one, and what they have in common need be trained only once.

    Attributes:
        methods: What prunes; of one class several with different settings. An `Elimination` is one
            too: one elimination for each width, recipe and repeat, whose dense training is the
            recipe's; every budget gets its most accurate network of at most so many weights. A
            `Regrowth` is one, too: one for each run, whose first training is the recipe's, and
            which chooses by the validation data where there are any.
        widths: Units in each hidden layer.
        budgets: Weights that survive; a width with no more weights than a budget leaves it out.
            `Elimination` and `Regrowth` need one for every layer at least.
        recipes: How each network is trained.
        repeats: Runs of each combination, each with an initialisation and an order of the batches
            of its own.
        hidden_layers: Hidden layers of the networks.
        seed: Decides all initialisations and the order of the batches.

    Raises:
        ValueError: If something is empty, out of its range or there twice, or recipes differ in
            epochs or batch size.
        TypeError: If a number is not an integer, a method no pruner or a recipe no `Recipe`.

    Examples:
        >>> len(Study())
        18954
        >>> len(Study(widths=(16,), methods=(pruners.LTH(),)))
        207
    """

    methods: tuple[StudyMethod, ...] = PAPER_METHODS
    widths: tuple[int, ...] = PAPER_WIDTHS
    budgets: tuple[int, ...] = PAPER_BUDGETS
    recipes: tuple[Recipe, ...] = PAPER_RECIPES
    repeats: int = 1
    hidden_layers: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("repeats", "hidden_layers"):
            object.__setattr__(self, name, checked_size(name, getattr(self, name)))
        object.__setattr__(self, "seed", checked_integer("seed", self.seed))
        object.__setattr__(self, "widths", checked_sizes("widths", self.widths))
        object.__setattr__(self, "budgets", checked_integers("budgets", self.budgets, 1))
        for name, what in (("methods", "pruners"), ("recipes", "recipes")):
            object.__setattr__(self, name, checked_sequence(name, getattr(self, name), what))
        for name in ("methods", "widths", "budgets", "recipes"):
            if not getattr(self, name):
                raise ValueError(f"{name} must hold at least one, got none")
        for pruner in self.methods:
            if not isinstance(pruner, StudyMethod):
                raise TypeError(
                    "methods must be pruners, such as SNIP(), an Elimination or a Regrowth, got "
                    f"{shown(pruner)}"
                )
        layers = self.hidden_layers + 1
        for name, method in zip(self.names, self.methods, strict=True):
            if isinstance(method, SelfTraining) and min(self.budgets) < layers:
                raise ValueError(
                    f"budgets must be at least {layers} for {name}, a weight in every layer of the "
                    f"networks, got {min(self.budgets)}"
                )
        for recipe in self.recipes:
            checked_instance("recipes", recipe, Recipe, "prunelimits.Recipe objects")
        for name, values in (
            ("widths", self.widths), ("budgets", self.budgets), ("methods", self.names),
        ):  # fmt: skip
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must be different, got {', '.join(map(str, values))}")
        for name in ("epochs", "batch_size"):
            values = sorted({getattr(recipe, name) for recipe in self.recipes})
            if len(values) > 1:
                raise ValueError(f"recipes must have the same {name}, got {values}")

    @property
    def names(self) -> tuple[str, ...]:
        """The methods' names: their class, with the settings that tell several of it apart."""
        return method_names(self.methods)

    def method(self, name: str) -> StudyMethod:
        """The method of that name.

        Raises:
            ValueError: If the study has none.
        """
        if name not in self.names:
            raise ValueError(f"name must be one of {', '.join(self.names)}, got {shown(name)}")
        return self.methods[self.names.index(name)]

    def network(self, width: int, inputs: int = 2, outputs: int = 1) -> tuple[int, ...]:
        """The widths of the networks of one hidden width.

        Raises:
            TypeError: If a number is not an integer.
            ValueError: If one is below 1.

        Examples:
            >>> Study().network(16)
            (2, 16, 16, 16, 1)
        """
        width = checked_size("width", width)
        ends = checked_size("inputs", inputs), checked_size("outputs", outputs)
        return (ends[0], *[width] * self.hidden_layers, ends[1])

    def runs(self, inputs: int = 2, outputs: int = 1) -> Iterator[Run]:
        """Every run on data of so many inputs and outputs, narrow networks first.

        Raises:
            TypeError: If a number is not an integer.
            ValueError: If one is below 1.
        """
        # Here, not when the first run is asked for.
        checked_size("inputs", inputs)
        checked_size("outputs", outputs)
        return self._runs(inputs, outputs)

    def _runs(self, inputs: int, outputs: int) -> Iterator[Run]:
        for width, name in product(sorted(self.widths), self.names):
            layers = pairwise(self.network(width, inputs, outputs))
            weights = sum(d_in * d_out for d_in, d_out in layers)
            kept = [keep for keep in self.budgets if keep < weights]
            for repeat, recipe, keep in product(
                range(self.repeats), range(len(self.recipes)), kept
            ):
                yield Run(name, width, keep, recipe, repeat)

    def __len__(self) -> int:
        return sum(1 for _ in self.runs())
