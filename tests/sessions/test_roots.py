"""Second moments are small numbers during a step: nothing that is kept may feel it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from prunelimits.pruners import GMP, Random, prune
from prunelimits.sessions import attach
from prunelimits.sessions.roots import small_bits, squared

needs_mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="roots are MKL's")

OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "Adam": lambda p: optim.Adam(p, lr=1e-2, weight_decay=0.1),
    "AdamW": lambda p: optim.AdamW(p, lr=1e-2),
    "AdamW, amsgrad": lambda p: optim.AdamW(p, lr=1e-2, amsgrad=True),
    "AdamW, foreach": lambda p: optim.AdamW(p, lr=1e-2, foreach=True),
    "AdamW, fused": lambda p: optim.AdamW(p, lr=1e-2, fused=True),
    "NAdam": lambda p: optim.NAdam(p, lr=1e-2),
    "RAdam": lambda p: optim.RAdam(p, lr=1e-2),
    "RMSprop": lambda p: optim.RMSprop(p, lr=1e-3, momentum=0.9, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=1e-2),
}


def model(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """A matrix large enough to be worth it, with inputs that are never there: kept zeros."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 2)).to(dtype)


def gradients(net: nn.Module, step: int) -> None:
    x = torch.randn(8, 300, generator=torch.Generator().manual_seed(step))
    x[:, :20] = 0
    net.zero_grad()
    net(x.to(next(net.parameters()).dtype)).square().sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_session_is_a_plain_loop_that_masks_by_hand(kind: str, dtype: torch.dtype):
    net = model(dtype)
    masks = prune(net, Random(), sparsity=0.9)
    plain = copy.deepcopy(net)
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](plain.parameters())

    def masked(values: dict[str, Tensor]) -> None:
        for name, mask in masks.items():
            values[name].masked_fill_(~mask, 0)

    with torch.no_grad():
        masked(dict(plain.named_parameters()))
    with attach(masks, net, ours):
        for step in range(12):
            gradients(net, step)
            ours.step()
            gradients(plain, step)
            masked({n: p.grad for n, p in plain.named_parameters() if p.grad is not None})
            theirs.step()
            with torch.no_grad():
                masked(dict(plain.named_parameters()))
            for name, p in net.named_parameters():
                other = plain.get_parameter(name)
                assert torch.equal(p, other)
                for key, value in ours.state[p].items():
                    assert torch.equal(value, theirs.state[other][key]), (name, key)
                    if name in masks and value.shape == p.shape:
                        assert not value[~masks[name]].any()


@needs_mkl
def test_a_step_really_sees_small_numbers():
    net = model()
    masks = prune(net, Random(), sparsity=0.9)
    optimizer = optim.AdamW(net.parameters())
    weight, pruned, seen = net[0].weight, ~masks["0.weight"], list[float]()

    def look(*_: object) -> None:
        moment = optimizer.state[weight].get("exp_avg_sq", torch.zeros_like(weight))
        seen.append(float(moment[pruned].max()))

    with attach(masks, net, optimizer):
        optimizer.register_step_pre_hook(look)  # after the session's own
        for step in range(3):
            gradients(net, step)
            optimizer.step()
    assert seen == [0.0, 2.0**-60, 2.0**-60]  # there is no state before the first step


def test_what_fails_half_way_leaves_zeros():
    net = model()
    masks = prune(net, Random(), sparsity=0.9)
    optimizer = optim.AdamW(net.parameters())
    session = attach(masks, net, optimizer)
    gradients(net, 0)
    session.step()
    gradients(net, 1)
    optimizer.param_groups[0]["lr"] = "no number"
    with pytest.raises(TypeError):
        session.step()
    for name, mask in masks.items():
        state = optimizer.state[net.get_parameter(name)]
        assert not state["exp_avg_sq"][~mask].any()
        assert not net.get_parameter(name).detach()[~mask].any()


def test_nothing_is_filled_where_little_is_pruned_or_roots_are_taken_otherwise():
    assert small_bits(torch.ones(4, dtype=torch.bool), torch.float32) is None
    assert small_bits(torch.zeros(4, dtype=torch.bool), torch.bfloat16) is None
    assert squared(optim.SGD(model().parameters(), lr=0.1)) == ()
    assert squared(optim.AdamW(model().parameters(), fused=True)) == ()


def test_a_gradual_method_is_the_same_bits_with_and_without(monkeypatch: pytest.MonkeyPatch):
    def trained() -> nn.Module:
        net = model()
        optimizer = optim.AdamW(net.parameters(), lr=1e-2)
        with attach(GMP(rounds=3), net, optimizer, sparsity=0.9, every=3):
            for step in range(12):
                gradients(net, step)
                optimizer.step()
        return net

    found = trained()
    monkeypatch.setattr("prunelimits.sessions.zeros.squared", lambda _: ())
    for p, q in zip(found.parameters(), trained().parameters(), strict=True):
        assert torch.equal(p, q)
