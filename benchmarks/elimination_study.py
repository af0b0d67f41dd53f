"""The numbers of docs/closing-the-gap.md: elimination on the Cubist Spiral, seed by seed.

    python benchmarks/elimination_study.py 0.95 --width 16 --seeds 5
    python benchmarks/elimination_study.py 0.95 --biases outgoing
    python benchmarks/elimination_study.py 0.95 --change tries=12   # one choice, another way
    python benchmarks/elimination_study.py 0.95 --widths 2 4 1 4 1   # from a network with a waist
    python benchmarks/elimination_study.py 0.95 --change margin=0.01   # no tie decides
    python benchmarks/elimination_study.py 0.95 --one   # copies of one network, as for `prune`

Prints a line a seed: the smallest networks at 95 % and at 99.5 %, each as nonzeros, with a bias for
every unit in brackets, and accuracy; then passes of one network over the data, and seconds, of the
clock and of all cores together, and the paper's cost, kept parameters times samples. With --keep,
writes these networks into a folder; with --table, the front of every seed into a CSV file, which
gap_figures.py draws beside the pruners; with --runs, adds a row a seed to a file, from which
elimination_tables.py writes the page's tables, and leaves out the seeds that it has.
"""

from __future__ import annotations

import argparse
import ast
import csv
import dataclasses
import statistics
import time
from pathlib import Path

import torch
from command_line import at_least_one, table_path
from kept_rows import add_rows, read_rows

import prunelimits as pl
from prunelimits.elimination import (
    EliminatedNetwork,
    Elimination,
    EliminationResult,
    eliminate,
)

TARGETS = (0.95, 0.995)
# Larger networks are of no interest at these targets.
LARGEST = 60
X, Y = pl.datasets.cubist_spiral()


def smallest(result: EliminationResult, target: float) -> EliminatedNetwork | None:
    """The smallest network at a target, whichever the run had."""
    return dataclasses.replace(result, target=target).sparsest


