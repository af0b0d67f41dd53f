"""Every network of at most so many weights and biases, from starts that know the spiral's levels.

    python benchmarks/exhaust_free_biases.py 12 --table docs/results/exhausted-free-biases.csv

As `exhaust_by_levels.py`, where a bias is a parameter like others. Networks that
`free_bias_networks.py` calls superfluous are left out. The smallest come first; the same command
goes on from its table.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from damped_newton import Network
from exhaust_by_levels import Study, keep, reached
from exhaust_networks import rows_of
from free_bias_networks import networks_of, superfluous

import prunelimits as pl
from prunelimits.masks import unflatten
from prunelimits.models import parameter_shapes

HEADER = ("widths", "mask", "parameters", "starts", "error", "early", "trained", "evolved")
PROMISING, TARGET = 0.85, 0.95


def every_network(parameters: int) -> Iterator[Network]:
    """Every network that is not superfluous, the smallest first."""
    found: list[Network] = []
    for widths, rows in networks_of(parameters):
        masks = unflatten(rows, parameter_shapes(widths))
        for i, row in enumerate(rows):
            if not superfluous({name: mask[i] for name, mask in masks.items()}):
                found.append(Network(widths, row.numpy()))
    return iter(sorted(found, key=lambda one: int(one.kept.sum())))


def key(network: Network) -> tuple[str, str]:
    """What the table calls a network: its widths, and which parameters it has as a hex number."""
    bits = "".join("1" if kept else "0" for kept in network.kept)
    return " ".join(map(str, network.widths)), f"{int(bits, 2):x}"


def main() -> None:
    """Measures what the table lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parameters", type=int)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    study = Study(promising=PROMISING, target=TARGET, keep=arguments.keep)
    table: Path = arguments.table
    if not table.exists():
        table.write_text(",".join(HEADER) + "\n")
    done = {(row["widths"], row["mask"]) for row in rows_of(table)}
    x, y = pl.datasets.cubist_spiral()
    for network in every_network(arguments.parameters):
        widths, mask = key(network)
        if (widths, mask) in done:
            continue
        random = np.random.default_rng([*network.widths, int(mask, 16)])
        found = reached(network, x, y, study, random)
        keep(found, study, f"{widths.replace(' ', '-')}-{mask}")
        starts = study.how.starts * len(study.how.of(network.widths))
        row = [widths, mask, int(network.kept.sum()), starts, *found.texts()]
        with table.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)


if __name__ == "__main__":
    main()
