"""Regrowth of torch modules: laws, plain loops as oracles, and what is refused."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import attach
from prunelimits.connectivity import effective_masks
from prunelimits.elimination import RegrownModule, Regrowth, regrow
from prunelimits.elimination.module_data import ModuleData, checked_starts, tensors_of
from prunelimits.elimination.module_stack import ModuleStack
from prunelimits.elimination.module_training import train_in_turn
from prunelimits.elimination.modules_together import can_train_together, train_together
from prunelimits.elimination.regrowing_modules import ModuleRegrowing, importance
from prunelimits.masks import count, rows
from prunelimits.pruners import GMP, prunable
from prunelimits.training import Recipe
from prunelimits.training.native_engine import NativeEngine
from prunelimits.types import Masks

GENERATOR = torch.Generator().manual_seed(0)
X = torch.rand(72, 1, 4, 4, generator=GENERATOR)
Y = (X[..., :2].sum((1, 2, 3)) > X[..., 2:].sum((1, 2, 3))).long()
TRAIN, OTHERS = (X[:48], Y[:48]), (X[48:], Y[48:])
QUICK = Regrowth(
    starts=3,
    head=2.0,
    beam=2,
    tries=2,
    step=0.2,
    finalists=2,
    cycles=1,
    first=Recipe(epochs=4, batch_size=12, lr=0.1),
    recovery=Recipe(epochs=2, batch_size=12, lr=0.05),
    last=Recipe(epochs=4, batch_size=12, lr=0.1),
)


def seeded(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return make()


def convolutional() -> nn.Module:
    return seeded(
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(16, 2)),
        )
    )


def perceptron(outputs: int = 2) -> nn.Module:
    return seeded(
        lambda: nn.Sequential(
            *(nn.Flatten(), nn.Linear(16, 4), nn.ReLU()),
            *(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, outputs)),
        )
    )


class Everything(nn.Module):
    """BatchNorm, dropout, a layer that is used twice, and one that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 2)
        self.norm = nn.BatchNorm2d(4)
        self.twice = nn.Conv2d(4, 4, 1)
        self.again = self.twice
        self.frozen = nn.Linear(36, 6)
        self.dropout = nn.Dropout(0.2)
        self.last = nn.Linear(6, 2)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        x = self.again(self.twice(x).relu()).relu()
        return self.last(self.dropout(self.frozen(x.flatten(1)).relu()))


def regrowing(model, keep: int = 12, measure=OTHERS, method=QUICK) -> ModuleRegrowing:
    modules = checked_starts(model)
    assert modules is not None
    data = ModuleData.of(*TRAIN, measure, modules[0], None)
    return ModuleRegrowing(method, data, modules, prunable(modules[0]), keep, 0)


def stack(model: nn.Module, seed: int, models: int = 3, share: float = 0.4) -> ModuleStack:
    """Copies with random masks."""
    generator = torch.Generator().manual_seed(seed)
    dense = prunable(model)
    networks = ModuleStack(
        {n: v.expand(models, *v.shape).clone() for n, v in tensors_of(model).items()},
        {n: m.expand(models, *m.shape).clone() for n, m in dense.items()},
        torch.arange(models),
        torch.zeros(models, dtype=torch.float64),
    )
    return networks.keeping(torch.rand(rows(networks.masks).shape, generator=generator) < share)


def on_path(model: nn.Module, masks: Masks) -> Masks:
    found = effective_masks(model, masks, inputs=X[:2])
    return {name: found[name] for name in masks}


def check_laws(result, start: nn.Module, keep: int) -> None:
    network = result.network
    assert isinstance(network, RegrownModule)
    assert type(network.model) is type(start)
    assert list(network.masks) == list(prunable(start))
    assert result.weights == count(network.masks) <= keep
    for name, mask in network.masks.items():
        assert mask.dtype == torch.bool
        assert bool((network.model.get_parameter(name)[~mask] == 0).all())
    assert count(on_path(network.model, network.masks)) == result.weights
    others = sum(p.numel() for n, p in start.named_parameters() if n not in network.masks)
    assert network.nonzeros == result.weights + others


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((copy.deepcopy(model).eval()(x).argmax(1) == y).double().mean())


