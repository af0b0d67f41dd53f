"""Every network of at most so many nonzeros, from 4,096 starts each, in rungs.

    python benchmarks/exhaust_networks.py 25 --table docs/results/exhausted-networks.csv

Takes every network of at most so many nonzeros, each once, by the paper's bias rule, the largest
first. `RUNGS` train all starts of each on an eighth of the samples in small batches, go on with
fewer, and train the best two on all samples; those that then have `--promising` are evolved. A row
a network goes into the table, whatever stands beside it in a run, and the same command goes on from
there. Prints the best accuracies for every number of nonzeros.

    python benchmarks/exhaust_networks.py 25 --table docs/results/exhausted-networks.csv \
        --again 16 --target 0.95 --again-table docs/results/exhausted-networks-again.csv
    python benchmarks/exhaust_networks.py 25 --table docs/results/exhausted-networks.csv \
        --again 256 --target 0.995 --promising 0.97 \
        --again-table docs/results/exhausted-networks-again-995.csv \
        --networks examples/networks/cubist-spiral-995-23-with-biases-26.pt

    python benchmarks/exhaust_networks.py 25 ... --plain --starts 256

How much that exhausts is told by how often what is known is found again: the same for every network
of the table at `--target`, and for networks of files, from so many times as many other starts. Here
only those that are not at the target yet are evolved. With `--plain` every start is trained on all
samples for five epochs: 256 cost as much as 4,096 in rungs.

With `--hidden-layers 2` all that is said of networks of so many hidden layers instead of three.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from command_line import at_least_one, table_path
from kept_rows import read_rows, write_lines
from start_rungs import Rung, climb
from torch import Tensor

import prunelimits as pl
from prunelimits.enumeration import ModelMasks, every_widths
from prunelimits.masks import flatten, unflatten
from prunelimits.models import parameter_shapes
from prunelimits.randomness import derive
from prunelimits.training import evaluate, evolve
from prunelimits.training.initialisation import initial_params, member_seeds

QUICK = pl.Recipe(epochs=5, batch_size=16)
EIGHTH = 6_250
RUNGS = (
    Rung(QUICK, keep=1024, samples=EIGHTH, until=0.1, judged=1024),
    Rung(QUICK, keep=384, samples=EIGHTH, until=0.3, judged=1024),
    Rung(QUICK, keep=32, samples=EIGHTH),
    Rung(pl.Recipe(epochs=5), keep=2),
    Rung(pl.Recipe(epochs=20, lr=0.02), keep=2),
)
PLAIN = (Rung(pl.Recipe(epochs=5, lr=0.1), keep=2), Rung(pl.Recipe(epochs=20), keep=2))
"""Every start on all samples, as in `small_networks.py`."""
AT_ONCE = 16
"""Networks of the same widths trained together: their finalists fill the vectors."""

HEADER = ("widths", "rank", "nonzeros", "attempt", "starts", "early", "trained", "evolved")
Row: TypeAlias = tuple[object, ...]
Key: TypeAlias = tuple[str, int, int]


class Keyed(Protocol):
    """What has a row of its own in a table."""

    @property
    def key(self) -> tuple[object, ...]:
        """What the table calls it, a column each."""
        ...


AnyKeyed = TypeVar("AnyKeyed", bound=Keyed)


@dataclass(frozen=True)
class Attempt:
    """A network and which of its starts: attempt 0 has the first ones, 1 those after them."""

    space: ModelMasks
    rank: int
    number: int = 0

    @property
    def key(self) -> Key:
        """What the table calls it."""
        return " ".join(map(str, self.space.widths)), self.rank, self.number

    def seeds(self, starts: int) -> list[int]:
        """The seeds of its starts."""
        return member_seeds(int(derive(0, *self.space.widths, self.rank, self.number)[0]), starts)


@dataclass(frozen=True)
class Way:
    """How to try a network.

    Attributes:
        rungs: How its starts are trained.
        starts: How many.
        promising: Finalists of this accuracy are evolved,
        enough: if they have not yet so much.
    """

    rungs: Sequence[Rung] = RUNGS
    starts: int = 4096
    promising: float = 0.9
    enough: float = math.inf


def measured(attempts: Sequence[Attempt], x: Tensor, y: Tensor, way: Way) -> Iterator[Row]:
    """A row for each attempt, all on networks of the same space and with the same number."""
    starts = way.starts
    space, number = attempts[0].space, attempts[0].number
    rows = space.take([attempt.rank for attempt in attempts])
    seeds = [seed for one in attempts for seed in one.seeds(starts)]
    tops = best_of_starts(space.widths, rows, seeds, x, y, way, number)
    for attempt, size, accuracies in zip(attempts, rows.sum(1).tolist(), tops, strict=True):
        widths, rank, _ = attempt.key
        yield widths, rank, size, number, starts, *(f"{top:.5f}" for top in accuracies)


def best_of_starts(
    widths: Sequence[int],
    rows: Tensor,
    seeds: Sequence[int],
    x: Tensor,
    y: Tensor,
    way: Way,
    number: int = 0,
) -> list[tuple[float, ...]]:
    """The best accuracy of each network early, trained and evolved.

    `rows` are the networks' masks, flat, and `seeds` those of their starts, one network after the
    other; `number` decides samples and batches.
    """
    masks = unflatten(rows.repeat_interleave(way.starts, 0), parameter_shapes(widths))
    ensemble = pl.MLPEnsemble.from_params(widths, initial_params(widths, seeds), masks)
    *_, early, trained = climb(ensemble, x, y, way.rungs, starts=way.starts, seed=number)
    evolved = trained.accuracy.clone()
    chosen = ((evolved >= way.promising) & (evolved < way.enough)).nonzero().squeeze(1)
    if len(chosen):
        evolved[chosen] = evaluate(evolve(trained.ensemble[chosen], x, y), x, y).accuracy
    stages = (early.accuracy, trained.accuracy, evolved)
    tops = [accuracy.view(len(rows), -1).max(1).values.tolist() for accuracy in stages]
    return list(zip(*tops, strict=True))


def every_network(nonzeros: int, hidden_layers: int = 3) -> Iterator[Attempt]:
    """Every network's first attempt, the largest first, those of the same widths in a row."""
    spaces = every_widths(nonzeros, hidden_layers=hidden_layers)
    sizes = [space.nonzeros(range(space.count)).tolist() for space in spaces]
    for size in range(nonzeros, 0, -1):
        for space, own in zip(spaces, sizes, strict=True):
            yield from (Attempt(space, rank) for rank, its in enumerate(own) if its == size)


