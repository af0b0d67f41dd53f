"""The evolution strategy, beside the package `cma` of its inventor."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import cma
import numpy as np
import pytest
import torch
from cma import purecma

from prunelimits.datasets import cubist_spiral
from prunelimits.training import MLPEnsemble, Recipe, TorchEngine, evaluate, evolve, fit
from prunelimits.training.evolution import _Rates, _Strategy

X = cubist_spiral(400)[0]
# Easier than the spiral: which points lie inside a circle.
Y = (X.square().sum(1) < 1.5).float()
POPULATION = 10


def hills(x: np.ndarray) -> np.ndarray:
    """What is maximised: a hill along no axis, elongated a thousandfold."""
    turned = x.copy()
    turned[..., 1:] += 0.5 * x[..., :-1]
    scales = 10 ** (3 * np.arange(x.shape[-1]) / x.shape[-1])
    return -np.square((turned - 1) * scales).sum(-1)


@pytest.mark.parametrize(("n", "population"), [(1, 4), (3, 10), (5, 10), (12, 32), (30, 32)])
def test_every_generation_is_that_of_the_package_cma(n: int, population: int):
    """Given the same moves; it has another rule for the step size, so ours is put into it."""
    strategy = _Strategy.at(n, population, 0.5)
    theirs = purecma.CMAES(n * [0.0], 0.5, popsize=population)
    rates = _Rates.of(n, strategy.weights)
    constants = theirs.params
    np.testing.assert_allclose(constants.weights[: population // 2], strategy.weights)
    expected = [constants.mueff, constants.cs, constants.cc, constants.c1, constants.cmu]
    got = [rates.mu, rates.c_step, rates.c_path, rates.c_one, rates.c_mu]
    np.testing.assert_allclose(got, expected)
    np.testing.assert_allclose(rates.expected, constants.chiN)
    generator, stalled = np.random.default_rng(0), 0
    for _ in range(80):
        moves = strategy.moves(generator.normal(size=(population, n)))
        places = strategy.mean + strategy.step * moves
        order = np.argsort(-hills(places))
        theirs.C.update_eigensystem(theirs.counteval, 0)
        theirs.sigma = strategy.step
        before = strategy
        strategy = strategy.after(moves[order])
        theirs.tell(places.tolist(), (-hills(places)).tolist())
        np.testing.assert_allclose(strategy.mean, theirs.xmean, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(strategy.step_path, theirs.ps, rtol=1e-5, atol=1e-7)
        length = float(np.linalg.norm(strategy.step_path))
        grown = math.exp(rates.c_step / rates.d_step * (length / rates.expected - 1))
        assert strategy.step == pytest.approx(before.step * grown)
        # Its rule for stalling the path is another, too: such generations are put right.
        if not np.allclose(strategy.path, theirs.pc, rtol=1e-5, atol=1e-7):
            stalled += 1
            theirs.pc = strategy.path.tolist()
            theirs.C = purecma.DecomposingPositiveMatrix(n)
            for i in range(n):
                for j in range(n):
                    theirs.C[i][j] = float(strategy.covariance[i, j])
            continue
        np.testing.assert_allclose(
            strategy.covariance, np.array([list(row) for row in theirs.C]), rtol=1e-5, atol=1e-8
        )
    assert stalled <= 12


def generations_to_the_top(n: int, population: int, seed: int) -> int:
    strategy, generator = _Strategy.at(n, population, 0.5), np.random.default_rng(seed)
    while hills(strategy.mean) < -1e-9:
        moves = strategy.moves(generator.normal(size=(population, n)))
        order = np.argsort(-hills(strategy.mean + strategy.step * moves))
        strategy = strategy.after(moves[order])
    return strategy.generation


def generations_of_the_package(n: int, population: int, seed: int) -> int:
    options = {"popsize": population, "CMA_active": False, "seed": seed + 1, "verbose": -9}
    strategy = cma.CMAEvolutionStrategy(n * [0.0], 0.5, options)
    while hills(np.array(strategy.mean)) < -1e-9:
        places = strategy.ask()
        strategy.tell(places, [-hills(place) for place in places])
    return strategy.countiter


@pytest.mark.slow
@pytest.mark.parametrize(("n", "population"), [(4, 10), (10, 16)])
def test_it_climbs_an_elongated_hill_as_fast_as_the_package_cma(n: int, population: int):
    ours = np.mean([generations_to_the_top(n, population, seed) for seed in range(8)])
    theirs = np.mean([generations_of_the_package(n, population, seed) for seed in range(8)])
    assert 0.85 < ours / theirs < 1.15


def test_while_the_step_size_grows_fast_the_path_is_stalled_and_its_variance_made_up_for():
    """On a long slope: by the tutorial's equations (45) and (47), written out."""
    strategy, stalled = _Strategy.at(3, POPULATION, 1e-3), 0
    rates = _Rates.of(3, strategy.weights)
    generator = np.random.default_rng(0)
    for _ in range(30):
        moves = strategy.moves(generator.normal(size=(POPULATION, 3)))
        moves = moves[np.argsort(-moves[:, 0])]
        after = strategy.after(moves)
        settled = 1 - (1 - rates.c_step) ** (2 * after.generation)
        length = np.linalg.norm(after.step_path) / math.sqrt(settled)
        h = 1.0 if length < (1.4 + 2 / 4) * rates.expected else 0.0
        move = strategy.weights @ moves[: len(strategy.weights)]
        path = (1 - rates.c_path) * strategy.path
        path += h * math.sqrt(rates.c_path * (2 - rates.c_path) * rates.mu) * move
        np.testing.assert_allclose(after.path, path)
        covariance = strategy.covariance + (1 - h) * rates.c_one * (
            rates.c_path * (2 - rates.c_path) * strategy.covariance
        )
        covariance += rates.c_one * (np.outer(path, path) - strategy.covariance)
        for weight, best in zip(strategy.weights, moves, strict=False):
            outer = np.outer(best, best) - strategy.covariance
            covariance += rates.c_mu * weight * outer
        np.testing.assert_allclose(after.covariance, covariance)
        stalled += h == 0
        strategy = after
    assert 3 < stalled < 27


