"""The tables of what elimination does, from the rows that its studies keep.

Of docs/closing-the-gap.md those that `elimination_study.py --runs`, `elimination_data.py` and
`elimination_neighbours.py` are behind. `gap_tables.py` writes them into the page.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev

from kept_rows import read_rows
from page_tables import markdown
from scipy import stats

from prunelimits.experiments import (
    PAPER_COMBINATORIAL,
    PAPER_COMBINATORIAL_FIXED,
    PAPER_SMALLEST,
)

Rows = Sequence[dict[str, str]]
TARGETS = ("95", "995")
WIDTH_16 = "0.95 --widths 2 16 16 16 1"
QUARTER = f"{WIDTH_16} --change beam=24 evolved=0 networks=64"
WAIST = "0.95 --widths 2 4 1 4 1"
_FROM_A_WAIST = (
    " --recovery-epochs 10 --change beam=768 evolved=0 networks=8192 slack=0.04 tries=12"
)
UNEVOLVED = (
    f"{WIDTH_16} --change evolved=0",
    f"{WIDTH_16} --recovery-epochs 20 --change evolved=0",
    f"{WAIST}{_FROM_A_WAIST}",
    f"0.95 --widths 2 5 1 4 1{_FROM_A_WAIST}",
)


def number(value: float) -> str:
    """Without a fraction where it has none: a median of an even number of sizes may have one."""
    return f"{value:.1f}".removesuffix(".0")


def of_study(rows: Rows, study: str) -> Rows:
    """The rows of one study, seed by seed."""
    return sorted((row for row in rows if row["study"] == study), key=lambda r: int(r["seed"]))


def ties(text: str) -> str:
    """A count of logits of zero."""
    return f"{int(text):,}" if int(text) else "none"


def sizes(rows: Rows, target: str) -> str:
    """The sizes of all seeds at a target, a dash where there is none."""
    return " ".join(row[f"nonzeros_{target}"] or "-" for row in rows)


def seed_by_seed(rows: Rows) -> str:
    """A row a seed: what it reaches at both targets, with what all biases add, and ties."""
    header = ["seed"]
    for target in ("95 %", "99.5 %"):
        header += [f"nonzeros at {target}", "all biases", "accuracy", "logits of zero"]
    lines: list[list[str]] = []
    for row in rows:
        line = [row["seed"]]
        for target in TARGETS:
            if not row[f"nonzeros_{target}"]:
                line += ["-"] * 4
                continue
            line += [row[f"nonzeros_{target}"], row[f"with_biases_{target}"]]
            line += [f"{float(row[f'accuracy_{target}']):.2%}", ties(row[f"ties_{target}"])]
        lines.append([*line, f"{int(row['passes']):,}"])
    if len(lines) > 1:
        middle = ["median"]
        for target in TARGETS:
            medians = (_median(rows, f"{name}_{target}") for name in ("nonzeros", "with_biases"))
            middle += [*(f"**{value}**" for value in medians), "", ""]
        lines.append([*middle, f"{median(int(row['passes']) for row in rows):,.0f}"])
    return markdown([*header, "passes"], lines)


def _median(rows: Rows, column: str) -> str:
    """Over the seeds, those that reach nothing counted as larger than any."""
    found = [float(row[column]) if row[column] else float("inf") for row in rows]
    middle = median(found)
    return "-" if middle == float("inf") else number(middle)


def wider(rows: Rows) -> str:
    """Elimination from wide networks: a row a seed and a median of each width."""
    lines: list[list[str]] = []
    for width in (64, 256):
        own = of_study(rows, f"0.95 --widths 2 {width} {width} {width} 1")
        for row in own:
            cells = [
                f"{row[f'nonzeros_{t}']} ({row[f'with_biases_{t}']})"
                if row[f"nonzeros_{t}"]
                else "-"
                for t in TARGETS
            ]
            passes = f"{int(row['passes']):,}"
            lines.append([f"{width}, seed {row['seed']}", *cells, passes, row["seconds"]])
        if own:
            middle = [
                f"**{_median(own, f'nonzeros_{t}')}** ({_median(own, f'with_biases_{t}')})"
                for t in TARGETS
            ]
            lines.append([f"{width}, median", *middle, "", ""])
    header = ("width, seed", "at 95 % (all biases)", "at 99.5 % (all biases)", "passes")
    return markdown((*header, "seconds of one core"), lines)


def variants(rows: Rows) -> str:
    """The method as it comes, by the paper's bias rule, and each without evolution, by seed."""
    lines: list[list[str]] = []
    seeds = {row["seed"] for row in of_study(rows, WIDTH_16)}
    for name, options in (
        ("as it is", ""),
        ("by the paper's bias rule", " --biases outgoing"),
        ("without evolution", " --change evolved=0"),
        ("both", " --biases outgoing --change evolved=0"),
    ):
        own = [row for row in of_study(rows, WIDTH_16 + options) if row["seed"] in seeds]
        if own:
            line = [f"{name}{f' (`{options.strip()}`)' if options else ''}"]
            for target in TARGETS:
                paper = " ".join(row[f"with_biases_{target}"] or "-" for row in own)
                line += [sizes(own, target), _median(own, f"nonzeros_{target}"), paper]
            lines.append(line)
    header = [""]
    for target in ("95 %", "99.5 %"):
        header += [f"nonzeros at {target}", "median", "all biases"]
    return markdown(header, lines)


