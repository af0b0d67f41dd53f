"""The demo's first search from other seeds: how much of what it finds is luck.

    python benchmarks/demo_seeds.py --seeds 10 --table docs/results/demo-seeds.csv

All 273 networks of widths (2, 3, 2, 2, 1) from 100 starts each, by one recipe, as `make demo`
trains them, seed by seed. A row a seed and size; what the table has is not trained again.
"""

from __future__ import annotations

import argparse

from command_line import at_least_one, table_path
from kept_rows import add_rows, read_rows

from prunelimits.datasets import cubist_spiral
from prunelimits.search import SearchConfig, combinatorial_search
from prunelimits.training import Recipe


def main() -> None:
    """Searches with the seeds that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=at_least_one, default=10)
    parser.add_argument("--table", type=table_path, required=True)
    arguments = parser.parse_args()
    done = {int(row["seed"]) for row in read_rows(arguments.table)}
    x, y = cubist_spiral()
    for seed in range(arguments.seeds):
        if seed in done:
            continue
        config = SearchConfig(
            target=0.95,
            widths=(2, 3, 2, 2, 1),
            recipes=(Recipe(),),
            seeds=100,
            seed=seed,
            symmetry="network",
            shard_size=256,
        )
        (phase,) = combinatorial_search(config, x, y).phases
        rows = [
            {
                "seed": seed,
                "nonzeros": size.nonzeros,
                "networks": size.networks,
                "trainings": size.trainings,
                "reached": size.reached,
                "accuracy": size.accuracy,
            }
            for size in phase.sizes
        ]
        add_rows(arguments.table, rows)
        print(
            seed, min((row["nonzeros"] for row in rows if row["reached"]), default=None), flush=True
        )


if __name__ == "__main__":
    main()
