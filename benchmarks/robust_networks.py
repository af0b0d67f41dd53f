"""Small networks whose accuracy no tie and no rounding decides, from ones where a tie does.

    python benchmarks/robust_networks.py examples/networks/cubist-spiral-95-17-with-biases-22.pt \
        --target 0.95 --keep examples/networks

The smallest networks have a logit of exactly zero for a whole band of the spiral, which counts as
class 0. An output bias moves that band off zero. From the network with such a bias, of four sizes,
its parameters are evolved for the accuracy with a margin (see `prunelimits.training.evaluate`); a
network that has the bias already starts as it is. Prints nonzeros and accuracies, and keeps the
best under a name that says what it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from command_line import at_least_one

import prunelimits as pl
from prunelimits.masks import count, with_biases
from prunelimits.training import MLPEnsemble, default_engine, evaluate, evolve
from prunelimits.training.margins import logit_spread

# Of the first output biases, in standard deviations of the logits: towards class 0, where ties are.
BIASES = (-0.02, -0.05, -0.1, -0.2)


def starts(path: Path) -> MLPEnsemble:
    """The network with output biases of several sizes, or once as it is if it has one."""
    model, masks = pl.load(path)
    params = {name: value.detach().float()[None] for name, value in model.named_parameters()}
    name = f"layers.{len(model.widths) - 2}.bias"
    if bool(masks[name].all()):
        return MLPEnsemble.from_params(model.widths, params, masks)
    x, _ = pl.datasets.cubist_spiral()
    plain = MLPEnsemble.from_params(model.widths, params)
    spread = float(logit_spread(plain, x, default_engine(plain)))
    several = {
        n: value.repeat(len(BIASES), *(1 for _ in value.shape[1:])) for n, value in params.items()
    }
    several[name] += spread * torch.tensor(BIASES).unsqueeze(1)
    return MLPEnsemble.from_params(
        model.widths, several, {**masks, name: torch.ones_like(masks[name])}
    )


def main() -> None:
    """Evolves each of the networks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("networks", type=Path, nargs="+")
    parser.add_argument("--target", type=float, required=True)
    parser.add_argument("--margin", type=float, default=0.01)
    parser.add_argument("--generations", type=at_least_one, default=400)
    parser.add_argument("--keep", type=Path, default=None)
    arguments = parser.parse_args()
    x, y = pl.datasets.cubist_spiral()
    for path in arguments.networks:
        evolved = evolve(
            starts(path), x, y, margin=arguments.margin, generations=arguments.generations
        )
        accuracy = evaluate(evolved, x, y, margin=arguments.margin).accuracy
        best = int(accuracy.argmax())
        model, masks = evolved.member(best)
        weights = {name: mask for name, mask in masks.items() if name.endswith("weight")}
        nonzeros, paper = count(masks), count(with_biases(weights, "outgoing"))
        plain = evaluate(evolved, x, y).accuracy[best]
        print(
            f"{path.stem}: {nonzeros} nonzeros ({paper} by the paper's rule), {plain:.2%}, with a "
            f"margin of {arguments.margin:g} {accuracy[best]:.2%}",
            flush=True,
        )
        if arguments.keep is not None and accuracy[best] >= arguments.target:
            percent = f"{arguments.target:g}".removeprefix("0.")
            name = f"cubist-spiral-{percent}-{nonzeros}-margin-with-biases-{paper}.pt"
            pl.save(model, masks, arguments.keep / name)


if __name__ == "__main__":
    main()