@pytest.mark.parametrize("keep", [2, 25])
def test_at_most_the_goal_is_kept_all_on_paths(keep: int):
    start = perceptron()
    result = regrow(*TRAIN, QUICK, keep=keep, start=start, measure=OTHERS)
    check_laws(result, start, keep)
    assert result.network.score == pytest.approx(accuracy(result.network.model, *OTHERS))


def test_of_convolutions_too_and_the_start_stays_as_it_is():
    start = convolutional().train()
    start[2].eval()
    start[0].weight.grad = torch.ones_like(start[0].weight)
    called: list[int] = []
    start[1].register_forward_hook(lambda *_: called.append(len(start[1]._forward_hooks)))
    before = copy.deepcopy(start.state_dict())
    random = torch.random.get_rng_state()
    result = regrow(*TRAIN, QUICK, keep=16, start=start, measure=OTHERS)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in start.state_dict().items())
    assert bool((start[0].weight.grad == 1).all())
    assert set(called) == {1}
    modes = [module.training for module in start.modules()]
    assert [module.training for module in result.network.model.modules()] == modes
    assert [module.training for module in start] == [True, True, False, True, True, True]
    check_laws(result, start, 16)
    assert result.network.score == accuracy(result.network.model, *OTHERS)


@pytest.mark.slow
def test_norms_dropout_shared_and_frozen_layers():
    start = Everything()
    frozen = start.frozen.weight.clone()
    result = regrow(*TRAIN, QUICK, keep=20, start=start, measure=OTHERS, seed=2)
    check_laws(result, start, 20)
    model = result.network.model
    assert list(result.network.masks) == ["first.weight", "twice.weight", "last.weight"]
    assert model.again is model.twice
    assert torch.equal(model.frozen.weight, frozen)
    assert int(model.norm.num_batches_tracked) > 0
    again = regrow(*TRAIN, QUICK, keep=20, start=start, measure=OTHERS, seed=2)
    assert again.network.model.state_dict().keys() == model.state_dict().keys()
    for name, value in again.network.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_a_seed_decides_everything():
    start = perceptron()
    found = [
        regrow(*TRAIN, QUICK, keep=9, start=start, seed=seed).network.model.state_dict()
        for seed in (1, 1, 2)
    ]
    values = [[value.tolist() for value in state.values()] for state in found]
    assert values[0] == values[1] != values[2]


@pytest.mark.slow
def test_growing_back_never_makes_the_choice_worse():
    found = [
        regrow(*TRAIN, dataclasses.replace(QUICK, cycles=n), keep=8, start=perceptron(), seed=4)
        for n in (0, 1, 3)
    ]
    scores = [result.network.score for result in found]
    assert scores == sorted(scores)
    works = [result.work for result in found]
    assert works == sorted(set(works))


def test_several_modules_start_in_turn():
    starts = [perceptron(), perceptron()]
    with torch.no_grad():
        starts[1][1].weight.add_(1)
    run = regrowing(starts)
    assert run.starts().origin.tolist() == [0, 1, 2]
    one, both = run, regrowing(starts[0])
    first, second = one.starts(), both.starts()
    names = [name for name in first.state if name in first.masks]
    same = [
        all(torch.equal(first.state[n][i], second.state[n][i]) for n in names) for i in range(3)
    ]
    assert same == [True, False, True]


def test_rows_to_choose_by_train_nothing():
    flipped = OTHERS[0], 1 - OTHERS[1]
    one, other = (regrowing(perceptron(), measure=measure) for measure in (OTHERS, flipped))
    starts, others = one.starts(), other.starts()
    assert not torch.equal(starts.score, others.score)
    after = [run.trained(starts, QUICK.recovery, 1) for run in (one, other)]
    for networks, same in ((starts, others), after):
        for name, value in networks.state.items():
            assert torch.equal(value, same.state[name])


def test_the_starts_are_those_of_gmp_in_ones_own_loop():
    method = dataclasses.replace(QUICK, head=2.5, starts=1)
    run = regrowing(perceptron(), keep=9, method=method)
    starts = run.starts()
    model, recipe, cost = perceptron(), QUICK.first, 0
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=5e-4)
    session = attach(GMP(until=0.15), model, optimizer, keep=23, steps=16)
    generator = torch.Generator().manual_seed(run.word(1, 0))
    for lr in recipe.learning_rates():
        optimizer.param_groups[0]["lr"] = lr
        order = torch.randperm(48, generator=generator)
        for batch in order.split(12):
            optimizer.zero_grad()
            functional.cross_entropy(model(TRAIN[0][batch]), TRAIN[1][batch]).backward()
            session.step()
            cost += 12 * (count(session.masks) + 10)
    masks = on_path(model, session.masks)
    for name, mask in masks.items():
        assert torch.equal(starts.masks[name][0], mask)
        kept = model.get_parameter(name).detach() * mask
        assert torch.allclose(starts.state[name][0], kept, atol=1e-6)
    assert run.work == cost


