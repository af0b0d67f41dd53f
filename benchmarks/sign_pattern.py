r"""Appendix E of the paper: does the sparse network depend only on the signs of its start?

    python benchmarks/sign_pattern.py bench-95.pt --table docs/results/sign-pattern.csv --draws 10

All 416 masks of widths (2, 3, 2, 2, 1), by the paper's six recipes, from one start; from the same
with its batches in other orders, which is as alike as searches get; then from others: with its
signs and magnitudes drawn anew, with its signs and in each layer one magnitude, and with its
magnitudes and signs drawn anew. A row a search: the smallest network at 95 %, the most accurate
one, and how alike the masks' best accuracies are to those from the start itself (by rank
correlation; nothing where all are the same). What the table has is not searched again, but for the
start itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from command_line import at_least_one, table_path
from kept_rows import add_rows, read_rows
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

import prunelimits as pl
from prunelimits.search import SearchConfig, Store, combinatorial_search
from prunelimits.search.shard import shard_ranks

CONFIG = SearchConfig(target=0.95, widths=(2, 3, 2, 2, 1))
ITSELF, OTHER_BATCHES = "the start itself", "the start itself, other batches"


def starts(model: pl.MLP, draws: int) -> Iterator[tuple[str, int, pl.MLP]]:
    """The start itself, and others like it in one respect."""
    own = dict(model.named_parameters())
    alike = {
        name: torch.full_like(value, float(value.detach().abs().mean()))
        for name, value in own.items()
    }
    yield "its signs, one magnitude a layer", 0, with_magnitudes(model, alike)
    for draw in range(draws):
        yield OTHER_BATCHES, draw, model
        fresh = pl.MLPEnsemble(model.widths, models=1, seed=1000 + draw).member(0)[0]
        drawn = dict(fresh.named_parameters())
        yield "its signs, magnitudes drawn anew", draw, with_magnitudes(model, drawn)
        generator = torch.Generator().manual_seed(draw)
        yield "its magnitudes, signs drawn anew", draw, resigned(model, generator)
        yield "another start", draw, fresh


def with_magnitudes(model: pl.MLP, others: Mapping[str, Tensor]) -> pl.MLP:
    """With the signs of a model and other magnitudes."""
    result = pl.MLP(model.widths)
    with torch.no_grad():
        for name, own in result.named_parameters():
            own.copy_(model.get_parameter(name).sign() * others[name].abs())
    return result


def resigned(model: pl.MLP, generator: torch.Generator) -> pl.MLP:
    """With the magnitudes of a model and random signs."""
    result = pl.MLP(model.widths)
    with torch.no_grad():
        for name, own in result.named_parameters():
            signs = 2 * torch.randint(0, 2, own.shape, generator=generator) - 1
            own.copy_(model.get_parameter(name).abs() * signs)
    return result


def search(start: pl.MLP, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Nonzeros and the best accuracy over the recipes of every mask, by rank."""
    config = dataclasses.replace(CONFIG, seed=seed)
    x, y = pl.datasets.cubist_spiral()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "search.sqlite"
        result = combinatorial_search(config, x, y, store=path, initial=start)
        with Store(path, write=False) as store:
            (phase,) = store.phases()
            space = phase.space(2, 1)
            sizes = space.nonzeros(range(space.count)).numpy()
            best = np.zeros(space.count)
            for shard, numbers in store.shards(phase):
                ranks = shard_ranks(config, space, shard)
                best[list(ranks)] = numbers.reshape(len(ranks), -1).max(1) / result.samples
    return sizes, best


def row_of(
    kind: str,
    draw: int,
    sizes: NDArray[np.int64],
    best: NDArray[np.float64],
    reference: NDArray[np.float64],
) -> dict[str, object]:
    """What one search found, as a row."""
    there = best >= CONFIG.target
    smallest = int(sizes[there].min()) if there.any() else ""
    return {
        "start": kind,
        "draw": draw,
        "masks": len(best),
        "trainings": len(best) * len(CONFIG.recipes),
        "at_95": int(there.sum()),
        "smallest": smallest,
        "accuracy": f"{best[there & (sizes == smallest)].max():.5f}" if there.any() else "",
        "best": f"{best.max():.5f}",
        "alike": f"{spearmanr(best, reference).statistic:.3f}" if np.ptp(best) > 0 else "",
    }


def main() -> None:
    """What is missing from the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("start", type=Path)
    parser.add_argument("--table", type=table_path, required=True)
    parser.add_argument("--draws", type=at_least_one, default=10)
    arguments = parser.parse_args()
    model = pl.load(arguments.start)[0]
    done = {(row["start"], row["draw"]) for row in read_rows(arguments.table)}
    sizes, reference = search(model, CONFIG.seed)
    if (ITSELF, "0") not in done:
        add_rows(arguments.table, [row_of(ITSELF, 0, sizes, reference, reference)])
    for kind, draw, start in starts(model, arguments.draws):
        if (kind, str(draw)) in done:
            continue
        seed = 1 + draw if kind == OTHER_BATCHES else CONFIG.seed
        row = row_of(kind, draw, *search(start, seed), reference)
        add_rows(arguments.table, [row])
        print(*row.values(), flush=True)


if __name__ == "__main__":
    main()
