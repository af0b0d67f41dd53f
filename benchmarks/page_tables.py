"""Tables in the pages of the documentation: what the scripts that write them share.

Each stands between `<!-- table: its-name -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from prunelimits.experiments import median_interval

_PLACE = re.compile(r"<!-- table: ([\w-]+) -->.*?<!-- end -->", re.DOTALL)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table whose first columns are text; the others are aligned to the right."""
    lines = [header, [*["---"] * left, *["---:"] * (len(header) - left)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def interval(values: Sequence[float]) -> str:
    """The 95 % interval of the median of differences of shares, in points; nothing of too few."""
    between = median_interval(values)
    return "" if between is None else f"{100 * between[0]:+.1f} to {100 * between[1]:+.1f}"


def points(values: Sequence[float], *, count: bool = False, bold: bool = False) -> str:
    """The median of differences of shares, in points, and its interval where there is one.

    With `count` also how many they are; `bold`: a median with an interval; nothing of none.
    """
    if not values:
        return ""
    told, between = f"{100 * median(values):+.1f}", interval(values)
    if bold and between:
        told = f"**{told}**"
    known = [*filter(None, [between]), *([str(len(values))] if count else [])]
    return f"{told} ({'; '.join(known)})" if known else told


def places(page: str) -> list[str]:
    """The names of the tables that a page has a place for."""
    return _PLACE.findall(page)


def refreshed(page: str, known: Mapping[str, Callable[[], str]]) -> str:
    """The page with every table that it has a place for as it is now.

    Raises:
        ValueError: If it names an unknown one.
    """

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name not in known:
            raise ValueError(f"table must be one of {', '.join(known)}, got {name!r}")
        return f"<!-- table: {name} -->\n\n{known[name]()}\n\n<!-- end -->"

    return _PLACE.sub(fill, page)
