"""Whoever chooses what is pruned takes `include=` and `ignore=`, and all mean the same by them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import nn

import prunelimits as pl
from prunelimits import limits, pruners
from tests.public_calls import public_names, resolve

WEIGHTS = ("layers.0.weight", "layers.1.weight", "layers.2.weight")
X = torch.randn(24, 2, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).float()
LOSS = nn.functional.binary_cross_entropy_with_logits
BATCHES = [(X, Y.unsqueeze(1))]


def model() -> pl.MLP:
    torch.manual_seed(0)
    return pl.MLP((2, 3, 3, 1))


def by_prune(net: nn.Module, **parts: Any) -> Iterable[str]:
    masks = pl.prune(net, pruners.Magnitude(floor=1), keep=3, **parts)
    assert pl.masks.count(masks) == 3
    return masks


def by_attach(net: nn.Module, **parts: Any) -> Iterable[str]:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with pl.attach(pruners.GMP(rounds=1), net, optimizer, keep=2, steps=2, **parts) as session:
        for _ in range(2):
            optimizer.zero_grad()
            LOSS(net(X), BATCHES[0][1]).backward()
            optimizer.step()
    assert pl.masks.count(session.masks) == 2
    return session.masks


def by_lottery(net: nn.Module, **parts: Any) -> Iterable[str]:
    return pl.lottery_ticket(net, lambda *_: None, pruners.LTH(rounds=1), keep=2, **parts)


def by_fit(net: pl.MLP, **parts: Any) -> Iterable[str]:
    """What is not whole: of a method that prunes all that it may."""
    start = {name: value.detach().unsqueeze(0) for name, value in net.named_parameters()}
    ensemble = pl.MLPEnsemble.from_params(net.widths, start)
    pruner, recipe = pruners.Magnitude(scope="uniform"), pl.Recipe(epochs=1, batch_size=12)
    found = pl.fit(ensemble, X, Y, recipe, pruner=pruner, keep=0, **parts).ensemble
    chosen = {n for n, m in found.masks.items() if n.endswith("weight") and not m.any()}
    named = {n for n in parts.get("include", ()) if isinstance(n, str) and n.endswith("bias")}
    assert all(not found.masks[name].any() for name in named)
    return chosen | named


def by_limit(net: nn.Module, **parts: Any) -> Iterable[str]:
    found = limits.pruning_limit(net, LOSS, BATCHES, epsilon=1.0, **parts)
    assert found.weights == sum(net.get_parameter(name).numel() for name in found.prunable)
    return found.prunable


def by_surgery(net: nn.Module, **parts: Any) -> Iterable[str]:
    pruner = pruners.LOMP(epochs=1)
    return pruners.prune_with_weights(
        net, pruner, keep=2, loss=LOSS, batches=BATCHES, **parts
    ).masks


ENTRIES: dict[str, Callable[..., Iterable[str]]] = {
    "prunelimits.prune": by_prune,
    "prunelimits.pruners.prune": by_prune,
    "prunelimits.pruners.prune_with_weights": by_surgery,
    "prunelimits.pruners.score": lambda net, **parts: pl.score(net, pruners.Magnitude(), **parts),
    "prunelimits.pruners.plan": lambda net, **parts: (
        pruners.plan(net, pruners.Magnitude(), keep=2, **parts).sizes
    ),
    "prunelimits.pruners.prunable": pruners.prunable,
    "prunelimits.pruners.coverage": lambda net, **parts: pruners.coverage(net, **parts).pruned,
    "prunelimits.sessions.attach": by_attach,
    "prunelimits.sessions.lottery_ticket": by_lottery,
    "prunelimits.training.fit": by_fit,
    "prunelimits.limits.pruning_limit": by_limit,
}
# What is given a problem and names, masks or scores has its choice made already.
CHOSEN_ALREADY = {"prunelimits.limits.magnitude_sweep"}
MIDDLE: dict[str, Callable[[], Any]] = {
    "a parameter": lambda: ["layers.1.weight"],
    "a module's name": lambda: ["layers.1"],
    "a pattern": lambda: ["*.1.*"],
    "a question": lambda: [lambda name, parameter: name.startswith("layers.1.")],
    "a generator": lambda: (name for name in ["layers.1"]),
}


def test_every_function_that_chooses_what_is_pruned_takes_both():
    found: set[str] = set()
    for name in public_names():
        if not inspect.isfunction(resolve(name)):
            continue
        arguments = set(inspect.signature(resolve(name)).parameters)
        if arguments & {"pruner", "prunable", "include", "ignore"}:
            assert {"include", "ignore"} <= arguments or name in CHOSEN_ALREADY, name
            found.add(name)
    assert found - CHOSEN_ALREADY <= set(ENTRIES)
    assert {"prunelimits.sessions.attach", "prunelimits.training.fit"} <= found


@pytest.mark.parametrize("how", MIDDLE)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_ignored_stays_whole_however_it_is_named(entry: str, how: str):
    assert set(ENTRIES[entry](model(), ignore=MIDDLE[how]())) == {WEIGHTS[0], WEIGHTS[2]}


@pytest.mark.parametrize("entry", ENTRIES)
def test_without_a_word_the_matrices_are_pruned_and_a_named_bias_is_included(entry: str):
    assert set(ENTRIES[entry](model())) == set(WEIGHTS)
    included = set(ENTRIES[entry](model(), include=["layers.0.bias"], ignore=["layers.1"]))
    assert included == {"layers.0.bias", WEIGHTS[0], WEIGHTS[2]}


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if not entry.endswith(".fit")])
def test_modules_are_named_by_themselves(entry: str):
    net = model()
    assert set(ENTRIES[entry](net, ignore=[net.get_submodule("layers.1")])) == set(WEIGHTS[::2])


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("argument", ["include", "ignore"])
@pytest.mark.parametrize("value", [["layers.7"], "layers.1", [3], None])
def test_what_is_not_there_is_refused_by_name_and_nothing_is_changed(
    entry: str, argument: str, value: Any
):
    net = model()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    with pytest.raises((ValueError, TypeError), match=argument):
        ENTRIES[entry](net, **{argument: value})
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if not entry.endswith("coverage")])
def test_nothing_left_to_prune_is_an_error(entry: str):
    with pytest.raises(ValueError, match="ignore"):
        ENTRIES[entry](model(), ignore=[nn.Linear])


def test_the_limit_prunes_nothing_that_its_hessian_leaves_out():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    with pytest.raises(ValueError, match=r"include must be among names"):
        limits.pruning_limit(net, LOSS, BATCHES, include=["1.weight"])
    with pytest.raises(ValueError, match="include and ignore mean nothing"):
        limits.pruning_limit(net, LOSS, BATCHES, prunable=["0.weight"], ignore=["2"])


def test_without_a_pruner_fit_has_nothing_to_choose():
    with pytest.raises(ValueError, match="ignore is given without a pruner"):
        pl.fit(
            pl.MLPEnsemble((2, 3, 1), models=1), X, Y, pl.Recipe(batch_size=8), ignore=["layers.0"]
        )


METHODS = [method for method in pruners.all() if not method().acts_in_training]


class Scaled(nn.Module):
    """A bias, the scale of a norm and a single number beside the matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.norm, self.scale = nn.LayerNorm(6), nn.Parameter(torch.tensor(1.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.norm(self.first(x)))) * self.scale


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* leaves no weight in")
@pytest.mark.parametrize("include", [["first.bias"], ["scale"], ["scale", "norm.weight"]], ids=str)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_vectors_and_single_numbers_are_pruned_or_refused_by_name(method: Any, include: list[str]):
    fields = inspect.signature(method).parameters
    few = {"epochs": 2, "rounds": 3, "samples": 5}
    pruner = method(**{name: few[name] for name in few if name in fields})
    torch.manual_seed(0)
    net, x = Scaled(), torch.randn(30, 4)
    size = sum(p.numel() for n, p in net.named_parameters() if n in include or p.dim() > 1)
    keep = size if method is pruners.Dense else 12
    task: dict[str, Any] = {"loss": nn.functional.cross_entropy}
    task["batches"] = [(x, torch.arange(30) % 3)]
    if method in (pruners.PHEW, pruners.Wanda, pruners.OBC, pruners.SparseGPT, pruners.NPB):
        with pytest.raises(ValueError, match=rf"{include[0]}.* leave it out of include"):
            pl.prune(net, pruner, keep=keep, include=include, **task)
        return
    masks = pl.prune(net, pruner, keep=keep, include=include, **task)
    assert pl.masks.count(masks) == keep
    assert set(include) < set(masks)


@pytest.mark.parametrize("scope", ["uniform", "erk", "igq", "smart_ratio"])
@pytest.mark.parametrize("include", [["first.bias"], ["scale", "norm.weight"]], ids=str)
def test_vectors_and_single_numbers_are_pruned_during_a_training(scope: Any, include: list[str]):
    torch.manual_seed(0)
    net, x = Scaled(), torch.randn(30, 4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    pruner = pruners.RigL(rounds=3, scope=scope)
    with pl.attach(pruner, net, optimizer, keep=20, every=2, include=include) as session:
        for _ in range(8):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), torch.arange(30) % 3).backward()
            optimizer.step()
            for name, mask in session.masks.items():
                assert not net.get_parameter(name).detach()[~mask].any()
    assert pl.masks.count(session.masks) == 20
