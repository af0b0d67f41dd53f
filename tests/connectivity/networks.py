"""Models of many kinds for the tests of this room, sparse at random."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.models import MLP


class LeNet(nn.Module):
    """Functional calls, a view with sizes written out, LeNet's shape."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2, padding=2)
        self.fc1 = nn.Linear(6 * 3 * 3, 8)
        self.fc2 = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.relu(self.conv2(x))
        x = x.view(-1, 6 * 3 * 3)
        return functional.log_softmax(self.fc2(torch.tanh(self.fc1(x))), dim=1)


class Block(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.shortcut(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 6, 2))
        self.pool = nn.AdaptiveAvgPool2d((2, 2))
        self.fc = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.blocks(torch.relu(self.stem(x))))
        return self.fc(x.view(x.size(0), -1))


class DenseNet(nn.Module):
    """Concatenation, average pooling, mean over positions, depthwise and grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.grouped = nn.Conv2d(8, 6, 1, groups=2)
        self.last = nn.Conv2d(6, 5, 1)
        self.fc = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.sigmoid(self.first(x))
        x = torch.cat([x, functional.elu(self.depthwise(x))], dim=1)
        x = functional.avg_pool2d(self.grouped(x), 3, stride=2, padding=1)
        x = functional.leaky_relu(self.last(x), 0.1) * 0.5 - 0.25
        return self.fc(x.mean((2, 3)))


class SkipMLP(nn.Module):
    """A residual MLP that uses one layer twice and sums two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 5)
        self.again = nn.Linear(5, 5)
        self.last = nn.Linear(5, 2)
        self.skip = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        h = h + torch.relu(self.again(h))
        h = h + torch.relu(self.again(h))
        return self.last(h) + self.skip(x)


def sequential() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 4, 3, padding=1, padding_mode="circular"),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.MaxPool1d(3, stride=2, padding=1, ceil_mode=True),
        nn.ConvTranspose1d(4, 3, 2, stride=2),
        nn.GELU(),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(3 * 10, 4),
        nn.SiLU(),
        nn.Linear(4, 2),
    )


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "MLP": (lambda: MLP((3, 6, 5, 2)), (3,)),
    "LeNet": (LeNet, (1, 10, 10)),
    "ResNet": (ResNet, (2, 7, 7)),
    "DenseNet": (DenseNet, (2, 6, 6)),
    "SkipMLP": (SkipMLP, (3,)),
    "Sequential": (sequential, (2, 9)),
}


def sparse_model(name: str, density: float, seed: int) -> tuple[nn.Module, Tensor]:
    """A float64 model in evaluation mode, its parameters zero at random, and inputs for it."""
    generator = torch.Generator().manual_seed(seed)
    make, shape = MODELS[name]
    with torch.device("meta"):
        model = make()
    model = model.to_empty(device="cpu").double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(values * (torch.rand(values.shape, generator=generator) < density))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            mean = torch.randn(module.num_features, generator=generator)
            # Some channels without a running mean, as in a new model.
            module.running_mean.copy_(mean.double() * (mean > 0))
            module.running_var.copy_(mean.double() ** 2 + 0.5)
    return model, torch.randn(4, *shape, generator=generator, dtype=torch.float64)