def test_starts_stay_dense_where_the_multiple_is_all_there_is():
    starts = regrowing(perceptron(), keep=60).starts()
    assert starts.nonzeros().tolist() == [88] * 3


def test_training_within_masks_is_sgd_as_it_is_defined():
    """Velocity `v = m v + g + d w`, then `w -= lr v`, pruned weights zero; BatchNorm's too."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 2))
    networks = stack(model, 5, models=2)
    run, recipe = regrowing(model), QUICK.recovery
    trained = run.trainer.trained(networks, recipe, seed=7)
    assert run.trainer._together
    for member in range(2):
        own, masks = copy.deepcopy(model).train(), networks.member(member)[1]
        values = dict(own.named_parameters())
        with torch.no_grad():
            for name, mask in masks.items():
                values[name].mul_(mask)
        velocity = {name: torch.zeros_like(value) for name, value in values.items()}
        generator = torch.Generator().manual_seed(7)
        for lr in recipe.learning_rates():
            for batch in torch.randperm(48, generator=generator).split(12):
                loss = functional.cross_entropy(own(TRAIN[0][batch]), TRAIN[1][batch])
                grads = torch.autograd.grad(loss, list(values.values()))
                with torch.no_grad():
                    for (name, value), grad in zip(values.items(), grads, strict=True):
                        velocity[name] = 0.9 * velocity[name] + grad + 5e-4 * value
                        value.sub_(lr * velocity[name])
                        value.mul_(masks.get(name, torch.ones(())))
        for name, value in own.state_dict().items():
            assert torch.allclose(trained.state[name][member], value, atol=1e-5), name
    kept = sum(int(m.sum()) for m in networks.masks.values())
    others = sum(p.numel() for n, p in model.named_parameters() if n not in networks.masks)
    assert run.trainer.work == 96 * (kept + 2 * others)


@pytest.mark.parametrize("make", [perceptron, convolutional, Everything])
def test_side_by_side_is_one_after_the_other(make):
    model = make()
    if isinstance(model, Everything):
        model.dropout.p = 0.0
    networks = stack(model, 5, models=4)
    run = regrowing(model)
    args = model, networks, run.data, QUICK.recovery
    one, other = train_together(*args, 3), train_in_turn(*args, [3] * 4)
    assert one.work == other.work
    for name, value in one.networks.state.items():
        assert torch.allclose(value, other.networks.state[name], atol=1e-5), name
    assert can_train_together(*args)
    assert not can_train_together(model, networks[:1], run.data, QUICK.recovery)


def test_dropout_is_trained_one_after_the_other():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    run, networks = regrowing(model), stack(model, 5, models=2)
    state = torch.random.get_rng_state()
    found = [run.trainer.trained(networks, QUICK.recovery, seed).state for seed in (1, 1, 2)]
    assert run.trainer._together is False
    assert torch.equal(torch.random.get_rng_state(), state)
    values = [[value.tolist() for value in one.values()] for one in found]
    assert values[0] == values[1] != values[2]


def test_networks_that_diverge_are_left_out_and_the_others_are_what_they_would_be():
    model = perceptron()
    networks, run = stack(model, 5, models=3, share=0.9), regrowing(perceptron())
    with torch.no_grad():
        networks.state["5.weight"][1] *= 1e38
    args = model, networks, run.data, QUICK.recovery
    for trained in (train_together(*args, 3), train_in_turn(*args, [3] * 3)):
        assert trained.networks.origin.tolist() == [0, 2]
        alone = train_in_turn(model, networks[2:], run.data, QUICK.recovery, [3]).networks
        for name, value in alone.state.items():
            assert torch.allclose(trained.networks.state[name][1], value[0], atol=1e-5)


def test_losses_accuracies_and_gradients_are_those_of_the_modules():
    model = convolutional()
    networks = stack(model, 3)
    run = regrowing(model)
    loss, right = run.trainer.measured(networks, *TRAIN)
    gradients = run.trainer.gradients(networks)
    for member in range(3):
        own = copy.deepcopy(model)
        own.load_state_dict({n: v[member] for n, v in networks.state.items()})
        outputs = own(TRAIN[0])
        expected = functional.cross_entropy(outputs, TRAIN[1])
        assert float(loss[member]) == pytest.approx(expected.item(), rel=1e-5)
        assert float(right[member]) == pytest.approx(accuracy(own, *TRAIN))
        expected.backward()
        for name, gradient in gradients.items():
            assert torch.allclose(gradient[member], own.get_parameter(name).grad, atol=1e-6)
    both = run._with_score(networks)
    whole = run.trainer.measured(networks, X, Y)[0]
    assert torch.allclose(both.score, -whole)


@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_what_grows_would_lie_on_a_path(make):
    model = make()
    run, networks = regrowing(model), stack(model, 4, models=2, share=0.12)
    settled = run._settled(networks)
    found = run._growable(settled.masks)
    for member in range(2):
        _, masks = settled.member(member)
        expected = on_path(model, networks.member(member)[1])
        assert all(torch.equal(masks[name], expected[name]) for name in masks)
        for name, mask in masks.items():
            for place in range(0, mask.numel(), 9):  # each takes a tenth of a second
                more = {n: m.clone() for n, m in masks.items()}
                more[name].view(-1)[place] = True
                could = not bool(mask.view(-1)[place]) and bool(
                    on_path(model, more)[name].view(-1)[place]
                )
                assert bool(found[name][member].view(-1)[place]) == could


def test_so_many_grow_and_nothing_is_lost():
    model = perceptron()
    run = regrowing(model)
    networks = run._settled(stack(model, 4, share=0.3))
    gradients = rows(run.trainer.gradients(networks))
    free = (rows(run._growable(networks.masks)) & (gradients != 0)).sum(1)
    assert bool((free > 0).any())
    for number in (1, 5, 1000):
        larger = run.larger(networks, number, torch.Generator().manual_seed(0))
        gained = larger.nonzeros() - networks.nonzeros()
        assert torch.equal(gained, free.clamp(max=number))
        for name, mask in networks.masks.items():
            assert bool((larger.masks[name] | ~mask).all())
            assert torch.equal(larger.state[name], networks.state[name])


@pytest.mark.parametrize("removed", [1, 4])
def test_candidates_lack_weights_and_the_best_of_each_network_stay(removed: int):
    model = perceptron()
    run = regrowing(model)
    networks = run._settled(stack(model, 4, models=2, share=0.3))
    found = run.candidates(networks, removed, torch.Generator().manual_seed(0))
    assert len(found) == 4
    assert torch.equal(run._settled(found).signatures(), found.signatures())
    for index in range(len(found)):
        parent = int(found.origin[index])
        lost = networks.nonzeros()[parent] - found.nonzeros()[index]
        assert int(lost) >= removed
        for name, mask in found.masks.items():
            assert bool((networks.masks[name][parent] | ~mask[index]).all())
    if removed == 1:
        kept = rows(networks.masks)
        for parent in range(2):
            losses = set[float]()
            for place in kept[parent].nonzero().flatten().tolist():
                without = kept[parent : parent + 1].clone()
                without[0, place] = False
                one = run._settled(networks[parent : parent + 1].keeping(without))
                losses.add(round(float(run.trainer.measured(one, *TRAIN)[0]), 6))
            mine = run.trainer.measured(found[found.origin == parent], *TRAIN)[0]
            assert sorted(round(float(v), 6) for v in mine)[0] == min(losses)


def test_importance_is_relative_to_the_unit():
    networks = stack(convolutional(), 1)
    found = importance(networks)
    expected = [
        [
            float(weight[unit].flatten()[place].abs() / weight[unit].norm().clamp_min(1e-12))
            for name in networks.masks
            for weight in [networks.state[name][member]]
            for unit in range(len(weight))
            for place in range(weight[unit].numel())
        ]
        for member in range(3)
    ]
    assert torch.allclose(found, torch.tensor(expected))


def test_stacks_are_taken_apart_and_joined():
    networks = stack(perceptron(), 6)
    again = networks[:1].joined([networks[torch.tensor([1, 2])]])
    assert torch.equal(again.signatures(), networks.signatures())
    assert len(networks.signatures().unique()) == 3
    assert len(networks[torch.tensor([0, 0])].signatures().unique()) == 1
    assert networks.nonzeros().tolist() == [count(networks.member(i)[1]) for i in range(3)]
    for name, value in again.state.items():
        assert torch.equal(value, networks.state[name])


def test_squared_error_and_one_output():
    targets = X.sum((1, 2, 3))
    result = regrow(X, targets, QUICK, keep=12, start=perceptron(1), loss="mse")
    predicted = result.network.model(X)[:, 0].detach()
    r2 = 1 - float((predicted - targets).square().mean() / targets.var(correction=0))
    assert result.network.score == pytest.approx(r2, abs=1e-4)
    binary = regrow(X, Y, QUICK, keep=12, start=perceptron(1))
    right = ((binary.network.model(X)[:, 0] > 0).long() == Y).double().mean()
    assert binary.network.score == pytest.approx(float(right))


def other_form() -> list[nn.Module]:
    return [perceptron(), nn.Sequential(nn.Flatten(), nn.Linear(16, 2))]


class Holder(nn.Module):
    """What cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 2)
        self.generator = (part for part in "ab")