def add_rows(table: Path, attempts: Iterable[Attempt], way: Way) -> None:
    """Measures the attempts that the table lacks, and adds their rows."""
    x, y = pl.datasets.cubist_spiral()
    left = missing(table, attempts, HEADER)
    for _, alike in groupby(left, lambda attempt: (attempt.space, attempt.number)):
        while some := list(islice(alike, AT_ONCE)):
            append(table, list(measured(some, x, y, way)))


def missing(
    table: Path,
    attempts: Iterable[AnyKeyed],
    header: Sequence[str],
    columns: Sequence[str] = ("widths", "rank", "attempt"),
) -> Iterator[AnyKeyed]:
    """The attempts that a table lacks, which it begins where there is none.

    Their keys stand in these columns.
    """
    if not table.exists():
        append(table, [header])
    done = {tuple(row[column] for column in columns) for row in read_rows(table)}
    return (attempt for attempt in attempts if tuple(map(str, attempt.key)) not in done)


def append(table: Path, rows: Iterable[Sequence[object]]) -> None:
    """Adds rows to the end of a table: all of them or none."""
    write_lines(rows, table, before=table.read_bytes() if table.exists() else b"")


def again(known: Iterable[Attempt], numbers: Iterable[int]) -> list[Attempt]:
    """The attempts of these numbers at each, one at each after the other."""
    each = list({one.key: one for one in known}.values())
    return [Attempt(one.space, one.rank, number) for number in numbers for one in each]


def at_target(table: Path, spaces: Iterable[ModelMasks], target: float) -> list[Attempt]:
    """The networks of a table that reach a target."""
    by_name = {Attempt(space, 0).key[0]: space for space in spaces}
    return [
        Attempt(by_name[row["widths"]], int(row["rank"]))
        for row in read_rows(table)
        if float(row["evolved"]) >= target
    ]


def of_file(path: Path) -> Attempt:
    """The network of a file that uses all its units, with the biases of the paper's rule."""
    model, masks = pl.load(path)
    ruled = {name.replace("weight", "bias"): m.any(1) for name, m in masks.items() if m.dim() > 1}
    row = flatten({name: ruled.get(name, mask) for name, mask in masks.items()})
    space = ModelMasks(model.widths, symmetry="network", max_nonzeros=int(row.sum()))
    return Attempt(space, int(space.ranks(row[None])[0]))


def main() -> None:
    """Measures what the tables lack, then prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nonzeros", type=at_least_one)
    parser.add_argument("--table", type=table_path, required=True)
    parser.add_argument("--starts", type=at_least_one, default=Way.starts)
    parser.add_argument("--promising", type=float, default=Way.promising)
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--again-table", type=table_path)
    parser.add_argument("--networks", type=Path, nargs="*", default=())
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--hidden-layers", type=at_least_one, default=3)
    arguments = parser.parse_args()
    rungs = PLAIN if arguments.plain else RUNGS
    way = Way(rungs, arguments.starts, arguments.promising)
    if arguments.again:
        spaces = every_widths(arguments.nonzeros, hidden_layers=arguments.hidden_layers)
        known = at_target(arguments.table, spaces, arguments.target)
        known += [of_file(path) for path in arguments.networks]
        attempts = again(known, range(1, arguments.again + 1))
        add_rows(arguments.again_table, attempts, replace(way, enough=arguments.target))
        return
    add_rows(arguments.table, every_network(arguments.nonzeros, arguments.hidden_layers), way)
    accuracies: dict[int, list[float]] = defaultdict(list)
    for row in read_rows(arguments.table):
        accuracies[int(row["nonzeros"])].append(float(row["evolved"]))
    for nonzeros, found in sorted(accuracies.items()):
        top = " ".join(f"{accuracy:.2%}" for accuracy in sorted(found, reverse=True)[:3])
        print(f"{nonzeros} nonzeros: {len(found)} networks, the best {top}")


if __name__ == "__main__":
    main()
