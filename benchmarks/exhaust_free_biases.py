"""Every network of at most so many weights and free biases, from 4,096 starts each, in rungs.

    python benchmarks/exhaust_free_biases.py 12 --table docs/results/exhausted-free-biases.csv

As `exhaust_networks.py`, of the networks that `free_bias_networks.py` counts and whose classes no
smaller one can have: a bias is a parameter like others, which a unit may have or not. The largest
first; a row a network goes into the table, its mask as hexadecimal digits of the parameters in
their order, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from command_line import at_least_one, table_path
from exhaust_networks import AT_ONCE, Way, append, best_of_starts, missing
from free_bias_networks import networks_of, superfluous
from kept_rows import read_rows
from torch import Tensor

import prunelimits as pl
from prunelimits.masks import unflatten
from prunelimits.models import parameter_shapes
from prunelimits.randomness import derive
from prunelimits.training.initialisation import member_seeds

HEADER = ("widths", "mask", "parameters", "starts", "early", "trained", "evolved")
Key = tuple[str, str]


class Free(NamedTuple):
    """A network: its widths, and which of its parameters it has, bool `(entries,)`."""

    widths: tuple[int, ...]
    row: Tensor

    @property
    def key(self) -> Key:
        """What the table calls it."""
        return " ".join(map(str, self.widths)), np.packbits(self.row.numpy()).tobytes().hex()


def every_network(parameters: int) -> list[Free]:
    """Those of at most so many parameters that are not superfluous, the largest first."""
    found: list[Free] = []
    for widths, rows in networks_of(parameters):
        masks = unflatten(rows, parameter_shapes(widths))
        for i, row in enumerate(rows):
            if not superfluous({name: mask[i] for name, mask in masks.items()}):
                found.append(Free(widths, row))
    return sorted(found, key=lambda one: -int(one.row.sum()))


def add_rows(table: Path, networks: Iterable[Free], way: Way) -> None:
    """Tries the networks that the table lacks, and adds their rows."""
    x, y = pl.datasets.cubist_spiral()
    left = missing(table, networks, HEADER, ("widths", "mask"))
    for widths, alike in groupby(left, lambda one: one.widths):
        while some := list(islice(alike, AT_ONCE)):
            append(table, list(tried(widths, some, x, y, way)))


def tried(
    widths: tuple[int, ...], networks: list[Free], x: Tensor, y: Tensor, way: Way
) -> Iterator[tuple[object, ...]]:
    """A row for each of some networks of the same widths."""
    seeds: list[int] = []
    for one in networks:
        digits = int(one.key[1], 16) % 2**63
        seeds += member_seeds(int(derive(1, *widths, digits)[0]), way.starts)
    rows = torch.stack([one.row for one in networks])
    tops = best_of_starts(widths, rows, seeds, x, y, way)
    for one, accuracies in zip(networks, tops, strict=True):
        yield *one.key, int(one.row.sum()), way.starts, *(f"{top:.5f}" for top in accuracies)


def main() -> None:
    """Tries what the table lacks, then prints the best of every size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parameters", type=at_least_one)
    parser.add_argument("--table", type=table_path, required=True)
    arguments = parser.parse_args()
    add_rows(arguments.table, every_network(arguments.parameters), Way())
    by_size = sorted(read_rows(arguments.table), key=lambda row: int(row["parameters"]))
    for size, rows in groupby(by_size, lambda row: row["parameters"]):
        found = [float(row["evolved"]) for row in rows]
        print(f"{size} parameters: {len(found)} networks, the best {max(found):.2%}")


if __name__ == "__main__":
    main()
