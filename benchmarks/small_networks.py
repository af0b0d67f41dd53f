"""What the smallest networks can do: every one of them, from thousands of starts.

    python benchmarks/small_networks.py 22 --table docs/results/small-networks.csv

Takes every network of at most so many nonzeros, each once, by the paper's bias rule. Few random
starts of a network this small lead anywhere, and those that do are soon seen: all are trained for
`--epochs` epochs, each network's two best for 20 more, and what is then above `--promising` is
evolved. A row a network goes into the table, and the same command goes on from there. Prints the
best accuracies for every number of nonzeros.

    python benchmarks/small_networks.py 22 --table docs/results/small-networks.csv \
        --again 16 --again-table docs/results/small-networks-again.csv

How much that exhausts is told by how often what was found is found again: the same for every
network of the table at `--target`, from so many times as many other starts.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch
from command_line import at_least_one, table_path
from torch import Tensor

import prunelimits as pl
from prunelimits.enumeration import ModelMasks, every_widths
from prunelimits.masks import unflatten
from prunelimits.randomness import derive
from prunelimits.training import evaluate, evolve

Row = tuple[object, ...]
HEADER = ("widths", "rank", "nonzeros", "early", "trained", "evolved")
FINISHED = 2
FINISH = pl.Recipe(epochs=20)


def name(space: ModelMasks) -> str:
    """What the table calls a space."""
    return " ".join(map(str, space.widths))


def best(accuracy: Tensor, starts: int) -> Tensor:
    """The indices of every network's best starts, `(networks * FINISHED,)`."""
    each = accuracy.view(-1, starts)
    return (each.topk(FINISHED).indices + torch.arange(len(each)).unsqueeze(1) * starts).flatten()


def measured(
    space: ModelMasks,
    ranks: range,
    x: Tensor,
    y: Tensor,
    arguments: argparse.Namespace,
    attempt: tuple[int, ...] = (),
) -> Iterator[Row]:
    """A row for each of some networks of a space; another `attempt` has other starts."""
    starts = arguments.starts
    masks = unflatten(space.take(ranks).repeat_interleave(starts, 0), space.shapes)
    seed = int(derive(*space.widths, ranks.start, *attempt)[0] >> 1)
    ensemble = pl.MLPEnsemble(space.widths, len(ranks) * starts, seed=seed, masks=masks)
    early = pl.fit(ensemble, x, y, pl.Recipe(epochs=arguments.epochs, lr=0.1), seed=seed)
    chosen = best(early.accuracy, starts)
    trained = pl.fit(early.ensemble[chosen], x, y, FINISH, seed=seed)
    evolved = trained.accuracy.clone()
    promising = (evolved >= arguments.promising).nonzero().squeeze(1)
    if len(promising):
        evolved[promising] = evaluate(evolve(trained.ensemble[promising], x, y), x, y).accuracy
    stages = (early.accuracy[chosen], trained.accuracy, evolved)
    tops = [accuracy.view(-1, FINISHED).max(1).values.tolist() for accuracy in stages]
    sizes = space.nonzeros(ranks).tolist()
    for rank, size, *accuracies in zip(ranks, sizes, *tops, strict=True):
        yield name(space), rank, size, *(f"{accuracy:.5f}" for accuracy in accuracies)


def missing(table: Path, nonzeros: int, at_once: int) -> Iterator[tuple[ModelMasks, range]]:
    """Parts of the spaces that the table does not have, in its order."""
    with table.open(newline="") as file:
        done = Counter(row["widths"] for row in csv.DictReader(file))
    for space in every_widths(nonzeros):
        first = done[name(space)]
        for start in range(first, space.count, at_once):
            yield space, range(start, min(start + at_once, space.count))


def found_again(x: Tensor, y: Tensor, arguments: argparse.Namespace) -> None:
    """Trains the networks at the target from other starts, a row an attempt, and counts."""
    spaces = {name(space): space for space in every_widths(arguments.nonzeros)}
    with arguments.table.open(newline="") as file:
        at_target = [r for r in csv.DictReader(file) if float(r["evolved"]) >= arguments.target]
    table: Path = arguments.again_table
    if not table.exists():
        table.write_text(",".join((*HEADER, "attempt")) + "\n")
    with table.open(newline="") as file:
        done = {(r["widths"], r["rank"], r["attempt"]) for r in csv.DictReader(file)}
    for found in at_target:
        rank = int(found["rank"])
        for attempt in range(1, arguments.again + 1):
            if (found["widths"], found["rank"], str(attempt)) in done:
                continue
            ranks = range(rank, rank + 1)
            rows = measured(spaces[found["widths"]], ranks, x, y, arguments, (attempt,))
            with table.open("a", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerows((*row, attempt) for row in rows)
    with table.open(newline="") as file:
        tried = list(csv.DictReader(file))
    for found in at_target:
        own = [r for r in tried if (r["widths"], r["rank"]) == (found["widths"], found["rank"])]
        hits = sum(float(r["evolved"]) >= arguments.target for r in own)
        print(f"widths {found['widths']}, rank {found['rank']}: found again {hits} of {len(own)}")


def main() -> None:
    """Measures what the table lacks, then prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nonzeros", type=at_least_one)
    parser.add_argument("--starts", type=at_least_one, default=4096)
    parser.add_argument("--epochs", type=at_least_one, default=5)
    parser.add_argument("--promising", type=float, default=0.85)
    parser.add_argument("--table", type=table_path, required=True)
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--again-table", type=table_path, default=None)
    arguments = parser.parse_args()
    x, y = pl.datasets.cubist_spiral()
    if arguments.again:
        found_again(x, y, arguments)
        return
    if not arguments.table.exists():
        arguments.table.write_text(",".join(HEADER) + "\n")
    at_once = max(1, 16_384 // arguments.starts)
    for space, ranks in missing(arguments.table, arguments.nonzeros, at_once):
        rows = list(measured(space, ranks, x, y, arguments))
        with arguments.table.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    accuracies: dict[int, list[float]] = defaultdict(list)
    with arguments.table.open(newline="") as file:
        for row in csv.DictReader(file):
            best_of = max(float(row[stage]) for stage in ("early", "trained", "evolved"))
            accuracies[int(row["nonzeros"])].append(best_of)
    for nonzeros, found in sorted(accuracies.items()):
        top = " ".join(f"{accuracy:.2%}" for accuracy in sorted(found, reverse=True)[:3])
        print(f"{nonzeros} nonzeros: {len(found)} networks, the best {top}")


if __name__ == "__main__":
    main()
