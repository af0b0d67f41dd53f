"""Where a regrowth stands between two trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple

from prunelimits.elimination.stack import AnyStack


class Done(NamedTuple):
    """What the trainings so far have cost and shown.

    Attributes:
        work: Kept parameters times samples.
        together: Whether modules are trained side by side; None as long as that is not known.
    """

    work: int = 0
    together: bool | None = None


NOTHING = Done()


@dataclass(frozen=True, eq=False, kw_only=True)
class RegrowthState(Generic[AnyStack]):
    """All that decides how the regrowth goes on. A value: a training returns another one.

    Attributes:
        waiting: Networks to remove parameters from, by size.
        arrived: Those of this cycle that are at the goal.
        found: What all cycles found at the goal, in one stack; none before the first has ended.
        cycle: How often weights grew back.
        grows: Whether weights grow next.
        round: How many trainings there were after the starts'.
        done: What they cost.
        finished: Whether nothing is left to do.
    """

    waiting: Mapping[int, AnyStack]
    arrived: AnyStack
    found: tuple[AnyStack, ...] = ()
    cycle: int = 0
    grows: bool = False
    round: int = 0
    done: Done = NOTHING
    finished: bool = False

    @property
    def best_networks(self) -> AnyStack:
        """Those found at the goal; none where every training diverged."""
        return self.found[0] if self.found else self.arrived
