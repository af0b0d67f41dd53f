r"""Every pruning method on real tasks, at equal cost: the trainings.

    python benchmarks/real_study.py docs/results/real-tasks.csv --packages FOLDER --splits 10
    python benchmarks/real_study.py TABLE --packages FOLDER --tasks digits Vowel --minutes 30
    python benchmarks/real_study.py docs/results/real-depth.csv --packages FOLDER \
        --tasks digits Vehicle Vowel --hidden-layers 1 3 4 --splits 2
    python benchmarks/real_study.py docs/results/real-larger.csv --packages FOLDER \
        --larger --splits 10
    python benchmarks/real_study.py docs/results/real-others.csv --packages FOLDER \
        --others --splits 3

FOLDER: see real_tasks.py. Each split of a task into rows to train on, to choose by and to test is
trained from so many starts, the same ones for every method, to every budget; each method in a short
training and in one five times as long, which is how long LTH trains with its five short ones. Where
a regrowth costs more than thirty-two runs of LTH, a shorter one is added. The table keeps, a row a
budget, how many rows of the choosing and of the test part every start got right, and what a start
costs; which start is chosen, and how many of them a cost allows, is decided by the tables that
real_tables.py makes of it. The command goes on where the table ends.

With `--hidden-layers` the networks have so many hidden layers instead of the task's two, and there
are fewer methods; with `--larger` the networks keep more weights, on the tasks that say how many;
with `--others` the methods are those of the catalogue beside the nine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path

import torch
from command_line import at_least_one, not_negative, table_path
from real_choices import FITTING, by_place, chosen_at, unit_cost
from real_methods import LEVELS, Compared, by_depth, everything, others, with_more_weights
from real_rows import Row, append, read_rows
from real_tasks import STUDIED, RealTask, task_named
from real_trainings import eliminated, regrown, trained


def jobs(
    tasks: Sequence[RealTask], splits: int, packages: Path, rows: Sequence[Row], compared: Compared
) -> Iterator[Callable[[], list[Row]]]:
    """What is left to train, split after split, every task of a split before the next.

    The rows may grow meanwhile: which shorter regrowths there are, the costs of others decide.
    """
    for split, task in product(range(splits), tasks):
        done = {
            (row.method, row.times, row.first)
            for row in rows
            if (row.task, row.split) == (task.name, split)
        }
        growing = [name for name in compared.regrowths if (name, 1, 0) not in done]
        eliminating = [name for name in compared.eliminations if (name, 1, 0) not in done]
        variants = [variant for variant in compared.variants if variant.key() not in done]
        parts = cache(partial(task.parts, packages, split))
        for name in growing:
            yield partial(
                regrown, task, parts(), split, task.budgets, name, compared.regrowths[name]
            )
        for name in eliminating:
            yield partial(eliminated, task, parts(), split, name, compared.eliminations[name])
        for variant in variants:
            yield partial(trained, task, parts(), split, variant)
        for name, method in compared.shorter.items():
            if budgets := too_dear(task, split, name, rows):
                yield partial(regrown, task, parts(), split, budgets, name, method)


def too_dear(task: RealTask, split: int, name: str, rows: Sequence[Row]) -> list[int]:
    """Budgets where no regrowth so far is paid for, and this one has not been tried."""
    mine = [row for row in rows if (row.task, row.split) == (task.name, split)]
    return [
        keep
        for (_, _, keep), there in by_place(mine).items()
        if name not in there
        and unit_cost(there) is not None
        and FITTING not in chosen_at(there, LEVELS[-1])
    ]


def main() -> None:
    """Trains what the table does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=table_path)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=[task.name for task in STUDIED])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--hidden-layers", type=at_least_one, nargs="+", default=[])
    which.add_argument("--larger", action="store_true")
    which.add_argument("--others", action="store_true")
    parser.add_argument("--splits", type=at_least_one, default=3)
    parser.add_argument("--minutes", type=not_negative, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tasks = [task_named(name) for name in arguments.tasks]
    compared = everything()
    if arguments.hidden_layers:
        compared = by_depth()
        tasks = [task.of_depth(depth) for task in tasks for depth in arguments.hidden_layers]
    elif arguments.larger:
        compared = with_more_weights()
        tasks = [task.of_more_weights() for task in tasks if task.larger]
    elif arguments.others:
        compared = others()
    rows = read_rows(arguments.table)
    began = time.monotonic()
    for job in jobs(tasks, arguments.splits, arguments.packages, rows, compared):
        if arguments.minutes is not None and time.monotonic() - began > 60 * arguments.minutes:
            break
        added = job()
        append(added, arguments.table)
        rows += added
        first = added[0]
        best = " ".join(f"{max(row.test) / row.test_rows:.3f}" for row in added)
        print(f"{first.task} {first.split} {first.method} x{first.times}: {best} "
              f"({first.seconds} s)", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
