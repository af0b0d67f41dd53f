"""`prune(model, EliminationPruner(...))`: the laws of pruners, as far as they apply."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunelimits import MLP, masks, prune
from prunelimits.connectivity import effective_masks
from prunelimits.elimination import Elimination, EliminationPruner, eliminate
from prunelimits.pruners import SNIP, prunable
from prunelimits.training import MLPEnsemble, Recipe, fit
from prunelimits.types import Masks

from .circle import X, Y

BATCHES = list(zip(X.split(150), Y.split(150), strict=True))
WIDTHS = (2, 5, 4, 1)
QUICK = Elimination(
    networks=6,
    dense=Recipe(epochs=12, batch_size=20, lr=0.1),
    recovery=Recipe(epochs=2, batch_size=20, lr=0.05),
    beam=6,
    tries=3,
    slack=0.05,
    evolved=0,
)


def model(seed: int = 9) -> MLP:
    return MLPEnsemble(WIDTHS, 1, seed=seed).member(0)[0]


def pruned(**options) -> Masks:
    goal = {name: options.pop(name) for name in ("nonzeros", "target") if name in options}
    pruner = EliminationPruner(method=QUICK, **goal)
    return prune(options.pop("model", None) or model(), pruner, **{"batches": BATCHES, **options})


@pytest.mark.parametrize("nonzeros", [9, 20, 40, 44])
def test_at_most_the_budget_is_left_and_all_of_it_counts(nonzeros: int):
    found = pruned(nonzeros=nonzeros)
    net = model()
    assert {name: mask.shape for name, mask in found.items()} == {
        name: parameter.shape for name, parameter in net.named_parameters()
    }
    assert list(found) == [name for name, _ in net.named_parameters()]
    assert all(mask.dtype == torch.bool for mask in found.values())
    assert 0 < masks.count(found) <= nonzeros
    effective = effective_masks(found)
    assert all(torch.equal(effective[name], mask) for name, mask in found.items())


def test_it_is_what_eliminate_finds_in_its_place():
    net = model()
    generator = torch.Generator().manual_seed(5)
    seed = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(5)))
    found = pruned(nonzeros=20, generator=generator)
    best = eliminate(X, Y, QUICK, nonzeros=20, start=net, seed=seed).sparsest
    assert best is not None
    expected = best.placed(WIDTHS)[1]
    assert all(torch.equal(found[name], mask) for name, mask in expected.items())


def test_a_network_of_these_masks_reaches_the_target():
    found = pruned(target=0.85)
    best = eliminate(
        X,
        Y,
        QUICK,
        target=0.85,
        start=model(),
        seed=int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(0))),
    ).sparsest
    assert best is not None
    params = dict(best.placed(WIDTHS)[0].named_parameters())
    logits = torch.func.functional_call(model(), masks.apply(params, found), (X,))
    assert float(((logits[:, 0] > 0) == (Y == 1)).double().mean()) >= 0.85
    assert masks.count(found) == best.nonzeros < 30


def test_the_same_generator_gives_the_same_and_another_something_else():
    found = [
        masks.flatten(pruned(nonzeros=20, generator=torch.Generator().manual_seed(seed)))
        for seed in (1, 1, 2, 3, 4)
    ]
    assert torch.equal(found[0], found[1])
    assert any(not torch.equal(found[0], other) for other in found[2:])


@pytest.mark.parametrize("training", [True, False])
def test_the_model_and_the_random_state_stay_as_they_are(training: bool):
    net = model().train(training)
    for index, parameter in enumerate(net.parameters()):
        parameter.requires_grad_(index % 2 == 0)
        parameter.grad = torch.ones_like(parameter) if index % 2 == 0 else None
    before = copy.deepcopy(net)
    grads = [parameter.grad for parameter in net.parameters()]
    random, threads = torch.random.get_rng_state(), torch.get_num_threads()
    pruned(model=net, nonzeros=20)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert net.training == training
    for old, new, grad in zip(before.parameters(), net.parameters(), grads, strict=True):
        assert torch.equal(old, new)
        assert old.requires_grad == new.requires_grad
        assert new.grad is grad
        assert grad is None or bool((grad == 1).all())


def test_what_is_pruned_already_stays_pruned():
    net = model()
    already = prune(net, SNIP(), keep=12, loss=_squeezed, batches=[(X, Y)])
    found = pruned(model=net, nonzeros=12, masks=already)
    assert 0 < masks.count(found) <= 12
    assert all(not (found[name] & ~mask).any() for name, mask in already.items())
    one = {"layers.0.weight": already["layers.0.weight"]}
    assert not (pruned(nonzeros=9, masks=one)["layers.0.weight"] & ~one["layers.0.weight"]).any()


def _squeezed(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits.squeeze(1), y)


def test_trained_and_zero_initialised_networks_are_pruned_too():
    trained, _ = fit(MLPEnsemble(WIDTHS, 1, seed=9), X, Y, QUICK.dense).ensemble.member(0)
    assert masks.count(pruned(model=trained, target=0.85)) < 30
    net = model()
    for layer in net.layers:
        nn.init.zeros_(layer.bias)
    # A bias that starts at zero is not pruned: without any, no circle is separated.
    found = pruned(model=net, target=0.85)
    assert any(bool(mask.any()) for name, mask in found.items() if name.endswith("bias"))
    alone = eliminate(X, Y, QUICK, target=0.85, start=net)
    assert alone.rounds[0].nonzeros == 44


@pytest.mark.parametrize(
    ("loss", "y", "outputs"),
    [
        (None, Y, 1),
        (functional.binary_cross_entropy_with_logits, Y.unsqueeze(1), 1),
        (functional.cross_entropy, Y.long(), 2),
        (None, Y.long(), 2),
        (functional.mse_loss, X[:, :1] - X[:, 1:], 1),
        (functional.mse_loss, torch.stack([X[:, 0], X.sum(1)], 1), 2),
    ],
)
def test_losses_of_torch_are_known(loss, y: torch.Tensor, outputs: int):
    net = MLPEnsemble((2, 5, 4, outputs), 1, seed=2).member(0)[0].double()
    found = prune(net, EliminationPruner(target=0.85, method=QUICK), loss=loss, batches=[(X, y)])
    assert 0 < masks.count(found) < 40


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "target or nonzeros must be given"),
        ({"nonzeros": 9, "keep": 20}, ValueError, "are not for EliminationPruner, which has a bud"),
        ({"nonzeros": 9, "sparsity": 0.5}, ValueError, "keep, sparsity and ignore"),
        ({"nonzeros": 9, "ignore": ["layers.0"]}, ValueError, "keep, sparsity and ignore"),
        ({"nonzeros": 9, "batches": []}, ValueError, r"batches must hold at least one pair \(x, y"),
        ({"nonzeros": 9, "loss": _squeezed}, ValueError, "loss must be one of .*got <function"),
        (
            {"target": 1.0, "batches": [(X, (torch.arange(400) % 2).float())]},
            ValueError,
            r"target must be reached by some network: no network .* score was 0\.",
        ),
        ({"nonzeros": 9, "model": nn.Linear(2, 1)}, TypeError, "must be an MLP .*, got Linear"),
        ({"nonzeros": 9, "masks": {"none": Y > 0}}, ValueError, "names 'none'"),
    ],
)
def test_what_cannot_be_is_refused(options, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        pruned(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "target or nonzeros must be given, got neither"),
        ({"nonzeros": 0}, ValueError, "nonzeros must be at least 1, got 0"),
        ({"nonzeros": 9.0}, TypeError, "nonzeros must be an integer, got 9.0"),
        ({"target": 1.5}, ValueError, "target must be above 0 and at most 1, got 1.5"),
        ({"target": torch.nan}, ValueError, "target must be above 0 and at most 1, got nan"),
        ({"target": "0.9"}, TypeError, "target must be a number, got '0.9'"),
        ({"target": 0.9, "method": 5}, TypeError, "method must be an Elimination, got 5"),
    ],
)
def test_budgets_are_checked(options, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        EliminationPruner(**options)


def test_methods_and_classes_are_no_pruners():
    for method in (SNIP, Elimination, EliminationPruner, Elimination()):
        with pytest.raises(TypeError, match="pruner must be a pruner, such as SNIP"):
            prune(model(), method, keep=9)  # pyright: ignore[reportArgumentType]


def test_only_its_own_classes_are_pruners_of_models():
    from prunelimits.pruners.model_pruner import ModelPruner

    assert isinstance(EliminationPruner(nonzeros=9), ModelPruner)
    assert not isinstance(QUICK, ModelPruner)
    assert not isinstance(SNIP(), ModelPruner)
    assert list(prunable(model())) == [f"layers.{n}.weight" for n in range(3)]
