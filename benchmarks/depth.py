"""The spiral at one to six hidden layers: how small networks get, and how far pruners stay behind.

    python benchmarks/depth.py docs/results/depth.csv
    python benchmarks/depth.py TABLE --depths 1 2 --seeds 2 --only elimination

For each depth and seed: elimination, a small one and the defaults, with its whole front; the nine
pruners of the paper, and EarlyGMP, from width 16
to several budgets by one recipe; and at depths 1 and 2 the search of every network of up to so many
nonzeros. A single hidden layer is 64 wide and trained in batches of 32, because it does not learn
the spiral otherwise. The command goes on where the table ends; depth_tables.py makes page and
figure of it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import kept_rows
import torch
from command_line import at_least_one, table_path

from prunelimits.datasets import cubist_spiral
from prunelimits.elimination import Elimination, eliminate
from prunelimits.experiments import PAPER_METHODS, Study, run_study
from prunelimits.pruners import EarlyGMP
from prunelimits.search import SearchConfig, combinatorial_search
from prunelimits.training import Recipe

DEPTHS = (1, 2, 3, 4, 5, 6)
TARGET = 0.95
WIDTH, ONE_LAYER = 16, 64
"""Of the hidden layers; of a single one."""
BUDGETS = (20, 26, 33, 44, 55, 65, 80, 100, 130)
RECIPE = Recipe(epochs=50, lr=0.1)
METHODS = (*PAPER_METHODS, EarlyGMP())
ELIMINATIONS = {
    "elimination, small": Elimination(networks=64, beam=24, evolved=0),
    "elimination": Elimination(),
}
LARGEST = 130
"""Larger networks of an elimination's front are of no interest."""
SEARCHED = {1: 64, 2: 24}
"""Up to how many nonzeros every network is tried, by depth."""


class Row(NamedTuple):
    """One network.

    Attributes:
        depth: Hidden layers.
        seed: From 0.
        kind: `"elimination"`, `"pruner"` or `"search"`.
        method: Its name.
        keep: Weights to keep, of a pruner; otherwise 0.
        nonzeros: Weights and biases that it has.
        with_biases: The same by the paper's rule, a bias for every unit in use and every output.
        effective: Those on a path from an input to an output.
        accuracy: On the spiral.
        seconds: Of the job that the row is of.
    """

    depth: int
    seed: int
    kind: str
    method: str
    keep: int
    nonzeros: int
    with_biases: int
    effective: int
    accuracy: float
    seconds: float


Job = tuple[int, int, str, str]


def widths(depth: int) -> tuple[int, ...]:
    """Of the dense networks."""
    return (2, *[ONE_LAYER if depth == 1 else WIDTH] * depth, 1)


def recipe(depth: int) -> Recipe:
    """Of the pruners, and of the dense networks that elimination starts a single layer from."""
    return replace(RECIPE, batch_size=32) if depth == 1 else RECIPE


def eliminated(depth: int, seed: int, name: str) -> list[Row]:
    """The front of one elimination."""
    x, y = cubist_spiral()
    method = ELIMINATIONS[name]
    if depth == 1:
        method = replace(method, dense=recipe(depth))
    result = eliminate(x, y, method, target=TARGET, start=widths(depth), seed=seed)
    return [
        Row(depth, seed, "elimination", name, 0, n.nonzeros, n.with_biases, n.nonzeros,
            round(n.score, 6), round(result.seconds, 1))
        for n in result.front
        if n.nonzeros <= LARGEST
    ]  # fmt: skip


def pruned(depth: int, seed: int, method: str) -> list[Row]:
    """Every budget of one pruner."""
    x, y = cubist_spiral()
    began = time.monotonic()
    (pruner,) = (p for p, name in zip(METHODS, _STUDY.names, strict=True) if name == method)
    study = Study(methods=(pruner,), widths=(widths(depth)[1],), budgets=BUDGETS,
                  recipes=(recipe(depth),), hidden_layers=depth, seed=seed)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        results = run_study(study, x, y, table=Path(folder) / "gap.csv")
    seconds = round(time.monotonic() - began, 1)
    return [
        Row(depth, seed, "pruner", method, r.run.keep, r.nonzeros, r.nonzeros, r.effective,
            round(r.accuracy, 6), seconds)
        for r in results
    ]  # fmt: skip


def searched(depth: int, seed: int, name: str) -> list[Row]:
    """The best network of every size, of all networks of that depth up to a size."""
    x, y = cubist_spiral()
    began = time.monotonic()
    config = SearchConfig(
        target=TARGET, every_widths=True, hidden_layers=depth, max_nonzeros=SEARCHED[depth],
        width=max(WIDTH, SEARCHED[depth] // 3), seed=seed,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        result = combinatorial_search(config, x, y, store=Path(folder) / "search.sqlite")
    seconds = round(time.monotonic() - began, 1)
    return [
        Row(depth, seed, "search", name, 0, n.nonzeros, n.nonzeros, n.nonzeros,
            round(n.accuracy, 6), seconds)
        for n in result.best
    ]  # fmt: skip


_STUDY = Study(methods=METHODS, recipes=(RECIPE,))


def jobs(depths: Sequence[int], seeds: int) -> Iterator[tuple[Job, Callable[[], list[Row]]]]:
    """Everything in an order in which what there is can always be shown: cheap first, by seed."""
    few, defaults = ELIMINATIONS
    for seed in range(seeds):
        for depth in depths:
            yield (depth, seed, "elimination", few), partial(eliminated, depth, seed, few)
        for name, depth in product(_STUDY.names, depths):
            yield (depth, seed, "pruner", name), partial(pruned, depth, seed, name)
    for seed, depth in product(range(seeds), depths):
        if depth in SEARCHED and seed == 0:
            yield (depth, seed, "search", "search"), partial(searched, depth, seed, "search")
    for seed, depth in product(range(seeds), depths):
        yield (depth, seed, "elimination", defaults), partial(eliminated, depth, seed, defaults)


def read_rows(path: Path) -> list[Row]:
    """The rows of a table; none where it is missing."""
    return [
        Row(int(r["depth"]), int(r["seed"]), r["kind"], r["method"], int(r["keep"]),
            int(r["nonzeros"]), int(r["with_biases"]), int(r["effective"]),
            float(r["accuracy"]), float(r["seconds"]))
        for r in kept_rows.read_rows(path)
    ]  # fmt: skip


def main() -> None:
    """Runs what the table does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=table_path)
    parser.add_argument("--depths", type=at_least_one, nargs="+", default=DEPTHS)
    parser.add_argument("--seeds", type=at_least_one, default=5)
    parser.add_argument("--only", choices=("elimination", "pruner", "search"), default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = {row[:4] for row in read_rows(arguments.table)}
    for key, job in jobs(arguments.depths, arguments.seeds):
        if key in done or arguments.only not in (None, key[2]):
            continue
        rows = job()
        kept_rows.add_rows(arguments.table, [row._asdict() for row in rows])
        reaching = [row.nonzeros for row in rows if row.accuracy >= TARGET]
        print(key, "smallest at the target:", min(reaching, default=None),
              f"({rows[0].seconds} s)" if rows else "", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
