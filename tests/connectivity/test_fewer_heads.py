"""Attention that loses heads, and what a core says of what it kept whole."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunelimits import masks as pm
from prunelimits.connectivity import compact
from prunelimits.connectivity.fewer_heads import FewerHeads
from prunelimits.types import Masks


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


def whole_masks(model: nn.Module) -> Masks:
    return {n: torch.ones_like(p, dtype=torch.bool) for n, p in model.named_parameters()}


def masked(model: nn.Module, masks: Masks, *inputs: Tensor) -> Tensor:
    return functional_call(model, pm.apply(dict(model.named_parameters()), masks), inputs)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [None, (5, 7)])
@pytest.mark.parametrize("batched", [True, False])
def test_it_computes_what_the_whole_module_does(
    batch_first: bool, bias: bool, sizes: tuple[int, int] | None, batched: bool
):
    torch.manual_seed(0)
    kdim, vdim = sizes or (None, None)
    whole = nn.MultiheadAttention(
        8, 4, bias=bias, kdim=kdim, vdim=vdim, batch_first=batch_first, dtype=torch.float64
    ).eval()
    with torch.no_grad():
        whole.out_proj.weight[:, 2:6] = 0
        for p in whole.parameters():
            p.add_(torch.randn_like(p) * (p != 0))
    fewer = FewerHeads(whole, torch.tensor([True, False, False, True]))
    x = torch.randn(3, 3, 8, dtype=torch.float64)
    keys = torch.randn(3, 3, kdim or 8, dtype=torch.float64)
    values = torch.randn(3, 3, vdim or 8, dtype=torch.float64)
    hidden = torch.tensor([[False, False, True], [False, True, True], [False, False, False]])
    causal = torch.ones(3, 3).triu(1).bool()
    if not batched:
        x, keys, values, hidden = x[0], keys[0], values[0], hidden[0]
    if not batched or sizes is None:
        # Heads of two are those of rows 2 to 5: with all four, heads 1 and 2 are dead.
        assert fewer.num_heads == 2
    for settings in (
        {}, {"key_padding_mask": hidden}, {"attn_mask": causal},
        {"attn_mask": causal, "key_padding_mask": hidden},
        {"attn_mask": torch.randn(3, 3, dtype=torch.float64)},
    ):  # fmt: skip
        expected, _ = whole(x, keys, values, **settings)
        found, weights = fewer(x, keys, values, **settings)
        close(found, expected)
        assert weights is None
    with pytest.raises(ValueError, match="attn_mask must be the same for all heads"):
        fewer(x, keys, values, attn_mask=torch.zeros(12, 3, 3))


def test_the_core_of_an_encoder_has_no_dead_heads_and_no_dead_hidden_units():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 4, 16, batch_first=True, dtype=torch.float64)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    model.layers[1].self_attn.in_proj_weight.requires_grad_(False)
    model.layers[0].self_attn.train()
    masks = whole_masks(model)
    masks["layers.0.self_attn.out_proj.weight"][:, 4:] = False
    masks["layers.1.self_attn.in_proj_weight"][16:18] = False
    masks["layers.1.self_attn.in_proj_bias"][16:18] = False
    masks["layers.1.linear2.weight"][:, 5:] = False
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    core = compact(model, masks, inputs=x)
    assert type(core) is nn.TransformerEncoder
    heads = [layer.self_attn.num_heads for layer in core.layers]
    assert heads == [2, 3]
    assert (core.layers[1].linear1.out_features, core.layers[1].linear2.in_features) == (5, 5)
    assert [p.requires_grad for p in core.layers[1].self_attn.q_proj.parameters()] == [False, True]
    assert core.layers[0].self_attn.training
    assert not core.layers[1].self_attn.training
    assert core.kept_whole == {}
    for mode in (model, core):
        mode.eval()
    close(core(x), masked(model, masks, x))


class Twice(nn.Module):
    def __init__(self, *, gives_weights: bool = False) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 4, batch_first=True, dtype=torch.float64)
        self.gives_weights = gives_weights

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.attention(x, x, x)
        h, weights = self.attention(h, x, x)
        return h + weights.sum(-1, keepdim=True) if self.gives_weights else h


class OwnHeads(nn.Module):
    """Attention as people write it, with the number of heads in its code."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.q, self.k, self.v, self.last = (nn.Linear(8, 8) for _ in range(4))
        self.how = how

    def split(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        if self.how == "view":
            return x.view(b, t, 4, 2).transpose(1, 2)
        if self.how == "reshape":
            return x.reshape((b, t, 4, 2)).transpose(1, 2)
        if self.how == "unflatten":
            return x.unflatten(-1, (4, 2)).transpose(1, 2)
        return x.view(b, t, -1, 2).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.split(layer(x)) for layer in (self.q, self.k, self.v))
        mixed = (q @ k.mT / 2**0.5).softmax(-1) @ v
        mixed = mixed.transpose(1, 2)
        if self.how == "view":
            return self.last(mixed.contiguous().view(x.shape[0], x.shape[1], 8))
        return self.last(mixed.reshape(2, 3, 8) if self.how == "reshape" else mixed.flatten(2))