def test_moves_have_the_covariance():
    generator = np.random.default_rng(1)
    root = generator.normal(size=(4, 4))
    variances, axes = np.linalg.eigh(root @ root.T)
    strategy = replace(_Strategy.at(4, 8, 1.0), deviations=np.sqrt(variances), axes=axes)
    moves = strategy.moves(generator.normal(size=(200_000, 4)))
    np.testing.assert_allclose(moves.T @ moves / len(moves), root @ root.T, atol=0.05)


@cache
def sparse() -> MLPEnsemble:
    """Four sparse networks, trained a little."""
    generator = torch.Generator().manual_seed(2)
    masks = {
        name: torch.rand(value.shape, generator=generator) < 0.85
        for name, value in MLPEnsemble((2, 6, 4, 1), 4).params.items()
    }
    start = MLPEnsemble((2, 6, 4, 1), 4, seed=1, masks=masks)
    return fit(start, X, Y, Recipe(epochs=5, batch_size=20, lr=0.1)).ensemble


def test_no_member_gets_worse_and_most_get_better():
    start = sparse()
    before = {name: value.clone() for name, value in start.params.items()}
    evolved = evolve(start, X, Y, generations=60, population=12)
    was, now = (evaluate(ensemble, X, Y).accuracy for ensemble in (start, evolved))
    assert bool((now >= was).all())
    assert int((now > was + 0.02).sum()) >= 3
    for name, value in evolved.params.items():
        assert bool((evolved.masks[name] == start.masks[name]).all())
        assert not value[~start.masks[name]].any()
        assert bool((start.params[name] == before[name]).all())


def different() -> MLPEnsemble:
    """Members that keep different numbers of parameters, one of them none."""
    start = sparse()
    masks = {name: mask.clone() for name, mask in start.masks.items()}
    masks["layers.1.weight"][1] = False
    for mask in masks.values():
        mask[3] = False
    return start.replace(masks=masks)


