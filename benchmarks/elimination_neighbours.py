"""Whether any part of a network found does as well: all of them, from many starts.

    python benchmarks/elimination_neighbours.py network.pt --fewer 1 2

Takes every set of `--fewer` parameters away from a saved network, with what that disconnects, and
trains what is left from `--starts` starts: half from the network's own weights, each times one plus
normal noise (the first without), half from random ones. Every network's best is then evolved.
Prints for every number of parameters left how many networks there are and the best accuracy of any,
trained and evolved; with --table, adds these as rows to a file.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import torch
from command_line import at_least_one, table_path
from kept_rows import add_rows, read_rows
from torch import Tensor

import prunelimits as pl
from prunelimits.elimination.beam import first_of_each, identities
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.settling import settle
from prunelimits.masks import flatten, unflatten
from prunelimits.models import parameter_shapes
from prunelimits.training import evaluate, evolve

NOISE = 0.5


def parts(model: pl.MLP, masks: pl.Masks, fewer: int) -> NetworkStack:
    """All distinct networks that lack `fewer` parameters or more, with the weights they had."""
    kept = flatten(masks)
    places = kept.nonzero().squeeze(1).tolist()
    rows = kept.repeat(len(list(combinations(places, fewer))), 1)
    for row, gone in zip(rows, combinations(places, fewer), strict=True):
        row[list(gone)] = False
    shapes = parameter_shapes(model.widths)
    params = {n: p.detach().expand(len(rows), *p.shape) for n, p in model.named_parameters()}
    ensemble = pl.MLPEnsemble.from_params(model.widths, params, unflatten(rows, shapes))
    found = settle(NetworkStack.unmeasured(ensemble), "free")
    found = replace(found, origin=torch.zeros_like(found.origin))
    return found[first_of_each(identities(found))]


def best_of(found: NetworkStack, starts: int, recipe: pl.Recipe) -> tuple[Tensor, Tensor]:
    """The best accuracy of every network from so many starts: trained, and then evolved."""
    generator = torch.Generator().manual_seed(0)
    x, y = pl.datasets.cubist_spiral()
    best, score = found.params, torch.zeros(len(found), dtype=torch.float64)
    for start in range(starts):
        if start % 2:
            fresh = pl.MLPEnsemble(found.widths, len(found), seed=start, masks=found.masks)
            params = fresh.params
        else:
            params = {
                name: value
                * (1 + (start > 0) * NOISE * torch.randn(value.shape, generator=generator))
                for name, value in found.params.items()
            }
        ensemble = pl.MLPEnsemble.from_params(found.widths, params, found.masks)
        result = pl.fit(ensemble, x, y, recipe, seed=start)
        better = result.accuracy > score
        score = torch.where(better, result.accuracy, score)
        best = {
            name: torch.where(better.view(-1, *(1 for _ in value.shape[1:])), value, best[name])
            for name, value in result.ensemble.params.items()
        }
    trained = pl.MLPEnsemble.from_params(found.widths, best, found.masks)
    return score, evaluate(evolve(trained, x, y), x, y).accuracy


def main() -> None:
    """Prints a line for every number of parameters left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("--fewer", type=at_least_one, nargs="+", default=[1, 2])
    parser.add_argument("--starts", type=at_least_one, default=48)
    parser.add_argument("--epochs", type=at_least_one, default=10)
    parser.add_argument("--table", type=table_path, default=None)
    arguments = parser.parse_args()
    model, masks = pl.load(arguments.network)
    recipe = pl.Recipe(epochs=arguments.epochs, batch_size=32, lr=0.02)
    known = [(row["network"], row["fewer"]) for row in read_rows(arguments.table)]
    for fewer in arguments.fewer:
        key = (arguments.network.stem, str(fewer))
        if key in known:
            continue
        found = parts(model, masks, fewer)
        score, evolved = best_of(found, arguments.starts, recipe)
        rows: list[dict[str, object]] = []
        for size in found.nonzeros().unique().tolist():
            same = found.nonzeros() == size
            best, after = float(score[same].max()), float(evolved[same].max())
            rows.append(
                {
                    "network": arguments.network.stem,
                    "fewer": fewer,
                    "starts": arguments.starts,
                    "epochs": arguments.epochs,
                    "nonzeros": size,
                    "networks": int(same.sum()),
                    "trained": best,
                    "evolved": after,
                }
            )
            print(
                f"{size} parameters: {int(same.sum())} networks, at best {best:.4f}"
                f" trained, {after:.4f} evolved",
                flush=True,
            )
        add_rows(arguments.table, rows)


if __name__ == "__main__":
    main()
