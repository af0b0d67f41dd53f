"""The networks of `limit_belief.py`: those its condition was found on, and others to test it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from limit_networks import BATCH, Batches, digits, found_networks, mnist, network, spiral_network
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.types import Masks

Group = Literal["found on", "tested on"]
EPOCHS = {"digits": 200, "mnist-5k": 60, "wine": 400, "breast cancer": 200}
SMALL_BATCH = 32
SEEDS = 2


@dataclass(frozen=True)
class Setting:
    """One network: what it is of, how it was trained, and what it is for."""

    group: Group
    data: str
    model: str
    penalty: str = "none"
    strength: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """A trained network with its data and loss."""

    model: nn.Module
    loss: nn.Module
    train: Batches
    test: Batches
    masks: Masks | None = None


def settings() -> list[Setting]:
    """All of them, one seed after the other, so that a study cut short has some of each."""
    penalties = (("none", 0.0), ("l1", 1e-4), ("l1", 5e-4), ("l2", 1e-3))
    found = [Setting("found on", "digits", "mlp", *p, seed) for seed in range(3) for p in penalties]
    spirals = [Setting("tested on", "spiral", path.stem) for path in found_networks()[::4]]
    others = (
        ("wine", "mlp", (("none", 0.0), ("l1", 1e-3), ("l1", 5e-3), ("l2", 5e-3))),
        ("breast cancer", "mlp", (("none", 0.0), ("l1", 1e-3), ("l1", 5e-3), ("l2", 5e-3))),
        ("digits", "tanh", (("none", 0.0), ("l1", 2e-4), ("l1", 1e-3))),
        ("digits", "deep", (("none", 0.0), ("l1", 2e-4), ("l1", 1e-3))),
        ("digits", "batchnorm", (("none", 0.0), ("l1", 5e-4), ("l2", 1e-3))),
        ("mnist-5k", "mlp", (("none", 0.0), ("l1", 2e-4), ("l1", 2e-3))),
    )
    tested = [
        Setting("tested on", data, name, *penalty, seed)
        for seed in range(SEEDS)
        for data, name, own in others
        for penalty in own
    ]
    return found + tested + spirals


def prepared(setting: Setting) -> Trained:
    """The network of a setting, trained, the same for the same setting."""
    if setting.data == "spiral":
        model, masks, batches = spiral_network(setting.model, setting.seed)
        return Trained(model, nn.BCEWithLogitsLoss(), batches, batches, masks)
    x, y = _data(setting.data)
    size = BATCH if setting.data in ("digits", "mnist-5k") else SMALL_BATCH
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y, aside = x[order], y[order], int(0.2 * len(x))
    train, test = (
        list(zip(a.split(size), b.split(size), strict=True))
        for a, b in ((x[aside:], y[aside:]), (x[:aside], y[:aside]))
    )
    torch.manual_seed(setting.seed)
    model = _network(setting, x.shape[1:].numel(), int(y.max()) + 1)
    _fit(model, x[aside:], y[aside:], setting, size)
    return Trained(model.eval(), nn.CrossEntropyLoss(), train, test)


def _data(name: str) -> tuple[Tensor, Tensor]:
    if name in ("digits", "mnist-5k"):
        return digits() if name == "digits" else mnist()
    from sklearn import datasets

    load = {"wine": datasets.load_wine, "breast cancer": datasets.load_breast_cancer}[name]
    x, y = load(return_X_y=True)
    x = torch.tensor(x)
    return ((x - x.mean(0)) / x.std(0)).float(), torch.tensor(y).long()


def _network(setting: Setting, inputs: int, classes: int) -> nn.Module:
    """As the studies before, or with another depth, activation or normalisation."""
    if setting.data in ("digits", "mnist-5k") and setting.model in ("mlp", "conv"):
        return network(setting.data, setting.model)
    hidden = {"deep": (60, 50, 40, 30), "mlp": (50, 20)}.get(setting.model, (100, 50))
    between: Callable[[int], tuple[nn.Module, ...]] = {
        "tanh": lambda _: (nn.Tanh(),),
        "batchnorm": lambda width: (nn.BatchNorm1d(width), nn.ReLU()),
    }.get(setting.model, lambda _: (nn.ReLU(),))
    widths = (inputs, *hidden)
    layers: list[nn.Module] = [nn.Flatten()]
    for d_in, d_out in zip(widths, hidden, strict=False):
        layers += [nn.Linear(d_in, d_out), *between(d_out)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))


def _fit(model: nn.Module, x: Tensor, y: Tensor, setting: Setting, size: int) -> None:
    """SGD with momentum and a cosine schedule, whole batches in a new order every epoch."""
    decay = setting.strength if setting.penalty == "l2" else 0.0
    optimizer = torch.optim.SGD(model.parameters(), 0.05, 0.9, weight_decay=decay)
    epochs, whole = EPOCHS[setting.data], len(x) // size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * whole)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(size)[:whole]:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x[chosen]), y[chosen])
            if setting.penalty == "l1":
                loss = loss + setting.strength * sum(p.abs().sum() for p in model.parameters())
            loss.backward()
            optimizer.step()
            schedule.step()
