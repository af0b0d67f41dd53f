"""What the networks that searches found can lose after training, as pruners' networks are trimmed.

    python benchmarks/trim_found.py docs/results/*-at-*.pt --table docs/results/trimmed.csv

Two ways, both without training again. *Trimmed*: `prunelimits.experiments.trim`, the smallest
weights one after the other until accuracy falls, as every network of the gap study is trimmed.
*Part*: any parameters, with whatever they disconnect, for as long as the target in the file's name
is reached; the most accurate 16 parts of every number of removals go on.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch
from torch import Tensor

import prunelimits as pl
from prunelimits.connectivity import fold_constants
from prunelimits.experiments import trim
from prunelimits.masks import rows, unflatten
from prunelimits.models import parameter_shapes
from prunelimits.training import MLPEnsemble, evaluate

HEADER = (
    "network", "target", "nonzeros", "accuracy",
    "trimmed", "trimmed_accuracy", "part", "part_accuracy",
)  # fmt: skip
BEAM = 16


def accuracy(ensemble: MLPEnsemble, x: Tensor, y: Tensor) -> float:
    """Of the first member."""
    return float(evaluate(ensemble, x, y).accuracy[0])


def smaller(network: MLPEnsemble) -> MLPEnsemble:
    """The network without each of its parameters, and without what that disconnects."""
    flat = rows(network.masks)[0]
    kept = flat.nonzero().squeeze(1)
    masks = flat.repeat(len(kept), 1)
    masks[torch.arange(len(kept)), kept] = False
    shapes = parameter_shapes(network.widths)
    named = unflatten(masks, shapes)
    params = {
        name: value.expand(len(kept), *value.shape[1:]) * named[name]
        for name, value in network.params.items()
    }
    params, named = fold_constants(params, named)
    return MLPEnsemble.from_params(network.widths, params, named)


def smallest_part(network: MLPEnsemble, target: float, x: Tensor, y: Tensor) -> MLPEnsemble:
    """The smallest network at the target that removals lead to, the most accurate of equals."""
    found = beam = network
    while int(beam.nonzeros().max()) > 1:
        parts = [smaller(beam[torch.tensor([n])]) for n in range(len(beam))]
        params = {name: torch.cat([p.params[name] for p in parts]) for name in network.params}
        masks = {name: torch.cat([p.masks[name] for p in parts]) for name in network.masks}
        candidates = MLPEnsemble.from_params(network.widths, params, masks)
        measured, sizes = evaluate(candidates, x, y).accuracy.tolist(), candidates.nonzeros()
        order = sorted(range(len(candidates)), key=lambda n: (-measured[n], int(sizes[n])))
        # Parameters removed in another order leave the same network.
        flat = rows(candidates.masks)
        first = {flat[n].numpy().tobytes(): n for n in reversed(order)}
        chosen = [n for n in order if first[flat[n].numpy().tobytes()] == n]
        chosen = [n for n in chosen if measured[n] >= target][:BEAM]
        if not chosen:
            break
        beam = candidates[torch.tensor(chosen)]
        best = min(chosen, key=lambda n: (int(sizes[n]), -measured[n]))
        if int(sizes[best]) < int(found.nonzeros()):
            found = candidates[torch.tensor([best])]
    return found


def main() -> None:
    """Measures every network, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("networks", type=Path, nargs="+")
    parser.add_argument("--table", type=Path, required=True)
    arguments = parser.parse_args()
    x, y = pl.datasets.cubist_spiral()
    lines: list[tuple[object, ...]] = []
    for path in sorted(arguments.networks):
        name, _, percent = path.stem.rpartition("-at-")
        target = float(f"0.{percent}")
        model, masks = pl.load(path)
        params = {n: value.detach().float()[None] for n, value in model.named_parameters()}
        network = MLPEnsemble.from_params(model.widths, params, masks)
        numbers: list[object] = []
        for part in (network, trim(network, x, y), smallest_part(network, target, x, y)):
            numbers += [int(part.nonzeros()), f"{accuracy(part, x, y):.5f}"]
        lines.append((name, target, *numbers))
        print(*lines[-1], flush=True)
    with arguments.table.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *lines])


if __name__ == "__main__":
    main()
