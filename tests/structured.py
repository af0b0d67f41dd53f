"""Networks whose units are tied in different ways, and what goes together in each, by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

import prunelimits as pl
from prunelimits.connectivity import coupled_units
from prunelimits.masks import CoupledUnits


class ResidualBatchNorm(nn.Module):
    """Channels of `stem` and `second` are added."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.first = nn.Conv2d(6, 5, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(5)
        self.second = nn.Conv2d(5, 6, 3, padding=1)
        self.head = nn.Linear(6 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.stem(x)))
        inner = functional.relu(self.norm1(self.first(x)))
        return self.head(functional.relu(x + self.second(inner)).flatten(1))


class Dense(nn.Module):
    """Each layer reads all before it, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.norm1 = nn.BatchNorm2d(4)
        self.conv1 = nn.Conv2d(4, 3, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(7)
        self.conv2 = nn.Conv2d(7, 3, 3, padding=1)
        self.norm3 = nn.BatchNorm2d(10)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([x, self.conv1(functional.relu(self.norm1(x)))], 1)
        x = torch.cat([x, self.conv2(functional.relu(self.norm2(x)))], 1)
        return self.head(functional.relu(self.norm3(x)).mean((2, 3)))


class Mobile(nn.Module):
    """A depthwise convolution between two that are not, and a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(3, 6, 1)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm = nn.BatchNorm2d(6)
        self.project = nn.Conv2d(6, 4, 1)
        self.head = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self.norm(self.depthwise(functional.relu6(self.expand(x)))))
        return self.head(functional.relu(self.project(x)).mean((2, 3)))