def with_nan() -> nn.Module:
    model = perceptron()
    with torch.no_grad():
        model[1].weight[0, 0] = torch.nan
    return model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 88}, "keep must be below the 88 weights of start, got 88"),
        ({"keep": 0}, "keep"),
        ({"start": nn.Flatten()}, "start"),
        ({"start": nn.BatchNorm2d(1)}, "start"),
        ({"start": with_nan()}, "start must be finite, but '1.weight' holds NaN"),
        ({"start": other_form()}, r"start\[0\] and start\[1\] differ in '1.weight'"),
        ({"start": perceptron().requires_grad_(False)}, "all are frozen"),
        (
            {"start": nn.Conv2d(1, 2, 2), "keep": 3},
            r"start must give outputs of shape \(n, outputs\)",
        ),
        ({"start": nn.Linear(5, 2)}, "x must be what start takes, but calling it"),
        ({"x": X[:0], "y": Y[:0]}, "x must hold at least one sample"),
        ({"x": X * torch.nan}, "x must be finite"),
        ({"y": Y + 1}, "y must be integer labels 0 to 1"),
        ({"y": Y[:5]}, "y must have one entry for each of the 72 samples"),
        ({"measure": (X[:0], Y[:0])}, "measure: x must hold at least one sample"),
        ({"measure": (X,)}, "measure must be two tensors"),
        ({"measure": (X[:, :, :2], Y)}, r"measure: x must have rows of shape \(1, 4, 4\)"),
        ({"measure": (X, Y + 5)}, "measure: y must be integer labels"),
        ({"loss": "hinge"}, "loss must be"),
        ({"engine": NativeEngine()}, "engine must be None for modules"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_trains(options: dict, message: str):
    given = {"x": X, "y": Y, "keep": 9, "start": perceptron(), **options}
    with pytest.raises(ValueError, match=message):
        regrow(method=QUICK, **given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": [perceptron(), 3]}, r"start\[1\] must be a module"),
        ({"start": Holder()}, "start: model must be one that copy.deepcopy takes"),
        ({"start": 5}, "start"),
        ({"x": [1.0]}, "x"),
        ({"measure": (X, [1])}, "y"),
    ],
)
def test_what_is_of_another_kind_is_refused(options: dict, message: str):
    given = {"x": X, "y": Y, "keep": 9, "start": perceptron(), **options}
    with pytest.raises(TypeError, match=message):
        regrow(method=QUICK, **given)


def test_batches_of_one_row_are_refused_where_the_batch_normalises():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    single = dataclasses.replace(QUICK, first=Recipe(epochs=1, batch_size=1))
    with pytest.raises(ValueError, match="several samples each where BatchNorm"):
        regrow(X, Y, single, keep=9, start=model)


def test_a_training_that_diverges_everywhere_says_so():
    wild = dataclasses.replace(QUICK, first=Recipe(epochs=3, batch_size=20, lr=1e30))
    with pytest.raises(ValueError, match="lower its learning rate"):
        regrow(X, Y, wild, keep=9, start=perceptron())
