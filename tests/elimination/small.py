"""A small elimination, for tests of everything around it."""

from __future__ import annotations

import dataclasses

from prunelimits.elimination import Elimination, EliminationResult, eliminate
from prunelimits.training import Recipe

from .circle import X, Y

QUICK = Elimination(
    networks=8,
    dense=Recipe(epochs=12, batch_size=20, lr=0.1),
    recovery=Recipe(epochs=4, batch_size=20, lr=0.05),
    beam=6,
    tries=3,
    slack=0.05,
    evolved=0,
)
EVOLVED = dataclasses.replace(QUICK, evolved=1)
START = (2, 5, 4, 1)


def run(method: Elimination = QUICK, **options) -> EliminationResult:
    return eliminate(X, Y, method, **{"start": START, "target": 0.85, **options})


def content(result: EliminationResult):
    """All of a result that does not depend on time."""
    networks = [(n.nonzeros, n.score, n.origin, n.model.state_dict()) for n in result.networks]
    return (
        [(*n[:3], {name: value.tolist() for name, value in n[3].items()}) for n in networks],
        [dataclasses.replace(r, seconds=0.0) for r in result.rounds],
        result.finished,
    )
