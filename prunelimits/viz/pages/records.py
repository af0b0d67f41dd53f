"""The sparsest networks known for the Cubist Spiral, as the page that trains tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from prunelimits.experiments import (
    PAPER_COMBINATORIAL,
    PAPER_COMBINATORIAL_FIXED,
    PAPER_SMALLEST,
)


class KnownNetworks(TypedDict):
    """Who found them, and their nonzeros at 95 % and at 99.5 %; None where that is not known.

    `untied`: counted without ties, samples whose logit is exactly zero; the paper takes such a
    sample for class 0.
    """

    who: str
    nonzeros: list[int | None]
    untied: bool


BEST_KNOWN = (17, 23)
"""Nonzeros of the sparsest networks in `examples/networks` at 95 % and 99.5 %."""

BEST_UNTIED = (17, 23)
"""The same, of the networks there in which no sample's class hangs on a tie or on rounding."""


def records() -> list[KnownNetworks]:
    """Pruning from width 16 and the search, as the paper has them, then elimination: ever fewer."""
    rows = [
        _row(f"{method} from width 16, in the paper", smallest)
        for method, smallest in PAPER_SMALLEST.items()
    ]
    rows.sort(key=lambda row: [-(nonzeros or 1000) for nonzeros in row["nonzeros"]])
    for who, networks in (
        ("the paper's search", PAPER_COMBINATORIAL),
        ("the paper's search, from the best start known", PAPER_COMBINATORIAL_FIXED),
    ):
        rows.append(_row(who, [nonzeros for nonzeros, _ in networks]))
    return [
        *rows,
        _row("elimination, here, where no tie decides", BEST_UNTIED, untied=True),
        _row("elimination, here", BEST_KNOWN),
    ]


def _row(who: str, nonzeros: Sequence[int | None], *, untied: bool = False) -> KnownNetworks:
    return {"who": who, "nonzeros": list(nonzeros), "untied": untied}
