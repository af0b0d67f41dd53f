"""What no method can rank is refused by name, by every method alike."""

from __future__ import annotations

import math
import warnings
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import MLP, attach, fit, lottery_ticket, pruners
from prunelimits.pruners import GMP, LTH, OBS, SNIP, AbstractPruner, RigL, draw_noise, prune
from prunelimits.training import MLPEnsemble, Recipe

from .test_laws import AT_ONCE, METHODS, batches, loss, network

MODEL_FREE = (pruners.Random, pruners.SmartRatio, pruners.Dense)


def model() -> nn.Module:
    torch.manual_seed(0)
    return MLP((2, 5, 4, 1)).double()


@pytest.mark.parametrize("pruner", AT_ONCE)
def test_a_model_with_nan_is_refused(pruner: AbstractPruner):
    broken = model()
    with torch.no_grad():
        broken.get_parameter("layers.1.weight")[0, 0] = math.nan
    with pytest.raises(ValueError, match=r"NaN in 'layers.1.weight'"):
        prune(broken, pruner, keep=9, loss=loss, batches=batches())


@pytest.mark.parametrize("pruner", [p for p in AT_ONCE if p.values[0].needs_data])
def test_data_with_nan_and_no_data_are_refused(pruner: AbstractPruner):
    (x, y), *others = batches()
    broken = [(x.where(x < 1, math.nan), y), *others]
    with pytest.raises(ValueError, match="batch 0"):
        prune(model(), pruner, keep=9, loss=loss, batches=broken)
    empty = [*others, (x[:0], y[:0])]
    with pytest.raises(ValueError, match=r"batches must hold samples, got \(0, 2\) in batch 3"):
        prune(model(), pruner, keep=9, loss=loss, batches=empty)


@pytest.mark.parametrize("pruner", AT_ONCE)
def test_complex_weights_are_refused(pruner: AbstractPruner):
    layer = nn.Sequential(nn.Linear(2, 3, dtype=torch.complex64))
    x = torch.ones(4, 2, dtype=torch.complex64)

    def size(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets[:, None]).abs().mean()

    with pytest.raises(TypeError, match=r"'0.weight'.* must be real|real.*complex64.*'0.weight'"):
        prune(layer, pruner, keep=2, loss=size, batches=[(x, torch.zeros(4))])


@pytest.mark.parametrize("pruner", [p for p in METHODS if p.values[0].until])
def test_a_training_that_diverges_is_refused_by_the_parameter_s_name(pruner: AbstractPruner):
    problem, params, allowed = network()
    noise = draw_noise(allowed)
    state = pruner.init(problem, params, allowed, pruner.budget(allowed, 20), noise)
    name = "layers.2.weight"
    place = tuple(state.masks[name].nonzero()[0].tolist())
    broken = {**params, name: params[name].clone()}
    broken[name][place] = math.nan
    grads = {name: torch.ones_like(value) for name, value in params.items()}
    with pytest.raises(ValueError, match=r"NaN in 'layers.2.weight'"):
        pruner.update(problem, state, broken, grads, noise)
    hidden = {**params, name: params[name].masked_fill(~state.masks[name], math.nan)}
    pruner.update(problem, state, hidden, grads, noise)  # what is pruned already does not matter


def test_a_gradient_with_nan_is_refused():
    problem, params, allowed = network()
    for pruner in (RigL(), pruners.SNFS()):
        state = pruner.init(
            problem, params, allowed, pruner.budget(allowed, 20), draw_noise(allowed)
        )
        grads = {name: torch.full_like(value, math.nan) for name, value in params.items()}
        with pytest.raises(ValueError, match=r"scores\['layers.0.weight'\] must be numbers"):
            pruner.update(problem, state, params, grads, draw_noise(allowed))


def test_a_lottery_ticket_and_an_attached_training_stop_at_nan():
    (x, y), *_ = batches()

    def diverge(value: float, model: nn.Module, masks: object) -> None:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(value)

    for value, name in ((math.nan, "NaN"), (-math.inf, "infinity")):
        with pytest.raises(ValueError, match=rf"ended with {name} in 'layers.0.weight'"):
            lottery_ticket(model(), partial(diverge, value), LTH(rounds=2), keep=9)
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=math.inf)
    session = attach(GMP(rounds=2), network, optimizer, keep=9, every=1)

    def train() -> None:
        with session:
            for _ in range(3):
                optimizer.zero_grad()
                loss(network(x), y).backward()
                optimizer.step()

    with pytest.raises(ValueError, match="the model has infinity in"):
        train()


def test_members_that_diverge_leave_the_others_as_they_are():
    x, y = (torch.cat(part).float() for part in zip(*batches(), strict=True))
    start = MLPEnsemble((2, 5, 1), models=2)
    tame = Recipe(epochs=3, batch_size=20)
    recipes = [tame, Recipe(epochs=3, batch_size=20, lr=1e30)]
    alone = fit(start[:1], x, y, tame, pruner=GMP(rounds=2), keep=6).ensemble
    both = fit(start, x, y, recipes, pruner=GMP(rounds=2), keep=6).ensemble
    assert not both.params["layers.0.weight"][1].isfinite().all()
    for name, value in alone.params.items():
        assert torch.equal(value[0], both.params[name][0])


def flat() -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
    """A linear layer whose second input is always zero: its curvature there is exactly none."""
    layer = nn.Sequential(nn.Linear(2, 1, bias=False))
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    return layer, [(x, torch.ones(2, 1))]


def test_obs_without_damping_refuses_a_singular_curvature():
    layer, data = flat()
    with pytest.raises(ValueError, match=r"damping must be larger, got 0.0"):
        prune(layer, OBS(damping=0), keep=1, loss=functional.mse_loss, batches=data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = prune(layer, OBS(damping=1e-6), keep=1, loss=functional.mse_loss, batches=data)
    assert kept["0.weight"].tolist() == [[True, False]]


def test_a_loss_that_is_infinite_is_named():
    def infinite(outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum() / 0

    with pytest.raises(ValueError, match="the loss of batch 0 is"):
        prune(model(), SNIP(), keep=9, loss=infinite, batches=batches())
