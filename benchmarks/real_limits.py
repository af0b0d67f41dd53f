"""The pruning limit of the real tasks' dense networks, beside the sparsest networks known.

    python benchmarks/real_limits.py docs/results/real-limits.csv --packages FOLDER
    python benchmarks/real_limits.py figure

The first command trains four dense networks of each task's first split, as the study of real tasks
does, and keeps what `pruning_limit` predicts of each and how far magnitude pruning really goes
without training. It goes on where the table ends. FOLDER: see real_tasks.py. real_tables.py writes
the table of these beside the sparsest networks known; `figure` draws both.
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import sparsest_known
import torch
from kept_rows import write_lines
from page_tables import markdown
from real_methods import LONG
from real_tasks import TASKS, RealTask, task_named
from real_trainings import start_seed
from sparsest_known import BELOW, STUDY, Known, budgets_reached
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import MLPEnsemble, fit
from prunelimits.datasets import Parts
from prunelimits.limits import PruningSweep, magnitude_sweep, pruning_limit
from prunelimits.problem import problem_of

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, IMAGE = DOCS / "results" / "real-limits.csv", DOCS / "images" / "real-limits.png"
STARTS = 4
_NAMES = {"Satellite": ((-6, -2), "right"), "Vowel": ((6, -4), "left")}
"""Where a name stands in the figure that would lie on another."""
_EACH, _FEWER = 400, 0.98
"""Every number of weights up to the first is tried, and above it steps of the second's factor."""


class Row(NamedTuple):
    """A dense network: what is predicted of it, and what magnitude pruning does with it.

    Attributes:
        task: Its name.
        start: From 0, of the study's first split.
        weights: Of the network, biases aside.
        loss: Mean training loss.
        epsilon: How much it may rise: the spread of the loss over batches, as published.
        slope: What one step downhill would gain, by the largest curvature, in epsilons: above 1 the
            network is at no minimum.
        predicted: Weights that must remain, by the published formula.
        exact: By the exact statistical dimension.
        quadratic: By the quadratic model with the smallest weights removed.
        magnitude: What does remain where the smallest weights go without training, while the
            training loss rises by at most epsilon.
        magnitude_1: Likewise while the test accuracy falls by at most a point.
        magnitude_5: By at most five.
        seconds: Taken.
    """

    task: str
    start: int
    weights: int
    loss: float
    epsilon: float
    slope: float
    predicted: int
    exact: int
    quadratic: int
    magnitude: int
    magnitude_1: int
    magnitude_5: int
    seconds: float


class Logits(nn.Module):
    """A network whose one output, if it is one, has no axis."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Logits, `(n,)` or `(n, classes)`."""
        return self.model(x).squeeze(1)


