"""The evolution strategy, beside a textbook CMA-ES of one problem in plain loops."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.training import MLPEnsemble, Recipe, TorchEngine, evaluate, evolve, fit
from prunelimits.training.evolution import _Strategy

X = cubist_spiral(400)[0]
# Easier than the spiral: which points lie inside a circle.
Y = (X.square().sum(1) < 1.5).float()
POPULATION = 10


@dataclass
class Textbook:
    """One problem, after Hansen's tutorial, equations (24) to (31) and Table 1."""

    n: int
    step: float
    generation: int = 0
    mean: np.ndarray = field(init=False)
    covariance: np.ndarray = field(init=False)

    def __post_init__(self):
        self.mean, self.covariance = np.zeros(self.n), np.eye(self.n)
        self.path, self.step_path = np.zeros(self.n), np.zeros(self.n)
        raw = [math.log((POPULATION + 1) / 2) - math.log(i) for i in range(1, POPULATION // 2 + 1)]
        self.weights = [w / sum(raw) for w in raw]
        self.mu = 1 / sum(w * w for w in self.weights)

    def root(self, power: float) -> np.ndarray:
        values, vectors = np.linalg.eigh(self.covariance)
        return vectors @ np.diag(values**power) @ vectors.T

    def update(self, moves: list[np.ndarray]):
        n, mu = self.n, self.mu
        c_s = (mu + 2) / (n + mu + 5)
        d_s = 1 + 2 * max(0, math.sqrt((mu - 1) / (n + 1)) - 1) + c_s
        c_c = (4 + mu / n) / (n + 4 + 2 * mu / n)
        c_1 = 2 / ((n + 1.3) ** 2 + mu)
        c_mu = min(1 - c_1, 2 * (mu - 2 + 1 / mu) / ((n + 2) ** 2 + mu))
        chi = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))
        y = sum(w * move for w, move in zip(self.weights, moves, strict=False))
        self.mean = self.mean + self.step * y
        self.step_path = (1 - c_s) * self.step_path + math.sqrt(c_s * (2 - c_s) * mu) * (
            self.root(-0.5) @ y
        )
        length = float(np.linalg.norm(self.step_path))
        self.generation += 1
        settled = math.sqrt(1 - (1 - c_s) ** (2 * self.generation))
        h = 1.0 if length / settled < (1.4 + 2 / (n + 1)) * chi else 0.0
        self.path = (1 - c_c) * self.path + h * math.sqrt(c_c * (2 - c_c) * mu) * y
        self.covariance = (
            (1 - c_1 - c_mu + (1 - h) * c_1 * c_c * (2 - c_c)) * self.covariance
            + c_1 * np.outer(self.path, self.path)
            + c_mu * sum(w * np.outer(m, m) for w, m in zip(self.weights, moves, strict=False))
        )
        self.step *= math.exp(c_s / d_s * (length / chi - 1))


def hills(problem: int, x: Tensor) -> Tensor:
    """What each problem maximises: hills along no axis, elongated a thousandfold."""
    turned = x.clone()
    turned[..., 1:] += 0.5 * x[..., :-1]
    scales = 10 ** (3 * torch.arange(x.shape[-1]) / x.shape[-1])
    return -((turned - problem - 1) * scales).square().sum(-1)


def test_every_generation_is_the_textbooks():
    """Three problems of five, three and four dimensions side by side, each as if alone."""
    sizes = (5, 3, 4)
    kept = torch.arange(5) < torch.tensor(sizes)[:, None]
    mean = torch.zeros(3, 5, dtype=torch.float64)
    strategy = _Strategy.at(mean, kept, POPULATION, 0.5)
    alone = [Textbook(n, 0.5) for n in sizes]
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        noise = torch.randn(3, POPULATION, 5, generator=generator, dtype=torch.float64)
        moves = strategy.moves(noise)
        assert not moves[~kept.unsqueeze(1).expand_as(moves)].any()
        ordered = moves.clone()
        for i, n in enumerate(sizes):
            places = strategy.mean[i, :n] + strategy.step[i] * moves[i, :, :n]
            order = hills(i, places).argsort(descending=True)
            ordered[i] = moves[i, order]
            alone[i].update([move[:n].numpy() for move in ordered[i]])
        strategy = strategy.after(ordered)
        for i, n in enumerate(sizes):
            np.testing.assert_allclose(strategy.mean[i, :n], alone[i].mean, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(float(strategy.step[i]), alone[i].step, rtol=1e-6)
            np.testing.assert_allclose(
                strategy.covariance[i, :n, :n], alone[i].covariance, rtol=1e-5, atol=1e-8
            )


def test_moves_have_the_covariance():
    generator = torch.Generator().manual_seed(1)
    root = torch.randn(1, 4, 4, generator=generator, dtype=torch.float64)
    start = _Strategy.at(torch.zeros(1, 4, dtype=torch.float64), torch.ones(1, 4) > 0, 8, 1.0)
    variances, axes = torch.linalg.eigh(root @ root.mT)
    strategy = replace(start, deviations=variances.sqrt(), axes=axes)
    noise = torch.randn(1, 200_000, 4, generator=generator, dtype=torch.float64)
    moves = strategy.moves(noise)[0]
    torch.testing.assert_close(moves.T @ moves / len(moves), (root @ root.mT)[0], atol=0.05, rtol=0)


def test_it_climbs_to_the_top_of_an_elongated_hill():
    kept = torch.ones(2, 6) > 0
    strategy = _Strategy.at(torch.zeros(2, 6, dtype=torch.float64), kept, 16, 0.5)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        noise = torch.randn(2, 16, 6, generator=generator, dtype=torch.float64)
        moves = strategy.moves(noise)
        places = strategy.mean.unsqueeze(1) + strategy.step[:, None, None] * moves
        heights = torch.stack([hills(i, places[i]) for i in range(2)])
        order = heights.argsort(dim=1, descending=True)
        strategy = strategy.after(moves.gather(1, order.unsqueeze(2).expand_as(moves)))
    for i in range(2):
        assert float(hills(i, strategy.mean[i])) > -1e-12


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
    ("options", "message"),
    [
        ({"generations": -1}, "generations must be at least 0, got -1"),
        ({"population": 3}, "population must be at least 4, got 3"),
        ({"step": 0.0}, "step must be a positive number, got 0.0"),
        ({"step": math.nan}, "step must be a positive number, got nan"),
    ],
)
def test_bad_options_are_named(options: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        evolve(sparse(), X, Y, **options)
