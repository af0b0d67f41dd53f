"""What is compared on real tasks: methods, how long each trains, and from how many starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from prunelimits.elimination import Elimination, Regrowth
from prunelimits.experiments import PAPER_METHODS
from prunelimits.pruners import (
    DSR,
    GMP,
    LAMP,
    LTH,
    NPB,
    OBD,
    PHEW,
    SET,
    SNFS,
    AbstractPruner,
    Gradual,
    Magnitude,
    Pruner,
    Random,
    SmartRatio,
    Wanda,
)

LONG = 5
"""How many short trainings LTH takes, so how many times as long the others train."""
FEW, MANY = 8, 32
"""Starts of every method, and of LTH and of GMP by one of the earlier schedules."""
UNTIL = (0.05, 0.15, 0.3, 0.5, 0.7)
"""Shares of the training after which GMP's last round falls; published is 199 / 200."""
BEST = 0.15
"""The one of which more starts are trained."""
LEVELS = (1, 32)
"""Costs that are compared, in runs of LTH."""
TRAINED = 2 / 3
"""The share of the training after which a trained network is pruned."""
SHORT, SHORTEST = "Regrowth, short", "Regrowth, shortest"
"""At some two fifths of the cost and less, where what is longer is above the larger of these."""


@dataclass(frozen=True)
class Variant:
    """A pruner with a length of training and some starts; no pruner: the dense networks."""

    method: str
    pruner: AbstractPruner | None
    times: int
    starts: range

    def key(self) -> tuple[str, int, int]:
        """What tells it from the others of a task's split in the table."""
        return self.method, self.times, self.starts.start


@dataclass(frozen=True)
class Compared:
    """What is compared in a study.

    Attributes:
        variants: Pruners, and the dense networks.
        eliminations: By their names in the table.
        regrowths: Likewise; their first and last trainings are those of the task.
        shorter: Regrowths for budgets where the longer ones are not paid for.
    """

    variants: tuple[Variant, ...]
    eliminations: Mapping[str, Elimination]
    regrowths: Mapping[str, Regrowth]
    shorter: Mapping[str, Regrowth] = field(default_factory=dict[str, Regrowth])


def everything() -> Compared:
    """The dense networks, the nine of the paper, GMP that is done earlier, and the library's own.

    Elimination is smaller than its defaults, and without evolution.
    """
    earlier = (Variant(gmp_name(until), GMP(until=until), LONG, range(FEW)) for until in UNTIL)
    return Compared(
        (*_nine(), *earlier, _more_of_the_best()),
        {"Elimination of 8": Elimination(networks=8, beam=6, tries=2, step=0.1, evolved=0)},
        {"Regrowth": Regrowth()},
        {
            SHORT: Regrowth(cycles=3, finalists=4),
            SHORTEST: Regrowth(cycles=2, finalists=4),
        },
    )


def by_depth() -> Compared:
    """What networks of other depths are compared by: less of what hardly differs."""
    best = Variant(gmp_name(BEST), GMP(until=BEST), LONG, range(FEW))
    return Compared((*_nine(), best, _more_of_the_best()), {}, {"Regrowth": Regrowth()})


def with_more_weights() -> Compared:
    """The same for larger budgets: of regrowths the shorter ones, as the whole costs too much."""
    return replace(by_depth(), regrowths={}, shorter=everything().shorter)


def others() -> Compared:
    """Methods of the catalogue beside the nine, those that a table's study can pay for.

    The ones for trained networks prune once after two thirds of the training, and what is left is
    trained for the rest.
    """
    found = [
        Variant(type(pruner).__name__, pruner, times, range(FEW))
        for pruner in (Random(), SmartRatio(), PHEW(), NPB(), SET(), SNFS(), DSR())
        for times in (1, LONG)
    ]
    late = Gradual(rounds=1, end=TRAINED)
    found += [
        Variant(f"{type(method).__name__}, trained",
                Pruner(score=method.score, schedule=late, scope=method.scope),
                times, range(FEW))
        for method in (Magnitude(), LAMP(), OBD(), Wanda())
        for times in (1, LONG)
    ]  # fmt: skip
    return Compared(tuple(found), {}, {})


def gmp_name(until: float) -> str:
    """As in the table."""
    return f"GMP until {until}"


def _nine() -> list[Variant]:
    """The dense networks, and the nine methods of the paper in both lengths."""
    found = [Variant("dense", None, LONG, range(FEW))]
    for pruner in PAPER_METHODS:
        name = type(pruner).__name__
        if isinstance(pruner, LTH):
            found.append(Variant(name, pruner, 1, range(MANY)))
        else:
            found += [Variant(name, pruner, times, range(FEW)) for times in (1, LONG)]
    return found


def _more_of_the_best() -> Variant:
    return Variant(gmp_name(BEST), GMP(until=BEST), LONG, range(FEW, MANY))