def binary(outputs: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of two classes."""
    return functional.binary_cross_entropy_with_logits(outputs, labels.to(outputs.dtype))


def measured(task: RealTask, parts: Parts, start: int) -> Row:
    """The row of one dense network."""
    began = time.monotonic()
    ensemble = MLPEnsemble(task.widths(parts), seeds=[start_seed(0, start)])
    dense = fit(ensemble, *parts.train, task.recipe(LONG), seed=0).ensemble.member(0)[0]
    model = Logits(dense)
    loss = binary if task.widths(parts)[-1] == 1 else functional.cross_entropy
    order = torch.randperm(len(parts.train[1]), generator=torch.Generator().manual_seed(0))
    shuffled = [part[order].split(task.batch_size) for part in parts.train]
    batches = list(zip(*shuffled, strict=True))
    with warnings.catch_warnings():
        # Whether the network is at a minimum is told in the table.
        warnings.filterwarnings("ignore", message="the gradient's norm is")
        limit = pruning_limit(model, loss, batches)
    largest = float(limit.spectrum.nodes.abs().max())
    problem, params = problem_of(model, loss, batches)
    kept = _sizes(limit.weights)
    sweep = magnitude_sweep(
        problem, params, limit.prunable, removed=[1 - n / limit.weights for n in kept],
        test=[parts.test],
    )  # fmt: skip
    left = partial(_left, sweep)
    return Row(
        task.name, start, limit.weights, round(limit.loss, 6), round(limit.epsilon, 6),
        round(limit.gradient_norm**2 / (2 * largest * limit.epsilon), 4),
        *(limit.weights - p.removed_weights for p in
          (limit.predicted, limit.exact, limit.constructive)),
        left(sweep.removed_within(limit.epsilon)),
        *(left(sweep.removed_before_loss_of(below / 100 + 1e-9)) for below in BELOW),
        round(time.monotonic() - began, 1),
    )  # fmt: skip


def _left(sweep: PruningSweep, removed: float) -> int:
    return sweep.weights - round(removed * sweep.weights)


def _sizes(weights: int) -> list[int]:
    """Numbers of weights to keep, all of them where these are few, descending to 0."""
    sizes = [weights]
    while sizes[-1] > _EACH:
        sizes.append(int(_FEWER * sizes[-1]))
    return [*sizes, *range(sizes[-1] - 1, -1, -1)]


def read_rows(path: Path = RESULTS) -> list[Row]:
    """The rows of a table; none where it is missing."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [
            Row(r["task"], int(r["start"]), int(r["weights"]), float(r["loss"]),
                float(r["epsilon"]), float(r["slope"]), *(int(r[n]) for n in Row._fields[6:12]),
                float(r["seconds"]))
            for r in csv.DictReader(file)
        ]  # fmt: skip


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Writes the table."""
    write_lines([Row._fields, *rows], path)


def sparsest(task: str, below: int, known: Sequence[Known], study: Path = STUDY) -> int | None:
    """Weights of the sparsest network known so many points below dense.

    Of the list, and of the budgets that a method of the study reaches on the first split.
    """
    listed = [k.weights for k in known if (k.task, k.below) == (task, below)]
    target = sparsest_known.targets(task, study)[below]
    reached = [keep for keep, _ in budgets_reached(task, target, study)]
    return min([*listed, *reached], default=None)


def table(rows: Sequence[Row], known: Sequence[Known], study: Path = STUDY) -> str:
    """Medians over the dense networks of each task, beside the sparsest known."""
    cells: list[list[str]] = []
    for task in dict.fromkeys(row.task for row in rows):
        mine = [row for row in rows if row.task == task]
        one, five = (sparsest(task, below, known, study) for below in BELOW)
        cells.append(
            [
                task, str(mine[0].weights), f"{median(r.slope for r in mine):.2f}",
                *(f"{_middle(mine, name)}" for name in
                  ("predicted", "exact", "quadratic", "magnitude", "magnitude_1")),
                "none" if one is None else f"**{one}**",
                f"{_middle(mine, 'magnitude_5')}", "none" if five is None else f"**{five}**",
            ]
        )  # fmt: skip
    header = (
        "task", "weights", "slope", "predicted", "exact", "quadratic model", "magnitude, epsilon",
        "magnitude, 1 point", "sparsest known, 1 point", "magnitude, 5 points",
        "sparsest known, 5 points",
    )  # fmt: skip
    return markdown(header, cells)


def _middle(rows: Sequence[Row], name: str) -> int:
    return round(median(getattr(row, name) for row in rows))


def figure(rows: Sequence[Row], known: Sequence[Known], path: Path, study: Path = STUDY) -> None:
    """Predicted limit against what is known to be enough: a point a task and kind."""
    from matplotlib.figure import Figure

    from prunelimits.viz import save_figure

    tasks = list(dict.fromkeys(row.task for row in rows))
    by_task = {task: [row for row in rows if row.task == task] for task in tasks}
    x = [_middle(by_task[task], "predicted") for task in tasks]
    kinds = {
        "magnitude without training, loss within epsilon": (
            [_middle(by_task[task], "magnitude") for task in tasks], "#9aa0a6", "s",
        ),
        "sparsest known, one point below dense": (
            [sparsest(task, 1, known, study) for task in tasks], "#274e13", "*",
        ),
        "sparsest known, five points below": (
            [sparsest(task, 5, known, study) for task in tasks], "#7fa65a", "o",
        ),
    }  # fmt: skip
    drawn = Figure(figsize=(7, 4.6), layout="constrained")
    axes = drawn.subplots()
    ends = [0.8 * min(x), 1.6 * max(x)]
    axes.plot(ends, ends, color="#dfe2e6", label="as predicted")
    for label, (values, colour, marker) in kinds.items():
        points = [(a, b) for a, b in zip(x, values, strict=True) if b is not None]
        if points:
            axes.scatter(*zip(*points, strict=True), color=colour, marker=marker, s=48, label=label)
    for task, place in zip(tasks, x, strict=True):
        top = _middle(by_task[task], "magnitude")
        offset, side = _NAMES.get(task, ((3, 5), "left"))
        axes.annotate(task, (place, top), xytext=offset, textcoords="offset points", fontsize=7,
                      ha=side)  # fmt: skip
    axes.set(
        xlabel="weights that must remain, by the published formula",
        ylabel="weights that do remain", xscale="log", yscale="log",
    )  # fmt: skip
    axes.legend(fontsize=7, frameon=False)
    axes.grid(color="#eef0f2")
    axes.set_axisbelow(True)
    save_figure(drawn, path)


def main() -> None:
    """Measures what the table does not hold yet, or draws the figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path, help="a table of results, or: figure")
    parser.add_argument("--packages", type=Path, default=Path())
    parser.add_argument("--tasks", nargs="+", default=[task.name for task in TASKS])
    arguments = parser.parse_args()
    if str(arguments.table) == "figure":
        figure(read_rows(), sparsest_known.read_list(), IMAGE)
        return
    torch.set_num_threads(1)
    rows = read_rows(arguments.table)
    for task in map(task_named, arguments.tasks):
        parts: Parts | None = None
        for start in range(STARTS):
            if any((row.task, row.start) == (task.name, start) for row in rows):
                continue
            parts = parts or task.parts(arguments.packages, 0)
            rows.append(measured(task, parts, start))
            print(rows[-1], flush=True)
            write_rows(rows, arguments.table)


if __name__ == "__main__":
    main()
