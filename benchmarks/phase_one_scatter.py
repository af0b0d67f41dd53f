r"""Every training of a search's first phase, for the scatter plot of the paper's Figure 5.

    prunelimits search --target 0.995 --initial bench-995.pt --first-phase-only \
        --first-phase-max-nonzeros 60 --store phase-one.sqlite
    python benchmarks/phase_one_scatter.py phase-one.sqlite --table docs/results/figure-5.csv

A store keeps how many samples each training got right, by the networks' rank. The table has a row a
choice of widths: its nonzeros, and the accuracy of each recipe.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from prunelimits.search import SearchConfig, Store
from prunelimits.search.shard import shard_ranks
from prunelimits.search.spaces import StructuredWidths


def main() -> None:
    """Reads the store, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--table", type=Path, required=True)
    arguments = parser.parse_args()
    rows: list[tuple[object, ...]] = []
    with Store(arguments.store, write=False) as store:
        description = store.description()
        config = SearchConfig.from_json(description["search"])
        samples = json.loads(description["data"])["samples"]
        (phase,) = (phase for phase in store.phases() if isinstance(phase, StructuredWidths))
        space = phase.space(2, 1)
        for shard, numbers in store.shards(phase):
            ranks = shard_ranks(config, space, shard)
            sizes = space.nonzeros(ranks).tolist()
            for size, correct in zip(sizes, numbers.reshape(len(ranks), -1).tolist(), strict=True):
                rows.append((size, *(f"{max(n, 0) / samples:.5f}" for n in correct)))
    recipes = [f"{recipe.lr:g} {recipe.schedule}" for recipe in config.recipes]
    with arguments.table.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("nonzeros", *recipes), *sorted(rows)])


if __name__ == "__main__":
    main()