def test_a_member_evolves_as_if_it_were_alone():
    start = different()
    together = evolve(start, X, Y, generations=25, population=8)
    reordered = evolve(start[torch.tensor([2, 0, 3, 1])], X, Y, generations=25, population=8)
    for i in range(4):
        alone = evolve(start[i : i + 1], X, Y, generations=25, population=8)
        place = [2, 0, 3, 1].index(i)
        for name, value in together.params.items():
            assert torch.equal(value[i], alone.params[name][0])
            assert torch.equal(value[i], reordered.params[name][place])
    assert not torch.equal(together.params["layers.0.weight"], start.params["layers.0.weight"])


def test_squared_error_falls():
    start = sparse()
    y = X.prod(1, keepdim=True)
    evolved = evolve(start, X, y, generations=40, population=12, loss="mse")
    was, now = (evaluate(ensemble, X, y, loss="mse").loss for ensemble in (start, evolved))
    assert bool((now < was).all())


def test_nothing_is_drawn_from_the_global_generator_and_the_seed_decides():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    runs = [evolve(sparse(), X, Y, generations=5, seed=seed) for seed in (0, 0, 1)]
    assert bool((torch.get_rng_state() == state).all())
    first, again, other = (torch.cat([v.flatten() for v in r.params.values()]) for r in runs)
    assert bool((first == again).all())
    assert not bool((first == other).all())


def test_no_generations_change_nothing_and_diverged_members_are_no_harm():
    start = sparse()
    same = evolve(start, X, Y, generations=0)
    assert all(bool((same.params[n] == v).all()) for n, v in start.params.items())
    broken = {n: v.clone() for n, v in start.params.items()}
    broken["layers.2.bias"][1] = torch.inf
    evolved = evolve(
        MLPEnsemble.from_params(start.widths, broken, start.masks), X, Y, generations=3
    )
    assert bool(evolved.params["layers.2.bias"][[0, 2, 3]].isfinite().all())


@pytest.mark.parametrize("kept", [0, 1])
def test_networks_that_keep_next_to_nothing(kept: int):
    masks = {name: torch.zeros_like(v, dtype=torch.bool) for name, v in sparse().params.items()}
    masks["layers.2.bias"][:, 0] = kept > 0
    start = MLPEnsemble.from_params(sparse().widths, sparse().params, masks)
    evolved = evolve(start, X, Y, generations=30)
    inside = float(Y.mean())
    expected = max(inside, 1 - inside) if kept else 1 - inside
    assert evaluate(evolved, X, Y).accuracy.max() == pytest.approx(expected)


def test_float64_and_the_torch_engine_serve_too():
    start = MLPEnsemble((2, 3, 1), 2, dtype=torch.float64)
    x, y = X.double(), Y
    evolved = evolve(start, x, y, generations=10, engine=TorchEngine())
    assert evolved.dtype == torch.float64
    now = evaluate(evolved, x, y).accuracy
    assert bool((now >= evaluate(start, x, y).accuracy).all())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"generations": -1}, ValueError, "generations must be at least 0, got -1"),
        ({"generations": 2.0}, TypeError, "generations must be an integer, got 2.0"),
        ({"population": 3}, ValueError, "population must be at least 4, got 3"),
        ({"step": 0.0}, ValueError, "step must be above 0, got 0.0"),
        ({"step": math.nan}, ValueError, "step must be above 0, got nan"),
        ({"step": "1"}, TypeError, "step must be a number, got '1'"),
        ({"seed": 1.5}, TypeError, "seed must be an integer, got 1.5"),
        ({"engine": "torch"}, TypeError, "engine must be an engine or None, got 'torch'"),
        ({"loss": "hinge"}, ValueError, "loss must be one of"),
        ({"x": X.tolist()}, TypeError, "x must be a tensor"),
        ({"y": Y[:9]}, ValueError, "y must have one entry for each of the 400 samples"),
        ({"ensemble": 3}, TypeError, "ensemble must be an MLPEnsemble, got 3"),
    ],
)
def test_bad_options_are_named(options, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        evolve(**{"ensemble": sparse(), "x": X, "y": Y, **options})


def test_numpys_integers_are_integers():
    options = {"generations": np.int64(3), "population": np.int32(5), "seed": np.int64(2)}
    first = evolve(sparse(), X, Y, **options)
    again = evolve(sparse(), X, Y, generations=3, population=5, seed=2)
    assert all(torch.equal(value, again.params[name]) for name, value in first.params.items())