def without_evolution(rows: Rows) -> str:
    """More runs that train alone: how many of each size they end at, and what they cost."""
    lines: list[list[str]] = []
    for study in UNEVOLVED:
        own = of_study(rows, study)
        if own:
            minutes = sum(float(row["seconds"]) for row in own) / 60
            ends = [_ends([row[f"nonzeros_{target}"] for row in own]) for target in TARGETS]
            name = study.removeprefix(f"{WIDTH_16} ").removeprefix("0.95 ")
            lines.append([f"`{name}`", str(len(own)), *ends, f"{minutes:.0f}"])
    return markdown(("", "runs", "at 95 %", "at 99.5 %", "core-minutes"), lines)


def _ends(found: Sequence[str]) -> str:
    """How often each size was the smallest, smallest first; a dash where there was none."""
    counts = Counter(int(size) if size else None for size in found)
    order = sorted(counts, key=lambda size: math.inf if size is None else size)
    return ", ".join(f"{size or '-'} in {counts[size]}" for size in order)


def beside(rows: Rows, networks: Path, least: Mapping[str, int]) -> str:
    """The smallest of elimination and of the paper, each from random starts unless it says so."""
    free, outgoing = (of_study(rows, WIDTH_16 + more) for more in ("", " --biases outgoing"))
    untied = [
        _smallest_at([row for row in free if row[f"ties_{target}"] == "0"], "nonzeros", target)
        for target in TARGETS
    ]
    margins = [
        min(
            int(path.stem.split("-")[3])
            for path in networks.glob(f"cubist-spiral-{target}-*-margin-*.pt")
        )
        for target in TARGETS
    ]
    pruners = [
        min(size for size in sizes if size is not None)
        for sizes in zip(*PAPER_SMALLEST.values(), strict=True)
    ]
    lines: list[list[str]] = []
    for name, numbers in (
        (f"elimination, best of {len(free)} seeds: nonzeros", _smallest(free, "nonzeros")),
        ("of these networks, those without a [logit of zero](#ties-and-margins)", untied),
        ("elimination from any start, [with a margin](#ties-and-margins)", margins),
        (
            f"elimination by the paper's bias rule, best of {len(outgoing)}",
            _smallest(outgoing, "with_biases"),
        ),
        (
            "[proved](lower-bound.md) for every four-layer network, by the paper's bias rule",
            [f"at least {least[target]}" for target in TARGETS],
        ),
        ("the paper's search, random initialisation", [size for size, _ in PAPER_COMBINATORIAL]),
        (
            "the paper's search, best known initialisation",
            [size for size, _ in PAPER_COMBINATORIAL_FIXED],
        ),
        ("the paper's best pruner at width 16", pruners),
    ):
        if set(numbers) != {"-"}:
            lines.append([name, *map(str, numbers)])
    return markdown(("", "95 %", "99.5 %"), lines)


def _smallest(rows: Rows, column: str) -> list[int | str]:
    """Over the seeds, at each target."""
    return [_smallest_at(rows, column, target) for target in TARGETS]


def _smallest_at(rows: Rows, column: str, target: str) -> int | str:
    """Over the seeds; a dash where there is none."""
    return min((int(r[f"{column}_{target}"]) for r in rows if r[f"{column}_{target}"]), default="-")


