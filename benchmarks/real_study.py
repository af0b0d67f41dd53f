"""Every pruning method on real tasks, at equal cost: the trainings.

    python benchmarks/real_study.py docs/results/real-tasks.csv --packages FOLDER --splits 3
    python benchmarks/real_study.py TABLE --packages FOLDER --tasks digits Vowel --minutes 30

FOLDER: see real_tasks.py. Each split of a task into rows to train on, to choose by and to test is
trained from so many starts, the same ones for every method, to every budget; each method in a short
training and in one five times as long, which is how long LTH trains with its five short ones. The
table keeps, a row a budget, how many rows of the choosing and of the test part every start got
right, and what a start costs; which start is chosen, and how many of them a cost allows, is decided
by the tables that real_tables.py makes of it. The command goes on where the table ends.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import torch
from real_tasks import TASKS, RealTask, task_named
from torch import Tensor

from prunelimits import MLP, MLPEnsemble, evaluate, fit
from prunelimits.connectivity import effective_masks
from prunelimits.datasets import Parts
from prunelimits.elimination import Elimination, EliminationResult, Regrowth, eliminate, regrow
from prunelimits.experiments import PAPER_METHODS
from prunelimits.pruners import GMP, LTH, AbstractPruner, ProsPr
from prunelimits.randomness import derive
from prunelimits.training import Recipe
from prunelimits.training.fit import diverged_members
from prunelimits.training.live_units import without_dead_units

LONG = 5
"""How many short trainings LTH takes, so how many times as long the others train."""
FEW, MANY = 8, 32
"""Starts of every method, and of LTH and of GMP by one of the earlier schedules."""
UNTIL = (0.05, 0.15, 0.3, 0.5, 0.7)
"""Shares of the training after which GMP's last round falls; published is 199 / 200."""
BEST = 0.15
"""The one of which more starts are trained."""
ELIMINATIONS = {
    8: Elimination(networks=8, beam=6, tries=2, step=0.1, evolved=0),
}
"""By the number of dense networks: smaller than the defaults, and without evolution."""
REGROWTHS = {
    "Regrowth": Regrowth(),
    "Regrowth, short": Regrowth(cycles=3, finalists=4),
}
"""With the task's trainings, short first, long last; the second at about two fifths of the cost."""
Key = tuple[str, int, int]


class Row(NamedTuple):
    """What a method gave at one budget of one split.

    Attributes:
        task: Its name.
        split: From 0.
        method: The pruner's name with its settings.
        times: How many times the task's epochs a training has.
        first: Number of the first start.
        keep: Weights that survive, at most.
        cost: Kept parameters times samples of one start, on average.
        nonzeros: Weights and biases that are kept, of every start.
        effective: Those on a path from an input to an output.
        choose: Rows of the choosing part that every start classifies right.
        test: Rows of the test part.
        choose_rows: How many there are.
        test_rows: Likewise.
        seconds: Of the training of all budgets and starts together.
    """

    task: str
    split: int
    method: str
    times: int
    first: int
    keep: int
    cost: float
    nonzeros: tuple[int, ...]
    effective: tuple[int, ...]
    choose: tuple[int, ...]
    test: tuple[int, ...]
    choose_rows: int
    test_rows: int
    seconds: float


@dataclass(frozen=True)
class Variant:
    """A method with a length of training and some starts."""

    method: str
    pruner: AbstractPruner | None
    times: int
    starts: range

    def key(self) -> Key:
        """What tells it from the others of a task's split in the table."""
        return self.method, self.times, self.starts.start


def variants() -> list[Variant]:
    """The dense networks, the nine methods of the paper, and GMP that is done earlier."""
    few, more = range(FEW), range(FEW, MANY)
    found = [Variant("dense", None, LONG, few)]
    for pruner in PAPER_METHODS:
        name = type(pruner).__name__
        if isinstance(pruner, LTH):
            found.append(Variant(name, pruner, 1, range(MANY)))
        else:
            found += [Variant(name, pruner, times, few) for times in (1, LONG)]
    for until in UNTIL:
        found.append(Variant(gmp_name(until), GMP(until=until), LONG, few))
    found.append(Variant(gmp_name(BEST), GMP(until=BEST), LONG, more))
    return found


