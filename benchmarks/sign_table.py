"""The table of Appendix E: searches from starts that share something with one that works."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from statistics import median

from kept_rows import read_rows
from page_tables import markdown

from prunelimits.experiments import median_interval, upper_limit

KINDS = (
    "the start itself",
    "the start itself, other batches",
    "its signs, magnitudes drawn anew",
    "its signs, one magnitude a layer",
    "its magnitudes, signs drawn anew",
    "another start",
)


def signs(path: Path) -> str:
    """A row a kind of start: what searches from it find, and how alike they are to the first."""
    lines: list[list[str]] = []
    for kind, own in groupby(sorted(read_rows(path), key=_kind), lambda r: r["start"]):
        group = list(own)
        reaching = [int(row["smallest"]) for row in group if row["smallest"]]
        limit = upper_limit(len(reaching), len(group))
        lines.append(
            [
                kind,
                f"{len(reaching)} of {len(group)}",
                f"{limit:.0%}" if len(group) > 1 else "",
                str(min(reaching)) if reaching else "-",
                f"{max(float(row['best']) for row in group):.2%}",
                _typical([float(row["best"]) for row in group], ".1%"),
                _typical([float(row["alike"]) for row in group if row["alike"]], ".2f"),
            ]
        )
    header = (
        "start", "searches at 95 %", "at most", "smallest there", "best of all",
        "best of a search, median", "alike (Spearman), median",
    )  # fmt: skip
    return markdown(header, lines)


def _typical(values: list[float], form: str) -> str:
    """The median with its interval, where there are enough values for one."""
    if not values:
        return "-"
    interval = median_interval(values)
    text = format(median(values), form)
    if interval is None:
        return text
    return f"{text} ({' to '.join(format(end, form) for end in interval)})"


def _kind(row: dict[str, str]) -> tuple[int, int]:
    return KINDS.index(row["start"]), int(row["draw"])
