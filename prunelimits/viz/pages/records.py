"""The sparsest networks known for the Cubist Spiral, as the page that trains tells them."""

from __future__ import annotations

from typing import TypedDict

from prunelimits.experiments import (
    PAPER_COMBINATORIAL,
    PAPER_COMBINATORIAL_FIXED,
    PAPER_SMALLEST,
)


class KnownNetworks(TypedDict):
    """Who found them, and their nonzeros at 95 % and at 99.5 %; None where that is not known."""

    who: str
    nonzeros: list[int | None]


BEST_KNOWN = (18, 24)
"""Nonzeros of the sparsest networks in `examples/networks` at 95 % and 99.5 % in which no sample's
class hangs on a logit of exactly zero."""


def records() -> list[KnownNetworks]:
    """Pruning from width 16 and the search, as the paper has them, then elimination: ever fewer."""
    rows: list[KnownNetworks] = [
        {"who": f"{method} from width 16, in the paper", "nonzeros": list(smallest)}
        for method, smallest in PAPER_SMALLEST.items()
    ]
    rows.sort(key=lambda row: [-(nonzeros or 1000) for nonzeros in row["nonzeros"]])
    for who, networks in (
        ("the paper's search", PAPER_COMBINATORIAL),
        ("the paper's search, from the best start known", PAPER_COMBINATORIAL_FIXED),
    ):
        rows.append({"who": who, "nonzeros": [nonzeros for nonzeros, _ in networks]})
    return [*rows, {"who": "elimination, here", "nonzeros": list(BEST_KNOWN)}]
