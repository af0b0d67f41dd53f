"""What people's optimizers do under way: skip, grow, step within the backward pass, hold codes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim
from torch.optim import Optimizer

from prunelimits.masks import count
from prunelimits.pruners import GMP, AbstractPruner, Random, RigL, prune
from prunelimits.sessions import attach
from prunelimits.types import Masks


def network(width: int = 8) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3))


def loss_at(model: nn.Module, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    x, y = torch.randn(16, 6, generator=generator), torch.randint(3, (16,), generator=generator)
    return nn.functional.cross_entropy(model(x), y)


def alive(model: nn.Module, optimizer: Optimizer, masks: Masks) -> list[Any]:
    """What is not zero outside the masks: weights and state."""
    found: list[Any] = []
    for name, mask in masks.items():
        weight = model.get_parameter(name)
        state = optimizer.state.get(weight, {})
        numbers = {k: v for k, v in state.items() if v.shape == weight.shape}
        found += [(name, k) for k, v in {"": weight.detach(), **numbers}.items() if v[~mask].any()]
    return found


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("pruner", [GMP(rounds=2), RigL(rounds=2)], ids=str)
def test_a_scaled_step_that_does_nothing_is_no_step(pruner: AbstractPruner, fused: bool):
    """A fused step is made by a scaler in any case, and told what it has found."""
    model = network()
    optimizer = optim.AdamW(model.parameters(), fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)  # pyright: ignore
    with attach(pruner, model, optimizer, keep=20, every=2) as session:
        for step in range(8):
            optimizer.zero_grad()
            scaler.scale(loss_at(model, step)).backward()
            if step in (1, 2, 3):
                assert model[2].bias.grad is not None
                model[2].bias.grad[0] = torch.inf
            before = session.masks
            scaler.step(optimizer)
            scaler.update()
            if step in (1, 2, 3):
                assert all(torch.equal(before[name], mask) for name, mask in session.masks.items())
            assert not alive(model, optimizer, session.masks)
        assert session.state_dict()["steps"] == 5


def test_codes_in_an_optimizer_are_left_alone():
    """The zero of a quantised moment may be any code: those of other weights depend on it."""

    class Quantised(Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {})

        @torch.no_grad()
        def step(self, closure: Any = None) -> None:  # pyright: ignore
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p].setdefault("code", torch.full(p.shape, 7, dtype=torch.uint8))
                    p.sub_(0.1 * p.grad)

    model = network()
    masks, optimizer = prune(model, Random(), sparsity=0.5), Quantised(model.parameters())
    with attach(masks, model, optimizer):
        for step in range(3):
            optimizer.zero_grad()
            loss_at(model, step).backward()
            optimizer.step()
            assert (optimizer.state[model[0].weight]["code"] == 7).all()
            assert not model[0].weight[~masks["0.weight"]].any()


def test_a_layer_that_is_thawed_under_way_is_held_from_its_first_gradient():
    model = network()
    masks = prune(model, Random(), sparsity=0.5)
    model[2].requires_grad_(False)
    optimizer = optim.Adam(model[0].parameters(), lr=0.01)
    with attach(masks, model, optimizer):
        assert not model[2].weight.requires_grad
        for step in range(6):
            if step == 3:
                model[2].requires_grad_(True)
                optimizer.add_param_group({"params": list(model[2].parameters())})
            optimizer.zero_grad()
            loss_at(model, step).backward()
            if step >= 3:  # before the step, as clipping sees it
                assert model[2].weight.grad is not None
                assert not model[2].weight.grad[~masks["2.weight"]].any()
            if step == 5:  # state of a parameter that came later is looked after, too
                optimizer.state[model[2].weight]["exp_avg"].add_(1.0)
            optimizer.step()
            assert not alive(model, optimizer, masks)
    for hooks in (model[2].weight, model[0].weight):
        assert not hooks._post_accumulate_grad_hooks  # pyright: ignore


def test_optimizers_that_step_within_the_backward_pass():
    model = network()
    optimizers = {p: optim.SGD([p], lr=0.1, momentum=0.9) for p in model.parameters()}

    def step(parameter: Tensor) -> None:
        optimizers[parameter].step()  # pyright: ignore
        optimizers[parameter].zero_grad()  # pyright: ignore

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    with attach(GMP(rounds=2), model, list(optimizers.values()), keep=20, steps=8) as session:
        for number in range(8):
            loss_at(model, number).backward()
            for optimizer in optimizers.values():
                assert not alive(model, optimizer, session.masks)
    assert count(session.masks) == 20


@pytest.mark.parametrize(
    "change",
    [
        lambda model, optimizer, saved: optimizer.load_state_dict(saved),
        lambda model, optimizer, saved: model.to(memory_format=torch.channels_last),
    ],
    ids=["state of a dense training is loaded", "another layout"],
)
def test_what_is_loaded_or_laid_out_anew_under_way_is_zero(change: Callable[..., object]):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 96, 3), nn.ReLU(), nn.Conv2d(96, 96, 3))
    optimizer = optim.AdamW(model.parameters(), lr=0.01)

    def train() -> None:
        optimizer.zero_grad()
        model(torch.randn(2, 3, 9, 9)).square().mean().backward()
        optimizer.step()

    train()
    saved = copy.deepcopy(optimizer.state_dict())
    masks = prune(model, Random(), sparsity=0.9)
    with attach(masks, model, optimizer):
        for step in range(4):
            if step == 2:
                change(model, optimizer, saved)
            train()
            assert not alive(model, optimizer, masks)