class Gated(nn.Module):
    """Squeeze and excitation: a factor for each channel, made of all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.squeeze = nn.Linear(6, 3)
        self.excite = nn.Linear(3, 6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.conv(x))
        factors = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3))))))
        return self.head((x * factors[:, :, None, None]).mean((2, 3)))


class Decoder(nn.Module):
    """A transposed convolution, whose weight has its inputs first."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(6, 5, 2, stride=2)
        self.last = nn.Conv2d(5, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(functional.relu(self.up(functional.relu(self.down(x)))))


class Grouped(nn.Module):
    """A grouped convolution and a group normalisation: their groups are units."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1)
        self.grouped = nn.Conv2d(8, 4, 3, padding=1, groups=4)
        self.between = nn.Conv2d(4, 6, 1)
        self.norm = nn.GroupNorm(3, 6)
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.grouped(functional.relu(self.first(x))))
        return self.last(functional.relu(self.norm(self.between(x))))


class Attention(nn.Module):
    """Attention and a feed-forward part; queries, keys and values of one layer or of three."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.norm1 = nn.LayerNorm(8)
        if fused:
            self.qkv = nn.Linear(8, 24)
        else:
            self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.proj = nn.Linear(8, 8)
        self.norm2 = nn.LayerNorm(8)
        self.up = nn.Linear(8, 12)
        self.down = nn.Linear(12, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        n, t, _ = x.shape
        if self.fused:
            q, k, v = self.qkv(y).reshape(n, t, 3, -1, 2).permute(2, 0, 3, 1, 4).unbind(0)
        else:
            q, k, v = (f(y).reshape(n, t, -1, 2).transpose(1, 2) for f in (self.q, self.k, self.v))
        found = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(found.transpose(1, 2).flatten(2))
        x = x + self.down(functional.gelu(self.up(self.norm2(x))))
        return self.head(x.mean(1))


class WrittenOut(nn.Module):
    """Attention whose code has the number of heads, and their width together, as attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads, self.attn_dim = 4, 8
        self.norm = nn.LayerNorm(8)
        self.qkv, self.proj, self.head = nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        parts = self.qkv(self.norm(x)).reshape(n, t, 3, self.num_heads, 2)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        found = torch.softmax(q @ k.transpose(-2, -1) * 0.7, -1) @ v
        return self.head(
            (x + self.proj(found.transpose(1, 2).reshape(n, t, self.attn_dim))).mean(1)
        )


class Encoder(nn.Module):
    """`torch.nn`'s own block, with `MultiheadAttention`."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(
            8, 4, 12, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 5, batch_first=True)
        self.head = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def mlp() -> nn.Module:
    return pl.MLP((3, 6, 5, 4))


IMAGE, WORDS = (3, 4, 4), (3, 8)
# Name -> how to make it, the shape of a sample, and group -> (units, where they lie).
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], dict[str, tuple[int, str]]]] = {
    "mlp": (mlp, (3,), {
        "layers.0": (6, "layers.0.weight[0] layers.0.bias[0] layers.1.weight[1]"),
        "layers.1": (5, "layers.1.weight[0] layers.1.bias[0] layers.2.weight[1]"),
    }),
    "residual": (ResidualBatchNorm, IMAGE, {
        "stem": (6, "stem.weight[0] second.weight[0] norm.weight[0] norm.bias[0] second.bias[0] "
                    "first.weight[1] head.weight[1]"),
        "first": (5, "first.weight[0] norm1.weight[0] norm1.bias[0] second.weight[1]"),
    }),
    "dense": (Dense, IMAGE, {
        "stem": (4, "stem.weight[0] stem.bias[0] norm1.weight[0] norm1.bias[0] norm2.weight[0] "
                    "norm2.bias[0] norm3.weight[0] norm3.bias[0] conv1.weight[1] conv2.weight[1] "
                    "head.weight[1]"),
        "conv1": (3, "conv1.weight[0] conv1.bias[0] norm2.weight[0] norm2.bias[0] norm3.weight[0] "
                     "norm3.bias[0] conv2.weight[1] head.weight[1]"),
        "conv2": (3, "conv2.weight[0] conv2.bias[0] norm3.weight[0] norm3.bias[0] head.weight[1]"),
    }),
    "mobile": (Mobile, IMAGE, {
        "expand": (6, "expand.weight[0] depthwise.weight[0] expand.bias[0] depthwise.bias[0] "
                      "norm.weight[0] norm.bias[0] project.weight[1]"),
        "project": (4, "project.weight[0] project.bias[0] head.weight[1]"),
    }),
    "gated": (Gated, IMAGE, {
        "conv": (6, "conv.weight[0] excite.weight[0] conv.bias[0] excite.bias[0] "
                    "squeeze.weight[1] head.weight[1]"),
        "squeeze": (3, "squeeze.weight[0] squeeze.bias[0] excite.weight[1]"),
    }),
    "decoder": (Decoder, IMAGE, {
        "down": (6, "down.weight[0] down.bias[0] up.weight[0]"),
        "up": (5, "up.weight[1] up.bias[0] last.weight[1]"),
    }),
    "grouped": (Grouped, IMAGE, {
        "first": (4, "first.weight[0] grouped.weight[0] first.bias[0] grouped.bias[0] "
                     "between.weight[1]"),
        "between": (3, "between.weight[0] between.bias[0] norm.weight[0] norm.bias[0] "
                       "last.weight[1]"),
    }),
    "fused": (lambda: Attention(fused=True), WORDS, {
        "qkv": (4, "qkv.weight[0] qkv.bias[0] proj.weight[1]"),
        "up": (12, "up.weight[0] up.bias[0] down.weight[1]"),
    }),
    "written out": (WrittenOut, WORDS, {
        "qkv": (4, "qkv.weight[0] qkv.bias[0] proj.weight[1]"),
    }),
    "separate": (lambda: Attention(fused=False), WORDS, {
        "q": (4, "q.weight[0] k.weight[0] v.weight[0] q.bias[0] k.bias[0] v.bias[0] "
                 "proj.weight[1]"),
        "up": (12, "up.weight[0] up.bias[0] down.weight[1]"),
    }),
    "encoder": (Encoder, WORDS, {
        "block.self_attn.in_proj": (4, "block.self_attn.in_proj_weight[0] "
                                       "block.self_attn.in_proj_bias[0] "
                                       "block.self_attn.out_proj.weight[1]"),
        "block.linear1": (12, "block.linear1.weight[0] block.linear1.bias[0] "
                              "block.linear2.weight[1]"),
    }),
    "recurrent": (Recurrent, (4, 3), {
        "lstm.weight_ih_l0": (5, "lstm.weight_ih_l0[0] lstm.weight_hh_l0[0] lstm.bias_ih_l0[0] "
                                 "lstm.bias_hh_l0[0] lstm.weight_hh_l0[1] head.weight[1]"),
    }),
}  # fmt: skip


def network(name: str) -> tuple[nn.Module, Tensor]:
    """A network with random numbers everywhere, and two samples."""
    make, shape, _ = NETWORKS[name]
    torch.manual_seed(0)
    model = make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)  # pyright: ignore[reportArgumentType]
            nn.init.uniform_(module.running_var, 0.5, 2)  # pyright: ignore[reportArgumentType]
    return model.eval(), torch.randn(2, *shape)


@cache
def coupled(name: str) -> CoupledUnits:
    """What goes together in a network; it is followed once."""
    model, x = network(name)
    return coupled_units(model, inputs=x)