def options() -> argparse.Namespace:
    """What the command line says."""
    fitting = Elimination().recipes(len(X))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=float)
    parser.add_argument("--width", type=at_least_one, default=16)
    parser.add_argument("--widths", type=at_least_one, nargs="+", default=None)
    parser.add_argument("--seeds", type=at_least_one, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--biases", choices=("free", "outgoing"), default="free")
    parser.add_argument("--change", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--one", action="store_true")
    parser.add_argument("--dense-epochs", type=at_least_one, default=fitting.dense.epochs)
    parser.add_argument("--recovery-epochs", type=at_least_one, default=fitting.recovery.epochs)
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--store", type=Path, default=None)
    parser.add_argument("--table", type=table_path, default=None)
    parser.add_argument("--runs", type=Path, default=None)
    parser.add_argument("--minutes", type=float, default=None)
    arguments = parser.parse_args()
    arguments.widths = tuple(arguments.widths or (2, *3 * [arguments.width], 1))
    return arguments


def method_of(arguments: argparse.Namespace) -> Elimination:
    """Elimination with the choices of the command line."""
    method = Elimination()
    fitting = method.recipes(len(X))
    changes = dict(change.split("=") for change in arguments.change)
    return dataclasses.replace(
        method,
        biases=arguments.biases,
        dense=dataclasses.replace(fitting.dense, epochs=arguments.dense_epochs),
        recovery=dataclasses.replace(fitting.recovery, epochs=arguments.recovery_epochs),
        **{name: ast.literal_eval(value) for name, value in changes.items()},
    )


def study(arguments: argparse.Namespace) -> str:
    """What decides the outcome for a seed: the options that are not as they come, in order."""
    fitting = Elimination().recipes(len(X))
    parts = [f"{arguments.target:g} --widths {' '.join(map(str, arguments.widths))}"]
    if arguments.biases != "free":
        parts.append(f"--biases {arguments.biases}")
    for name in ("dense", "recovery"):
        epochs = getattr(arguments, f"{name}_epochs")
        if epochs != getattr(fitting, name).epochs:
            parts.append(f"--{name}-epochs {epochs}")
    if arguments.change:
        parts.append(f"--change {' '.join(sorted(arguments.change))}")
    return " ".join([*parts, *(["--one"] if arguments.one else [])])


def ties(network: EliminatedNetwork) -> int:
    """Samples with a logit of exactly zero, which counts as class 0."""
    with torch.no_grad():
        return int((network.model.double()(X.double()) == 0).sum())


def row_of(name: str, seed: int, result: EliminationResult, cores: float) -> dict[str, object]:
    """A row of the table of runs."""
    row: dict[str, object] = {"study": name, "seed": seed}
    for target in TARGETS:
        found, at = smallest(result, target), f"{target:g}".removeprefix("0.")
        row[f"nonzeros_{at}"] = "" if found is None else found.nonzeros
        row[f"with_biases_{at}"] = "" if found is None else found.with_biases
        row[f"accuracy_{at}"] = "" if found is None else found.score
        row[f"ties_{at}"] = "" if found is None else ties(found)
    return row | {
        "passes": result.epochs,
        "seconds": round(cores),
        "work": f"{result.rounds[-1].work:.4g}",
    }


def line_of(arguments: argparse.Namespace, seed: int, result: EliminationResult) -> str:
    """What a seed found, for people; keeps its networks on request."""
    width = "-".join(map(str, arguments.widths[1:-1]))
    width = width if len(set(arguments.widths[1:-1])) > 1 else str(arguments.widths[1])
    parts = [f"seed {seed}, width {width}, target {arguments.target:g}:"]
    for target in TARGETS:
        found = smallest(result, target)
        if found is None:
            parts.append(f"none at {target:g}")
            continue
        parts.append(f"{found.nonzeros} ({found.with_biases}) at {found.score:.4f}")
        if arguments.keep is not None:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            name = f"{target:g}-{found.nonzeros}-{found.with_biases}-w{width}-s{seed}.pt"
            pl.save(found.model, found.masks, arguments.keep / name)
    return "  ".join(parts)


def main() -> None:
    """Runs the seeds one after the other."""
    arguments = options()
    method, name = method_of(arguments), study(arguments)
    done = {int(row["seed"]) for row in read_rows(arguments.runs) if row["study"] == name}
    fronts: list[tuple[int, int, int, float]] = []
    sizes: dict[float, list[int]] = {target: [] for target in TARGETS}
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        if seed in done:
            continue
        store, one = arguments.store, arguments.one
        began = time.process_time()
        result = eliminate(
            X,
            Y,
            method,
            target=arguments.target,
            start=pl.MLPEnsemble(arguments.widths, 1, seed=seed) if one else arguments.widths,
            seed=seed,
            store=None if store is None else store.with_stem(f"{store.stem}-{seed}"),
            time_limit=None if arguments.minutes is None else 60 * arguments.minutes,
        )
        cores = time.process_time() - began
        fronts += [
            (seed, n.nonzeros, n.with_biases, n.score)
            for n in result.front
            if n.nonzeros <= LARGEST
        ]
        for target, own in sizes.items():
            found = smallest(result, target)
            own += [] if found is None else [found.nonzeros]
        parts = [line_of(arguments, seed, result)]
        parts.append(f"{result.epochs:,} passes, {result.seconds:.0f} s, {cores:.0f} of all cores")
        parts.append(f"cost {result.rounds[-1].work:.3g}")
        if result.finished:
            add_rows(arguments.runs, [row_of(name, seed, result, cores)])
        else:
            parts.append("not finished")
        print("  ".join(parts), flush=True)
    for target, found in sizes.items():
        if found:
            median = statistics.median(found)
            print(f"at {target:g}: median {median}, best {min(found)}, of {sorted(found)}")
    if arguments.table is not None:
        with open(arguments.table, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("seed", "nonzeros", "with_biases", "accuracy"))
            writer.writerows(fronts)


if __name__ == "__main__":
    main()
