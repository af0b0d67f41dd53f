"""Rules that act during training, against hand-computed numbers and plain loops."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelimits import MLP, masks
from prunelimits.problem import problem_of
from prunelimits.pruners import GMP, LTH, SET, SNIP, AbstractPruner, RigL, draw_noise, prunable
from prunelimits.types import Masks, Params, Problem


def start(widths: tuple[int, ...] = (2, 16, 16, 16, 1)) -> tuple[Problem, Params, Masks]:
    generator = torch.Generator().manual_seed(0)
    model = MLP(widths)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    problem, params = problem_of(model)
    return problem, params, prunable(model)


def noisy(params: Params, seed: int) -> Params:
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(value.shape, generator=generator) for n, value in params.items()}


@pytest.mark.parametrize(
    ("pruner", "interval", "first", "last"),
    [
        (GMP(), 97, 97, 199 * 97),
        (RigL(), 100, 100, 14_600),
        (RigL(rounds=73), 200, 200, 14_600),
        (SET(), 390, 390, 49 * 390),
    ],
)
def test_steps_between_rounds_in_the_published_trainings(
    pruner: AbstractPruner, interval: int, first: int, last: int
):
    assert pruner.interval(19_500) == interval
    steps = pruner.update_steps(19_500)
    assert (len(steps), steps[0], steps[-1]) == (pruner.rounds, first, last)
    assert {after - before for before, after in pairwise(steps)} == {interval}


@given(st.integers(1, 300), st.floats(0.01, 1.0), st.integers(1, 5000))
def test_all_rounds_take_place_however_short_the_training(rounds: int, until: float, steps: int):
    pruner = GMP(rounds=rounds, until=until)
    at = pruner.update_steps(steps)
    assert len(at) == rounds
    assert at == sorted(at)
    assert at[0] >= 1
    assert at[-1] <= math.ceil(until * steps + 1e-9)
    if until * steps >= rounds * 1.000001:
        assert at == [pruner.interval(steps) * r for r in range(1, rounds + 1)]


def test_short_trainings_by_hand():
    assert GMP(rounds=4, until=1.0).update_steps(2) == [1, 1, 2, 2]
    assert GMP(rounds=3, until=0.5).update_steps(1) == [1, 1, 1]
    assert RigL(rounds=7, until=0.07).update_steps(100) == [1, 2, 3, 4, 5, 6, 7]
    assert SNIP().update_steps(100) == []
    assert LTH().update_steps(100) == [25, 50, 75, 100]


@pytest.mark.parametrize("steps", [0, -1])
def test_a_training_must_have_steps(steps: int):
    with pytest.raises(ValueError, match="steps must be at least 1"):
        GMP().update_steps(steps)
    with pytest.raises(TypeError, match="steps must be an integer"):
        GMP().interval(1.5)  # type: ignore[arg-type]


def test_gradual_pruning_equals_a_plain_loop():
    problem, params, allowed = start((2, 5, 4, 1))
    pruner = GMP(rounds=6)
    state = pruner.init(problem, params, allowed, pruner.budget(allowed, 7))
    names = list(allowed)
    kept = set(range(34))
    for r in range(1, 7):
        noise = noisy(params, r)
        params = {name: value + 0.3 * noise[name] for name, value in params.items()}
        flat = torch.cat([params[name].flatten() for name in names]).abs().tolist()
        survivors = math.floor(7 + 27 * (1 - r / 6) ** 3 + 0.5)
        kept = set(sorted(kept, key=lambda i: (-flat[i], i))[:survivors])
        params, state = pruner.update(problem, state, params)
        found = masks.flatten(state.masks).nonzero().flatten().tolist()
        assert found == sorted(kept)
        assert int(state.round) == r
        assert all(not params[name][~state.masks[name]].any() for name in names)
    assert len(kept) == 7


def test_lottery_tickets_rewind_exactly():
    problem, params, allowed = start()
    pruner = LTH()
    initial = {name: value.clone() for name, value in params.items()}
    state = pruner.init(problem, params, allowed, pruner.budget(allowed, 55))
    kept = torch.ones(560).bool()
    # 560 (55 / 560)^(i / 4)
    for r, survivors in enumerate((313, 175, 98, 55), start=1):
        noise = noisy(params, r)
        trained = masks.apply({n: v + noise[n] for n, v in params.items()}, state.masks)
        flat = torch.cat([trained[name].flatten() for name in allowed]).abs()
        best = flat.argsort(descending=True, stable=True)[:survivors]
        kept = torch.zeros(560).bool().scatter(0, best, True)
        params, state = pruner.update(problem, state, trained)
        assert torch.equal(masks.flatten(state.masks), kept)
        for name, value in params.items():
            mask = state.masks.get(name, torch.ones_like(value).bool())
            assert torch.equal(value, initial[name].masked_fill(~mask, 0))
    # After the last training nothing is set back any more.
    finished = {name: value * 2 for name, value in params.items()}
    final, _ = pruner.update(problem, state, finished)
    assert all(torch.equal(final[name], finished[name]) for name in final)


def test_the_caller_cannot_change_what_is_rewound_to():
    problem, params, allowed = start()
    pruner = LTH()
    state = pruner.init(problem, params, allowed, pruner.budget(allowed, 55))
    first = params["layers.0.bias"].clone()
    params["layers.0.bias"].add_(1.0)
    rewound, _ = pruner.update(problem, state, params)
    assert torch.equal(rewound["layers.0.bias"], first)


def test_rigl_starts_with_erdos_renyi_quotas():
    # Densities are in proportion to (d_in + d_out) / (d_in d_out): of 55 weights, 55 (d_in + d_out)
    # / (18 + 32 + 32 + 17) = 10, 17.78, 17.78, 9.44; the two left over go to the .78.
    problem, params, allowed = start()
    pruner = RigL()
    budget = pruner.budget(allowed, 55)
    assert budget.tolist() == [10, 18, 18, 9]
    state = pruner.init(problem, params, allowed, budget, draw_noise(allowed))
    assert [int(mask.sum()) for mask in state.masks.values()] == [10, 18, 18, 9]
    # At 300: 300 / 99 is a factor that would give the first layer 54 of its 32 and the last 51 of
    # its 16; then (300 - 48) / 64 gives the others 126 each.
    assert pruner.budget(allowed, 300).tolist() == [32, 126, 126, 16]


def test_drop_and_grow_counts_by_hand():
    # f = 0.3 (1 + cos(pi r / 4)) / 2 = 0.25607, 0.15, 0.04393, 0 of 100 weights
    pruner = RigL(rounds=4, scope="uniform")
    shares = [float(pruner.schedule.share(torch.tensor(r))) for r in (1, 2, 3, 4)]
    expected = [0.2560660, 0.15, 0.0439340, 0.0]
    assert shares == pytest.approx(expected, abs=1e-7)
    problem, params, _ = start((10, 20, 1))
    allowed = {"layers.0.weight": torch.ones(20, 10).bool()}
    state = pruner.init(problem, params, allowed, torch.tensor([100]), draw_noise(allowed))
    for moved in (25, 15, 4, 0, 0):
        before = state.masks["layers.0.weight"]
        # The gradient is largest outside the mask, so all that is dropped stays dropped.
        grads = {"layers.0.weight": torch.rand(20, 10) + 10.0 * ~before}
        params, state = pruner.update(problem, state, params, grads)
        after = state.masks["layers.0.weight"]
        assert int(after.sum()) == 100
        assert int((before & ~after).sum()) == int((after & ~before).sum()) == moved
        assert not params["layers.0.weight"][after & ~before].any()
    assert int(state.round) == 4


def test_set_moves_a_constant_share_until_it_stops():
    problem, params, _ = start((10, 20, 1))
    allowed = {"layers.0.weight": torch.ones(20, 10).bool()}
    pruner = SET(rounds=2, scope="uniform")
    state = pruner.init(problem, params, allowed, torch.tensor([100]), draw_noise(allowed))
    for moved in (30, 30, 0, 0):
        before = state.masks["layers.0.weight"]
        # Dropped weights are drawn last, so that all of them move.
        noise = {"layers.0.weight": torch.rand(20, 10) + 10.0 * ~before}
        params, state = pruner.update(problem, state, params, noise=noise)
        assert int((before & ~state.masks["layers.0.weight"]).sum()) == moved


def test_rigl_equals_a_plain_loop():
    problem, params, allowed = start((2, 5, 4, 1))
    pruner = RigL(rounds=5, fraction=0.9)
    state = pruner.init(problem, params, allowed, pruner.budget(allowed, 20), draw_noise(allowed))
    values = {n: params[n].flatten().tolist() for n in allowed}
    kept = {n: set(state.masks[n].flatten().nonzero().flatten().tolist()) for n in allowed}
    for r in range(1, 6):
        grads, noise = noisy(params, 10 + r), noisy(params, r)
        for name in allowed:
            step = noise[name].flatten().tolist()
            values[name] = [v + s for v, s in zip(values[name], step, strict=True)]
        params = {name: value + noise[name] for name, value in params.items()}
        share = 0.9 * (1 + math.cos(math.pi * r / 5)) / 2
        for name in allowed:
            old, g = kept[name], grads[name].flatten().abs().tolist()
            moved = int(share * len(old))
            by_size = sorted(old, key=lambda i: (-abs(values[name][i]), i))
            stay = set(by_size[: len(old) - moved])
            free = [i for i in range(len(g)) if i not in stay]
            grown = set(sorted(free, key=lambda i: (-g[i], i))[:moved])
            kept[name] = stay | grown
            values[name] = [
                v if i in kept[name] and i in old else 0.0 for i, v in enumerate(values[name])
            ]
        params, state = pruner.update(problem, state, params, grads)
        for name in allowed:
            mask = state.masks[name].flatten()
            assert mask.nonzero().flatten().tolist() == sorted(kept[name])
            assert params[name].flatten().tolist() == pytest.approx(values[name], abs=1e-6)


def test_a_weight_dropped_and_grown_at_once_keeps_its_value():
    problem, params, _ = start((2, 2, 1))
    params["layers.0.weight"] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    allowed = {"layers.0.weight": torch.ones(2, 2).bool()}
    pruner = RigL(rounds=2, fraction=1.0)  # round 1 moves half
    state = pruner.init(problem, params, allowed, torch.tensor([4]), draw_noise(allowed))
    grads = {"layers.0.weight": torch.ones(2, 2)}
    new, _ = pruner.update(problem, state, params, grads)
    assert torch.equal(new["layers.0.weight"], params["layers.0.weight"])


def test_set_grows_at_random_and_rigl_by_gradient():
    problem, params, _ = start((4, 8, 1))
    allowed = {"layers.0.weight": torch.ones(8, 4).bool()}
    noise = draw_noise(allowed)
    largest = torch.zeros(8, 4)
    largest[7, 3] = 1.0
    for pruner in (RigL(rounds=2), SET(rounds=2)):
        state = pruner.init(problem, params, allowed, torch.tensor([8]), noise)
        state.masks["layers.0.weight"][7, 3] = False
        grads, drawn = (
            (largest, noise["layers.0.weight"] * 0)
            if isinstance(pruner, RigL)
            else (0 * largest, largest)
        )
        _, later = pruner.update(
            problem, state, params, {"layers.0.weight": -grads}, {"layers.0.weight": drawn}
        )
        assert later.masks["layers.0.weight"][7, 3]


def test_what_a_round_needs_is_asked_for():
    problem, params, allowed = start((2, 5, 4, 1))
    for pruner in (RigL(), SET()):
        name = type(pruner).__name__
        budget = pruner.budget(allowed, 8)
        with pytest.raises(ValueError, match=f"noise is needed by {name}"):
            pruner.init(problem, params, allowed, budget)
        state = pruner.init(problem, params, allowed, budget, draw_noise(allowed))
        with pytest.raises(ValueError, match=r"(grads|noise) is needed by"):
            pruner.update(problem, state, params)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GMP(rounds=0), "rounds must be at least 1, got 0"),
        (lambda: GMP(until=1.5), "until must be at least 0 and at most 1, got 1.5"),
        (lambda: GMP(floor=-1), "floor must be at least 0, got -1"),
        (lambda: SNIP(scope="layer"), "scope must be one of 'global', 'uniform'.*got 'layer'"),  # type: ignore[arg-type]
        (lambda: RigL(scope="global"), "scope must give layers quotas, such as 'erk'"),
        (lambda: RigL(fraction=2.0), "fraction must be at least 0 and at most 1, got 2.0"),
        (lambda: RigL(decay="linear"), "decay must be one of .*got 'linear'"),  # type: ignore[arg-type]
    ],
)
def test_hyperparameters_out_of_range_are_refused(make, message: str):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_share_that_is_a_whole_number_moves_that_many():
    # 0.29 * 100 is 28.999999999999996 in floating point.
    problem, params, _ = start((10, 20, 1))
    allowed = {"layers.0.weight": torch.ones(20, 10).bool()}
    pruner = SET(rounds=1, fraction=0.29)
    state = pruner.init(problem, params, allowed, torch.tensor([100]), draw_noise(allowed))
    before = state.masks["layers.0.weight"]
    noise = {"layers.0.weight": torch.rand(20, 10) + 10.0 * ~before}
    _, state = pruner.update(problem, state, params, noise=noise)
    assert int((before & ~state.masks["layers.0.weight"]).sum()) == 29
