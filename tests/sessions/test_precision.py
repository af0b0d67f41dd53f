"""Trainings in mixed and in half precision, and tickets of a later point."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunelimits.masks import count, make_permanent
from prunelimits.pruners import GMP, LTH, SET, RigL
from prunelimits.sessions import attach, lottery_ticket
from prunelimits.types import Masks


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def loss_at(model: nn.Module, step: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
    return functional.cross_entropy(model(x.to(dtype)).float(), (x[:, 0] > 0).long())


@pytest.mark.parametrize("pruner", [GMP(rounds=3), RigL(rounds=3), SET(rounds=3)])
@pytest.mark.parametrize("whole", [False, True], ids=["autocast", "bfloat16"])
def test_nothing_lives_outside_the_masks_in_bfloat16(pruner: Any, whole: bool):
    model = network()
    if whole:
        model = model.bfloat16()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    with attach(pruner, model, optimizer, keep=20, steps=9) as session:
        for step in range(9):
            optimizer.zero_grad()
            for half in range(2):  # accumulated over two backward passes
                with torch.autocast("cpu", torch.bfloat16, enabled=not whole):
                    dtype = torch.bfloat16 if whole else torch.float32
                    loss = loss_at(model, 2 * step + half, dtype) / 2
                loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            for name, mask in session.masks.items():
                weight = model.get_parameter(name)
                state = [v for v in optimizer.state[weight].values() if v.shape == weight.shape]
                assert state
                assert not any(value[~mask].any() for value in (weight.detach(), *state))
    assert count(session.masks) == 20


def test_a_ticket_of_a_later_point_is_rewound_to_it():
    """Late rewinding: the model is trained a little first; every training goes on from there."""

    def train(model: nn.Module, masks: Masks, first: int = 4) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with attach(masks, model, optimizer):
            for step in range(first, first + 6):
                optimizer.zero_grad()
                loss_at(model, step).backward()
                optimizer.step()

    model = network()
    dense = {name: torch.ones_like(model.get_parameter(name)).bool() for name in ["0.weight"]}
    train(model, dense, first=0)
    later = copy.deepcopy(model)
    starts: list[torch.Tensor] = []

    def watched(trainee: nn.Module, masks: Masks) -> None:
        starts.append(trainee.get_parameter("0.weight").detach().clone())
        train(trainee, masks)

    masks = lottery_ticket(model, watched, LTH(rounds=2), keep=14)
    assert torch.equal(starts[0], later[0].weight)
    alive = starts[1] != 0
    assert torch.equal(starts[1], later[0].weight.detach() * alive)
    make_permanent(model, masks)
    assert torch.equal(model[0].weight, later[0].weight * masks["0.weight"])
    assert count(masks) == 14
