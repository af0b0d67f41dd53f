"""Laws that hold for every method, written once and run over the catalogue."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import warnings
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import MLP, masks, pruners
from prunelimits.problem import problem_of
from prunelimits.pruners import AbstractPruner, State, draw_noise, prunable, prune
from prunelimits.pruners.scopes import RULES
from prunelimits.types import Masks, Params, Problem

WIDTHS = (2, 5, 4, 1)
WEIGHTS = 34


QUICK = {"rounds": 4, "epochs": 3, "freeze": 1, "at_once": 12, "stages": 2, "swaps": 3}
"""Numbers that make a method quick, where it has them."""


def quick(method: type[AbstractPruner]) -> AbstractPruner:
    """The method with its defaults, but little work."""
    pruner = method()
    fields = {field.name for field in dataclasses.fields(pruner) if field.init}
    few = {
        name: value if name == "at_once" else min(value, getattr(pruner, name))
        for name, value in QUICK.items()
        if name in fields
    }
    return dataclasses.replace(pruner, **few)


LAYER_BY_LAYER = (pruners.RigL, pruners.SET, pruners.SparseGPT, pruners.NPB)
"""Methods that rank nothing across layers, so the scope cannot be global."""

METHODS = [pytest.param(quick(m), id=m.__name__) for m in pruners.all() if m is not pruners.Dense]
SCOPES = [
    pytest.param(dataclasses.replace(param.values[0], scope=scope), id=f"{param.id} {scope}")
    for param in METHODS
    for scope in ("global", *RULES)
    if scope != "global" or not isinstance(param.values[0], LAYER_BY_LAYER)
]
AT_ONCE = [param for param in METHODS if param.values[0].until == 0]
ONE_RANKING = [
    param
    for param in AT_ONCE
    if isinstance(param.values[0].score, pruners.Score)
    and param.values[0].rounds == 1
    and param.values[0].scope == "global"
]


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(outputs.squeeze(-1), targets)


def batches(dtype: torch.dtype = torch.float64) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(60, 2, generator=generator, dtype=dtype)
    y = (x[:, 0] * x[:, 1] > 0).to(dtype)
    return list(zip(x.split(15), y.split(15), strict=True))


def network(weights: str = "random") -> tuple[Problem, Params, Masks]:
    """A small problem in float64, its parameters, and masks that keep everything."""
    model = MLP(WIDTHS).double()
    generator = torch.Generator().manual_seed(0)
    problem, params = problem_of(model, loss, batches())
    for name, value in params.items():
        params[name] = 0.5 * torch.randn(value.shape, generator=generator, dtype=value.dtype)
        if weights == "tied":  # few different values, so that most scores have equals
            params[name] = params[name].sign()
    return problem, params, prunable(model)


def pruned(
    pruner: AbstractPruner,
    problem: Problem,
    params: Params,
    allowed: Masks,
    budget: Tensor,
    noise: Params,
) -> tuple[Params, State]:
    """The method to its end, with steps of gradient descent between its rounds."""
    state = pruner.init(problem, params, allowed, budget, noise)
    params = masks.apply(params, state.masks)
    for done in range(pruner.rounds if pruner.until else 0):
        grads = torch.func.grad(
            lambda params: problem.loss(
                problem.apply(params, problem.batches[0][0]), problem.batches[0][1]
            )
        )(params)
        params = {name: value - 0.3 * grads[name] for name, value in params.items()}
        shifted = {name: (value + 0.37 * done) % 1 for name, value in noise.items()}
        params, state = pruner.update(problem, state, params, grads, shifted)
    return params, state


def every_budget(pruner: AbstractPruner, allowed: Masks) -> Tensor:
    return torch.stack([pruner.budget(allowed, keep) for keep in range(WEIGHTS + 1)])


def pruned_to_every_budget(pruner: AbstractPruner, weights: str) -> tuple[Params, State]:
    problem, params, allowed = network(weights)
    noise = draw_noise(allowed)
    run = partial(pruned, pruner, problem, params, allowed)
    return torch.func.vmap(lambda budget: run(budget, noise))(every_budget(pruner, allowed))


def kept(state: State) -> Tensor:
    return sum((mask.flatten(1).sum(1) for mask in state.masks.values()), torch.tensor(0))


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["random", "tied"])
@pytest.mark.parametrize("pruner", METHODS)
def test_every_budget_is_met_exactly(pruner: AbstractPruner, weights: str):
    params, state = pruned_to_every_budget(pruner, weights)
    assert kept(state).tolist() == list(range(WEIGHTS + 1))
    for name, mask in state.masks.items():
        assert mask.dtype == torch.bool
        assert not params[name].masked_select(~mask).any()


@pytest.mark.slow
@pytest.mark.parametrize("pruner", SCOPES)
def test_every_scope_and_a_floor_meet_the_budget_too(pruner: AbstractPruner):
    pruner = dataclasses.replace(pruner, floor=2)
    problem, params, allowed = network()
    noise = draw_noise(allowed)
    for keep in (6, 20):
        _, state = pruned(pruner, problem, params, allowed, pruner.budget(allowed, keep), noise)
        assert masks.count(state.masks) == keep
        assert min(int(mask.sum()) for mask in state.masks.values()) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("pruner", METHODS)
def test_many_models_at_once_equal_one_at_a_time(pruner: AbstractPruner):
    problem, params, allowed = network()
    members = 5
    generator = torch.Generator().manual_seed(2)
    many = {
        name: torch.randn(members, *value.shape, generator=generator, dtype=value.dtype)
        for name, value in params.items()
    }
    budgets = torch.stack([pruner.budget(allowed, keep) for keep in (0, 3, 11, 25, WEIGHTS)])
    noise = draw_noise({n: mask.expand(members, *mask.shape) for n, mask in allowed.items()})
    everything = {name: mask.expand(members, *mask.shape) for name, mask in allowed.items()}
    run = partial(pruned, pruner, problem)
    together = torch.func.vmap(run)(many, everything, budgets, noise)
    for index in range(members):
        one, drawn = ({n: v[index] for n, v in part.items()} for part in (many, noise))
        params, state = run(one, allowed, budgets[index], drawn)
        for name, mask in state.masks.items():
            assert torch.equal(mask, together[1].masks[name][index])
            torch.testing.assert_close(params[name], together[0][name][index])
        assert torch.equal(state.round, together[1].round[index])


@pytest.mark.parametrize("pruner", METHODS)
def test_what_is_pruned_already_stays_pruned(pruner: AbstractPruner):
    problem, params, allowed = network()
    allowed = {name: value > 0 for name, value in draw_half(allowed).items()}
    total = masks.count(allowed)
    for keep in (0, 5, total):
        _, state = pruned(
            pruner, problem, params, allowed, pruner.budget(allowed, keep), draw_noise(allowed)
        )
        assert masks.count(state.masks) == keep
        assert all(not (mask & ~allowed[name]).any() for name, mask in state.masks.items())


def draw_half(allowed: Masks) -> Params:
    noise = draw_noise(allowed, torch.Generator().manual_seed(3))
    return {name: value - 0.4 for name, value in noise.items()}


@pytest.mark.parametrize("pruner", METHODS)
def test_pruned_weights_do_not_matter_whatever_they_hold(pruner: AbstractPruner):
    problem, params, allowed = network()
    allowed = {name: value > 0 for name, value in draw_half(allowed).items()}
    budget, noise = pruner.budget(allowed, 6), draw_noise(allowed)
    filled = {n: v.masked_fill(~allowed[n], 9.0) if n in allowed else v for n, v in params.items()}
    plain, rubbish = (
        pruned(pruner, problem, start, allowed, budget, noise)[1] for start in (params, filled)
    )
    assert all(torch.equal(mask, rubbish.masks[name]) for name, mask in plain.masks.items())


@pytest.mark.parametrize("weights", ["random", "tied"])
@pytest.mark.parametrize("pruner", ONE_RANKING)
def test_one_ranking_gives_nested_masks(pruner: AbstractPruner, weights: str):
    _, state = pruned_to_every_budget(pruner, weights)
    for mask in state.masks.values():
        assert not (mask[:-1] & ~mask[1:]).any()


@pytest.mark.parametrize("pruner", METHODS)
def test_inputs_stay_as_they_are(pruner: AbstractPruner):
    problem, params, allowed = network()
    noise = draw_noise(allowed)
    inputs = (params, allowed, noise)
    before = copy.deepcopy(inputs)
    random = torch.get_rng_state()
    pruned(pruner, problem, params, allowed, pruner.budget(allowed, 12), noise)
    for part, old in zip(inputs, before, strict=True):
        assert all(torch.equal(value, old[name]) for name, value in part.items())
    assert torch.equal(random, torch.get_rng_state())


def conv_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(12, 2),
    )  # fmt: skip


def images() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(32, 1, 4, 4, generator=generator)
    return list(zip(x.split(8), (x.mean((1, 2, 3)) > 0).long().split(8), strict=True))


@pytest.mark.parametrize("pruner", AT_ONCE)
def test_prune_leaves_the_model_as_it_was(pruner: AbstractPruner):
    model = conv_net()
    functional.cross_entropy(model(images()[0][0]), images()[0][1]).backward()
    model[0].bias.requires_grad_(False)
    model[1].eval()
    before = copy.deepcopy(model)
    gradients = [p.grad if p.grad is None else p.grad.clone() for p in model.parameters()]
    random = torch.get_rng_state()
    found = prune(
        model, pruner, keep=20, loss=functional.cross_entropy,
        batches=torch.utils.data.DataLoader(Pairs(images()), batch_size=None, shuffle=True),
    )  # fmt: skip
    assert masks.count(found) == 20
    assert list(found) == ["0.weight", "5.weight"]
    assert torch.equal(random, torch.get_rng_state())
    assert list(model.state_dict()) == list(before.state_dict())
    for name, value in before.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    for new, old, gradient in zip(model.parameters(), before.parameters(), gradients, strict=True):
        assert new.requires_grad == old.requires_grad
        assert (new.grad is None) == (gradient is None)
        assert new.grad is None or torch.equal(new.grad, gradient)
        assert new.grad_fn is None
    modes = [module.training for module in before.modules()]
    assert [module.training for module in model.modules()] == modes
    assert all(not value.requires_grad for value in found.values())
    copy.deepcopy(model)
    pickle.loads(pickle.dumps(model))


class Pairs(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.pairs[index]


@pytest.mark.parametrize("pruner", AT_ONCE)
def test_the_same_seed_gives_the_same_masks(pruner: AbstractPruner):
    torch.manual_seed(0)
    model = MLP(WIDTHS)
    draws = []
    for seed in (None, 0, 0, 1):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        found = prune(
            model, pruner, keep=17, loss=loss, batches=batches(torch.float32), generator=generator,
        )  # fmt: skip
        draws.append(masks.flatten(found))
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[1], draws[2])
    assert torch.equal(draws[2], draws[3]) != pruner.needs_noise


def test_what_a_method_needs_depends_on_its_settings():
    for method in (pruners.SNIP, pruners.GraSP):
        assert not method().needs_noise
        assert method(xavier=True).needs_noise
    assert not pruners.OBD().needs_noise
    assert pruners.OBD(probes=2).needs_noise
    assert (pruners.ProsPr().batches, pruners.ProsPr(steps=5).batches) == (4, 6)
    assert pruners.EdgePopup().batches is None


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("pruner", AT_ONCE)
def test_every_dtype_of_model_can_be_pruned(pruner: AbstractPruner, dtype: torch.dtype):
    model = MLP(WIDTHS).to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a layer may go empty
        found = prune(model, pruner, keep=10, loss=loss, batches=batches(dtype))
    assert masks.count(found) == 10
    assert all(parameter.dtype == dtype for parameter in model.parameters())


@pytest.mark.parametrize("method", [pytest.param(m, id=m.__name__) for m in pruners.all()])
def test_a_pruner_is_a_value(method: type[AbstractPruner]):
    pruner = method()
    for twin in (copy.deepcopy(pruner), pickle.loads(pickle.dumps(pruner)), method()):
        assert twin == pruner
        assert hash(twin) == hash(pruner)
    with pytest.raises(dataclasses.FrozenInstanceError):
        pruner.floor = 3  # type: ignore[misc]
    assert method.category in ("at initialisation", "dense to sparse", "sparse to sparse")
    assert method.__doc__
    assert (
        "arxiv.org" in method.__doc__ or "proceedings" in method.__doc__ or method is pruners.Dense
    )
    assert repr(pruner).startswith(method.__name__ + "(")
    assert "until" not in repr(pruner) or pruner.until


@pytest.mark.parametrize("pruner", METHODS)
def test_the_state_is_tensors_that_pickle(pruner: AbstractPruner):
    problem, params, allowed = network()
    budget = pruner.budget(allowed, 9)
    _, state = pruned(pruner, problem, params, allowed, budget, draw_noise(allowed))
    again = pickle.loads(pickle.dumps(state))
    assert all(torch.equal(mask, again.masks[name]) for name, mask in state.masks.items())
    for part in (state.budget, state.start, state.round):
        assert part.dtype == torch.int64
    assert state.start.shape == state.budget.shape == budget.shape
    assert state.round.shape == ()
    assert all(isinstance(value, Tensor) for value in state.memory.values())
    leaves = (*state.masks.values(), *state.memory.values())
    assert all(value.grad_fn is None for value in leaves)


@pytest.mark.parametrize("pruner", METHODS)
def test_after_the_last_round_nothing_changes(pruner: AbstractPruner):
    problem, params, allowed = network()
    noise = draw_noise(allowed)
    params, state = pruned(pruner, problem, params, allowed, pruner.budget(allowed, 9), noise)
    grads = {name: torch.randn_like(value) for name, value in params.items()}
    moved = {name: value + 1 for name, value in params.items()}
    new, later = pruner.update(problem, state, moved, grads, noise)
    assert torch.equal(later.round, state.round)
    for name, value in moved.items():
        mask = state.masks.get(name, torch.ones_like(value).bool())
        assert torch.equal(later.masks.get(name, mask), mask)
        assert torch.equal(new[name], value.masked_fill(~mask, 0))


@pytest.mark.parametrize("pruner", METHODS)
def test_a_model_of_another_shape_is_refused(pruner: AbstractPruner):
    problem, params, allowed = network()
    noise = draw_noise(allowed)
    state = pruner.init(problem, params, allowed, pruner.budget(allowed, 9), noise)
    wider = {n: torch.zeros(v.shape[0] + 1, *v.shape[1:]).double() for n, v in params.items()}
    with pytest.raises(ValueError, match=r"'layers.0.weight'\] must have shape \(6, 2\)"):
        pruner.update(problem, state, wider, wider, noise)
