"""Methods that change the weights they keep: the session trains those on."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunelimits.masks import count
from prunelimits.pruners import LOMP, OBS, EdgePopup, prune_with_weights
from prunelimits.sessions import attach


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def data() -> dict[str, Any]:
    x = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    return {"loss": functional.cross_entropy, "batches": [(x, (x[:, 0] > 0).long())]}


@pytest.mark.parametrize(
    "pruner", [OBS(at_once=8), LOMP(epochs=4), EdgePopup(epochs=2)], ids=lambda p: type(p).__name__
)
def test_the_session_begins_with_the_weights_that_belong_to_the_masks(pruner: Any):
    model = network()
    before = copy.deepcopy(model.state_dict())
    result = prune_with_weights(model, pruner, keep=12, **data())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    session = attach(pruner, model, torch.optim.SGD(model.parameters(), lr=0.1), keep=12, **data())
    assert count(session.masks) == 12
    for name, value in model.state_dict().items():
        assert torch.equal(value, result.params[name])
    kept = session.masks["0.weight"]
    unchanged = torch.equal(model[0].weight[kept], before["0.weight"][kept])
    assert unchanged is isinstance(pruner, EdgePopup)


def test_frozen_parameters_stay_as_they_are():
    model = network()
    model[0].bias.requires_grad_(False)
    before = model[0].bias.clone()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    attach(LOMP(epochs=4), model, optimizer, keep=12, **data())
    assert torch.equal(model[0].bias, before)


def test_a_resumed_session_learns_nothing_again():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    saved = attach(LOMP(epochs=4), model, optimizer, keep=12, **data()).state_dict()
    before = copy.deepcopy(model.state_dict())
    session = attach(LOMP(epochs=4), model, optimizer, keep=12, resume=saved, **data())
    assert count(session.masks) == 12
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
