"""Elimination beside magnitude pruning, LTH and GMP on scikit-learn's breast cancer and digits.

    python benchmarks/elimination_data.py breast_cancer --budgets 6 10 20 40 80
    python benchmarks/elimination_data.py digits --budgets 150 200 300 500

All have the same dense networks to start from, trained for elimination and for magnitude pruning,
as they were drawn for LTH and GMP; all prune on training data (70 %) and choose the best of what
they have by accuracy on validation data (15 %). What is printed is accuracy on the test data (15 %)
that none of them has seen: a line for every split, then the medians. A budget counts weights and
biases for elimination, for the others weights alone, by the paper's rule for biases. With --table,
adds a row for every split, budget and method to a file, and leaves out the splits that it has.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from command_line import at_least_one, table_path
from kept_rows import add_rows, read_rows
from sklearn import datasets
from torch import Tensor

import prunelimits as pl
from prunelimits.elimination import Elimination, EliminationResult, eliminate
from prunelimits.pruners import GMP, LTH, Magnitude

HIDDEN = (16, 16, 16)
NAMES = ("elimination", "magnitude", "LTH", "GMP")
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


def chosen(ensemble: pl.MLPEnsemble, validation: Split, test: Split) -> float:
    """Accuracy on the test data of the member that is best on the validation data."""
    best = pl.evaluate(ensemble, *validation).accuracy.argmax().reshape(1)
    return float(pl.evaluate(ensemble[best], *test).accuracy)


def pruned(
    start: pl.MLPEnsemble,
    pruner: pl.pruners.AbstractPruner,
    budget: int,
    recipe: pl.Recipe,
    splits: tuple[Split, Split, Split],
) -> float:
    """What a method of the catalogue comes to, its training included."""
    train, validation, test = splits
    start = start.without_momentum()
    result = pl.fit(start, *train, recipe, pruner=pruner, keep=budget, seed=1)
    return chosen(result.ensemble, validation, test)


def eliminated(result: EliminationResult, budget: int, test: Split) -> float:
    """What elimination comes to within a budget."""
    within = [network for network in result.networks if network.nonzeros <= budget]
    logits = max(within, key=lambda network: network.score).model(test[0])
    labels = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    return float((labels == test[1]).double().mean())


def main() -> None:
    """Prints a row for every split and budget, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("breast_cancer", "digits"))
    parser.add_argument("--budgets", type=at_least_one, nargs="+", required=True)
    parser.add_argument("--seeds", type=at_least_one, default=5)
    parser.add_argument("--networks", type=at_least_one, default=64)
    parser.add_argument("--beam", type=at_least_one, default=24)
    parser.add_argument("--table", type=table_path, default=None)
    arguments = parser.parse_args()
    recipe = pl.Recipe(epochs=40, batch_size=32, lr=0.02)
    method = Elimination(
        networks=arguments.networks,
        recovery=pl.Recipe(epochs=10, batch_size=32, lr=0.01),
        beam=arguments.beam,
        tries=3,
        step=0.04,
    )
    budgets = sorted(arguments.budgets, reverse=True)
    dense: list[float] = []
    found: dict[int, list[list[float]]] = {budget: [] for budget in budgets}
    known = [(row["data"], row["split"]) for row in read_rows(arguments.table)]
    for seed in range(arguments.seeds):
        if (arguments.name, str(seed)) in known:
            continue
        splits = load(arguments.name, seed)
        (x, y), validation, test = splits
        classes = int(y.max()) + 1
        widths = (x.shape[1], *HIDDEN, 1 if classes == 2 else classes)
        fresh = pl.MLPEnsemble(widths, method.networks, seed=seed)
        trained = pl.fit(fresh, x, y, recipe, seed=seed).ensemble
        dense.append(chosen(trained, validation, test))
        print(f"{arguments.name}, split {seed}: dense {dense[-1]:.4f}", flush=True)
        result = eliminate(
            x,
            y,
            method,
            nonzeros=min(budgets),
            start=trained,
            trained=True,
            measure=validation,
            seed=seed,
        )
        rows = [_row(arguments.name, seed, int(fresh.nonzeros()[0]), "dense", dense[-1])]
        for budget in budgets:
            row = [
                eliminated(result, budget, test),
                pruned(trained, Magnitude(), budget, recipe, splits),
                pruned(fresh, LTH(), budget, recipe, splits),
                pruned(fresh, GMP(), budget, recipe, splits),
            ]
            found[budget].append(row)
            for method_name, accuracy in zip(NAMES, row, strict=True):
                rows.append(_row(arguments.name, seed, budget, method_name, accuracy))
            print(f"  {budget}: {_line(row)}", flush=True)
        print(f"  {result.epochs:,} passes, {result.seconds:.0f} s", flush=True)
        add_rows(arguments.table, rows)
    if not dense:
        return
    print(f"medians of {len(dense)} splits: dense {statistics.median(dense):.4f}")
    for budget, rows in found.items():
        medians = [statistics.median(column) for column in zip(*rows, strict=True)]
        print(f"  {budget}: {_line(medians)}")


def _row(data: str, split: int, budget: int, method: str, accuracy: float) -> dict[str, object]:
    return {
        "data": data,
        "split": split,
        "budget": budget,
        "method": method,
        "accuracy": f"{accuracy:.6f}",
    }


def _line(accuracies: list[float]) -> str:
    return ", ".join(f"{n} {a:.4f}" for n, a in zip(NAMES, accuracies, strict=True))


if __name__ == "__main__":
    main()
