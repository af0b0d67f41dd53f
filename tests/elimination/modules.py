"""Small modules to regrow, stacks of them, and a task: which half of an image is brighter."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from prunelimits.connectivity import effective_masks
from prunelimits.elimination import Regrowth
from prunelimits.elimination.module_data import checked_starts, data_of_modules, tensors_of
from prunelimits.elimination.module_stack import ModuleStack
from prunelimits.elimination.regrowing_modules import ModuleRegrowing
from prunelimits.masks import rows
from prunelimits.pruners import prunable
from prunelimits.training import Recipe
from prunelimits.types import Masks

GENERATOR = torch.Generator().manual_seed(0)
X = torch.rand(72, 1, 4, 4, generator=GENERATOR)
Y = (X[..., :2].sum((1, 2, 3)) > X[..., 2:].sum((1, 2, 3))).long()
TRAIN, OTHERS = (X[:48], Y[:48]), (X[48:], Y[48:])
QUICK = Regrowth(
    starts=3,
    head=2.0,
    beam=2,
    tries=2,
    step=0.2,
    finalists=2,
    cycles=1,
    first=Recipe(epochs=4, batch_size=12, lr=0.1),
    recovery=Recipe(epochs=2, batch_size=12, lr=0.05),
    last=Recipe(epochs=4, batch_size=12, lr=0.1),
)


def seeded(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return make()


def convolutional() -> nn.Module:
    return seeded(
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(16, 2)),
        )
    )


def perceptron(outputs: int = 2) -> nn.Module:
    return seeded(
        lambda: nn.Sequential(
            *(nn.Flatten(), nn.Linear(16, 4), nn.ReLU()),
            *(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, outputs)),
        )
    )


class Everything(nn.Module):
    """BatchNorm, dropout, a layer that is used twice, and one that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 2)
        self.norm = nn.BatchNorm2d(4)
        self.twice = nn.Conv2d(4, 4, 1)
        self.again = self.twice
        self.frozen = nn.Linear(36, 6)
        self.dropout = nn.Dropout(0.2)
        self.last = nn.Linear(6, 2)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        x = self.again(self.twice(x).relu()).relu()
        return self.last(self.dropout(self.frozen(x.flatten(1)).relu()))


def regrowing(model, keep: int = 12, measure=OTHERS, method=QUICK) -> ModuleRegrowing:
    modules = checked_starts(model)
    assert modules is not None
    data = data_of_modules(*TRAIN, measure, modules[0], None)
    return ModuleRegrowing(method, data, modules, prunable(modules[0]), keep, 0)


def stack(model: nn.Module, seed: int, models: int = 3, share: float = 0.4) -> ModuleStack:
    """Copies with random masks."""
    generator = torch.Generator().manual_seed(seed)
    dense = prunable(model)
    networks = ModuleStack(
        {n: v.expand(models, *v.shape).clone() for n, v in tensors_of(model).items()},
        {n: m.expand(models, *m.shape).clone() for n, m in dense.items()},
        torch.arange(models),
        torch.zeros(models, dtype=torch.float64),
    )
    return networks.keeping(torch.rand(rows(networks.masks).shape, generator=generator) < share)


def on_path(model: nn.Module, masks: Masks) -> Masks:
    found = effective_masks(model, masks, inputs=X[:2])
    return {name: found[name] for name in masks}


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((copy.deepcopy(model).eval()(x).argmax(1) == y).double().mean())