def gmp_name(until: float) -> str:
    """As in the table."""
    return f"GMP until {until}"


def trained(task: RealTask, parts: Parts, split: int, variant: Variant) -> list[Row]:
    """The rows of one method on one split."""
    began = time.monotonic()
    (x, y), choose, test = parts
    widths = task.widths(parts)
    recipe = task.recipe(variant.times)
    budgets = task.budgets if variant.pruner is not None else (_weights(widths),)
    starts = [(start, keep) for start in variant.starts for keep in budgets]
    ensemble = MLPEnsemble(widths, seeds=[start_seed(split, start) for start, _ in starts])
    if variant.pruner is None:
        result = fit(ensemble, x, y, recipe, seed=split)
    else:
        result = fit(
            ensemble, x, y, recipe, seed=split, pruner=_fitted(variant.pruner, recipe),
            keep=[keep for _, keep in starts],
            pruner_seeds=[start_seed(split, start, keep) for start, keep in starts],
        )  # fmt: skip
    alike = without_dead_units(result.ensemble)
    bad = diverged_members(result.ensemble)
    right = [_right(alike, bad, part) for part in (choose, test)]
    nonzeros = result.ensemble.nonzeros()
    connected = result.ensemble.replace(masks=effective_masks(result.ensemble.masks)).nonzeros()
    seconds = time.monotonic() - began
    rows: list[Row] = []
    for place, keep in enumerate(budgets):
        mine = slice(place, None, len(budgets))
        columns = [tuple(v[mine].tolist()) for v in (nonzeros, connected, *right)]
        cost = float(result.parameter_samples[mine].mean())
        rows.append(
            Row(task.name, split, variant.method, variant.times,
                variant.starts.start, keep, cost, *columns,
                len(choose[0]), len(test[0]), round(seconds, 1))
        )  # fmt: skip
    return rows


def eliminated(task: RealTask, parts: Parts, split: int, networks: int) -> list[Row]:
    """Elimination's best within every budget, of weights and biases, then of weights alone."""
    (x, y), choose, test = parts
    result = eliminate(
        x, y, ELIMINATIONS[networks], nonzeros=min(task.budgets), start=task.widths(parts),
        measure=choose, seed=split,
    )  # fmt: skip
    rows: list[Row] = []
    for name, size in (
        (elimination_name(networks), lambda n: n.nonzeros),
        (f"{elimination_name(networks)}, weights", lambda n: _kept_weights(n.masks)),
    ):
        for keep in task.budgets:
            within = [network for network in result.networks if size(network) <= keep]
            if not within:
                continue
            best = max(within, key=lambda network: network.score)
            chosen = round(best.score * len(choose[0]))
            right = _right_of(best.model, test)
            rows.append(
                Row(task.name, split, name, 1, 0, keep, _work_until(result, keep),
                    (best.nonzeros,), (best.nonzeros,), (chosen,), (right,),
                    len(choose[0]), len(test[0]), round(result.seconds, 1))
            )  # fmt: skip
    return rows


def elimination_name(networks: int) -> str:
    """As in the table."""
    return f"Elimination of {networks}"


def regrown(task: RealTask, parts: Parts, split: int, name: str) -> list[Row]:
    """A regrowth to every budget, each for itself."""
    (x, y), choose, test = parts
    method = dataclasses.replace(REGROWTHS[name], first=task.recipe(1), last=task.recipe(LONG))
    rows: list[Row] = []
    for keep in task.budgets:
        result = regrow(
            x, y, method, keep=keep, start=task.widths(parts), measure=choose,
            seed=start_seed(split, keep),
        )  # fmt: skip
        best = result.network
        kept = (best.nonzeros,)
        rows.append(
            Row(task.name, split, name, 1, 0, keep, result.work, kept, kept,
                (round(best.score * len(choose[0])),), (_right_of(best.model, test),),
                len(choose[0]), len(test[0]), round(result.seconds, 1))
        )  # fmt: skip
    return rows


