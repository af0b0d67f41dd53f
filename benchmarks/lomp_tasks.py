"""The networks and data of `lomp.py`, and how they are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.datasets import digits, mnist_5k
from prunelimits.masks import count
from prunelimits.models import MLP, kaiming
from prunelimits.problem import problem_of
from prunelimits.pruners import AbstractPruner, State, draw_noise
from prunelimits.training import MLPEnsemble, Recipe, attach, fit
from prunelimits.types import Masks, Params, Problem

BATCH = 128


@dataclass(frozen=True)
class Task:
    """A network and data to train it on; parameters and masks have a leading axis of models.

    Attributes:
        data: What the data is called.
        network: What the network is called.
        make: The network with the first weights of a seed.
        train: Trains every model, with what its masks prune held at zero.
        problem: The network on the training batches.
        test: Images and labels that are held out.
        recipe: How every method trains, but for the training that finds a mask.
    """

    data: str
    network: str
    make: Callable[[int], nn.Module]
    train: Callable[[Params, Masks, Recipe], Params]
    problem: Problem
    test: tuple[Tensor, Tensor]
    recipe: Recipe

    def accuracies(self, params: Params) -> list[float]:
        """Of every model, on the images held out."""
        x, y = self.test
        outputs = torch.vmap(lambda one: self.problem.apply(one, x))(params)
        return (outputs.argmax(-1) == y).double().mean(-1).tolist()

    def pruned(
        self, pruner: AbstractPruner, params: Params, masks: Masks, kept: list[float]
    ) -> State:
        """The pruner's state for every model, each with its own share of weights to keep."""
        dense = {name: mask[0] for name, mask in masks.items()}
        numbers = [round(share * count(dense)) for share in kept]
        budgets = torch.stack([pruner.budget(dense, number) for number in numbers])
        noise = draw_noise(masks) if pruner.needs_noise else None

        def init(params: Params, masks: Masks, budget: Tensor, noise: Params | None) -> State:
            return pruner.init(self.problem, params, masks, budget, noise)

        in_dims = (0, 0, 0, None if noise is None else 0)
        return torch.vmap(init, in_dims=in_dims)(params, masks, budgets, noise)


def perceptron(seed: int, *, inputs: int) -> nn.Module:
    """Two hidden layers."""
    with torch.device("meta"):
        model = MLP((inputs, 100, 50, 10))
    return kaiming(model, seed)


def convolutional(seed: int) -> nn.Module:
    """Two convolutions, each halving the image, and a linear layer."""
    with torch.device("meta"):
        model = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(32 * 2 * 2, 10)),
        )
    return kaiming(model, seed)


def train_perceptrons(
    params: Params, masks: Masks, recipe: Recipe, *, widths: tuple[int, ...], x: Tensor, y: Tensor
) -> Params:
    """All models at once."""
    ensemble = MLPEnsemble.from_params(widths, params, masks)
    return fit(ensemble, x, y, recipe).ensemble.params


def train_modules(
    params: Params, masks: Masks, recipe: Recipe, *, model: nn.Module, x: Tensor, y: Tensor
) -> Params:
    """One model after the other: as fast, for convolutions on a CPU, as all at once."""
    trained: list[Params] = []
    for member in range(len(next(iter(params.values())))):
        model.load_state_dict({name: value[member] for name, value in params.items()})
        optimizer = torch.optim.SGD(
            model.parameters(), momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        generator = torch.Generator().manual_seed(0)
        with attach({name: mask[member] for name, mask in masks.items()}, model, optimizer):
            for rate in recipe.learning_rates():
                optimizer.param_groups[0]["lr"] = rate
                order = torch.randperm(len(x), generator=generator)
                for batch in order.split(BATCH)[: len(x) // BATCH]:
                    optimizer.zero_grad()
                    functional.cross_entropy(model(x[batch]), y[batch]).backward()
                    optimizer.step()
        trained.append({name: p.detach().clone() for name, p in model.named_parameters()})
    return {name: torch.stack([one[name] for one in trained]) for name in params}


def tasks() -> Iterator[Task]:
    """The networks of the study, the cheap ones first."""
    for data, read, network, epochs in (
        ("digits", digits, "MLP", 80),
        ("digits", digits, "two convolutions", 40),
        ("MNIST-5k", mnist_5k, "MLP", 25),
    ):
        x, y = read()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        x, y = x[order], y[order]
        if network == "MLP":
            x = x.flatten(1)
        held_out = len(x) // 5
        test, x, y = (x[:held_out], y[:held_out]), x[held_out:], y[held_out:]
        if network == "MLP":
            widths = (x.shape[1], 100, 50, 10)
            make = partial(perceptron, inputs=x.shape[1])
            train = partial(train_perceptrons, widths=widths, x=x, y=y)
        else:
            make = convolutional
            train = partial(train_modules, model=make(0), x=x, y=y)
        batches = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
        problem, _ = problem_of(make(0), functional.cross_entropy, batches)
        yield Task(data, network, make, train, problem, test, Recipe(epochs, BATCH))
