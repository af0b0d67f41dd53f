"""SNFS, DSR and Deep-R against hand-computed numbers and plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunelimits import masks
from prunelimits.datasets import cubist_spiral
from prunelimits.problem import problem_of
from prunelimits.pruners import DSR, SNFS, DeepR, State, draw_noise, selection
from prunelimits.pruners.catalogue import moves
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.scopes import share_out
from prunelimits.training import MLPEnsemble, Recipe, fit
from prunelimits.types import Masks, Params, Scores

PROBLEM, _ = problem_of(torch.nn.Linear(1, 1))
NAMES = ("a", "b")


def layers() -> tuple[Params, Masks]:
    generator = torch.Generator().manual_seed(0)
    params = {
        "a": torch.randn(6, 5, generator=generator),
        "b": torch.randn(4, 5, generator=generator),
    }
    return params, {name: torch.ones_like(value).bool() for name, value in params.items()}


def noise_of(seed: int) -> Params:
    return draw_noise(layers()[1], torch.Generator().manual_seed(seed))


def kept(state: State) -> dict[str, set[int]]:
    return {n: set(m.flatten().nonzero().flatten().tolist()) for n, m in state.masks.items()}


def largest(scores: list[float], among: set[int], count: int) -> set[int]:
    return set(sorted(among, key=lambda i: (-scores[i], i))[:count])


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6),
    st.data(),
)
def test_shares_are_whole_fit_and_add_up(cases: list[tuple[int, int]], data: st.DataObject):
    weights, room = (torch.tensor(part) for part in zip(*cases, strict=True))
    total = data.draw(st.integers(0, int(room.sum())))
    shares = share_out(torch.tensor(total), weights.double(), room)
    assert int(shares.sum()) == total
    assert bool((shares >= 0).all())
    assert bool((shares <= room).all())
    if (room >= total).all() and weights.sum() > 0:  # nothing is full: plain proportion
        exact = total * weights.double() / weights.sum()
        assert bool(((shares - exact).abs() < 1).all())


def test_shares_by_hand():
    def of(total: int, weights: list[float], room: list[int]) -> list[int]:
        return share_out(torch.tensor(total), torch.tensor(weights), torch.tensor(room)).tolist()

    assert of(10, [1, 2, 2], [9, 9, 9]) == [2, 4, 4]
    assert of(10, [1, 1, 1], [9, 9, 9]) == [4, 3, 3]  # 3.33 each: the first takes what is over
    assert of(10, [8, 1, 1], [4, 9, 9]) == [4, 3, 3]  # what the first cannot take
    assert of(10, [8, 0, 0], [4, 9, 9]) == [4, 3, 3]  # without a weight, equally
    assert of(10, [0, 0], [9, 1]) == [9, 1]
    many = torch.func.vmap(share_out)(
        torch.tensor([10, 3]), torch.tensor([[8.0, 1, 1], [1, 1, 1]]), torch.tensor([[4, 9, 9]] * 2)
    )
    assert many.tolist() == [[4, 3, 3], [1, 1, 1]]


def test_snfs_equals_a_plain_loop():
    params, allowed = layers()
    pruner = SNFS(rounds=4, smoothing=0.5)
    state = pruner.init(PROBLEM, params, allowed, pruner.budget(allowed, 20), noise_of(0))
    assert [int(mask.sum()) for mask in state.masks.values()] == [12, 8]  # 20 of 50 everywhere
    params = masks.apply(params, state.masks)
    momentum = {name: [0.0] * params[name].numel() for name in NAMES}
    for r in range(1, 5):
        generator = torch.Generator().manual_seed(r)
        grads = {n: torch.randn(v.shape, generator=generator) for n, v in params.items()}
        before = kept(state)
        share = 0.5 * (1 + math.cos(math.pi * r / 4)) / 2
        stay: dict[str, set[int]] = {}
        mean: dict[str, float] = {}
        dropped = 0
        for name in NAMES:
            flat = grads[name].flatten().tolist()
            momentum[name] = [0.5 * m + 0.5 * g for m, g in zip(momentum[name], flat, strict=True)]
            size = params[name].flatten().abs().tolist()
            count = int(share * len(before[name]))
            dropped += count
            stay[name] = largest(size, before[name], len(before[name]) - count)
            mean[name] = sum(abs(momentum[name][i]) for i in before[name]) / len(before[name])
        exact = [dropped * mean[name] / sum(mean.values()) for name in NAMES]
        growth = [math.floor(part) for part in exact]
        if sum(growth) < dropped:
            growth[0 if exact[0] - growth[0] >= exact[1] - growth[1] else 1] += 1
        params, state = pruner.update(PROBLEM, state, params, grads)
        for name, count in zip(NAMES, growth, strict=True):
            size = [abs(m) for m in momentum[name]]
            free = set(range(len(size))) - stay[name]
            assert kept(state)[name] == stay[name] | largest(size, free, count)
            assert torch.allclose(
                state.memory[f"momentum of {name}"].flatten(), torch.tensor(momentum[name])
            )
        assert masks.count(state.masks) == 20


def test_dsr_drops_below_its_threshold_and_moves_it():
    params, allowed = layers()
    pruner = DSR(rounds=50, threshold=0.5, fraction=0.2, tolerance=0.1)
    state = pruner.init(PROBLEM, params, allowed, pruner.budget(allowed, 20), noise_of(0))
    threshold, history = 0.5, []
    for r in range(1, 9):
        generator = torch.Generator().manual_seed(r)
        params = {n: torch.randn(v.shape, generator=generator) for n, v in params.items()}
        noise, before = noise_of(100 + r), kept(state)
        stay = {
            name: {i for i in before[name] if abs(float(params[name].flatten()[i])) >= threshold}
            for name in NAMES
        }
        left = [len(stay[name]) for name in NAMES]
        dropped = 20 - sum(left)
        exact = [dropped * part / sum(left) for part in left]
        growth = [math.floor(part + 1e-9) for part in exact]
        if sum(growth) < dropped:
            growth[0 if exact[0] - growth[0] >= exact[1] - growth[1] - 1e-9 else 1] += 1
        new, state = pruner.update(PROBLEM, state, params, noise=noise)
        for name, count in zip(NAMES, growth, strict=True):
            drawn = noise[name].flatten().tolist()
            free = set(range(len(drawn))) - stay[name]
            grown = largest(drawn, free, count)
            assert kept(state)[name] == stay[name] | grown
            fresh = sorted(grown - before[name])
            assert not new[name].flatten()[fresh].any()
        # 4 should go: below 3.6 the threshold doubles, above 4.4 it halves.
        threshold *= 2.0 if dropped < 3.6 else 0.5 if dropped > 4.4 else 1.0
        assert float(state.memory["threshold"]) == threshold
        assert masks.count(state.masks) == 20
        params = new
        history.append(threshold)
    assert len(set(history)) > 2


def test_deep_r_drops_what_changes_its_sign():
    params, allowed = layers()
    pruner = DeepR(rounds=3, lr=0.1, l1=0.5, noise=0.0, scope="uniform")
    state = pruner.init(PROBLEM, params, allowed, pruner.budget(allowed, 20), noise_of(0))
    signs = {name: value.sign() for name, value in params.items()}
    for r in (1, 2, 3):
        generator = torch.Generator().manual_seed(r)
        step = {n: 0.5 * torch.randn(v.shape, generator=generator) for n, v in params.items()}
        params = masks.apply({n: v + step[n] for n, v in params.items()}, state.masks)
        before, noise = kept(state), noise_of(50 + r)
        new, state = pruner.update(PROBLEM, state, params, noise=noise)
        for name in NAMES:
            size = (signs[name] * params[name] - 0.05).flatten().tolist()
            stay = {i for i in before[name] if size[i] >= 0}
            assert len(stay) < len(before[name])
            drawn = noise[name].flatten().tolist()
            free = set(range(len(size))) - stay
            grown = largest(drawn, free, len(before[name]) - len(stay))
            assert kept(state)[name] == stay | grown
            for i in stay:  # shrunk by lr l1
                sign = float(signs[name].flatten()[i])
                assert float(new[name].flatten()[i]) == pytest.approx(sign * size[i], abs=1e-6)
        params = new
    assert [int(mask.sum()) for mask in state.masks.values()] == [12, 8]


def test_deep_r_never_leaves_a_weight_of_the_wrong_sign_and_grows_from_zero():
    params, allowed = layers()
    pruner = DeepR(rounds=300, lr=0.05, noise=0.02)
    start = {name: 1e-3 * value for name, value in params.items()}
    signs = {name: torch.where(value < 0, -1.0, 1.0) for name, value in start.items()}
    state = pruner.init(PROBLEM, start, allowed, pruner.budget(allowed, 20), noise_of(0))
    params, grown = masks.apply(start, state.masks), 0
    for r in range(300):
        generator = torch.Generator().manual_seed(r)
        moved = {n: v + 1e-3 * torch.randn(v.shape, generator=generator) for n, v in params.items()}
        before = state.masks
        params, state = pruner.update(PROBLEM, state, moved, noise=noise_of(1000 + r))
        assert masks.count(state.masks) == 20
        for name, mask in state.masks.items():
            assert not (signs[name] * params[name] < 0).any()
            fresh = mask & ~before[name]
            grown += int(fresh.sum())
            assert not params[name][fresh].any()
    assert grown > 300


def test_deep_r_adds_normal_noise_to_what_is_kept():
    shape = (100, 200)
    params, allowed = {"a": torch.full(shape, -50.0)}, {"a": torch.ones(shape).bool()}
    pruner = DeepR(rounds=1, lr=0.1, l1=0.0, noise=2.0)
    noise = draw_noise(allowed)
    state = pruner.init(PROBLEM, params, allowed, torch.tensor([20_000]), noise)
    new, _ = pruner.update(PROBLEM, state, params, noise=noise)
    change = (new["a"] + 50) / 0.2
    assert abs(float(change.mean())) < 0.03
    assert abs(float(change.std()) - 1) < 0.03
    assert float((change.abs() < 1).double().mean()) == pytest.approx(0.6827, abs=0.02)


def test_what_deep_r_grows_does_not_depend_on_the_noise_that_dropped_it():
    shape = (100, 200)
    params, allowed = {"a": torch.full(shape, 1e-9)}, {"a": torch.ones(shape).bool()}
    pruner = DeepR(rounds=1, lr=0.1, l1=0.0, noise=2.0)
    generator = torch.Generator().manual_seed(7)
    state = pruner.init(
        PROBLEM, params, allowed, torch.tensor([10_000]), draw_noise(allowed, generator)
    )
    new, later = pruner.update(PROBLEM, state, params, noise=draw_noise(allowed, generator))
    # About 5,000 of 10,000 drop, and as many of the 15,000 that are then free grow: a third.
    before, after = state.masks["a"], later.masks["a"]
    again = before & after & (new["a"] == 0)  # what was dropped grows from zero
    dropped = int((before & ~after).sum()) + int(again.sum())
    assert 4_700 < dropped < 5_300
    assert int(again.sum()) / dropped == pytest.approx(1 / 3, abs=0.03)


def test_a_floor_holds_while_weights_move_between_layers():
    params, allowed = layers()
    params["b"] = params["b"] * 1e-6  # all below any threshold
    for pruner in (SNFS(rounds=5, floor=3), DSR(rounds=5, floor=3), DeepR(rounds=5, floor=3)):
        state = pruner.init(PROBLEM, params, allowed, pruner.budget(allowed, 20), noise_of(0))
        for r in range(5):
            grads = {"a": torch.ones(6, 5), "b": torch.zeros(4, 5)}
            moved = {n: -params[n] if isinstance(pruner, DeepR) else params[n] for n in params}
            _, state = pruner.update(PROBLEM, state, moved, grads, noise_of(r))
            assert min(int(mask.sum()) for mask in state.masks.values()) >= 3
            assert masks.count(state.masks) == 20


def test_the_paper_s_start_of_each_method():
    params, allowed = layers()
    for pruner, expected in ((SNFS(), [12, 8]), (DSR(), [12, 8]), (DeepR(), [11, 9])):
        assert pruner.budget(allowed, 20).tolist() == expected
    state = DeepR().init(PROBLEM, params, allowed, torch.tensor([11, 9]), noise_of(0))
    assert torch.equal(state.memory["sign of a"], params["a"] < 0)


@pytest.mark.parametrize("pruner", [DeepR(rounds=60, l1=1.0, noise=0.5), DSR(rounds=12)])
def test_no_floor_is_a_floor_of_none_to_the_bit(
    pruner: DeepR | DSR, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is ranked for a floor of 0, as was once, and no error is raised to see a vmap."""

    def trained() -> list[Tensor]:
        ensemble = MLPEnsemble((2, 6, 5, 1), 3, seed=0)
        recipe = Recipe(epochs=4, batch_size=20, lr=0.1)
        result = fit(ensemble, *cubist_spiral(200), recipe, pruner=pruner, keep=[12, 20, 30])
        kept = (result.ensemble.params, result.ensemble.masks, result.ensemble.momentum)
        return [value for named in kept for value in named.values()]

    def ranked(ranking: Ranking, sizes: Scores, masks: Masks) -> Masks:
        least = moves._layer_counts(masks).clamp(max=ranking.floor)
        return moves._largest(sizes, masks, least)

    def tried(value: Tensor) -> int | None:
        try:
            return int(value)
        except RuntimeError:
            return None

    found = trained()
    monkeypatch.setattr(moves, "_spared", ranked)
    monkeypatch.setattr(selection, "concrete", tried)
    monkeypatch.setattr(selection, "is_of_many", lambda _: False)
    assert all(torch.equal(a, b) for a, b in zip(found, trained(), strict=True))


def test_what_all_models_share_is_still_looked_at_under_vmap():
    bad = torch.tensor([1.0, torch.nan])

    def first(own: Tensor) -> Tensor:
        assert not selection.has_nan(own, own.isnan())  # one of each model: nobody can look
        assert selection.concrete(own.isnan().sum()) is None
        assert selection.has_nan(bad, bad.isnan())
        assert selection.has_infinity(bad / 0, bad > 0)
        return own

    torch.vmap(first)(torch.stack([bad, bad]))
