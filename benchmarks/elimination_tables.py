"""The tables of what elimination and halving do, from the rows that their studies keep.

Of docs/closing-the-gap.md those that `elimination_study.py --runs`, `elimination_data.py` and
`elimination_neighbours.py` are behind, of docs/results.md those of `halving.py`. `gap_tables.py`
writes them into the pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from kept_rows import read_rows
from page_tables import markdown
from scipy.stats import binomtest

Rows = Sequence[dict[str, str]]
TARGETS = ("95", "995")
WIDTH_16 = "0.95 --widths 2 16 16 16 1"
QUARTER = f"{WIDTH_16} --change beam=24 evolved=0 networks=64"
WAIST = "0.95 --widths 2 4 1 4 1"


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


def choices(rows: Rows) -> str:
    """One choice of the method changed at a time, at a quarter of the size: all seeds."""
    base = of_study(rows, QUARTER)
    if not base:
        return markdown(("choice", "at 95 %", "at 99.5 %", "mean", "work"), [])
    lines: list[list[str]] = []
    found = {row["study"] for row in rows}
    for study in [QUARTER, *sorted(study for study in found if _varies(study))]:
        own = of_study(rows, study)
        means = [
            f"{sum(float(row[f'nonzeros_{t}']) for row in own) / len(own):.1f}" for t in TARGETS
        ]
        seeds = {row["seed"] for row in own}
        same = [row for row in base if row["seed"] in seeds]
        work = sum(float(r["work"]) for r in own) / sum(float(r["work"]) for r in same)
        name = "as it is" if study == QUARTER else f"`{_what(study)}`"
        lines.append([name, *(sizes(own, t) for t in TARGETS), " / ".join(means), f"{work:.1f}"])
    return markdown(("choice", "at 95 %", "at 99.5 %", "mean", "work"), lines, left=3)


def _varies(study: str) -> bool:
    """Whether a study is the quarter of the size with something else changed."""
    parts = set(study.split())
    return study != QUARTER and study.startswith(WIDTH_16) and set(QUARTER.split()) < parts


def _what(study: str) -> str:
    """What a study changes beside the quarter."""
    gone = set(QUARTER.split())
    return " ".join(part for part in study.split() if part not in gone)


def waist(rows: Rows) -> str:
    """Runs from networks with a single unit in the middle."""
    own = [row for row in rows if row["study"].startswith(WAIST)]
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


def halving(rows: Rows) -> str:
    """What each choice of rungs keeps of each run, and of the best of all runs together."""
    runs = list(dict.fromkeys(row["run"] for row in rows if int(row["reached"])))
    lines: list[list[str]] = []
    for rungs in dict.fromkeys(row["rungs"] for row in rows):
        own = [row for row in rows if row["rungs"] == rungs]
        line = [f"`{rungs}`", f"{float(own[0]['epochs']):.1f}"]
        for run in runs:
            row = next(row for row in own if row["run"] == run)
            line.append(_share(int(row["reached_kept"]), int(row["reached"])))
        kept, all_ = (sum(int(row[name]) for row in own) for name in ("best_kept", "best"))
        lines.append([*line, _share(kept, all_)])
    return markdown(("rungs", "epochs", *runs, "best per mille"), lines)


def _share(found: int, of: int) -> str:
    """With its 95 % Clopper-Pearson interval."""
    interval = binomtest(found, of).proportion_ci(0.95, method="exact")
    return f"{found / of:.0%} of {of} ({interval.low:.0%} to {interval.high:.0%})"


def halving_ranks(rows: Rows) -> str:
    """How early the trainings that reach the target can be told from the others."""
    epochs = list(dict.fromkeys(row["epochs"] for row in rows))
    lines: list[list[str]] = []
    for run in dict.fromkeys(row["run"] for row in rows):
        for name, title in (("median", "median"), ("nine_of_ten", "nine of ten")):
            own = {row["epochs"]: float(row[name]) for row in rows if row["run"] == run}
            lines.append([f"{run}, {title}", *(f"{own[epoch]:.1%}" for epoch in epochs)])
    return markdown(("after epochs", *epochs), lines)


def tables(folder: Path) -> dict[str, Callable[[], str]]:
    """Every table by name, from the results in a folder."""
    runs = read_rows(folder / "elimination-runs.csv")
    sets = read_rows(folder / "elimination-data.csv")
    return {
        "elimination-seeds": lambda: seed_by_seed(of_study(runs, WIDTH_16)),
        "elimination-wider": lambda: wider(runs),
        "elimination-choices": lambda: choices(runs),
        "elimination-waist": lambda: waist(runs),
        "elimination-breast-cancer": lambda: data(sets, "breast_cancer"),
        "elimination-digits": lambda: data(sets, "digits"),
        "elimination-neighbours": lambda: neighbours(
            read_rows(folder / "elimination-neighbours.csv")
        ),
        "halving": lambda: halving(read_rows(folder / "halving.csv")),
        "halving-ranks": lambda: halving_ranks(read_rows(folder / "halving-ranks.csv")),
    }
