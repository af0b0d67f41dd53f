import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunelimits.masks import count
from prunelimits.pruners import GMP, LTH
from prunelimits.sessions import attach, lottery_ticket
from prunelimits.types import Masks


def network() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))


def train(model: nn.Module, masks: Masks) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 3, generator=generator)
    y = (x[:, 0] > 0).long()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with attach(masks, model, optimizer):
        for _ in range(10):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()


def test_it_is_train_prune_rewind():
    model = network()
    masks = lottery_ticket(model, train, keep=5)
    dense = {"0.weight": torch.ones(6, 3).bool(), "3.weight": torch.ones(2, 6).bool()}
    left = dense
    for rounds in range(1, 5):
        trainee = network()
        with torch.no_grad():
            for name, mask in left.items():
                trainee.get_parameter(name)[~mask] = 0
        train(trainee, left)
        flat = torch.cat([trainee.get_parameter(name).abs().flatten() for name in dense])
        keep = round(30 * (5 / 30) ** (rounds / 4))
        kept = torch.zeros(30, dtype=torch.bool)
        kept[flat.argsort(descending=True)[:keep]] = True
        left = {"0.weight": kept[:18].view(6, 3), "3.weight": kept[18:].view(2, 6)}
    assert count(masks) == 5
    assert all(torch.equal(masks[name], left[name]) for name in dense)


def test_every_training_starts_from_the_model_which_stays_as_it_is():
    model = network().train()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    starts = []

    def spy(trainee: nn.Module, masks: Masks) -> None:
        assert trainee is not model
        for name, value in trainee.state_dict().items():
            mask = masks.get(name, torch.ones_like(value).bool())
            assert torch.equal(value, before[name].masked_fill(~mask, 0))
        assert not any(trainee.get_parameter(n).grad is not None for n in masks) or starts
        starts.append(count(masks))
        train(trainee, masks)

    lottery_ticket(model, spy, LTH(rounds=3), sparsity=0.9)
    assert starts == [30, round(30 * 0.1 ** (1 / 3)), round(30 * 0.1 ** (2 / 3))]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(random, torch.get_rng_state())


def test_a_training_that_does_not_hold_the_masks_cannot_bring_weights_back():
    def careless(model: nn.Module, masks: Masks) -> None:
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.arange(p.numel()).view_as(p))

    masks = lottery_ticket(network(), careless, LTH(rounds=5), keep=4)
    assert count(masks) == 4


def test_bad_input():
    with pytest.raises(TypeError, match="pruner must be one that rewinds"):
        lottery_ticket(network(), train, GMP(), keep=3)  # pyright: ignore
    with pytest.raises(ValueError, match="exactly one of keep and sparsity"):
        lottery_ticket(network(), train)
    with pytest.raises(ValueError, match="at most the 30"):
        lottery_ticket(network(), train, keep=31)


def test_a_training_that_gives_another_model_is_refused():
    def elsewhere(model: nn.Module, masks: Masks) -> nn.Module:
        other = copy.deepcopy(model)
        train(other, masks)
        return other

    with pytest.raises(TypeError, match="train must train the model that it is given, in place"):
        lottery_ticket(network(), elsewhere, keep=5)

    def returned(model: nn.Module, masks: Masks) -> nn.Module:
        train(model, masks)
        return model

    found, expected = (lottery_ticket(network(), how, keep=5) for how in (returned, train))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
