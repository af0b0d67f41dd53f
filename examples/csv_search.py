"""Searches on a CSV file, most of whose columns say nothing: it ends at those that matter.

Run: python examples/csv_search.py
Makes flowers.csv: six columns, of which two decide the label. The search of all small networks and
the elimination from large ones may both leave inputs unused, and say which columns they read.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import prunelimits as pl
from prunelimits.elimination import Elimination, eliminate
from prunelimits.search import SearchConfig, combinatorial_search

COLUMNS = ("height", "width", "petals", "shade", "age", "weight")


def write_flowers(path: Path, rows: int) -> None:
    """A table with a header; the label is 1 where height + weight is above 0, within a margin."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(4 * rows, len(COLUMNS)))
    x = x[np.abs(x[:, 0] + x[:, 5]) > 0.3][:rows]
    label = (x[:, 0] + x[:, 5] > 0).astype(int)
    header = ",".join((*COLUMNS, "label"))
    np.savetxt(
        path, np.column_stack([x, label]), delimiter=",", header=header, comments="", fmt="%.6f"
    )


def columns_read(model: pl.MLP, masks: pl.types.Masks) -> str:
    """The columns that a network looks at."""
    used = pl.effective_masks(model, masks)["layers.0.weight"].any(0)
    return ", ".join(name for name, reads in zip(COLUMNS, used.tolist(), strict=True) if reads)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--rows", type=int, default=400)
parser.add_argument("--epochs", type=int, default=30)
options = parser.parse_args()

write_flowers(Path("flowers.csv"), options.rows)
table = np.loadtxt("flowers.csv", delimiter=",", skiprows=1, dtype=np.float32)
x, y = torch.from_numpy(table[:, :-1]), torch.from_numpy(table[:, -1])
print(f"flowers.csv: {len(x)} rows, {x.shape[1]} columns")

config = SearchConfig(
    target=0.99,
    widths=(6, 2, 1),
    width=2,
    recipes=(pl.Recipe(epochs=options.epochs, batch_size=32, lr=0.1),),
    seeds=2,
    inputs="any",
    max_nonzeros=9,
)
found = combinatorial_search(config, x, y).sparsest
assert found is not None
print(
    f"search: {found.nonzeros} nonzeros, {found.accuracy:.1%}, reads "
    f"{columns_read(found.model, found.masks)}"
)

small = Elimination(networks=16, beam=8, evolved=0)
best = eliminate(x, y, small, target=0.99, start=(6, 8, 1), seed=0).sparsest
print(
    f"elimination: {best.nonzeros} nonzeros, {best.score:.1%}, reads "
    f"{columns_read(best.model, best.masks)}"
)
