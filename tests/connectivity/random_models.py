"""Random small models of the kinds that people write, sparse at random, in float64.

Sequences `(samples, 3, 4)` or images `(samples, 2, 5, 5)` go through a few random blocks. What
every block does stands in its function, so that a seed that fails can be read.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

D = 4


class Block(nn.Module):
    """A block whose forward pass is a function of the block and its input."""

    def __init__(
        self, run: Callable[[nn.Module, Tensor], Tensor], **parts: nn.Module | nn.Parameter
    ) -> None:
        super().__init__()
        self.run = run
        self.over_positions = False
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        y = self.run(self, x)
        return y if scale is None else y * scale


def linear(bias: bool = True) -> nn.Linear:
    return nn.Linear(D, D, bias=bias)


def activation(draw: random.Random) -> nn.Module:
    return draw.choice(
        [nn.ReLU(), nn.GELU(), nn.SiLU(), nn.Tanh(), nn.Sigmoid(), nn.ELU(), nn.PReLU(), nn.Mish(),
         nn.ReLU(inplace=True), nn.Softplus(), nn.Hardswish(), nn.LeakyReLU(0.3), nn.PReLU(1)]
    )  # fmt: skip


def attention(draw: random.Random) -> Block:
    causal, heads = draw.random() < 0.5, draw.choice([1, 2])

    def run(m: nn.Module, x: Tensor) -> Tensor:
        q, k, v = (part(x).unflatten(-1, (heads, -1)).transpose(1, 2) for part in (m.q, m.k, m.v))
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return x + m.out(out.transpose(1, 2).flatten(2))

    return Block(run, q=linear(), k=linear(False), v=linear(), out=linear())


def plain_attention(draw: random.Random) -> Block:
    much = draw.choice([-torch.inf, torch.finfo(torch.float32).min])

    def run(m: nn.Module, x: Tensor) -> Tensor:
        scores = m.q(x) @ m.k(x).transpose(-1, -2) / 2
        hidden = torch.ones(3, 3, dtype=torch.bool).triu(1)
        scores = scores + torch.zeros(3, 3, dtype=x.dtype).masked_fill(hidden, much) + m.position
        return scores.softmax(-1) @ m.v(x)

    position = nn.Parameter(torch.empty(3, 3))
    return Block(run, q=linear(), k=linear(False), v=linear(), position=position)


def library_attention(draw: random.Random) -> Block:
    inner = nn.MultiheadAttention(D, 2, batch_first=True, bias=draw.random() < 0.5)
    return Block(lambda m, x: m.inner(x, x, x, need_weights=False)[0], inner=inner)


def rotary(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        angle = torch.arange(3, dtype=x.dtype)[:, None] * torch.tensor([1.0, 0.1, 1.0, 0.1])
        turned = torch.cat([-x[..., 2:], x[..., :2]], -1)
        return m.fc(x * angle.cos() + turned * angle.sin())

    return Block(run, fc=linear())


def grouped_queries(draw: random.Random) -> Block:
    mask = draw.choice([None, torch.tensor([[True, False, True]] * 3), torch.eye(3).double()])

    def run(m: nn.Module, x: Tensor) -> Tensor:
        q = m.q(x).unflatten(-1, (2, -1)).transpose(1, 2)
        k, v = (part(x).unsqueeze(1) for part in (m.k, m.v))
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        return x + m.out(out.transpose(1, 2).flatten(2))

    parts = {"q": linear(), "k": nn.Linear(D, 2), "v": nn.Linear(D, 2, bias=False)}
    return Block(run, out=linear(), **parts)


def gate(draw: random.Random) -> Block:
    squash = draw.choice([torch.sigmoid, torch.tanh, torch.relu, lambda v: v])
    return Block(lambda m, x: m.value(x) * squash(m.gate(x)), value=linear(), gate=linear(False))


def quotient(draw: random.Random) -> Block:
    return Block(
        lambda m, x: m.value(x) / (1 + m.below(x).square()), value=linear(), below=linear()
    )


def normalised(draw: random.Random) -> Block:
    norm = draw.choice([nn.LayerNorm(D), nn.RMSNorm(D), nn.LayerNorm(D, bias=False)])
    return Block(lambda m, x: m.norm(m.fc(x)), fc=linear(), norm=norm)


def hand_made_norm(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        h = m.fc(x)
        return h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6) * m.scale

    return Block(run, fc=linear(), scale=nn.Parameter(torch.empty(D)))


def in_place(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        h = m.a(x)
        keep = h
        h += m.b(x)
        h[:, 0].mul_(2)
        return torch.relu_(keep) + h

    return Block(run, a=linear(), b=linear())


def hooked(draw: random.Random) -> Block:
    block = Block(lambda m, x: m.fc(x), fc=linear())
    block.fc.register_forward_hook(lambda module, args, out: out + 0.5)
    block.fc.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    return block


def reused(draw: random.Random) -> Block:
    return Block(lambda m, x: x + m.act(m.fc(m.act(m.fc(x)))), fc=linear(), act=activation(draw))


def mode_dependent(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        return m.a(functional.dropout(x, 0.5, m.training)) if m.training else m.b(x)

    return Block(run, a=linear(), b=linear())


def optional(draw: random.Random) -> Block:
    inner = Block(lambda m, x: m.fc(x), fc=linear())
    given = draw.random() < 0.5
    return Block(
        lambda m, x: m.inner(x, m.scale if given else None),
        inner=inner, scale=nn.Parameter(torch.empty(D)),
    )  # fmt: skip


def moved(draw: random.Random) -> Block:
    moves = [
        lambda v: v.roll(1, 1),
        lambda v: v.flip(1),
        lambda v: v.cumsum(1),
        lambda v: v[:, [2, 0, 0]],
        lambda v: torch.cat([v[..., 2:], v[..., :2] * 2], -1),
        lambda v: torch.stack(v.chunk(2, -1), 2).flatten(2),
        lambda v: functional.pad(v, (1, 0))[..., :D],
        lambda v: v.transpose(1, 2).contiguous().view(v.shape[0], D, 3).transpose(1, 2),
        lambda v: torch.einsum("btd,de->bte", v, torch.eye(D, dtype=v.dtype).roll(1, 0)),
        lambda v: v.masked_fill(torch.eye(3, D, dtype=torch.bool), 0.0),
        lambda v: torch.maximum(v, v.mean(1, keepdim=True)),
        lambda v: torch.where(v > 0, v, v.flip(1)),
        lambda v: v - v.amax(1, keepdim=True).abs(),
        lambda v: v.tril(),
        lambda v: v.repeat_interleave(2, 1)[:, 1:4],
        lambda v: functional.glu(torch.cat([v, v.roll(1, 2)], -1)),
        lambda v: v.clamp(-1, 1).exp(),
        lambda v: torch.baddbmm(v, v, v.transpose(1, 2) @ v),
        lambda v: torch.addcmul(v, v, v.roll(1, 1), value=0.5),
    ]
    move = draw.choice(moves)
    return Block(lambda m, x: move(m.fc(x)), fc=linear())


def recurrent(draw: random.Random) -> Block:
    kind = draw.choice([nn.LSTM, nn.GRU, nn.RNN])
    return Block(lambda m, x: m.cells(x)[0], cells=kind(D, D, batch_first=True))


def positions(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        return m.fc(
            torch.cat([m.token.expand(len(x), 1, D), x[:, 1:]], 1) + m.table(torch.arange(3))
        )

    return Block(
        run, fc=linear(), token=nn.Parameter(torch.empty(1, 1, D)), table=nn.Embedding(3, D)
    )


def residual(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        return x + m.b(m.act(m.a(x)))

    return Block(run, a=linear(draw.random() < 0.5), b=linear(), act=activation(draw))


def branches(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        left, right = m.a(x), torch.tanh(m.b(x))
        return m.join(torch.cat([left, right, left * right], -1)) - right

    return Block(run, a=linear(), b=linear(False), join=nn.Linear(3 * D, D))


def put_in_place(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        out[:, [0, 2]] = m.a(x)[:, 1:]
        out[..., 1:3] += m.b(x)[..., :2]
        return out.index_add(1, torch.tensor([2, 0, 2]), x)

    return Block(run, a=linear(), b=linear())


def products_along(draw: random.Random) -> Block:
    if draw.random() < 0.5:
        return Block(lambda m, x: m.fc(x).cumprod(1), fc=linear())
    return Block(
        lambda m, x: m.fc(x) * m.other(x).prod(1, keepdim=True), fc=linear(), other=linear()
    )


def bilinear(draw: random.Random) -> Block:
    return Block(lambda m, x: m.both(m.fc(x), x), fc=linear(), both=nn.Bilinear(D, D, D))


def experts(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        share = m.gate(x).softmax(-1)
        return share[..., :1] * m.one(x) + share[..., 1:] * m.two(x)

    return Block(run, gate=nn.Linear(D, 2, bias=False), one=linear(), two=linear())


def lengths_learnt(draw: random.Random) -> Block:
    return Block(
        lambda m, x: x @ (m.direction / (m.direction.norm() + 0.1) * m.length),
        direction=nn.Parameter(torch.empty(D, D)), length=nn.Parameter(torch.empty(D)),
    )  # fmt: skip


SEQUENCES = [
    residual, branches, put_in_place, products_along, bilinear, experts, lengths_learnt,
    attention, plain_attention, grouped_queries, library_attention, rotary, gate, quotient,
    normalised, hand_made_norm, in_place, hooked, reused, mode_dependent, optional, moved, moved,
    moved, recurrent, positions,
]  # fmt: skip


def convolved(draw: random.Random) -> Block:
    mode = draw.choice(["zeros", "reflect", "replicate", "circular"])
    layers = draw.choice([1, 2, 4])
    conv = nn.Conv2d(4, 4, 3, padding=1, padding_mode=mode, groups=layers, bias=draw.random() < 0.5)
    return Block(lambda m, x: m.act(m.conv(x)), conv=conv, act=activation(draw))


def batch_normed(draw: random.Random) -> Block:
    norm = draw.choice(
        [nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.GroupNorm(2, 4),
         nn.InstanceNorm2d(4, affine=True), nn.BatchNorm2d(4, bias=False),
         nn.LocalResponseNorm(3)]
    )  # fmt: skip
    conv = nn.Conv2d(4, 4, 1, bias=False)
    return Block(lambda m, x: x + m.norm(m.conv(x)), conv=conv, norm=norm)


def squeezed(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        return x * torch.sigmoid(m.up(torch.relu(m.down(x.mean((2, 3), keepdim=True)))))

    return Block(run, down=nn.Conv2d(4, 2, 1), up=nn.Conv2d(2, 4, 1))


def pooled(draw: random.Random) -> Block:
    pools = [
        lambda v: functional.max_pool2d(v, 3, 1, 1),
        lambda v: functional.avg_pool2d(v, 3, 1, 1),
        lambda v: functional.interpolate(functional.avg_pool2d(v, 2), size=v.shape[2:]),
        lambda v: functional.interpolate(
            functional.max_pool2d(v, 2), size=v.shape[2:], mode="bilinear"
        ),
        lambda v: functional.adaptive_avg_pool2d(v, v.shape[2:]),
        lambda v: functional.pixel_shuffle(torch.cat([v] * 4, 1), 2)[
            :, :, : v.shape[2], : v.shape[3]
        ],
        lambda v: torch.relu(functional.layer_norm(functional.silu(v), v.shape[2:])),
    ]
    pool = draw.choice(pools)
    block = Block(lambda m, x: pool(m.conv(x)), conv=nn.Conv2d(4, 4, 1))
    block.over_positions = pool is pools[-1]
    return block


def scaled_layers(draw: random.Random) -> Block:
    return Block(
        lambda m, x: x + m.gamma.view(1, -1, 1, 1) * m.conv(x),
        conv=nn.Conv2d(4, 4, 3, padding=1, groups=4), gamma=nn.Parameter(torch.empty(4)),
    )  # fmt: skip


def transposed(draw: random.Random) -> Block:
    up = nn.ConvTranspose2d(4, 4, 3, padding=1, groups=draw.choice([1, 2]))
    return Block(lambda m, x: m.act(m.up(x)), up=up, act=activation(draw))


def hooked_convolution(draw: random.Random) -> Block:
    block = Block(lambda m, x: m.conv(x), conv=nn.Conv2d(4, 4, 3, padding=1))
    block.conv.register_forward_hook(lambda module, args, out: out + args[0])
    return block


def in_place_image(draw: random.Random) -> Block:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        y = m.conv(x)
        y[:, 1:] += x[:, :-1]
        y.view(len(x), 4, -1)[..., 0].mul_(2)
        return functional.relu(y, inplace=True) + y

    return Block(run, conv=nn.Conv2d(4, 4, 1))


def positions_of_pixels(draw: random.Random) -> Block:
    """Attention between the pixels, as in a non-local block."""

    def run(m: nn.Module, x: Tensor) -> Tensor:
        q, k, v = (part(x).flatten(2).transpose(1, 2) for part in (m.q, m.k, m.v))
        mixed = (q @ k.transpose(1, 2)).softmax(-1) @ v
        return x + mixed.transpose(1, 2).view_as(x)

    return Block(run, q=nn.Conv2d(4, 2, 1), k=nn.Conv2d(4, 2, 1), v=nn.Conv2d(4, 4, 1))


IMAGES = [
    hooked_convolution, in_place_image, positions_of_pixels, convolved, convolved, batch_normed,
    batch_normed, squeezed, pooled, pooled, scaled_layers, transposed,
]  # fmt: skip


class Model(nn.Module):
    def __init__(self, draw: random.Random, *, images: bool) -> None:
        super().__init__()
        self.images = images
        kinds = IMAGES if images else SEQUENCES
        self.first = nn.Conv2d(2, 4, 3, padding=1) if images else linear()
        self.blocks = nn.ModuleList(draw.choice(kinds)(draw) for _ in range(draw.choice([1, 2, 3])))
        self.last = nn.Linear(4, 2, bias=draw.random() < 0.7)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for block in self.blocks:
            x = block(x)
        return self.last(x.mean((2, 3)) if self.images else x)


def random_model(seed: int) -> tuple[nn.Module, Tensor]:
    """A model whose parameters are zero at random, and inputs for it."""
    draw = random.Random(seed)
    images = draw.random() < 0.4
    model = Model(draw, images=images).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
    randomise(model, generator)
    density = draw.choice([0.15, 0.3, 0.5])
    with torch.no_grad():
        for parameter in model.parameters():
            kept = torch.rand(parameter.shape, generator=generator) < density
            parameter.mul_(kept)
    shape = (2, 2, 5, 5) if images else (2, 3, D)
    return model, torch.randn(shape, generator=generator, dtype=torch.float64)


def randomise(model: nn.Module, generator: torch.Generator) -> None:
    """New numbers for every parameter that is not zero, and for running statistics."""
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(torch.where(parameter != 0, drawn.sign() * 0.2 + drawn * 0.5, 0.0))
        for name, buffer in model.named_buffers():
            drawn = torch.rand(buffer.shape, generator=generator, dtype=torch.float64)
            if name.endswith("running_mean"):
                buffer.copy_(torch.where(drawn < 0.5, 0.0, drawn))
            elif name.endswith("running_var"):
                buffer.copy_(drawn + 0.5)
