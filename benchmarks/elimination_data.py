"""Elimination beside magnitude pruning on scikit-learn's breast cancer and digits.

    python benchmarks/elimination_data.py breast_cancer --budgets 10 20 40 80
    python benchmarks/elimination_data.py digits --budgets 150 250 400 800

Both start from the same dense networks, prune on training data (70 %) and choose among what they
have by accuracy on validation data (15 %); what is printed is accuracy on the test data (15 %) that
neither has seen. Magnitude pruning keeps the largest weights of each trained network, all layers
together, and trains on by the recipe of the dense networks; a budget counts weights and biases,
those of units without a way out being pruned (the paper's rule).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from sklearn import datasets
from torch import Tensor

import prunelimits as pl
from prunelimits.models import parameter_shapes
from prunelimits.search.elimination import Elimination, eliminate

HIDDEN = (16, 16, 16)
Split = tuple[Tensor, Tensor]


def load(name: str, seed: int) -> tuple[Split, Split, Split]:
    """Training, validation and test data, standardised by the training data."""
    loader: Callable[..., tuple] = getattr(datasets, f"load_{name}")
    x, y = (torch.from_numpy(a) for a in loader(return_X_y=True))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    train, validation, test = order.split(
        [int(0.7 * len(x)), int(0.15 * len(x)), len(x) - int(0.7 * len(x)) - int(0.15 * len(x))]
    )
    x = x.float()
    x = (x - x[train].mean(0)) / x[train].std(0).clamp_min(1e-6)
    return (x[train], y[train]), (x[validation], y[validation]), (x[test], y[test])


def magnitude(
    ensemble: pl.MLPEnsemble, budget: int, train: Split, validation: Split, recipe: pl.Recipe
) -> pl.MLPEnsemble:
    """The best on validation data of all members, pruned to the budget and trained on."""
    names = [name for name in parameter_shapes(ensemble.widths) if name.endswith("weight")]
    stacked: dict[str, list[Tensor]] = {name: [] for name in ensemble.params}
    for index in range(len(ensemble)):
        scores = {name: ensemble.params[name][index].abs() for name in names}
        low, high = 1, budget
        masks = pl.masks.with_biases(pl.masks.top(scores, keep=low))
        while low < high:  # the most weights whose network, biases included, is in the budget
            middle = (low + high + 1) // 2
            tried = pl.masks.with_biases(pl.masks.top(scores, keep=middle))
            if pl.masks.count(tried) <= budget:
                low, masks = middle, tried
            else:
                high = middle - 1
        for name, mask in masks.items():
            stacked[name].append(mask)
    pruned = ensemble.without_momentum().replace(
        masks={name: torch.stack(masks) for name, masks in stacked.items()}
    )
    trained = pl.fit(pruned, *train, recipe).ensemble
    best = pl.evaluate(trained, *validation).accuracy.argmax()
    return trained[best.reshape(1)]


def main() -> None:
    """Prints a row for every budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("breast_cancer", "digits"))
    parser.add_argument("--budgets", type=int, nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--networks", type=int, default=64)
    parser.add_argument("--beam", type=int, default=24)
    arguments = parser.parse_args()
    dense = pl.Recipe(epochs=40, batch_size=32, lr=0.02)
    method = Elimination(
        networks=arguments.networks,
        dense=dense,
        recovery=pl.Recipe(epochs=10, batch_size=32, lr=0.01),
        beam=arguments.beam,
        tries=3,
        step=0.04,
    )
    for seed in range(arguments.seeds):
        train, validation, test = load(arguments.name, seed)
        classes = int(train[1].max()) + 1
        widths = (train[0].shape[1], *HIDDEN, 1 if classes == 2 else classes)
        start = pl.fit(
            pl.MLPEnsemble(widths, method.networks, seed=seed), *train, dense, seed=seed
        ).ensemble
        best = pl.evaluate(start, *validation).accuracy.argmax().reshape(1)
        accuracy = float(pl.evaluate(start[best], *test).accuracy)
        print(f"{arguments.name}, seed {seed}: dense {int(start.nonzeros()[0])}, {accuracy:.4f}")
        result = eliminate(
            *train,
            method,
            nonzeros=min(arguments.budgets),
            start=start,
            trained=True,
            measure=validation,
            seed=seed,
        )
        for budget in sorted(arguments.budgets, reverse=True):
            within = [n for n in result.networks if n.nonzeros <= budget]
            ours = max(within, key=lambda n: n.score)
            logits = ours.model(test[0])
            labels = logits.argmax(1) if classes > 2 else (logits[:, 0] > 0).long()
            found = float((labels == test[1]).double().mean())
            theirs = magnitude(start, budget, train, validation, dense)
            beside = float(pl.evaluate(theirs, *test).accuracy)
            print(
                f"  budget {budget}: elimination {found:.4f} ({ours.nonzeros} nonzeros), "
                f"magnitude {beside:.4f}",
                flush=True,
            )
        print(f"  {result.epochs:,} passes, {result.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
