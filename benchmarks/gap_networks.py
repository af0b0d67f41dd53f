r"""Keeps networks of a gap study: trains the runs of its table again that end where one looks.

    python benchmarks/gap_networks.py docs/results/gap-bench-95.csv --initial bench-95.pt \
        --target 0.95 --nonzeros 26 --keep docs/results/networks
    python benchmarks/gap_networks.py docs/results/gap-random.csv --best --widths 16 \
        --keep docs/results/networks

Keeps every run at the target with at most so many nonzeros; with --best, of each method and width,
the smallest at each of the two targets. Says so where a network is another than the table's, as
another engine or instruction set leads to.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from command_line import at_least_one

import prunelimits as pl
from prunelimits.experiments import RunResult, Study, read_table, run_network, smallest
from prunelimits.experiments.kept import describe, read_kept
from prunelimits.masks import count
from prunelimits.training import MLPEnsemble, evaluate
from prunelimits.training.task import make_task

TARGETS = (0.95, 0.995)


def chosen(results: list[RunResult], arguments: argparse.Namespace) -> Iterator[RunResult]:
    """The runs whose networks are to be kept, each once."""
    if arguments.widths is not None:
        results = [result for result in results if result.run.width in arguments.widths]
    if not arguments.best:
        for result in results:
            if result.accuracy >= arguments.target and result.nonzeros <= arguments.nonzeros:
                yield result
        return
    found: set[RunResult] = set()
    for method, width in sorted({result.run[:2] for result in results}):
        own = [result for result in results if result.run[:2] == (method, width)]
        best = {smallest(own, target) for target in TARGETS}
        found |= {result for result in best if result is not None}
    yield from sorted(found)


def main() -> None:
    """Trains and keeps."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--initial", type=Path, default=None)
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--nonzeros", type=at_least_one, default=30)
    parser.add_argument("--best", action="store_true")
    parser.add_argument("--widths", type=at_least_one, nargs="+", default=None)
    parser.add_argument("--keep", type=Path, required=True)
    arguments = parser.parse_args()
    x, y = pl.datasets.cubist_spiral()
    initial = None if arguments.initial is None else pl.load(arguments.initial)[0]
    results, _ = read_table(arguments.table)
    arguments.keep.mkdir(parents=True, exist_ok=True)
    for result in chosen(results, arguments):
        method, width, keep, recipe, repeat = result.run
        # As the table was made: the runs of a width and repeat are trained together.
        budgets = {r.run.keep for r in results if r.run.width == width}
        study = Study(widths=(width,), budgets=tuple(sorted(budgets)), repeats=repeat + 1)
        # Another start, recipe or setting than the table's would be trained in vain.
        read_kept(arguments.table, describe(study, make_task(x, y, initial=initial)))
        model, masks = run_network(study, result.run, x, y, initial=initial)
        params = {name: value.detach()[None] for name, value in model.named_parameters()}
        network = MLPEnsemble.from_params(model.widths, params, masks)
        accuracy = float(evaluate(network, x, y).accuracy[0])
        same = "as in the table" if accuracy == result.accuracy else "NOT as in the table"
        print(f"{result.run}: {count(masks)} nonzeros, {accuracy:.2%}, {same}", flush=True)
        name = f"{arguments.table.stem}-{method}-{width}-{keep}-{recipe}-{repeat}.pt"
        pl.save(model, masks, arguments.keep / name)


if __name__ == "__main__":
    main()
