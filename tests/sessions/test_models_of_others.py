"""Laws of pruning in a loop, over the kinds of models that people bring."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import spectral_norm, weight_norm

from prunelimits.masks import count
from prunelimits.pruners import (
    GMP,
    SET,
    SNIP,
    AbstractPruner,
    GraSP,
    Magnitude,
    RigL,
    SynFlow,
    coverage,
    prunable,
    prune,
)
from prunelimits.sessions import attach, lottery_ticket


class Conv1D(nn.Module):
    """As GPT-2's: a linear layer whose weight is (inputs, outputs)."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.3 * torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x.flatten(0, -2), self.weight).view(*x.shape[:-1], -1)


class Gpt(nn.Module):
    """A block of GPT-2's kind, with tied embedding and head, and inputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(10, 8), nn.Embedding(4, 8)
        self.norm, self.attention = nn.LayerNorm(8), Conv1D(24, 8)
        self.up, self.down = Conv1D(16, 8), Conv1D(8, 16)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.wte.weight

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        h = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        q, k, v = self.attention(self.norm(h)).chunk(3, -1)
        h = h + functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.down(functional.gelu(self.up(h)))
        return {"logits": self.head(h)}


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Vit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
        self.pos_embedding = nn.Parameter(0.02 * torch.randn(1, 5, 8))
        self.patches = nn.Conv2d(1, 8, 2, 2)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.patches(x).flatten(2).mT
        h = torch.cat([self.cls_token.expand(len(h), -1, -1), h], 1) + self.pos_embedding
        return self.head(self.block(h)[:, 0])


def mixed() -> nn.Module:
    """Tied layers, a frozen one, and one that is computed anew in each pass."""
    model = nn.Sequential(
        nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(),
        spectral_norm(nn.Linear(6, 6)), nn.Linear(6, 3),
    )  # fmt: skip
    model[4].weight = model[2].weight
    model[0].requires_grad_(False)
    return model


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    )


class ByName(nn.Module):
    """Inputs, labels and outputs by name, as transformers' models have them."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 6), nn.Linear(3, 6), nn.Linear(6, 3)

    def forward(self, left: Tensor, right: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.head((self.left(left) + self.right(right)).tanh())
        return {"logits": logits, "classes": labels}


def of_batch(outputs: Any, batch: Any) -> Tensor:
    return functional.cross_entropy(outputs["logits"], batch["labels"])


def named(outputs: Any, targets: Tensor) -> Tensor:
    return functional.cross_entropy(outputs["logits"].flatten(0, 1), targets.flatten())


def made(kind: str) -> tuple[nn.Module, list[Any], Callable[..., Tensor], dict[str, Any]]:
    torch.manual_seed(3)
    y = torch.arange(12) % 3
    if kind == "gpt":
        ids = torch.randint(10, (12, 4))
        return Gpt(), [({"ids": ids}, ids)], named, {}
    if kind == "lstm":
        return Recurrent(), [(torch.randn(12, 5, 4), y)], functional.cross_entropy, {}
    if kind == "vit":
        return Vit(), [(torch.randn(12, 1, 4, 4), y)], functional.cross_entropy, {}
    if kind == "mlp":
        layers = (nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        return nn.Sequential(*layers), [(torch.randn(12, 4), y)], functional.cross_entropy, {}
    if kind == "dict batches":
        batch = {"left": torch.randn(12, 4), "right": torch.randn(12, 3), "labels": y}
        return ByName(), [batch], of_batch, {}
    if kind == "convolutional":
        return convolutional(), [(torch.randn(12, 1, 4, 4), y)], functional.cross_entropy, {}
    return mixed(), [(torch.randn(12, 4), y)], functional.cross_entropy, {"ignore": ["6"]}


PRUNED = {
    "gpt": {"wte.weight", "attention.weight", "up.weight", "down.weight"},
    "lstm": {"lstm.weight_ih_l0", "lstm.weight_hh_l0", "head.weight"},
    "vit": {"patches.weight", "block.self_attn.in_proj_weight", "block.self_attn.out_proj.weight",
            "block.linear1.weight", "block.linear2.weight", "head.weight"},
    "convolutional": {"0.weight", "4.weight"},
    "mixed": {"2.weight", "7.weight"},
    "mlp": {"0.weight", "2.weight"},
    "dict batches": {"left.weight", "right.weight", "head.weight"},
}  # fmt: skip
KINDS = list(PRUNED)


def outputs_of(model: nn.Module, x: Any) -> Any:
    return model(**x) if isinstance(x, dict) else model(x)


@pytest.mark.parametrize("kind", KINDS)
def test_what_multiplies_activations_is_pruned_and_the_rest_is_told(kind: str):
    model, _, _, parts = made(kind)
    assert set(prunable(model, **parts)) == PRUNED[kind]
    told = coverage(model, **parts)
    matrices = {name for name, p in model.named_parameters() if p.dim() > 1}
    assert set(told.pruned) | set(told.left_out) == matrices
    assert all(told.reasons[name] for name in told.left_out)
    assert all(name in str(told) for name in matrices)


METHODS = [SNIP(floor=1), GraSP(floor=1), SynFlow(rounds=3, floor=1), Magnitude(floor=1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pruner", METHODS, ids=lambda p: type(p).__name__)
def test_at_once_the_budget_is_exact_and_the_model_untouched(pruner: AbstractPruner, kind: str):
    model, batches, loss, parts = made(kind)
    model.train()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    sizes = {}
    if kind == "gpt" and isinstance(pruner, SynFlow):
        pytest.skip("ids are no numbers to put ones in for")
    for keep in (48, 24):
        masks = prune(model, pruner, keep=keep, loss=loss, batches=batches, **parts)
        assert count(masks) == keep
        sizes[keep] = masks
    if not isinstance(pruner, SynFlow):  # one ranking: nested
        assert not any((sizes[24][n] & ~sizes[48][n]).any() for n in sizes[24])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert model.training
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "pruner",
    [GMP(rounds=3, floor=1), RigL(rounds=3), SET(rounds=3)],
    ids=lambda p: type(p).__name__,
)
def test_in_training_nothing_lives_outside_the_masks(pruner: AbstractPruner, kind: str):
    model, batches, loss, parts = made(kind)
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    x, y = batches[0] if isinstance(batches[0], tuple) else (batches[0], batches[0])
    with attach(pruner, model, optimizer, keep=50, steps=8, **parts) as session:
        for _ in range(8):
            optimizer.zero_grad()
            loss(outputs_of(model, x), y).backward()
            optimizer.step()
            for name, mask in session.masks.items():
                weight = model.get_parameter(name)
                state = [v for v in optimizer.state[weight].values() if v.shape == weight.shape]
                assert state
                assert not any(value[~mask].any() for value in (weight.detach(), *state))
    assert count(session.masks) == 50
    assert all(torch.equal(model.get_parameter(name), value) for name, value in frozen.items())


@pytest.mark.parametrize("norm", [spectral_norm, weight_norm])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_layers_computed_anew_in_each_pass_are_refused_by_name_or_left_alone(norm: Any):
    model = nn.Sequential(nn.Linear(4, 6), norm(nn.Linear(6, 3)))
    with pytest.raises(ValueError, match=r"Norm at '1', which computes the weight anew.*remove_"):
        prune(model, Magnitude(), keep=5)
    assert list(prune(model, Magnitude(), keep=5, ignore=["1"])) == ["0.weight"]


def test_parts_are_chosen_by_name_pattern_module_class_and_function():
    model = Gpt()
    every = set(prunable(model))
    assert set(prunable(model, include=[nn.Embedding])) == every | {"wpe.weight"}
    assert set(prunable(model, include=["wpe"])) == every | {"wpe.weight"}
    assert set(prunable(model, include=["wp*"])) == every | {"wpe.weight"}
    assert set(prunable(model, include=["norm.weight"])) == every | {"norm.weight"}
    assert set(prunable(model, include=["norm"])) == every
    assert set(prunable(model, ignore=[Conv1D])) == {"wte.weight"}
    by_shape = [lambda name, p: p.shape == (8, 24)]
    assert set(prunable(model, ignore=by_shape)) == every - {"attention.weight"}
    assert set(prunable(model, ignore=["head.weight"])) == every - {"wte.weight"}


def test_a_warning_names_what_is_left_out_when_it_is_much():
    model = nn.Sequential(nn.Embedding(50, 4), nn.Flatten(), nn.Linear(8, 2))
    with pytest.warns(UserWarning, match=r"200 of the 216 entries.*0\.weight \(an embedding"):
        prune(model, Magnitude(), keep=5)
    prune(model, Magnitude(), keep=5, ignore=["0"])
    prune(model, Magnitude(floor=1), keep=50, include=["0"])


def test_models_without_data_are_refused_by_name():
    with pytest.raises(ValueError, match=r"no data for '0\.weight', which is on the meta device"):
        prune(nn.Sequential(nn.Linear(2, 2, device="meta")), Magnitude(), keep=1)


@pytest.mark.parametrize(
    ("kind", "parameter", "pruned"),
    [
        ("MyLinear", "weight", True),
        ("BiasFreeConv", "kernel", True),
        ("TransposedLinear", "weight", True),
        ("NormLinear", "weight", True),
        ("Experts", "gate_up_proj", True),
        ("RMSNorm2d", "weight", False),
        ("PositionalEncoding", "table", False),
        ("WordEmbedding", "weight", False),
        ("Block", "pos_embed", False),
        ("Block", "relative_bias", False),
        ("Block", "cls_token", False),
    ],
)
def test_layers_of_ones_own_are_told_apart_by_name_and_shape(
    kind: str, parameter: str, pruned: bool
):
    layer = type(kind, (nn.Module,), {})()
    layer.register_parameter(parameter, nn.Parameter(torch.ones(3, 4)))
    layer.register_parameter("gain", nn.Parameter(torch.ones(4, 1, 1)))
    told = coverage(layer)
    assert (parameter in told.pruned) is pruned
    assert told.reasons["gain"]


class Locked(nn.Module):
    """Holds what cannot be copied, in a part of it."""

    def __init__(self, held: object) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        self.inner[1].held = held  # pyright: ignore

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


@pytest.mark.parametrize(
    "held",
    [threading.Lock(), (i for i in range(3)), [torch.ones(2, requires_grad=True) * 2]],
    ids=["a lock", "a generator", "a list of computed tensors"],
)
def test_what_cannot_be_copied_is_named_and_no_matter_where_nothing_is_run(held: object):
    model = Locked(held)
    x, y = torch.randn(8, 6), torch.randint(3, (8,))
    assert count(prune(model, Magnitude(), keep=20)) == 20
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data: Any = {"loss": functional.cross_entropy, "batches": [(x, y)]}
    for run in (
        lambda: prune(model, SNIP(), keep=20, **data),
        lambda: attach(SNIP(), model, optimizer, keep=20, **data),
        lambda: lottery_ticket(model, lambda model, masks: None, keep=20),
    ):
        with pytest.raises(TypeError, match=r"copy\.deepcopy takes, but it has 'inner\.1\.held'"):
            run()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    with attach(GMP(rounds=2), model, optimizer, keep=20, steps=4) as session:
        for _ in range(4):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    assert count(session.masks) == 20
