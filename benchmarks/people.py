# Names say what these are, and what a forward pass takes is as open as in any module.
# ruff: noqa: ANN001, ANN202, D102, D103
"""Networks of the kinds that people write for themselves, each small, for `benchmarks/zoo.py`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class Written(nn.Module):
    """A network whose forward pass is a function of its parts and its inputs."""

    def __init__(self, run: Callable[..., object], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Tensor) -> object:
        return self.run(self, *inputs)


def mlp(*widths: int, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


def double_conv(a: int, b: int) -> nn.Sequential:
    conv = [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
    return nn.Sequential(*conv, nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(True))


def u_net() -> nn.Module:
    def run(m, x):
        a = m.down1(x)
        b = m.down2(functional.max_pool2d(a, 2))
        up = functional.interpolate(b, scale_factor=2, mode="bilinear", align_corners=True)
        return m.last(m.up(torch.cat([a, up], 1)))

    return Written(run, down1=double_conv(1, 4), down2=double_conv(4, 8), up=double_conv(12, 4),
                   last=nn.Conv2d(4, 2, 1))  # fmt: skip


def nerf() -> nn.Module:
    def run(m, x):
        waves = x[..., None] * 2.0 ** torch.arange(4)
        code = torch.cat([x, waves.sin().flatten(-2), waves.cos().flatten(-2)], -1)
        h = m.body(code)
        return torch.sigmoid(m.colour(torch.cat([h, code], -1))), torch.relu(m.density(h))

    return Written(run, body=mlp(27, 16, 16), colour=nn.Linear(43, 3), density=nn.Linear(16, 1))


def hypernetwork() -> nn.Module:
    def run(m, x, z):
        weight = m.maker(z).view(-1, 4, 3)
        return m.last(torch.relu(torch.bmm(weight, x.unsqueeze(-1)).squeeze(-1)))

    return Written(run, maker=nn.Linear(2, 12), last=nn.Linear(4, 1))


def seq2seq() -> nn.Module:
    def run(m, source, target):
        states, hidden = m.encoder(m.embed(source))
        decoded, _ = m.decoder(m.embed(target), hidden)
        mix = torch.softmax(decoded @ states.transpose(1, 2), -1) @ states
        return m.last(torch.tanh(m.join(torch.cat([decoded, mix], -1))))

    return Written(run, embed=nn.Embedding(11, 6), encoder=nn.GRU(6, 8, batch_first=True),
                   decoder=nn.GRU(6, 8, batch_first=True), join=nn.Linear(16, 8),
                   last=nn.Linear(8, 11))  # fmt: skip


def graph_attention() -> nn.Module:
    def run(m, x, adjacency):
        h = m.fc(x)
        scores = functional.leaky_relu(m.left(h) + m.right(h).transpose(1, 2), 0.2)
        scores = scores.masked_fill(adjacency == 0, -1e9)
        return m.last(functional.elu(torch.softmax(scores, -1) @ h))

    return Written(run, fc=nn.Linear(3, 8), left=nn.Linear(8, 1), right=nn.Linear(8, 1),
                   last=nn.Linear(8, 2))  # fmt: skip


def fourier_operator() -> nn.Module:
    def run(m, x):
        spectrum = torch.fft.rfft(m.lift(x).transpose(1, 2))
        h = torch.fft.irfft(torch.einsum("bct,cd->bdt", spectrum, m.mix.to(spectrum.dtype)), n=8)
        return m.last(functional.gelu(h.transpose(1, 2)))

    mix = nn.Parameter(torch.randn(4, 4))
    return Written(run, lift=nn.Linear(1, 4), mix=mix, last=nn.Linear(4, 1))


def wavenet() -> nn.Module:
    def run(m, x):
        h = m.first(x)
        for filt, gate in ((m.f1, m.g1), (m.f2, m.g2)):
            h = (
                h
                + torch.tanh(filt(h))[..., : h.shape[-1]]
                * torch.sigmoid(gate(h))[..., : h.shape[-1]]
            )
        return m.last(h)

    def conv(dilation: int) -> nn.Conv1d:
        return nn.Conv1d(4, 4, 2, dilation=dilation, padding=dilation)

    return Written(run, first=nn.Conv1d(1, 4, 1), f1=conv(1), g1=conv(1), f2=conv(2), g2=conv(2),
                   last=nn.Conv1d(4, 1, 1))  # fmt: skip


def squeeze_excite() -> nn.Module:
    def run(m, x):
        h = m.conv(x)
        gate = torch.sigmoid(m.up(torch.relu(m.down(h.mean((2, 3))))))
        return m.last((h * gate[..., None, None]).mean((2, 3)))

    return Written(run, conv=nn.Conv2d(3, 8, 3), down=nn.Linear(8, 2), up=nn.Linear(2, 8),
                   last=nn.Linear(8, 2))  # fmt: skip


def vae() -> nn.Module:
    def run(m, x):
        mean, logs = m.encoder(x).chunk(2, -1)
        z = mean + torch.randn_like(mean) * (0.5 * logs).exp() if m.training else mean
        return m.decoder(z), mean, logs

    return Written(run, encoder=mlp(8, 16, 6), decoder=mlp(3, 16, 8))


def image(*shape: int) -> Tensor:
    return torch.randn(1, *shape)


def ids(most: int, *shape: int) -> Tensor:
    return torch.randint(most, shape, generator=torch.Generator().manual_seed(0))


def models() -> dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]]:
    """Name -> how to make it, and what it is called with."""
    seq = image(6, 8)
    return {
        "U-Net": (u_net, (image(1, 8, 8),)),
        "GAN generator": (
            lambda: nn.Sequential(
                nn.Unflatten(1, (8, 1, 1)), nn.ConvTranspose2d(8, 6, 4), nn.BatchNorm2d(6),
                nn.ReLU(True), nn.ConvTranspose2d(6, 1, 4, 2, 1), nn.Tanh(),
            ),
            (image(8),),
        ),
        "GAN critic": (
            lambda: nn.Sequential(
                nn.utils.parametrizations.spectral_norm(nn.Conv2d(1, 4, 3)), nn.LeakyReLU(0.2),
                nn.InstanceNorm2d(4, affine=True), nn.Flatten(), nn.Linear(144, 1),
            ),
            (image(1, 8, 8),),
        ),
        "NeRF": (nerf, (image(5, 3),)),
        "PINN": (lambda: mlp(2, 16, 16, 1, act=nn.Tanh), (image(2),)),
        "SIREN": (
            lambda: Written(
                lambda m, x: m.c(torch.sin(30 * m.b(torch.sin(30 * m.a(x))))),
                a=nn.Linear(2, 8), b=nn.Linear(8, 8), c=nn.Linear(8, 1),
            ),
            (image(2),),
        ),
        "DeepONet": (
            lambda: Written(
                lambda m, u, y: torch.einsum("bp,bqp->bq", m.branch(u), m.trunk(y)) + m.bias,
                branch=mlp(6, 12, 8), trunk=mlp(1, 12, 8, act=nn.Tanh),
                bias=nn.Parameter(torch.zeros(1)),
            ),
            (image(6), image(5, 1)),
        ),
        "DLRM": (
            lambda: Written(
                lambda m, x, i: m.top(torch.cat([
                    (d := m.bottom(x)),
                    (e := torch.stack([d, m.t1(i[:, 0]), m.t2(i[:, 1])], 1)).bmm(
                        e.transpose(1, 2)).flatten(1),
                ], 1)),
                bottom=mlp(4, 8, 6), t1=nn.Embedding(7, 6), t2=nn.Embedding(5, 6),
                top=mlp(15, 8, 1),
            ),
            (image(4), ids(5, 1, 2)),
        ),
        "bag of words": (
            lambda: nn.Sequential(nn.EmbeddingBag(9, 6), nn.ReLU(), nn.Linear(6, 2)),
            (ids(9, 1, 4),),
        ),
        "LSTM": (
            lambda: Written(
                lambda m, x: m.last(m.cells(x)[0][:, -1]),
                cells=nn.LSTM(8, 6, 2, batch_first=True), last=nn.Linear(6, 2),
            ),
            (seq,),
        ),
        "GRU, time first": (
            lambda: Written(
                lambda m, x: m.last(m.cells(x)[0]), cells=nn.GRU(8, 6), last=nn.Linear(6, 2)
            ),
            (torch.randn(5, 1, 8),),
        ),
        "BiLSTM tagger": (
            lambda: Written(
                lambda m, i: m.last(m.cells(m.embed(i))[0]), embed=nn.Embedding(9, 6),
                cells=nn.LSTM(6, 5, batch_first=True, bidirectional=True), last=nn.Linear(10, 3),
            ),
            (ids(9, 1, 5),),
        ),
        "seq2seq": (seq2seq, (ids(11, 1, 5), ids(11, 1, 4))),
        "actor-critic": (
            lambda: Written(
                lambda m, x: (torch.tanh(m.actor(m.body(x))), m.critic(m.body(x)), m.logs),
                body=mlp(4, 16, 16, act=nn.Tanh), actor=nn.Linear(16, 2), critic=nn.Linear(16, 1),
                logs=nn.Parameter(torch.ones(2)),
            ),
            (image(4),),
        ),
        "duelling DQN": (
            lambda: Written(
                lambda m, x: m.value(h := m.body(x)) + (a := m.gain(h)) - a.mean(1, keepdim=True),
                body=mlp(4, 16, 16), value=nn.Linear(16, 1), gain=nn.Linear(16, 3),
            ),
            (image(4),),
        ),
        "GCN": (
            lambda: Written(
                lambda m, x, a: m.last(a @ torch.relu(m.first(a @ x)) / a.sum(-1, keepdim=True)),
                first=nn.Linear(3, 8), last=nn.Linear(8, 2),
            ),
            (image(5, 3), (torch.rand(1, 5, 5) < 0.5).float() + torch.eye(5)),
        ),
        "GAT": (graph_attention, (image(5, 3), (torch.rand(1, 5, 5) < 0.5).float())),
        "transformer encoder": (
            lambda: nn.TransformerEncoder(
                nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2,
                enable_nested_tensor=False,
            ),
            (seq,),
        ),
        "transformer": (
            lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True), (seq, image(4, 8))
        ),
        "MLP-Mixer": (
            lambda: Written(
                lambda m, x: m.last(
                    (h := x + m.tokens(m.n1(x).transpose(1, 2)).transpose(1, 2)) + m.mix(m.n2(h))
                ),
                n1=nn.LayerNorm(8), n2=nn.LayerNorm(8), tokens=mlp(6, 12, 6, act=nn.GELU),
                mix=mlp(8, 16, 8, act=nn.GELU), last=nn.Linear(8, 2),
            ),
            (seq,),
        ),
        "highway": (
            lambda: Written(
                lambda m, x: (t := torch.sigmoid(m.t(x))) * torch.relu(m.h(x)) + (1 - t) * x,
                t=nn.Linear(6, 6), h=nn.Linear(6, 6),
            ),
            (image(6),),
        ),
        "soft mixture of experts": (
            lambda: Written(
                lambda m, x: torch.einsum(
                    "be,beo->bo", torch.softmax(m.route(x), -1),
                    torch.stack([m.a(x), m.b(x), m.c(x)], 1),
                ),
                route=nn.Linear(6, 3), a=mlp(6, 8, 2), b=mlp(6, 8, 2), c=mlp(6, 8, 2),
            ),
            (image(6),),
        ),
        "FiLM": (
            lambda: Written(
                lambda m, x, z: m.last(torch.relu(
                    m.conv(x) * m.scale(z)[..., None, None] + m.shift(z)[..., None, None]
                ).amax((2, 3))),
                conv=nn.Conv2d(1, 4, 3), scale=nn.Linear(2, 4), shift=nn.Linear(2, 4),
                last=nn.Linear(4, 2),
            ),
            (image(1, 6, 6), image(2)),
        ),
        "hypernetwork": (hypernetwork, (image(3), image(2))),
        "PointNet": (
            lambda: Written(
                lambda m, x: m.last(m.points(x).max(-1)[0]),
                points=nn.Sequential(nn.Conv1d(3, 8, 1), nn.BatchNorm1d(8), nn.ReLU(),
                                     nn.Conv1d(8, 12, 1)),
                last=mlp(12, 8, 2),
            ),
            (image(3, 7),),
        ),
        "Siamese": (
            lambda: Written(
                lambda m, a, b: functional.cosine_similarity(m.body(a), m.body(b)),
                body=mlp(5, 8, 4),
            ),
            (image(5), image(5)),
        ),
        "WaveNet": (wavenet, (image(1, 9),)),
        "squeeze-and-excite": (squeeze_excite, (image(3, 6, 6),)),
        "VAE": (vae, (image(8),)),
        "Fourier operator": (fourier_operator, (image(8, 1),)),
        "neural ODE": (
            lambda: Written(
                lambda m, x: m.last(x + 0.1 * m.f(x) + 0.1 * m.f(x + 0.1 * m.f(x))),
                f=mlp(4, 8, 4, act=nn.Tanh), last=nn.Linear(4, 1),
            ),
            (image(4),),
        ),
        "3-D convolutions": (
            lambda: nn.Sequential(
                nn.Conv3d(1, 3, 3, padding=1), nn.GroupNorm(3, 3), nn.PReLU(), nn.MaxPool3d(2),
                nn.Flatten(), nn.Linear(24, 2),
            ),
            (image(1, 4, 4, 4),),
        ),
    }  # fmt: skip