@pytest.mark.parametrize("how", ["view", "reshape", "unflatten", "counted"])
def test_heads_whose_number_stands_in_the_code_go(how: str):
    torch.manual_seed(0)
    model = OwnHeads(how).double().eval()
    masks = whole_masks(model)
    masks["last.weight"][:, 2:6] = False
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    core = compact(model, masks, inputs=x)
    assert core.kept_whole == {}
    assert [core.get_parameter(f"{n}.weight").shape for n in "qkv"] == [(4, 8)] * 3
    close(core(x), masked(model, masks, x))


class HalvedHeads(nn.Module):
    """Two heads of whatever size is left: with two units fewer, two heads of one."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.last = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        layers = (self.q, self.k, self.v)
        q, k, v = (layer(x).unflatten(-1, (2, -1)).transpose(1, 2) for layer in layers)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.last(mixed.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_core_that_differs_by_little_is_refused_too(dtype: torch.dtype):
    torch.manual_seed(0)
    model = HalvedHeads().to(dtype).eval()
    with torch.no_grad():
        for parameter in model.q.parameters():
            parameter *= 1e-4
    masks = whole_masks(model)
    masks["last.weight"][:, :2] = False
    x = torch.randn(2, 3, 4, dtype=dtype)
    core = compact(model, masks, inputs=x).double()
    model, x = model.double(), x.double()
    close(core(x), masked(model, masks, x))


def test_a_module_that_is_called_twice_loses_heads_once():
    torch.manual_seed(0)
    model = Twice().eval()
    masks = whole_masks(model)
    masks["attention.out_proj.weight"][:, :2] = False
    x = torch.randn(1, 3, 8, dtype=torch.float64)
    core = compact(model, masks, inputs=x)
    assert core.attention.num_heads == 3
    close(core(x), masked(model, masks, x))


def test_heads_stay_where_attention_weights_are_read():
    torch.manual_seed(0)
    model = Twice(gives_weights=True).eval()
    masks = whole_masks(model)
    masks["attention.out_proj.weight"][:, :2] = False
    x = torch.randn(1, 3, 8, dtype=torch.float64)
    core = compact(model, masks, inputs=x)
    assert type(core.attention) is nn.MultiheadAttention
    assert core.kept_whole == {
        "attention": "the model does not compute the same without some of its heads"
    }
    close(core(x), masked(model, masks, x))


def test_a_core_says_what_it_kept_whole():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.PixelShuffle(2),
        nn.Flatten(), nn.Linear(36, 2),
    ).double()  # fmt: skip
    masks = whole_masks(model)
    for name in ("0.weight", "0.bias", "2.weight", "2.bias"):
        masks[name][1] = False
    x = torch.randn(1, 2, 5, 5, dtype=torch.float64)
    core = compact(model, masks, inputs=x)
    close(core(x), masked(model, masks, x))
    assert core.kept_whole["0"] == "grouped convolutions are cut only if depthwise"
    assert set(core.kept_whole) == {"0", "2"}
    assert copy.deepcopy(core).kept_whole == core.kept_whole


def test_a_grouped_transposed_convolution_stays_whole():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 1), nn.ReLU(), nn.ConvTranspose2d(4, 4, 3, groups=2), nn.Sigmoid(),
        nn.Conv2d(4, 2, 1),
    ).double()  # fmt: skip
    masks = whole_masks(model)
    for name in ("0.weight", "0.bias"):
        masks[name][1] = False
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64)
    close(compact(model, masks, inputs=x)(x), masked(model, masks, x))


@pytest.mark.parametrize("outputs", [2, 4, 6])
def test_a_group_of_a_grouped_transposed_convolution_goes_whole(outputs: int):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 1), nn.ReLU(), nn.ConvTranspose2d(4, outputs, 3, groups=2), nn.SiLU(),
        nn.Conv2d(outputs, 2, 1),
    ).double()  # fmt: skip
    masks = whole_masks(model)
    for name in ("0.weight", "0.bias"):
        masks[name][:2] = False
    masks["2.bias"][: outputs // 2] = False
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64)
    core = compact(model, masks, inputs=x)
    assert (core[0].out_channels, core[2].groups, core[2].out_channels) == (2, 1, outputs // 2)
    close(core(x), masked(model, masks, x))


def test_tied_attention_keeps_its_heads():
    torch.manual_seed(0)
    parts = [nn.MultiheadAttention(4, 2, dtype=torch.float64) for _ in range(2)]
    parts[1].out_proj.weight = parts[0].out_proj.weight
    model = Two(*parts).eval()
    masks = whole_masks(model)
    masks["a.out_proj.weight"][:, :2] = False
    x = torch.randn(3, 1, 4, dtype=torch.float64)
    core = compact(model, masks, inputs=x)
    assert core.a.out_proj.weight is core.b.out_proj.weight
    assert core.kept_whole["a"] == "its weights are tied"
    close(core(x), masked(model, masks, x))


class Two(nn.Module):
    def __init__(self, a: nn.Module, b: nn.Module) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.a(x, x, x)
        return self.b(h, h, h)[0]