def choices(rows: Rows) -> str:
    """One choice of the method changed at a time, at a quarter of the size: all seeds."""
    header = ("choice", "at 95 %", "at 99.5 %", "more at 95 %", "more at 99.5 %", "work")
    base = of_study(rows, QUARTER)
    lines: list[list[str]] = []
    if not base:
        return markdown(header, lines)
    found = {row["study"] for row in rows}
    for study in [QUARTER, *sorted(study for study in found if _varies(study))]:
        own = of_study(rows, study)
        seeds = {row["seed"] for row in own}
        same = [row for row in base if row["seed"] in seeds]
        work = sum(float(r["work"]) for r in own) / sum(float(r["work"]) for r in same)
        as_is = study == QUARTER
        lines.append(
            [
                "as it is" if as_is else f"`{_what(study)}`",
                *(sizes(own, t) for t in TARGETS),
                *("" if as_is else _more(own, same, t) for t in TARGETS),
                f"{work:.1f}",
            ]
        )
    return markdown(header, lines, left=3)


def _more(own: Rows, same: Rows, target: str) -> str:
    """How many nonzeros more seeds end with than as the method is: the mean and its interval.

    Student's, of the differences seed by seed, of those that reach the target both ways.
    """
    pairs = [
        (a[f"nonzeros_{target}"], b[f"nonzeros_{target}"]) for a, b in zip(own, same, strict=True)
    ]
    apart = [int(a) - int(b) for a, b in pairs if a and b]
    if not apart:
        return "-"
    middle = mean(apart)
    if len(apart) < 2:
        return f"{middle:+.1f}"
    reach = float(stats.t.ppf(0.975, len(apart) - 1)) * stdev(apart) / len(apart) ** 0.5
    return f"{middle:+.1f} ({middle - reach:+.1f} to {middle + reach:+.1f})"


def _varies(study: str) -> bool:
    """Whether a study is the quarter of the size with something else changed."""
    parts = set(study.split())
    return study != QUARTER and study.startswith(WIDTH_16) and set(QUARTER.split()) < parts


def _what(study: str) -> str:
    """What a study changes beside the quarter."""
    parts = study.split()
    for part in QUARTER.split():
        parts.remove(part)
    return " ".join(parts)


def waist(rows: Rows) -> str:
    """Runs from networks with a single unit in the middle."""
    own = [r for r in rows if r["study"].startswith(WAIST) and r["study"] not in UNEVOLVED]
    return seed_by_seed(sorted(own, key=lambda row: int(row["seed"])))


def data(rows: Rows, name: str) -> str:
    """Medians over the splits of one data set: budget by method."""
    own = [row for row in rows if row["data"] == name]
    methods = list(dict.fromkeys(row["method"] for row in own if row["method"] != "dense"))
    budgets = sorted({int(row["budget"]) for row in own}, reverse=True)
    lines: list[list[str]] = []
    for budget in budgets:
        here = [row for row in own if int(row["budget"]) == budget]
        dense = any(row["method"] == "dense" for row in here)
        line = [f"{budget:,}{' (dense)' if dense else ''}"]
        for method in methods:
            wanted = "dense" if dense and method == methods[0] else method
            found = [float(row["accuracy"]) for row in here if row["method"] == wanted]
            line.append(f"{median(found):.1%}" if found else "")
        lines.append(line)
    splits = len({row["split"] for row in own})
    title = f"nonzeros at most ({splits} split{'' if splits == 1 else 's'})"
    return markdown((title, *methods), lines)


def neighbours(rows: Rows) -> str:
    """The networks that lack a parameter of a network found, at their best."""
    lines = [
        [
            row["network"].removeprefix("cubist-spiral-"),
            row["nonzeros"],
            row["networks"],
            f"{float(row['trained']):.2%}",
            f"{float(row['evolved']):.2%}",
        ]
        for row in rows
    ]
    return markdown(("parts of", "parameters", "networks", "trained", "evolved"), lines)


def tables(folder: Path) -> dict[str, Callable[[], str]]:
    """Every table by name, from the results in a folder."""
    runs = read_rows(folder / "elimination-runs.csv")
    sets = read_rows(folder / "elimination-data.csv")
    return {
        "elimination-seeds": lambda: seed_by_seed(of_study(runs, WIDTH_16)),
        "elimination-variants": lambda: variants(runs),
        "elimination-wider": lambda: wider(runs),
        "elimination-unevolved": lambda: without_evolution(runs),
        "elimination-choices": lambda: choices(runs),
        "elimination-waist": lambda: waist(runs),
        "elimination-breast-cancer": lambda: data(sets, "breast_cancer"),
        "elimination-digits": lambda: data(sets, "digits"),
        "elimination-neighbours": lambda: neighbours(
            read_rows(folder / "elimination-neighbours.csv")
        ),
    }
