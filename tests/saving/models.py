"""Modules as people save them, each made anew with other numbers by every call."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class TiedModel(nn.Module):
    """A language model whose head is its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.mix = nn.Linear(4, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.mix(self.embed(tokens)))


class LooseModel(TiedModel):
    """The same without the tie."""

    def __init__(self) -> None:
        super().__init__()
        self.head.weight = nn.Parameter(torch.randn(7, 4))


class ViTBlock(nn.Module):
    """Patches, a class token, positions and one block of a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 2, stride=2)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 5, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).mT
        tokens = torch.cat([self.token.expand(len(images), -1, -1), patches], dim=1)
        return self.head(self.block(tokens + self.positions)[:, 0])


class Wrapper(nn.Module):
    """Names its parameters as DistributedDataParallel does."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


class Counting(nn.Module):
    """Has extra state, which refuses negative counts."""

    def __init__(self, count: int = 0) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.count = count
        self.seen = {"means": [torch.randn(2)], "names": ("a", None)}

    def get_extra_state(self) -> dict[str, object]:
        return {"count": self.count, "seen": self.seen}

    def set_extra_state(self, state: dict[str, object]) -> None:
        if not isinstance(state["count"], int) or state["count"] < 0:
            raise RuntimeError("a negative count")
        self.count, self.seen = state["count"], state["seen"]  # type: ignore[assignment]


class Parts(nn.Module):
    """Parameters and buffers of every kind that is no layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(()))
        self.empty = nn.Parameter(torch.randn(0, 3))
        self.transposed = nn.Parameter(torch.randn(4, 3).t())
        self.halved = nn.Parameter(torch.randn(3).half())
        self.brain = nn.Parameter(torch.randn(3).bfloat16())
        self.frozen = nn.Parameter(torch.randn(3).double(), requires_grad=False)
        self.deep = nn.Parameter(torch.randn((1,) * 11 + (2,)))
        self.register_buffer("rotation", torch.randn(3, dtype=torch.complex64).conj())
        self.register_buffer("ids", torch.arange(4).expand(1, -1))
        self.register_buffer("flags", torch.randn(3) > 0)
        self.register_buffer("small", torch.randn(3).to(torch.float8_e4m3fn))
        self.register_buffer("counts", torch.tensor([1, 60_000]).to(torch.uint16))
        self.register_buffer("cache", torch.randn(2), persistent=False)


def cnn() -> nn.Module:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    model(torch.randn(8, 1, 6, 6))  # statistics that are not those of a new layer
    return model


def weight_normed() -> nn.Module:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    return nn.Sequential(layer, nn.ReLU(), nn.Linear(2, 1))


def shared_layer() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "CNN": cnn,
    "LSTM": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True),
    "tied": TiedModel,
    "ViT": ViTBlock,
    "weight norm": weight_normed,
    "shared layer": shared_layer,
    "average": lambda: torch.optim.swa_utils.AveragedModel(nn.Linear(3, 2)),
    "old norm": lambda: nn.utils.spectral_norm(nn.Linear(3, 2)),
    "channels last": lambda: nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last),
    "half": lambda: nn.Linear(3, 2).half(),
    "extra state": Counting,
    "parts": Parts,
    "MLP's child": lambda: nn.ModuleDict({"module": nn.Linear(2, 3)}),
}
