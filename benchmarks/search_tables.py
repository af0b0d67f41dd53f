"""The tables of what searches found, size by size, from what `prunelimits show --csv` wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kept_rows import read_rows
from page_tables import markdown
from scipy.stats import binomtest

# Name of the table, file, target, and whether only the sizes that beat every smaller one count.
SEARCHES = (
    ("search-exhausted", "widths-2-3-3-3-1.csv", 0.95, False),
    ("search-appendix-d", "appendix-d.csv", 0.995, False),
    ("search-published-subset", "published-subset.csv", 0.995, False),
    ("search-bench-995", "bench-995-masks.csv", 0.995, False),
    ("search-phase-one", "phase-one.csv", 0.995, True),
)


def search(path: Path, target: float, records: bool = False) -> str:
    """A row a size that has trainings; with `records` only those better than every smaller one."""
    header = ("nonzeros", "networks", "trainings", f"at {100 * target:g} %", "best accuracy")
    lines: list[list[str]] = []
    best = 0.0
    for row in read_rows(path):
        accuracy = float(row["accuracy"])
        if int(row["trainings"]) and (not records or accuracy > best):
            numbers = (row[name] for name in ("nonzeros", "networks", "trainings", "reached"))
            lines.append([*(f"{int(number):,}" for number in numbers), f"{accuracy:.2%}"])
        best = max(best, accuracy)
    return markdown(header, lines, left=0)


def halved(path: Path, target: float) -> str:
    """A row a size: how many networks halving let run to the end, and what they reached."""
    header = ("nonzeros", "networks", "run to the end", f"at {100 * target:g} %", "best accuracy")
    lines: list[list[str]] = []
    for row in read_rows(path):
        ended = int(row["trainings"]) - int(row["stopped"])
        numbers = (int(row["nonzeros"]), int(row["networks"]), ended, int(row["reached"]))
        best = f"{float(row['accuracy']):.2%}" if ended else "-"
        lines.append([*(f"{number:,}" for number in numbers), best])
    return markdown(header, lines, left=0)


def random_starts(paths: Sequence[Path], first: int) -> str:
    """A row a size, those up to the first together: the best from each start of every network.

    Bold where a training reaches the target, with how many if it is more than one.
    """
    header = ("nonzeros", "networks", *(f"start {number}" for number in range(len(paths))))
    tables = [read_rows(path) for path in paths]
    sizes = sorted({int(row["nonzeros"]) for rows in tables for row in rows})
    groups = [
        [size for size in sizes if size <= first],
        *([size] for size in sizes if size > first),
    ]
    lines: list[list[str]] = []
    for group in filter(None, groups):
        own = [[row for row in rows if int(row["nonzeros"]) in group] for rows in tables]
        networks = sum(int(row["networks"]) for row in own[0])
        line = [f"up to {first}" if group[0] <= first else str(group[0]), f"{networks:,}"]
        for rows in own:
            hits = sum(int(row["reached"]) for row in rows)
            best = f"{max(float(row['accuracy']) for row in rows):.2%}"
            line.append(f"**{best}**{f' ({hits})' if hits > 1 else ''}" if hits else best)
        lines.append(line)
    return markdown(header, lines)


def demo(path: Path) -> str:
    """Seed by seed, the smallest network that the demo's first search has at the target."""
    rows = read_rows(path)
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    there = [[r for r in rows if r["seed"] == seed and int(r["reached"])] for seed in seeds]
    best = [min(own, key=lambda row: int(row["nonzeros"]), default=None) for own in there]
    sizes = ["-" if row is None else row["nonzeros"] for row in best]
    accuracies = ["-" if row is None else f"{float(row['accuracy']):.2%}" for row in best]
    return markdown(("seed", *seeds), [["nonzeros", *sizes], ["accuracy", *accuracies]])


def subsets(files: Mapping[str, Path], target: float, paper: int) -> str:
    """How often searches of as many masks get there at all, and with as few as the paper's search.

    With the 95 % interval (Clopper and Pearson) of what as many trainings would find on average.
    """
    header = (
        "masks", "trainings", f"at {100 * target:g} %", f"of these at most {paper} nonzeros",
        "smallest", "accuracy",
    )  # fmt: skip
    lines: list[list[str]] = []
    for name, path in files.items():
        rows = [row for row in read_rows(path) if int(row["trainings"])]
        trainings = sum(int(row["trainings"]) for row in rows)
        there = [row for row in rows if int(row["reached"])]
        small = [row for row in there if int(row["nonzeros"]) <= paper]
        best = min(there, key=lambda row: int(row["nonzeros"]), default=None)
        lines.append(
            [
                name,
                f"{trainings:,}",
                *(
                    _expected(sum(int(r["reached"]) for r in own), trainings)
                    for own in (there, small)
                ),
                "-" if best is None else best["nonzeros"],
                "-" if best is None else f"{float(best['accuracy']):.2%}",
            ]
        )
    return markdown(header, lines)


def _expected(hits: int, trainings: int) -> str:
    """Hits, and between what numbers as many trainings would find on average."""
    if not trainings:
        return "-"
    interval = binomtest(hits, trainings).proportion_ci(0.95, method="exact")
    return f"{hits} ({interval.low * trainings:.1f} to {interval.high * trainings:.1f})"


def trimmed(path: Path) -> str:
    """What the networks of searches lose as pruners' networks are trimmed."""
    rows: list[list[str]] = []
    for row in read_rows(path):
        rows.append([f"{row['network']}-at-{row['target'].removeprefix('0.')}.pt"])
        for size in ("nonzeros", "trimmed", "part"):
            accuracy = row["accuracy" if size == "nonzeros" else f"{size}_accuracy"]
            rows[-1].append(f"{row[size]} ({float(accuracy):.2%})")
    return markdown(("network", "found", "trimmed", "smallest part"), rows)


def tables(folder: Path) -> dict[str, Callable[[], str]]:
    """Every table by name, from the results in a folder."""

    def of(name: str, target: float, records: bool) -> Callable[[], str]:
        return lambda: search(folder / name, target, records)

    found = {name: of(file, target, records) for name, file, target, records in SEARCHES}
    masks = {
        "the first three in ascending order": folder / "appendix-d.csv",
        "the paper's": folder / "published-subset.csv",
    }
    return found | {
        "search-below-45": lambda: halved(folder / "below-45.csv", 0.995),
        "search-every-widths": lambda: random_starts(
            [folder / f"every-widths-30{seed}.csv" for seed in ("", "-seed-1", "-seed-2")], 22
        ),
        "demo-seeds": lambda: demo(folder / "demo-seeds.csv"),
        "search-subsets": lambda: subsets(masks, 0.995, 45),
        "trimmed": lambda: trimmed(folder / "trimmed.csv"),
    }
