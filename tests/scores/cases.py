"""Small problems in float64, and the loss of one by plain module calls: what oracles build on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import MLP, scores
from prunelimits.problem import problem_of
from prunelimits.types import Masks, Params, Problem, Scores

Score = Callable[..., Scores]

SCORES: dict[str, Score] = {
    "magnitude": scores.magnitude,
    "random": scores.random,
    "snip": scores.snip,
    "snip, fresh start": partial(scores.snip, xavier=True),
    "grasp": scores.grasp,
    "grasp, fresh start": partial(scores.grasp, xavier=True),
    "synflow": scores.synflow,
    "synflow without biases": partial(scores.synflow, biases=False),
    "prospr": scores.prospr,
    "prospr as published": partial(scores.prospr, constant_first_step=True),
    "lamp": scores.lamp,
    "obd": scores.obd,
    "obd, Gauss-Newton": partial(scores.obd, gauss_newton=True),
    "obd, estimated": partial(scores.obd, probes=3),
    "wanda": scores.wanda,
    "wanda, within outputs": partial(scores.wanda, per_output=True),
    "obc": scores.obc,
    "obs": scores.obs,
    "obs, Hessian": partial(scores.obs, gauss_newton=False, damping=3.0),
}
"""Every score, and every option that changes what it computes."""


class Case(NamedTuple):
    """A module, its loss, its batches, and masks that prune some weights of each layer."""

    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    batches: list[tuple[Tensor, Tensor]]
    masks: Masks

    @property
    def problem(self) -> Problem:
        return problem_of(self.model, self.loss, self.batches)[0]

    @property
    def params(self) -> Params:
        return problem_of(self.model)[1]

    def mean_loss(self, weights: Params) -> Tensor:
        """The mean of the batches' losses with some weights in the module's place."""
        losses = [
            self.loss(torch.func.functional_call(self.model.eval(), weights, (x,)), y)
            for x, y in self.batches
        ]
        return torch.stack(losses).mean()

    def weights(self) -> Params:
        """The weights that the masks name, zero where they prune."""
        return {name: self.params[name] * mask for name, mask in self.masks.items()}


def binary(outputs: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(outputs[:, 0], labels)


def draw(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def some_masks(model: nn.Module, generator: torch.Generator, keep: float) -> Masks:
    return {
        name: torch.rand(value.shape, generator=generator) < keep
        for name, value in model.named_parameters()
        if value.dim() > 1
    }


def make(model: nn.Module, kind: str, keep: float = 0.7) -> Case:
    generator = torch.Generator().manual_seed(7)
    model = model.double()
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(draw(generator, *value.shape) * (0.7 if value.dim() > 1 else 0.3))
    batches: list[tuple[Tensor, Tensor]] = []
    for _ in range(2):
        if kind == "image":
            x = draw(generator, 5, 1, 4, 4)
            model.train()(x)  # running statistics that are not the initial ones
            y = torch.randint(3, (5,), generator=generator)
        else:
            x = draw(generator, 6, 2)
            y = (draw(generator, 6) > 0).double() if kind == "binary" else draw(generator, 6, 2)
        batches.append((x, y))
    losses = {"binary": binary, "image": functional.cross_entropy, "real": functional.mse_loss}
    return Case(model, losses[kind], batches, some_masks(model, generator, keep))


class Tied(nn.Module):
    """One matrix that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.outer = nn.Linear(2, 2)
        self.outer.weight = self.inner.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(torch.tanh(self.inner(x)))


def conv_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


CASES: dict[str, Callable[[], Case]] = {
    "perceptron": lambda: make(MLP((2, 3, 3, 1)), "binary"),
    "unpruned": lambda: make(MLP((2, 4, 1)), "binary", keep=2.0),
    "smooth": lambda: make(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), "real"),
    "convolution": lambda: make(conv_net(), "image"),
    "tied": lambda: make(Tied(), "real"),
}


def noise_for(masks: Masks, seed: int = 3) -> Params:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(mask.shape, generator=generator) for name, mask in masks.items()}


def finite_differences(
    function: Callable[[Params], Tensor], at: Params, step: float = 1e-6
) -> Params:
    """The gradient of a scalar function by central differences, one entry at a time."""
    result = {name: torch.zeros_like(value) for name, value in at.items()}
    for name, value in at.items():
        for place in range(value.numel()):
            ends: list[Tensor] = []
            for change in (step, -step):
                moved = value.clone()
                moved.view(-1)[place] += change
                ends.append(function({**at, name: moved}).detach())  # `function` may need autograd
            result[name].view(-1)[place] = (ends[0] - ends[1]) / (2 * step)
    return result


def dense_hessian(case: Case) -> Tensor:
    """The Hessian of the loss by the case's weights, pruned ones too, through `torch.autograd`."""
    weights = case.weights()
    sizes = [value.numel() for value in weights.values()]
    flat = torch.cat([value.flatten() for value in weights.values()])

    def loss(flat: Tensor) -> Tensor:
        parts = zip(weights.items(), flat.split(sizes), strict=True)
        return case.mean_loss({name: part.view_as(value) for (name, value), part in parts})

    return torch.autograd.functional.hessian(loss, flat)


def flat(values: Params) -> Tensor:
    return torch.cat([value.flatten() for value in values.values()])
