"""The numbers of docs/closing-the-gap.md: elimination on the Cubist Spiral, seed by seed.

    python benchmarks/elimination_study.py 0.95 --width 16 --seeds 5
    python benchmarks/elimination_study.py 0.95 --biases outgoing
    python benchmarks/elimination_study.py 0.95 --change tries=12   # one choice, another way

Prints a line a seed: the smallest networks at 95 % and at 99.5 %, each as nonzeros, with a bias for
every unit in brackets, and accuracy; then passes of one network over the data and seconds. With
--keep, writes these networks into a folder.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import statistics
from pathlib import Path

import prunelimits as pl
from prunelimits.search.elimination import (
    EliminatedNetwork,
    Elimination,
    EliminationResult,
    eliminate,
)

TARGETS = (0.95, 0.995)


def smallest(result: EliminationResult, target: float) -> EliminatedNetwork | None:
    """The smallest network at a target, whichever the run had."""
    return dataclasses.replace(result, target=target).sparsest


def main() -> None:
    """Runs the seeds one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=float)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--biases", choices=("free", "outgoing"), default="free")
    parser.add_argument("--change", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--dense-epochs", type=int, default=None)
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--store", type=Path, default=None)
    parser.add_argument("--minutes", type=float, default=None)
    arguments = parser.parse_args()
    method = Elimination(biases=arguments.biases)
    changes = dict(change.split("=") for change in arguments.change)
    method = dataclasses.replace(
        method, **{name: ast.literal_eval(value) for name, value in changes.items()}
    )
    if arguments.dense_epochs is not None:
        dense = dataclasses.replace(method.dense, epochs=arguments.dense_epochs)
        method = dataclasses.replace(method, dense=dense)
    x, y = pl.datasets.cubist_spiral()
    width = arguments.width
    sizes: dict[float, list[int]] = {target: [] for target in TARGETS}
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        store = arguments.store
        result = eliminate(
            x,
            y,
            method,
            target=arguments.target,
            start=(2, width, width, width, 1),
            seed=seed,
            store=None if store is None else store.with_stem(f"{store.stem}-{seed}"),
            time_limit=None if arguments.minutes is None else 60 * arguments.minutes,
        )
        parts = [f"seed {seed}, width {width}, target {arguments.target:g}:"]
        for target in TARGETS:
            found = smallest(result, target)
            if found is None:
                parts.append(f"none at {target:g}")
                continue
            sizes[target].append(found.nonzeros)
            parts.append(f"{found.nonzeros} ({found.with_biases}) at {found.score:.4f}")
            if arguments.keep is not None:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                name = f"{target:g}-{found.nonzeros}-{found.with_biases}-w{width}-s{seed}.pt"
                pl.save(found.model, found.masks, arguments.keep / name)
        parts.append(f"{result.epochs:,} passes, {result.seconds:.0f} s")
        if not result.finished:
            parts.append("not finished")
        print("  ".join(parts), flush=True)
    for target, found in sizes.items():
        if found:
            median = statistics.median(found)
            print(f"at {target:g}: median {median}, best {min(found)}, of {sorted(found)}")


if __name__ == "__main__":
    main()