def jobs(
    tasks: Sequence[RealTask], splits: int, packages: Path, rows: Sequence[Row]
) -> Iterator[Callable[[], list[Row]]]:
    """What is left to train, split after split, every task of a split before the next."""
    done = {(row.task, row.split, row.method, row.times, row.first) for row in rows}
    for split, task in product(range(splits), tasks):
        left = [v for v in variants() if (task.name, split, *v.key()) not in done]
        beams = [
            networks
            for networks in ELIMINATIONS
            if (task.name, split, elimination_name(networks), 1, 0) not in done
        ]
        growing = [name for name in REGROWTHS if (task.name, split, name, 1, 0) not in done]
        if not left and not beams and not growing:
            continue
        parts = task.parts(packages, split)
        for name in growing:
            yield partial(regrown, task, parts, split, name)
        for networks in beams:
            yield partial(eliminated, task, parts, split, networks)
        for variant in left:
            yield partial(trained, task, parts, split, variant)


def read_rows(path: Path) -> list[Row]:
    """The rows of a table; none where it is missing.

    Raises:
        ValueError: If it has other columns.
    """
    if not path.exists():
        return []
    with open(path, newline="") as file:
        table = csv.reader(file)
        if tuple(next(table, ())) != Row._fields:
            raise ValueError(f"{path} must have the columns {', '.join(Row._fields)}")
        return [_row(cells) for cells in table]


def append(rows: Sequence[Row], path: Path) -> None:
    """Adds rows to a table, which begins with the names of its columns."""
    new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(Row._fields)
        for row in rows:
            cells = row._replace(cost=f"{row.cost:.5g}")
            writer.writerow(" ".join(map(str, c)) if isinstance(c, tuple) else c for c in cells)


def _row(cells: Sequence[str]) -> Row:
    task, split, method, times, first, keep, cost, *rest = cells
    lists = [tuple(map(int, cell.split())) for cell in rest[:4]]
    return Row(task, int(split), method, int(times), int(first), int(keep), float(cost), *lists,
               int(rest[4]), int(rest[5]), float(rest[6]))  # fmt: skip


def _right(ensemble: MLPEnsemble, diverged: Tensor, part: tuple[Tensor, Tensor]) -> Tensor:
    """Rows that every member gets right, int64; none for one that diverged."""
    accuracy = evaluate(ensemble, *part).accuracy.masked_fill(diverged, 0.0)
    return (accuracy * len(part[0])).round().long()


def _right_of(model: MLP, part: tuple[Tensor, Tensor]) -> int:
    logits = model(part[0]).detach()
    labels = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    return int((labels == part[1]).sum())


def _fitted(pruner: AbstractPruner, recipe: Recipe) -> AbstractPruner:
    """ProsPr looks ahead by the steps of the training to come."""
    if isinstance(pruner, ProsPr):
        return dataclasses.replace(pruner, lr=recipe.lr, momentum=recipe.momentum)
    return pruner


def _work_until(result: EliminationResult, nonzeros: int) -> float:
    """What elimination had cost when it first had networks of that size."""
    return float(next((r.work for r in result.rounds if r.nonzeros <= nonzeros),
                      result.rounds[-1].work))  # fmt: skip


def _kept_weights(masks: dict[str, Tensor]) -> int:
    return sum(int(mask.sum()) for name, mask in masks.items() if name.endswith("weight"))


def _weights(widths: Sequence[int]) -> int:
    return sum(a * b for a, b in pairwise(widths))


def start_seed(*path: int) -> int:
    """Of a split's start, or of what is random about it: `(split, start)`, and the budget."""
    return int(derive(*path)[0] >> 1)


def main() -> None:
    """Trains what the table does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=[task.name for task in TASKS])
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tasks = [task_named(name) for name in arguments.tasks]
    rows = read_rows(arguments.table)
    began = time.monotonic()
    for job in jobs(tasks, arguments.splits, arguments.packages, rows):
        if arguments.minutes is not None and time.monotonic() - began > 60 * arguments.minutes:
            break
        added = job()
        append(added, arguments.table)
        first = added[0]
        best = " ".join(f"{max(row.test) / row.test_rows:.3f}" for row in added)
        print(f"{first.task} {first.split} {first.method} x{first.times}: {best} "
              f"({first.seconds} s)", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
