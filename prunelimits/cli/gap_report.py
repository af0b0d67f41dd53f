"""What `prunelimits gap` shows: its progress, its tables and its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NoReturn

from rich.table import Table
from tqdm import tqdm

from prunelimits.cli.report import console, say, write_pictures
from prunelimits.experiments import RunResult, Size, Study, smallest, summarise

_MOST_COLUMNS = 8


class RunBar:
    """The progress of a study: a bar, or with `quiet` a line whenever a part is done."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> RunBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, done: int, total: int) -> None:
        """Shows how many runs are done."""
        if self._quiet:
            say(f"{done:,} of {total:,} runs ({100 * done // total} %)")
            return
        if self._bar is None:
            self._bar = tqdm(total=total, initial=done, unit=" runs", dynamic_ncols=True)
        self._bar.update(done - self._bar.n)


def print_gap(
    study: Study,
    results: Sequence[RunResult],
    size: Size = "nonzeros",
    measure: str = "accuracy",
) -> None:
    """Prints, for each width and method, the smallest networks at 95 % and 99.5 %, and the rest.

    `measure` is what `RunResult.accuracy` is called.
    """
    runs = _runs(study)
    for width in sorted(study.widths):
        here = [r for r in results if r.run.width == width]
        if not here:
            continue
        table = Table(
            title=f"Pruned from width {width}: smallest "
            f"{size if size == 'nonzeros' else size + ' size'} at a target"
            f"{' of ' + measure if measure != 'accuracy' else ''}, best of {runs} for each "
            "budget",
            caption=f"best and median: {measure} over all runs; connected: median share of the "
            "nonzeros on a path; trimmed: share that trimming leaves of each budget's best network",
            title_justify="left",
            caption_justify="left",
        )
        table.add_column("method")
        for column in ("runs", "95 %", "99.5 %", "best", "median", "connected", "trimmed"):
            table.add_column(column, justify="right")
        for name in study.names:
            own = [r for r in here if r.run.method == name]
            if not own:
                continue
            best = [budget.best for budget in summarise(own)]
            reaching = [smallest(own, target, size) for target in (0.95, 0.995)]
            table.add_row(
                name,
                f"{len(own):,}",
                *("-" if r is None else f"{getattr(r, size)}" for r in reaching),
                f"{max(r.accuracy for r in own):.2%}",
                f"{median(r.accuracy for r in own):.2%}",
                f"{median(r.effective / max(1, r.nonzeros) for r in own):.0%}",
                f"{sum(r.trimmed for r in best) / max(1, sum(r.nonzeros for r in best)):.0%}",
            )
        console.print(table)


def print_parts(
    study: Study,
    results: Sequence[RunResult],
    rows: tuple[int, int],
    measure: str = "accuracy",
) -> None:
    """Prints, for each width and method, the test accuracy of the run that other rows prefer.

    Args:
        study: Whose runs.
        results: With `choose` and `test`.
        rows: How many rows there are to choose by and to test.
        measure: What `RunResult.accuracy` is called.
    """
    runs = _runs(study)
    for width in sorted(study.widths):
        here = [r for r in results if r.run.width == width]
        if not here:
            continue
        budgets = _some(sorted({r.run.keep for r in here}))
        table = Table(
            title=f"Pruned from width {width}: {measure} on {rows[1]:,} test rows of the best of "
            f"{runs} by {rows[0]:,} other rows, by weights kept",
            caption="in brackets: the median of all runs on the test rows; cost: kept parameters "
            "times samples of a run, the median, beside that of the dearest method",
            title_justify="left",
            caption_justify="left",
        )
        table.add_column("method")
        for column in (*map(str, budgets), "cost"):
            table.add_column(column, justify="right")
        costs = _costs(here)
        for name in study.names:
            own = [[r for r in here if r.run[:3] == (name, width, keep)] for keep in budgets]
            if any(own):
                table.add_row(name, *(_chosen(some) for some in own), f"{costs[name]:.2g}")
        console.print(table)
    if measure != "accuracy":
        say(f"Nothing was chosen by the test rows, {rows[1]:,} in all")
        return
    tests = [r.test or 0.0 for r in results] or [0.5]
    # What is nearest to a half is told apart the least.
    shares = max(tests), min(tests, key=lambda share: abs(share - 0.5))
    apart = dict.fromkeys(f"{_apart(s, rows[1]):.1f} points near {s:.0%}" for s in shares)
    say(
        f"Nothing was chosen by the test rows, {rows[1]:,} in all: they tell accuracies apart that "
        f"differ by more than about {', '.join(apart)}"
    )


def _runs(study: Study) -> str:
    """Of how many runs each budget has the best."""
    runs = len(study.recipes) * study.repeats
    return f"{runs} run{'' if runs == 1 else 's'}"


def _apart(share: float, rows: int) -> float:
    """Two standard errors of a share of so many rows, in points; at least a row's worth."""
    return max(200 * math.sqrt(share * (1 - share) / rows), 100 / rows)


def _costs(results: Sequence[RunResult]) -> dict[str, float]:
    """What a run of each method costs, in times of the dearest method's."""
    spent: dict[str, list[float]] = {}
    for r in results:
        spent.setdefault(r.run.method, []).append(r.parameter_samples)
    middle = {name: median(values) for name, values in spent.items()}
    dearest = max(middle.values()) or 1.0
    return {name: value / dearest for name, value in middle.items()}


def _chosen(runs: Sequence[RunResult]) -> str:
    """The accuracy on the test rows of the best run by the others, and the median of all."""
    if not runs:
        return ""
    best = max(runs, key=lambda r: (r.choose or 0.0, -r.nonzeros))
    return f"{best.test or 0.0:.1%} ({median(r.test or 0.0 for r in runs):.1%})"


def _some(budgets: Sequence[int]) -> list[int]:
    """So many of the budgets as a table has room for, the first and the last among them."""
    if len(budgets) <= _MOST_COLUMNS:
        return list(budgets)
    last = len(budgets) - 1
    return [budgets[round(n * last / (_MOST_COLUMNS - 1))] for n in range(_MOST_COLUMNS)]


def draw_gap(
    results: Sequence[RunResult],
    folder: Path,
    *,
    size: Size = "nonzeros",
    references: dict[str, list[tuple[int, float]]] | None = None,
    measure: str = "accuracy",
) -> None:
    """Draws fronts and scatters of all widths, `gap`, and what is on no path, `disconnected`."""
    from prunelimits.viz.disconnected import disconnected_figure
    from prunelimits.viz.gap import gap_figure

    widths = sorted({r.run.width for r in results})
    panels = {f"width {width}": [r for r in results if r.run.width == width] for width in widths}
    figures = {
        "gap": gap_figure(panels, references=references, size=size, measure=measure),
        "disconnected": disconnected_figure(results),
    }
    write_pictures(figures, folder)
