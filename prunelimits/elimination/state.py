"""Where an elimination stands between two rounds."""

from __future__ import annotations

from dataclasses import dataclass, field

from prunelimits.elimination.beam import BySize
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.result import Round


@dataclass(frozen=True, eq=False, kw_only=True)
class EliminationState:
    """All that decides how the elimination goes on. A value: a round returns another one.

    Attributes:
        waiting: Networks to remove parameters from.
        front: The best networks of every size so far.
        losing_units: Networks that units are removed from; None before and after that stage.
        lost_units: Networks that have lost all the units they could, waiting for the others.
        rounds: What was done.
        finished: Whether nothing is left to do.
    """

    waiting: BySize = field(default_factory=dict[int, NetworkStack])
    front: BySize = field(default_factory=dict[int, NetworkStack])
    losing_units: NetworkStack | None = None
    lost_units: NetworkStack | None = None
    rounds: tuple[Round, ...] = ()
    finished: bool = False
