"""How to eliminate: the numbers of the method, without the network and the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from prunelimits.arguments import (
    checked_choice,
    checked_instance,
    checked_integer,
    checked_number,
)
from prunelimits.elimination.recipes import Recipes, fitting_recipes
from prunelimits.elimination.settling import Biases
from prunelimits.training import Recipe


@dataclass(frozen=True, kw_only=True)
class Elimination:
    """Backward elimination with recovery, over a beam of many different networks.

    Many dense networks are trained; whole units are removed in steps, the others taking over what
    they can, each step followed by a short training, for as long as a network stays near the
    target. Then parameters are removed one by one, from the largest networks to the smallest: of
    every size the best networks are kept (a beam), few of them from the same dense network, its
    origin. Each gives rise to candidates that lack a parameter and whatever that disconnects, and
    all candidates are trained together from the weights they have. At the end the best networks of
    the smallest sizes are evolved (by CMA-ES, see `training.evolve`) for the accuracy itself, which
    training by gradients only approaches.

    The defaults were chosen by measurement on the Cubist Spiral, see the guide.

    Attributes:
        networks: Networks that lose units and then parameters. So many dense ones are trained up to
            a width of 16; wider ones are fewer, `16 / width` of it but at least 16, and copies
            that lose different units make up for the others once all are as narrow.
        dense: How they are trained; a batch of more than all samples is all. None: what fits the
            number of samples, see `recipes`.
        recovery: How networks are trained after something was removed. None: likewise.
        unit_share: Share of the hidden units that a step removes.
        step: Share of the parameters that a candidate lacks, at least one: with 0.02, networks
            below 100 parameters lose one at a time.
        beam: Networks kept of every size.
        per_origin: How many of them may descend from the same dense network.
        tries: Candidates trained from every network kept: those whose loss right after the removal
            is least.
        slack: How far below the target a network's score may be for more to be removed from it; for
            accuracy at least one sample of those that it is measured on.
        evolved: Networks of every size below 64 parameters that are evolved at the end, each of
            another dense network; 0 for none. Squared error, which a training descends itself, is
            left alone.
        biases: `"free"` prunes biases like other parameters. `"outgoing"` is the paper's rule for
            pruners (Section 3.4): a hidden unit's bias is there as long as the unit is, an
            output's always, and both count.
        margin: The score is the accuracy with this margin, see `training.evaluate`: 0 as the paper
            counts. Above 0 no tie and no rounding decides which networks go on.

    Raises:
        ValueError: If a number is out of its range.
        TypeError: If a number that must be an integer is not.

    Examples:
        >>> Elimination(beam=200).recipes(samples=50_000).recovery.epochs
        5
    """

    networks: int = 256
    dense: Recipe | None = None
    recovery: Recipe | None = None
    unit_share: float = 0.3
    step: float = 0.02
    beam: int = 96
    per_origin: int = 2
    tries: int = 6
    slack: float = 0.02
    evolved: int = 1
    biases: Biases = "free"
    margin: float = 0.0

    def __post_init__(self) -> None:
        for name in ("networks", "beam", "per_origin", "tries"):
            self._set(name, checked_integer(name, getattr(self, name), 1))
        self._set("evolved", checked_integer("evolved", self.evolved, 0))
        for name in ("unit_share", "step"):
            self._set(name, checked_number(name, getattr(self, name), above=0, below=1))
        for name in ("slack", "margin"):
            self._set(name, checked_number(name, getattr(self, name), least=0))
        checked_choice("biases", self.biases, get_args(Biases))
        for name in ("dense", "recovery"):
            if getattr(self, name) is not None:
                checked_instance(name, getattr(self, name), Recipe, "a Recipe or None")

    def _set(self, name: str, value: int | float) -> None:
        # NumPy's numbers become Python's: the fields are frozen to everybody else.
        object.__setattr__(self, name, value)

    def recipes(self, samples: int) -> Recipes:
        """Both trainings for so many samples: those given, or where none is, one that fits.

        Raises:
            TypeError: If `samples` is not an integer.
            ValueError: If it is below 1.
        """
        samples = checked_integer("samples", samples, 1)
        fitting = fitting_recipes(samples)
        return Recipes(self.dense or fitting.dense, self.recovery or fitting.recovery)
