"""Small tasks of every kind, with the dense Hessian of each by a plain way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from prunelimits.limits import Hessian
from prunelimits.problem import problem_of
from prunelimits.types import Params, Problem

Batches = list[tuple[Tensor, Tensor]]


@pytest.fixture(autouse=True, scope="package")
def one_torch_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from threads, and on busy cores torch's wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Case:
    """A module with a loss and batches of unequal sizes, in float64."""

    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    batches: Batches

    def problem(self) -> tuple[Problem, Params]:
        return problem_of(self.model, self.loss, self.batches)

    def names(self) -> list[str]:
        return [name for name, _ in self.model.named_parameters()]

    def hessian(self, **options) -> Hessian:
        return Hessian(*self.problem(), self.names(), **options)

    def mean_loss(self) -> Callable[[Tensor], Tensor]:
        """The mean loss of all samples as a function of one flat vector, in evaluation mode."""
        self.model.eval()
        x, y = (torch.cat(part) for part in zip(*self.batches, strict=True))
        params = {name: value.detach() for name, value in self.model.named_parameters()}

        def value(flat: Tensor) -> Tensor:
            sizes = [p.numel() for p in params.values()]
            parts = zip(params.items(), flat.split(sizes), strict=True)
            named = {name: part.view_as(p) for (name, p), part in parts}
            return self.loss(functional_call(self.model, named, (x,)), y)

        return value

    def flat(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.model.parameters()])

    def dense(self) -> Tensor:
        return torch.autograd.functional.hessian(self.mean_loss(), self.flat())


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().double()


def batches_of(x: Tensor, y: Tensor, sizes: tuple[int, ...] = (16, 16, 5)) -> Batches:
    return list(zip(x.split(sizes), y.split(sizes), strict=True))


def perceptron() -> Case:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(37, 5, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (37,), generator=generator)
    model = seeded(lambda: nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)))
    return Case(model, functional.cross_entropy, batches_of(x, y))


def convolutional() -> Case:
    """Convolutions, BatchNorm with statistics of its own, pooling and dropout."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(37, 2, 6, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (37,), generator=generator)
    model = seeded(
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU(inplace=True)),
            *(nn.MaxPool2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 3)),
        )
    )
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if buffer.is_floating_point():
                buffer.copy_(1 + 0.1 * torch.rand(3, generator=generator) * (len(name) % 3))
    return Case(model, functional.cross_entropy, batches_of(x, y))


class OneLogit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze(1)


def one_logit() -> Case:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(37, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 2, (37,), generator=generator).double()
    loss = functional.binary_cross_entropy_with_logits
    return Case(seeded(OneLogit), loss, batches_of(x, y))


def regression() -> Case:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(37, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(37, 2, generator=generator, dtype=torch.float64)
    return Case(seeded(lambda: nn.Linear(4, 2)), functional.mse_loss, batches_of(x, y))


CASES = {
    "perceptron": perceptron,
    "convolutional": convolutional,
    "one logit": one_logit,
    "regression": regression,
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


@pytest.fixture
def mlp() -> Case:
    return perceptron()
