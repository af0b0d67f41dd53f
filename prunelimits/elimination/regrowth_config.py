"""How to regrow: the numbers of the method, without the network and the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from prunelimits.arguments import checked_instance, checked_integer, checked_number
from prunelimits.elimination.recipes import fitting_recipes
from prunelimits.training import Recipe

# The last training has so many times the epochs of the first; a recovery at least so many steps.
_LONGER = 5
_RECOVERY_STEPS = 320
_RECOVERY_RATE = 0.02


class RegrowthRecipes(NamedTuple):
    """The three trainings of a regrowth.

    Attributes:
        first: Of the starting networks, which are pruned meanwhile.
        recovery: After something was removed.
        last: Of the best networks at the goal, every time.
    """

    first: Recipe
    recovery: Recipe
    last: Recipe


@dataclass(frozen=True, kw_only=True)
class Regrowth:
    """Elimination from networks that are pruned already, again and again after weights grew back.

    Networks of few weights cost little to train, so nearly all the work goes there:

    1. *Many starts* are trained shortly and pruned by `GMP(until=until)`, to `head` times the goal.
    2. *Elimination*: of the largest networks, `tries` candidates each that lack a share `step` of
       their parameters are trained for a while, and the best networks of every size go on: a beam
       of `beam`, of each start at most `per_origin`. Down to the goal.
    3. *A long training*, from a high learning rate, of the best that arrived.
    4. *Growth*: twice from each of the `beam` best networks so far, weights grow where the loss
       falls fastest, `growth` times the goal; after a training, back to 2. So many times as
       `cycles` says.

    Networks are compared by their loss on all rows, those to train on and those to choose by; the
    result is the network at the goal that is most accurate on the rows to choose by, of equals the
    one of least loss. The defaults were chosen by the choosing rows of real tasks, see the guide.

    Attributes:
        starts: Networks to start from.
        head: To how many times the goal they are pruned first.
        until: After which share of that training.
        beam: Networks of every size that go on, and that grow.
        per_origin: How many of them may descend from one start.
        tries: Candidates of each.
        step: Share of the parameters that a candidate lacks, of a module of its weights; one at a
            time at the goal.
        cycles: How often weights grow back; 0: never.
        growth: How many weights grow, in times of the goal.
        finalists: Networks at the goal that get the long training each time, which is most of the
            cost where the goal is hundreds of weights.
        first: See `RegrowthRecipes`. None: what fits the number of samples.
        recovery: Likewise.
        last: Likewise.

    Raises:
        ValueError: If a number is out of its range.
        TypeError: If a value is of another kind.

    Examples:
        >>> recipes = Regrowth(first=Recipe(epochs=10, batch_size=64)).recipes(samples=3_861)
        >>> [recipe.epochs for recipe in recipes], recipes.recovery.lr
        ([10, 6, 50], 0.02)
    """

    starts: int = 32
    head: float = 3.0
    until: float = 0.15
    beam: int = 8
    per_origin: int = 2
    tries: int = 3
    step: float = 0.1
    cycles: int = 6
    growth: float = 0.5
    finalists: int = 16
    first: Recipe | None = None
    recovery: Recipe | None = None
    last: Recipe | None = None

    def __post_init__(self) -> None:
        for name in ("starts", "beam", "per_origin", "tries", "finalists"):
            self._set(name, checked_integer(name, getattr(self, name), 1))
        self._set("cycles", checked_integer("cycles", self.cycles, 0))
        self._set("head", checked_number("head", self.head, least=1))
        self._set("growth", checked_number("growth", self.growth, above=0))
        for name in ("until", "step"):
            self._set(name, checked_number(name, getattr(self, name), above=0, below=1))
        for name in RegrowthRecipes._fields:
            if getattr(self, name) is not None:
                checked_instance(name, getattr(self, name), Recipe, "a Recipe or None")

    def _set(self, name: str, value: int | float) -> None:
        # NumPy's numbers become Python's: the fields are frozen to everybody else.
        object.__setattr__(self, name, value)

    def recipes(self, samples: int) -> RegrowthRecipes:
        """The trainings for so many samples: those given, or where none is, one that fits.

        The first is that of `Elimination`'s dense networks; a recovery has its batches and at least
        320 steps at a learning rate of 0.02, the last training five times its epochs.

        Raises:
            TypeError: If `samples` is not an integer.
            ValueError: If it is below 1.
        """
        samples = checked_integer("samples", samples, 1)
        first = self.first or fitting_recipes(samples).dense
        batch_size = min(first.batch_size, samples)
        first = replace(first, batch_size=batch_size)
        epochs = -(-_RECOVERY_STEPS // (samples // batch_size))
        recovery = self.recovery or replace(first, lr=_RECOVERY_RATE, epochs=epochs)
        last = self.last or replace(first, epochs=_LONGER * first.epochs)
        return RegrowthRecipes(first, recovery, last)
