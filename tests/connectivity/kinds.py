"""Small models of many kinds, one of each, with what they are called with: `KINDS`.

Beside a name stands whether every operation in it is known, and what may cancel exactly there.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

from .laws import Inputs


class Kind(NamedTuple):
    """A kind of model.

    Attributes:
        make: Gives the model and what it is called with.
        exact: Whether every operation is known.
        cancels: Why an effective entry may have no gradient at all; empty: it may not.
    """

    make: Callable[[], tuple[nn.Module, Inputs]]
    exact: bool = True
    cancels: str = ""


SOFTMAX = "a softmax is blind to what is added to all of its scores"
KINDS: dict[str, Kind] = {}


def kind(*, exact: bool = True, cancels: str = "") -> Callable[[Any], Any]:
    def register(make: Callable[[], tuple[nn.Module, Inputs]]) -> object:
        KINDS[make.__name__] = Kind(make, exact, cancels)
        return make

    return register


class Written(nn.Module):
    """A forward pass that is a function of the module and what it is called with."""

    def __init__(self, run: Callable[..., Any], **parts: nn.Module | nn.Parameter | Tensor) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            if isinstance(part, Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, *args: Any, **kwargs: Any) -> object:
        return self.run(self, *args, **kwargs)


def fc(a: int = 4, b: int = 4, *, bias: bool = True) -> nn.Linear:
    return nn.Linear(a, b, bias=bias)


def param(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape))


def rows(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@kind(cancels="a row of one weight has a direction that nothing changes")
def weight_normed_convolution():
    conv = parametrizations.weight_norm(nn.Conv1d(2, 4, 3, padding=1))
    return nn.Sequential(conv, nn.ReLU(), nn.Conv1d(4, 2, 1)), rows(2, 2, 6)


@kind(cancels="a row of one weight has a direction that nothing changes")
def weight_normed_the_old_way():
    with warnings.catch_warnings():
        # People have it still.
        warnings.simplefilter("ignore", FutureWarning)
        conv = torch.nn.utils.weight_norm(nn.Conv1d(2, 4, 3, padding=1))
    return nn.Sequential(conv, nn.ReLU(), nn.Conv1d(4, 2, 1)), rows(2, 2, 6)


@kind(cancels="a matrix is divided by its own norm")
def spectrally_normed():
    return nn.Sequential(parametrizations.spectral_norm(fc()), nn.Tanh(), fc(4, 2)), rows(3, 4)


class Symmetric(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        return w.triu() + w.triu(1).transpose(-1, -2)


@kind()
def parametrized():
    layer = fc()
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return nn.Sequential(layer, nn.ReLU(), fc(4, 2)), rows(3, 4)


@kind()
def recurrent_both_ways():
    cells = nn.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    return Written(lambda m, x: m.last(m.cells(x)[0]), cells=cells, last=fc(8, 2)), rows(2, 3, 3)


@kind()
def projected_states():
    cells = nn.LSTM(3, 4, proj_size=2, batch_first=True, bidirectional=True)
    return Written(lambda m, x: m.cells(x)[1][0], cells=cells), rows(2, 3, 3)


@kind()
def time_first():
    return Written(lambda m, x: m.cells(x)[0][-1], cells=nn.LSTM(3, 4)), rows(3, 2, 3)


@kind()
def cells_in_a_loop():
    def run(m: Any, x: Tensor) -> Tensor:
        h, c = torch.zeros(2, len(x), 4, dtype=x.dtype)
        for t in range(x.shape[1]):
            h, c = m.cell(x[:, t], (h, c))
        return m.last(h)

    return Written(run, cell=nn.LSTMCell(3, 4), last=fc(4, 2)), rows(2, 3, 3)


@kind()
def transposed_with_output_padding():
    up = nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2)
    return nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), up, nn.ReLU()), rows(1, 2, 3, 3)


@kind()
def convolutions_of_three_axes():
    down = nn.Conv3d(2, 4, 2, padding="same", padding_mode="zeros")
    up = nn.ConvTranspose3d(4, 2, 2, stride=2)
    return nn.Sequential(down, nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2), up), rows(
        1, 2, 2, 4, 2
    )


@kind()
def pixels_shuffled():
    layers = (nn.Conv2d(2, 8, 3, padding=1), nn.PixelShuffle(2), nn.ReLU(), nn.PixelUnshuffle(2))
    return nn.Sequential(*layers, nn.Conv2d(8, 2, 1)), rows(1, 2, 3, 3)


@kind()
def channels_shuffled():
    conv = nn.Conv2d(4, 4, 3, padding=1, groups=2)
    return nn.Sequential(nn.Conv2d(2, 4, 1), nn.ChannelShuffle(2), conv), rows(1, 2, 3, 3)


@kind()
def embedded_bags():
    bag = nn.EmbeddingBag(7, 4, mode="mean")
    offsets = torch.tensor([0, 2])
    model = Written(lambda m, x: m.last(m.bag(x, offsets)), bag=bag, last=fc(4, 2))
    return model, torch.tensor([1, 6, 3, 0, 2])


@kind(cancels="the row of the padding gets no gradient from torch")
def embedded_with_padding():
    model = Written(
        lambda m, x: m.last(m.table(x).mean(1)), table=nn.Embedding(7, 4, padding_idx=0),
        last=fc(4, 2),
    )  # fmt: skip
    return model, torch.tensor([[1, 6, 3], [0, 2, 2]])


@kind()
def responses_normed():
    layers = (nn.Conv2d(2, 4, 1), nn.LocalResponseNorm(3), nn.ReLU(), nn.Conv2d(4, 2, 1))
    return nn.Sequential(*layers), rows(1, 2, 3, 3)


@kind()
def bilinear():
    model = Written(
        lambda m, x, y: m.last(m.both(m.a(x), y)), a=fc(), both=nn.Bilinear(4, 3, 4), last=fc(4, 2)
    )
    return model, (rows(2, 4), rows(2, 3))


@kind()
def sampled_on_a_grid():
    def run(m: Any, image: Tensor, at: Tensor) -> Tensor:
        grid = torch.tanh(m.where(at)).view(len(at), 2, 2, 2)
        return functional.grid_sample(m.conv(image), grid, align_corners=False)

    return Written(run, conv=nn.Conv2d(2, 2, 1), where=fc(3, 8)), (rows(1, 2, 3, 3), rows(1, 3))


@kind()
def transformed_by_an_affine_grid():
    def run(m: Any, x: Tensor) -> Tensor:
        theta = m.where(x.flatten(1)).view(-1, 2, 3)
        grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
        return functional.grid_sample(m.conv(x), grid, align_corners=False)

    return Written(run, conv=nn.Conv2d(2, 2, 1), where=fc(18, 6)), rows(1, 2, 3, 3)


@kind()
def einsum_with_repeated_indices():
    def run(m: Any, x: Tensor) -> Tensor:
        pairs = torch.einsum("bi,bj->bij", m.a(x), m.b(x))
        return m.last(torch.einsum("bii->bi", pairs) + torch.einsum("bij,bij->bi", pairs, pairs))

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def einsum_of_three():
    def run(m: Any, x: Tensor) -> Tensor:
        return torch.einsum("bi,ijk,bk->bj", m.a(x), m.core, torch.tanh(x))

    return Written(run, a=fc(), core=param(4, 3, 4)), rows(2, 4)


@kind()
def summed_up_to_here():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(m.a(x).cumsum(-1)) + torch.cumprod(m.b(x), -1)[:, :2]

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def multiplied_along_an_axis():
    return Written(
        lambda m, x: m.last(m.a(x).view(-1, 2, 2).prod(-1)), a=fc(), last=fc(2, 2)
    ), rows(2, 4)


@kind()
def scattered():
    def run(m: Any, x: Tensor) -> Tensor:
        places = torch.tensor([[0, 2, 2, 1]]).expand(len(x), 4)
        base = torch.zeros(len(x), 5, dtype=x.dtype)
        return m.last(
            base.scatter_add(1, places, m.a(x)) + base.scatter(1, places[:, :3], m.b(x)[:, :3])
        )

    return Written(run, a=fc(), b=fc(), last=fc(5, 2)), rows(2, 4)


@kind(cancels="torch has no gradient of it")
def scattered_from_more_than_the_index_has():
    def run(m: Any, x: Tensor) -> Tensor:
        places = torch.tensor([[0, 2]]).expand(len(x), 2)
        return m.last(torch.zeros(len(x), 5, dtype=x.dtype).scatter(1, places, m.a(x)))

    return Written(run, a=fc(), last=fc(5, 2)), rows(2, 4)


@kind()
def put_at_places():
    def run(m: Any, x: Tensor) -> Tensor:
        out = torch.zeros(len(x), 5, dtype=x.dtype)
        out[:, [0, 3]] = m.a(x)[:, :2]
        out[:, torch.tensor([False, True, False, False, True])] = m.b(x)[:, 2:]
        return m.last(torch.relu(out))

    return Written(run, a=fc(), b=fc(), last=fc(5, 2)), rows(2, 4)


@kind()
def put_on_top_of_others():
    def run(m: Any, x: Tensor) -> Tensor:
        out = m.a(x)
        at = (torch.tensor([0, 1]), torch.tensor([1, 3]))
        return m.last(torch.relu(out.index_put(at, m.b(x)[:, 0], accumulate=True)))

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def filled_and_copied_by_index():
    def run(m: Any, x: Tensor) -> Tensor:
        out = m.a(x).index_fill(1, torch.tensor([1]), 0.0)
        return m.last(torch.relu(out.index_copy(1, torch.tensor([3]), m.b(x)[:, :1])))

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def added_by_index_with_a_factor():
    def run(m: Any, x: Tensor) -> Tensor:
        places = torch.tensor([0, 2, 2])
        less = x.index_add(1, places, m.a(x)[:, :3], alpha=-2)
        same = torch.add(x.index_add(1, places, m.b(x)[:, :3], alpha=0), m.b(x), alpha=0)
        return m.last(torch.relu(less) + torch.sub(same, m.c(x), alpha=3))

    return Written(run, a=fc(), b=fc(), c=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def taken_together_at_places():
    def run(m: Any, x: Tensor, where: Tensor) -> Tensor:
        places = torch.tensor([[0, 1, 1, 2]]).expand(len(x), 4)
        base = x[:, :3]
        most = base.scatter_reduce(1, places, m.a(x), "amax", include_self=False)
        means = base.scatter_reduce(1, places, m.b(x), "mean")
        anywhere = base.scatter_reduce(1, where, m.c(x), "sum")
        return m.last(most) + m.last(torch.tanh(means) * anywhere)

    where = torch.tensor([[0, 2, 1, 1], [1, 1, 0, 2]])
    return Written(run, a=fc(), b=fc(), c=fc(), last=fc(3, 2)), (rows(2, 4), where)


@kind(cancels="what chooses a place has no gradient")
def between_bounds_and_put_where_a_value_says():
    def run(m: Any, x: Tensor) -> Tensor:
        level = torch.bucketize(m.a(x), torch.tensor([-1.0, 0, 1], dtype=x.dtype))
        rank = torch.searchsorted(m.b(x).sort(-1).values, m.c(x))
        best = m.c(x).argmax(-1, keepdim=True)
        return m.table(level).sum(-1) + rank + torch.zeros_like(x).scatter(1, best, 1.0)

    parts = {"a": fc(), "b": fc(), "c": fc(), "table": nn.Embedding(4, 2)}
    return Written(run, **parts), rows(2, 4)


@kind()
def a_leaky_slope_by_chance_and_special_functions():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.leaky(m.a(x))
        odd = torch.special.erfcx(h) + torch.special.i1(m.b(x)) + torch.polygamma(1, h.abs() + 1)
        return m.last(odd) + torch.addmv(m.shift, m.a.weight, m.shift, alpha=-1)[:2]

    parts = {"leaky": nn.RReLU(), "a": fc(), "b": fc(), "shift": param(4), "last": fc(4, 2)}
    return Written(run, **parts), rows(2, 4)


@kind()
def a_row_that_is_unlike_the_others():
    def run(m: Any, x: Tensor) -> Tensor:
        fifth = (torch.arange(len(x)) == 4)[:, None]
        return m.a(x) * fifth + m.b(x) * ~fifth

    return Written(run, a=fc(), b=fc()), rows(9, 4)


@kind()
def the_best_few():
    def run(m: Any, x: Tensor) -> Tensor:
        best = m.a(x).topk(2, -1)
        return m.last(best.values) + torch.gather(m.b(x), 1, best.indices)

    return Written(run, a=fc(), b=fc(), last=fc(2, 2)), rows(2, 4)


@kind()
def filled_where_a_mask_says():
    def run(m: Any, x: Tensor, hidden: Tensor) -> Tensor:
        scores = m.a(x).masked_fill(hidden, -torch.inf)
        return m.last(scores.softmax(-1) * m.b(x))

    hidden = torch.tensor([[False, True, False, False], [False, False, True, True]])
    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), (rows(2, 4), hidden)


@kind()
def of_complex_numbers():
    def run(m: Any, x: Tensor) -> Tensor:
        waves = torch.fft.rfft(m.a(x))
        return m.last(torch.fft.irfft(waves * torch.view_as_complex(m.filter), n=4))

    return Written(run, a=fc(), filter=param(3, 2), last=fc(4, 2)), rows(2, 4)


@kind()
def complex_numbers_of_parts():
    def run(m: Any, x: Tensor) -> Tensor:
        z = torch.complex(m.a(x), m.b(x))
        turned = torch.polar(torch.ones_like(x), m.b(x)) / torch.tensor(1 + 2j)
        lengths = (z * z.conj()).real + z.abs() + z.angle() + (z**2).imag
        return m.last(lengths) + torch.view_as_real(z.exp() * turned).sum((1, 2))[:, None]

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(2, 4)


@kind(cancels="a Fourier transform makes nothing of what is the same at all positions")
def a_fourier_operator():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.lift(x).transpose(1, 2)
        waves = torch.fft.rfft(h)
        mixed = torch.zeros_like(waves)
        weight = torch.view_as_complex(m.weight)
        mixed[:, :, :2] = torch.einsum("bim,iom->bom", waves[:, :, :2], weight)
        return m.last((torch.fft.irfft(mixed, n=6) + h).transpose(1, 2))

    parts = {"lift": fc(1, 3), "weight": param(3, 3, 2, 2), "last": fc(3, 1)}
    return Written(run, **parts), rows(2, 6, 1)


@kind()
def fourier_transforms_of_planes():
    def run(m: Any, x: Tensor) -> Tensor:
        waves, weight = torch.fft.rfft2(x, norm="ortho"), torch.view_as_complex(m.weight)
        low = torch.einsum("bixy,ioxy->boxy", waves[..., -2:, :2], weight)
        mixed = torch.cat([torch.zeros_like(waves[..., :2, :2]), low * 0.5], -2)
        return torch.fft.irfft2(mixed, s=(4, 4), norm="ortho")

    return Written(run, weight=param(2, 2, 2, 2, 2)), rows(1, 2, 4, 4)


@kind()
def fourier_transforms_of_other_kinds():
    def run(m: Any, x: Tensor) -> Tensor:
        pairs = torch.view_as_complex(m.a(x).view(-1, 2, 2))
        odd = torch.fft.irfft(pairs, n=3) + torch.fft.hfft(pairs, n=3)
        z = torch.fft.fftshift(torch.fft.fft(m.b(x), n=6), dim=-1)
        return odd + torch.fft.ifft(z).imag[:, :3] + torch.fft.ihfft(m.b(x)).real

    return Written(run, a=fc(), b=fc()), rows(2, 4)


@kind()
def a_kernel_of_exponentials():
    def run(m: Any, x: Tensor) -> Tensor:
        rates = torch.complex(-m.decay.exp(), m.turn)
        kernel = torch.exp(rates[:, None] * torch.arange(4)).real.sum(0)
        return torch.fft.irfft(torch.fft.rfft(kernel, n=8) * torch.fft.rfft(x, n=8), n=8)[:, :4]

    return Written(run, decay=param(3), turn=param(3)), rows(2, 4)


@kind()
def turned_by_complex_numbers():
    def run(m: Any, x: Tensor) -> Tensor:
        places = torch.arange(6, dtype=x.dtype).view(3, 2)
        turns = torch.polar(torch.ones_like(places), places)
        pairs = torch.view_as_complex(m.q(x).view(-1, 3, 2, 2))
        weight = torch.view_as_complex(m.weight)
        return torch.view_as_real((pairs * turns) @ weight).flatten(2)

    return Written(run, q=fc(bias=False), weight=param(2, 2, 2)), rows(2, 3, 4)


@kind()
def by_the_shape_of_the_input():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.long(x) if x.shape[-2] > 2 else m.short(x)

    return Written(run, long=fc(4, 2), short=fc(4, 2)), rows(2, 3, 4)


@kind()
def by_keyword_alone():
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = fc(), fc(4, 2)

        def forward(self, *, x: Tensor, scale: float = 1.0, mask: Tensor | None = None) -> Tensor:
            h = self.a(x) * scale
            return self.b(h if mask is None else h * mask)

    return Named(), {"x": rows(2, 4), "mask": rows(2, 4)}


@kind()
def out_come_dicts():
    def run(m: Any, batch: dict[str, Tensor]) -> dict[str, Any]:
        h = torch.relu(m.a(batch["x"]))
        return OrderedDict(first=m.b(h), more=[{"second": m.c(h)}], none=None)

    return Written(run, a=fc(), b=fc(4, 2), c=fc(4, 1)), ({"x": rows(2, 4)},)


@dataclasses.dataclass
class Answer:
    logits: Tensor
    hidden: Tensor | None = None


@kind()
def out_comes_a_dataclass():
    return Written(lambda m, x: Answer(m.b(torch.relu(m.a(x)))), a=fc(), b=fc(4, 2)), rows(2, 4)


Point = namedtuple("Point", ["mean", "spread"])


@kind()
def out_comes_a_named_tuple():
    return Written(lambda m, x: Point(m.a(x), m.b(x).exp()), a=fc(4, 2), b=fc(4, 2)), rows(2, 4)


@kind()
def shared_under_two_names():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = self.again = fc()
            self.last = fc(4, 2)
            self.last.weight = nn.Parameter(torch.empty(2, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.relu(self.again(torch.relu(self.a(x)))))

    return Shared(), rows(2, 4)


@kind()
def tied_to_its_embedding():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.a, self.head = nn.Embedding(5, 4), fc(), fc(4, 5, bias=False)
            self.head.weight = self.table.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.a(self.table(x))))

    return Tied(), torch.tensor([[0, 4, 2]])


@kind()
def weights_that_are_buffers():
    def run(m: Any, x: Tensor) -> Tensor:
        h = torch.relu(functional.linear(x, m.fixed, m.shift))
        return m.last(h @ m.table)

    fixed = torch.tensor([[1.0, 0, 0, 2], [0, 0, 3, 0], [0, 0, 0, 0]], dtype=torch.float64)
    return Written(run, fixed=fixed, shift=param(3), table=param(3, 4), last=fc(4, 2)), rows(2, 4)


@kind()
def a_constant_through_layers():
    def run(m: Any, x: Tensor) -> Tensor:
        code = functional.linear(m.points, torch.eye(2, dtype=x.dtype), m.shift)
        code = functional.prelu(m.points, m.slope) + torch.sin(m.a(code))
        return m.last(torch.cat([code.flatten().expand(len(x), 6), x], -1))

    points = torch.tensor([[0.0, 1], [1, 0], [-1, -1]], dtype=torch.float64)
    parts = {"shift": param(2), "slope": param(1), "a": fc(2, 2), "last": fc(10, 2)}
    return Written(run, points=points, **parts), rows(2, 4)


@kind()
def in_place_on_views():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.a(x)
        left, right = h[:, :2], h[:, 2:]
        left += right
        h[:, 3] = m.b(x)[:, 0]
        h.view(-1, 2, 2)[:, 1].mul_(2)
        return m.last(torch.relu(h))

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def cut_and_bound_again():
    def run(m: Any, x: Tensor) -> Tensor:
        one, two, three = torch.unbind(m.a(x), 1)
        parts = torch.tensor_split(m.b(x), [1, 3], -1)
        stacked = torch.stack([one * two, three], 1)
        return (
            m.last(stacked).sum(1) + parts[1].mean(1) + parts[2].squeeze(-1).sum(-1, keepdim=True)
        )

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(2, 3, 4)


@kind()
def stochastic_depth_in_evaluation():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.a(x)
        if m.training:
            h = h * torch.bernoulli(torch.full((len(x), 1), 0.5))
        return m.last(torch.relu(x + m.drop(h)))

    return Written(run, a=fc(), drop=nn.Dropout(0.5), last=fc(4, 2)), rows(2, 4)


@kind(exact=False)
def dropout_that_is_always_on():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(functional.dropout(m.a(x), 0.5, training=True))

    return Written(run, a=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def noise_of_its_own():
    def run(m: Any, x: Tensor) -> Tensor:
        mean, spread = m.a(x).chunk(2, -1)
        return m.last(mean + torch.randn_like(mean) * spread.exp() + torch.rand(2, dtype=x.dtype))

    return Written(run, a=fc(), last=fc(2, 2)), rows(2, 4)


@kind()
def with_a_running_counter():
    def run(m: Any, x: Tensor) -> Tensor:
        m.calls += 1
        m.average = 0.9 * m.average + 0.1 * m.a(x).mean(0)
        return m.last(x - m.average)

    average = torch.zeros(4, dtype=torch.float64)
    return Written(run, calls=torch.tensor(0), average=average, a=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def checkpointed():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(checkpoint(lambda v: torch.relu(m.a(v)), x, use_reentrant=False))

    return Written(run, a=fc(), last=fc(4, 2)), rows(2, 4)


@kind(cancels=SOFTMAX)
def a_transformer_of_torch():
    return nn.Transformer(4, 2, 1, 1, 6, batch_first=True), (rows(1, 3, 4), rows(1, 2, 4))


@kind(cancels=SOFTMAX)
def an_encoder_with_a_padding_mask():
    layer = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    hidden = torch.tensor([[False, False, True]])
    return encoder, {"src": rows(1, 3, 4), "src_key_padding_mask": hidden}


@kind(cancels=SOFTMAX)
def attention_with_all_its_extras():
    inner = nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True, kdim=3, vdim=5)
    model = Written(lambda m, q, k, v: m.inner(q, k, v), inner=inner)
    return model, (rows(2, 1, 4), rows(3, 1, 3), rows(3, 1, 5))


@kind()
def chosen_by_a_gate_of_experts():
    def run(m: Any, x: Tensor) -> Tensor:
        share = m.gate(x).softmax(-1)
        experts = torch.stack([m.one(x), m.two(x)], 1)
        return m.last((share.unsqueeze(-1) * experts).sum(1))

    return Written(run, gate=fc(4, 2), one=fc(), two=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def a_loss_comes_out():
    def run(m: Any, x: Tensor, y: Tensor) -> Tensor:
        logits = m.last(torch.relu(m.a(x)))
        return functional.cross_entropy(logits, y) + functional.mse_loss(logits, x[:, :3])

    return Written(run, a=fc(), last=fc(4, 3)), (rows(2, 4), torch.tensor([2, 0]))


@kind()
def losses_of_other_kinds():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.a(x)
        one = functional.binary_cross_entropy_with_logits(h[:, :2], (x[:, :2] > 0).to(h))
        two = functional.smooth_l1_loss(h[:, 2], x[:, 0]) + functional.huber_loss(h[:, 3], x[:, 1])
        return (
            one
            + two
            + functional.kl_div(h.log_softmax(-1), x.softmax(-1), reduction="batchmean")
            + h.abs().sum() * 1e-3
        )

    return Written(run, a=fc()), rows(2, 4)


@kind()
def similar_directions():
    def run(m: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = functional.normalize(m.a(x), dim=-1), m.b(x)
        return a @ a.T, functional.cosine_similarity(a, b, dim=-1)

    return Written(run, a=fc(), b=fc()), rows(2, 4)


@kind()
def distances_to_centres():
    def run(m: Any, x: Tensor) -> Tensor:
        near = torch.exp(-torch.cdist(m.a(x), m.centres))
        return m.last(near) + functional.pairwise_distance(m.a(x), m.centres[:2])[:, None]

    return Written(run, a=fc(), centres=param(3, 4), last=fc(3, 2)), rows(2, 4)


@kind()
def a_row_normed_graph():
    def run(m: Any, x: Tensor, edges: Tensor) -> Tensor:
        source, target = edges
        sums = torch.zeros_like(x).index_add(0, target, m.a(x)[source])
        degrees = torch.zeros(len(x), dtype=x.dtype).index_add(
            0, target, torch.ones(len(target), dtype=x.dtype)
        )
        return m.last(torch.relu(sums / degrees.clamp(min=1)[:, None]))

    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 0, 0]])
    return Written(run, a=fc(), last=fc(4, 2)), (rows(4, 4), edges)


@kind()
def a_graph_with_known_edges():
    def run(m: Any, x: Tensor) -> Tensor:
        source, target = m.edges
        sums = torch.zeros_like(x).index_add(0, target, m.a(x)[source])
        return m.last(torch.relu(sums / m.degrees[:, None]))

    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 0, 0]])
    degrees = torch.tensor([2.0, 1, 1, 1], dtype=torch.float64)
    return Written(run, edges=edges, degrees=degrees, a=fc(), last=fc(4, 2)), rows(4, 4)


@kind()
def folded_from_patches():
    def run(m: Any, x: Tensor) -> Tensor:
        patches = functional.unfold(x, 2, stride=2)
        return functional.fold(m.a(patches.transpose(1, 2)).transpose(1, 2), (4, 4), 2, stride=2)

    return Written(run, a=fc(8, 8)), rows(1, 2, 4, 4)


@kind()
def pooled_in_other_ways():
    layers = (nn.Conv1d(2, 4, 1), nn.LPPool1d(2, 2), nn.Softplus(), nn.AdaptiveMaxPool1d(2))
    return nn.Sequential(*layers, nn.Flatten(), fc(8, 2)), rows(1, 2, 6)


@kind()
def padded_in_other_ways():
    layers = (nn.CircularPad2d(1), nn.Conv2d(2, 2, 2), nn.ReplicationPad2d((1, 0, 2, 1)))
    return nn.Sequential(*layers, nn.ConstantPad2d(1, 0.5), nn.Conv2d(2, 2, 3)), rows(1, 2, 3, 3)


@kind(cancels="what a bias adds to all of a batch is taken out by its mean")
def batch_statistics_of_its_own():
    norm = nn.BatchNorm1d(4, track_running_stats=False)
    return nn.Sequential(fc(), norm, nn.ReLU(), fc(4, 2)), rows(3, 4)


@kind()
def a_parameter_that_is_a_number():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(torch.relu(m.a(x)) ** 2 * m.scale + m.scale.exp() * x)

    return Written(run, a=fc(), scale=param(), last=fc(4, 2)), rows(2, 4)


@kind()
def a_matrix_of_one_row():
    def run(m: Any, x: Tensor) -> Tensor:
        return functional.linear(torch.relu(m.a(x)), m.w) + torch.mv(x, m.w) + torch.dot(m.w, m.v)

    return Written(run, a=fc(), w=param(4), v=param(4)), rows(2, 4)


@kind()
def a_low_rank_update():
    def run(m: Any, x: Tensor) -> Tensor:
        return functional.linear(x, m.a.weight + m.up @ m.down, m.a.bias) * 0.5

    return Written(run, a=fc(), up=param(4, 2), down=param(2, 4)), rows(2, 4)


@kind()
def a_kernel_made_by_a_network():
    def run(m: Any, x: Tensor, z: Tensor) -> Tensor:
        return functional.conv2d(x, torch.tanh(m.maker(z)).view(2, 2, 1, 1))

    return Written(run, maker=fc(3, 4)), (rows(1, 2, 3, 3), rows(1, 3))


@kind()
def hooked_everywhere():
    model = nn.Sequential(fc(), nn.ReLU(), fc(4, 2))
    model[0].register_forward_pre_hook(lambda m, args, kw: ((args[0] * 2,), kw), with_kwargs=True)
    model[2].register_forward_hook(lambda m, args, out: torch.cat([out, args[0]], -1))
    return model, rows(2, 4)


@kind()
def a_choice_by_values():
    def run(m: Any, x: Tensor) -> Tensor:
        a, b = m.a(x), m.b(x)
        return m.last(torch.where(a > b, a, b * 2) + torch.lerp(a, b, x))

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def sorted_and_ranked():
    def run(m: Any, x: Tensor) -> Tensor:
        values, _ = m.a(x).sort(-1, descending=True)
        return (
            m.last(values) + m.b(x).median(-1, keepdim=True).values + m.b(x).logsumexp(-1)[:, None]
        )

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def moments():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.a(x)
        mean, spread = h.mean(0, keepdim=True), torch.std(h, 0, keepdim=True)
        return m.last((h - mean) / (spread + 1e-3)) + torch.linalg.vector_norm(h) + h.var()

    return Written(run, a=fc(), last=fc(4, 2)), rows(3, 4)


@kind(exact=False)
def solved_linear_systems():
    def run(m: Any, x: Tensor) -> Tensor:
        matrix = m.a(x).view(-1, 2, 2) + 5 * torch.eye(2, dtype=x.dtype)
        return m.last(torch.linalg.solve(matrix, x[:, :2]) + torch.det(matrix)[:, None])

    return Written(run, a=fc(), last=fc(2, 2)), rows(2, 4)


@kind(exact=False)
def branching_by_torch_cond():
    def run(m: Any, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda v: m.a(v), lambda v: m.b(v), (x,))

    return Written(run, a=fc(), b=fc()), rows(2, 4)


@kind()
def a_frozen_batch_norm_by_hand():
    def run(m: Any, x: Tensor) -> Tensor:
        scale = (m.weight * m.variance.rsqrt()).view(1, -1, 1, 1)
        return m.conv(x) * scale + (m.bias - m.mean * m.weight).view(1, -1, 1, 1)

    mean = torch.tensor([0.0, 0.5], dtype=torch.float64)
    parts = {"weight": param(2), "bias": param(2), "conv": nn.Conv2d(2, 2, 3, bias=False)}
    return Written(run, variance=torch.ones(2, dtype=torch.float64), mean=mean, **parts), rows(
        1, 2, 4, 4
    )


@kind(cancels=SOFTMAX)
def relative_positions():
    def run(m: Any, x: Tensor) -> Tensor:
        place = torch.arange(3)
        bias = m.table((place[:, None] - place[None]).clamp(-1, 1) + 1).squeeze(-1)
        scores = (m.q(x) @ m.k(x).transpose(1, 2) + bias).softmax(-1)
        return m.last(scores @ m.v(x))

    parts = {"q": fc(), "k": fc(bias=False), "v": fc(), "last": fc(4, 2)}
    return Written(run, table=nn.Embedding(3, 1), **parts), rows(1, 3, 4)


@kind()
def embedded_within_a_norm():
    table = nn.Embedding(5, 4, max_norm=1.0)
    return Written(lambda m, x: m.last(m.table(x)), table=table, last=fc(4, 2)), torch.tensor(
        [[0, 4]]
    )


@kind()
def decoded_by_the_encoder_s_own_matrix():
    def run(m: Any, x: Tensor) -> Tensor:
        return functional.linear(torch.relu(m.a(x)), m.a.weight.t(), m.shift)

    return Written(run, a=fc(4, 3), shift=param(4)), rows(2, 4)


@kind()
def resized_in_other_ways():
    def run(m: Any, x: Tensor) -> Tensor:
        small = functional.interpolate(m.a(x), size=(2, 2), mode="area")
        large = functional.interpolate(small, scale_factor=2, mode="bicubic", align_corners=True)
        return m.b(large) + functional.interpolate(small, size=(4, 4), mode="nearest-exact")

    return Written(run, a=nn.Conv2d(2, 2, 1), b=nn.Conv2d(2, 2, 1)), rows(1, 2, 4, 4)


@kind()
def pooled_beyond_the_border():
    layers = (
        nn.Conv2d(2, 3, 1),
        nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
        nn.Tanh(),
    )
    return nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True, dilation=1)), rows(1, 2, 5, 5)


@kind()
def started_from_given_states():
    def run(m: Any, x: Tensor, h: Tensor) -> Tensor:
        out, last = m.cells(x, m.first(h).view(1, 1, 4))
        return m.last(out[:, -1] + last[0])

    return Written(run, cells=nn.RNN(3, 4, batch_first=True), first=fc(2, 4), last=fc(4, 2)), (
        rows(1, 3, 3), rows(1, 2),
    )  # fmt: skip


@kind()
def gated_feed_forward():
    def run(m: Any, x: Tensor) -> Tensor:
        gate, value = m.up(x).chunk(2, -1)
        return (
            x
            + m.down(functional.silu(gate) * value)
            + functional.glu(m.up(x), 1).sum(-1)[..., None]
        )

    return Written(run, up=fc(4, 8), down=fc(4, 4)), rows(2, 4)


@kind(cancels=SOFTMAX)
def attention_in_shifted_windows():
    def run(m: Any, x: Tensor) -> Tensor:
        windows = x.roll((-1, -1), (1, 2)).view(1, 2, 2, 2, 2, 4).permute(0, 1, 3, 2, 4, 5)
        h = windows.reshape(4, 4, 4)
        h = (m.q(h) @ m.k(h).transpose(1, 2)).softmax(-1) @ m.v(h)
        h = h.view(1, 2, 2, 2, 2, 4).permute(0, 1, 3, 2, 4, 5).reshape(1, 4, 4, 4)
        return h.roll((1, 1), (1, 2))

    return Written(run, q=fc(), k=fc(bias=False), v=fc()), rows(1, 4, 4, 4)


@kind(cancels="an instance normalisation takes out what a bias adds to all positions")
def instance_statistics_that_are_kept():
    norm = nn.InstanceNorm1d(3, affine=True, track_running_stats=True)
    return nn.Sequential(nn.Conv1d(2, 3, 2), norm, nn.ReLU(), nn.Conv1d(3, 2, 1)), rows(2, 2, 5)


@kind()
def matrices_multiplied_in_other_ways():
    def run(m: Any, x: Tensor) -> Tensor:
        a, b = m.a(x).view(-1, 2, 2), m.b(x).view(-1, 2, 2)
        chained = torch.linalg.multi_dot([m.w, m.w.T, m.w])
        total = torch.addbmm(chained, a, b) + torch.kron(m.w, m.w[:1, :1])
        return total + torch.outer(m.v, m.v) + torch.tensordot(a, b, dims=([0, 1], [0, 2]))

    return Written(run, a=fc(), b=fc(), w=param(2, 2), v=param(2)), rows(2, 4)


@kind()
def cumulative_in_other_ways():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.a(x)
        return (
            m.last(h.cummax(-1).values)
            + torch.logcumsumexp(h, 0)[:, :2]
            + h.flip(-1).diff(dim=-1)[:, 1:]
        )

    return Written(run, a=fc(), last=fc(4, 2)), rows(3, 4)


@kind()
def light_along_rays():
    def run(m: Any, x: Tensor) -> Tensor:
        density, colour = torch.relu(m.density(x)), torch.sigmoid(m.colour(x))
        alpha = 1 - torch.exp(-density)
        left = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + 1e-10], 1), 1)[
            :, :-1
        ]
        return (alpha * left * colour).sum(1)

    return Written(run, density=fc(3, 1), colour=fc(3, 3)), rows(2, 4, 3)


@kind()
def masks_of_lengths():
    def run(m: Any, x: Tensor, lengths: Tensor) -> Tensor:
        there = torch.arange(x.shape[1])[None] < lengths[:, None]
        h = m.a(x) * there[..., None]
        return m.last(h.sum(1) / lengths[:, None].clamp(min=1))

    return Written(run, a=fc(), last=fc(4, 2)), (rows(2, 3, 4), torch.tensor([3, 1]))


@kind()
def quantiles_and_counts():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.a(x)
        return m.last(h - h.quantile(0.5, dim=-1, keepdim=True)) * (h > 0).sum(-1, keepdim=True)

    return Written(run, a=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def hard_choices_with_soft_gradients():
    def run(m: Any, x: Tensor) -> Tensor:
        soft = m.a(x).softmax(-1)
        hard = functional.one_hot(soft.argmax(-1), 4).to(x.dtype)
        return m.last(hard - soft.detach() + soft)

    return Written(run, a=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def spline_bases():
    def run(m: Any, x: Tensor) -> Tensor:
        grid = torch.linspace(-2, 2, 5, dtype=x.dtype)
        bases = ((x[..., None] >= grid[:-1]) & (x[..., None] < grid[1:])).to(x.dtype)
        left = (x[..., None] - grid[:-1]) * bases
        return functional.linear(functional.silu(x), m.base) + torch.einsum(
            "bik,oik->bo", left, m.spline
        )

    return Written(run, base=param(2, 4), spline=param(2, 4, 4)), rows(2, 4)
