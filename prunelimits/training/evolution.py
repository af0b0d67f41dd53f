"""Maximising the score itself, which gradients cannot: CMA-ES over a network's kept parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.arguments import (
    checked_instance,
    checked_integer,
    checked_number,
    checked_size,
)
from prunelimits.masks import rows, unflatten
from prunelimits.models import parameter_shapes
from prunelimits.modes import in_plain_modes
from prunelimits.randomness import derive
from prunelimits.training.engine import AbstractEngine, Loss
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.training.fit import evaluate
from prunelimits.training.margins import checked_margin

Numbers = NDArray[np.float64]

# A parameter of zero has no size to take steps in proportion to.
_SMALLEST_SCALE = 1e-3
# Rounding can make a variance negative.
_SMALLEST_VARIANCE = 1e-20


# The numbers of the method beside the arguments of every training: data, loss, seed, engine.
@in_plain_modes
def evolve(
    ensemble: MLPEnsemble,
    x: Tensor,
    y: Tensor,
    *,
    generations: int = 400,
    population: int = 32,
    step: float = 0.1,
    loss: Loss | None = None,
    seed: int = 0,
    engine: AbstractEngine | None = None,
    margin: float = 0.0,
) -> MLPEnsemble:
    """The best parameters that an evolution strategy finds near those of every member.

    A training descends a loss, which is not the accuracy: the smallest networks at an accuracy
    gain from a search for the accuracy itself. This is
    [CMA-ES](https://arxiv.org/abs/1604.00772) with its usual constants, for all members at once,
    over the parameters that each keeps, in units of their sizes at the start. A member's result is
    what it would be alone: all meet the same random numbers. It measures
    `generations * population` networks a member on all the data, and suits a few dozen parameters
    that are nearly right. Masks stay as they are; no member gets worse.

    Args:
        ensemble: Where to start from; it stays as it is.
        x: Inputs, `(n, inputs)`.
        y: Labels or targets, as `loss` wants them.
        generations: How often a population is drawn and measured.
        population: Candidates of every member in each generation.
        step: Standard deviation of the first candidates, relative to each parameter.
        loss: As in `fit`; for squared error it is the loss that is minimised.
        seed: Decides the candidates, of every member alike: for other tries take other seeds.
        engine: Who measures. None: the fastest that supports the ensemble.
        margin: What is maximised is the accuracy with this margin, see `evaluate`.

    Raises:
        ValueError: If data do not fit the ensemble or a number is out of its range.
        TypeError: If an argument is of another kind.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> from prunelimits.training import evaluate
        >>> x, y = cubist_spiral(1000)
        >>> start = MLPEnsemble((2, 8, 1), models=2, seed=0)
        >>> evolved = evolve(start, x, y, generations=30)
        >>> bool((evaluate(evolved, x, y).accuracy > evaluate(start, x, y).accuracy).all())
        True
    """
    checked_instance("ensemble", ensemble, MLPEnsemble, "an MLPEnsemble")
    generations = checked_integer("generations", generations, 0)
    population = checked_size("population", population, 4)
    step = checked_number("step", step, above=0)
    word = int(derive(checked_integer("seed", seed), 0)[0] >> 1)
    if engine is not None:
        checked_instance("engine", engine, AbstractEngine, "an engine or None")
    margin = checked_margin(margin, loss)
    kept = _KeptParameters(ensemble)

    def scores(values: Sequence[Numbers]) -> Numbers:
        """What to maximise, `(members, copies)`, of copies with these kept parameters."""
        measured = evaluate(kept.scattered(values), x, y, loss=loss, engine=engine, margin=margin)
        score = -measured.loss if loss == "mse" else measured.accuracy
        return score.nan_to_num(nan=-torch.inf).view(len(values), -1).cpu().numpy()

    start = kept.gathered()
    best, best_score = list(start), scores([member[None] for member in start])[:, 0]
    scales = [np.maximum(np.abs(member), _SMALLEST_SCALE) for member in start]
    strategies = [_Strategy.at(len(member), population, step) for member in start]
    # One a member, of the same seed: what a member meets depends on no other.
    generators = [torch.Generator().manual_seed(word) for _ in start]
    for _ in range(generations):
        moves = [
            strategy.moves(_normal(population, len(member), generator))
            for strategy, member, generator in zip(strategies, start, generators, strict=True)
        ]
        # Parameters that are NaN or infinite stay so; NumPy need not warn of them.
        with np.errstate(invalid="ignore"):
            candidates = [
                member + scale * (strategy.mean + strategy.step * move)
                for member, scale, strategy, move in zip(
                    start, scales, strategies, moves, strict=True
                )
            ]
        for i, score in enumerate(scores(candidates)):
            order = np.argsort(-score, kind="stable")
            if score[order[0]] > best_score[i]:
                best[i], best_score[i] = candidates[i][order[0]], score[order[0]]
            strategies[i] = strategies[i].after(moves[i][order])
    return kept.scattered([member[None] for member in best])


class _KeptParameters:
    """The parameters that each member of an ensemble keeps, as one row of numbers a member."""

    def __init__(self, ensemble: MLPEnsemble) -> None:
        self._ensemble = ensemble
        self._masks = rows(ensemble.masks)
        self._kept = self._masks.cpu()

    def gathered(self) -> list[Numbers]:
        """Every member's kept parameters, float64 `(kept,)`."""
        values = rows(self._ensemble.params).detach().cpu().double()
        return [row[mask].numpy() for row, mask in zip(values, self._kept, strict=True)]

    def scattered(self, values: Sequence[Numbers]) -> MLPEnsemble:
        """An ensemble of copies with other kept parameters, a member's copies side by side.

        Args:
            values: For every member `(copies, kept)`, as many copies of each.
        """
        copies, entries = len(values[0]), self._kept.shape[1]
        flat = torch.zeros((len(values), copies, entries), dtype=torch.float64, device="cpu")
        for row, mask, member in zip(flat, self._kept, values, strict=True):
            row[:, mask] = torch.from_numpy(member)
        shapes = parameter_shapes(self._ensemble.widths)
        flat = flat.flatten(0, 1).to(self._masks.device, self._ensemble.dtype)
        masks = self._masks.repeat_interleave(copies, 0)
        return MLPEnsemble.from_params(
            self._ensemble.widths, unflatten(flat, shapes), unflatten(masks, shapes)
        )


def _normal(population: int, dimensions: int, generator: torch.Generator) -> Numbers:
    noise = torch.randn(
        (population, dimensions), generator=generator, dtype=torch.float64, device="cpu"
    )
    return noise.numpy()


class _Rates(NamedTuple):
    """The constants of CMA-ES for so many dimensions.

    In the tutorial, see `_Strategy`, they are mu_eff, c_sigma, d_sigma, c_c, c_1, c_mu and
    E||N(0, I)||.
    """

    mu: float
    c_step: float
    d_step: float
    c_path: float
    c_one: float
    c_mu: float
    expected: float

    @classmethod
    def of(cls, n: int, weights: Numbers) -> _Rates:
        """For `n` dimensions and the weights of the parents."""
        mu = float(1 / np.square(weights).sum())
        c_step = (mu + 2) / (n + mu + 5)
        c_one = 2 / ((n + 1.3) ** 2 + mu)
        return cls(
            mu=mu,
            c_step=c_step,
            d_step=1 + 2 * max(0.0, math.sqrt((mu - 1) / (n + 1)) - 1) + c_step,
            c_path=(4 + mu / n) / (n + 4 + 2 * mu / n),
            c_one=c_one,
            c_mu=min(1 - c_one, 2 * (mu - 2 + 1 / mu) / ((n + 2) ** 2 + mu)),
            expected=math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n)),
        )


@dataclass(frozen=True, eq=False)
class _Strategy:
    """CMA-ES of one problem between two generations.

    Updates and constants are those of the [tutorial](https://arxiv.org/abs/1604.00772), Table 1,
    without its negative weights.

    Attributes:
        mean: `(dimensions,)`.
        step: Step size.
        covariance: `(dimensions, dimensions)`.
        deviations: Standard deviations along the covariance's axes, `(dimensions,)`.
        axes: Its eigenvectors, in columns, `(dimensions, dimensions)`.
        path: Evolution path, p_c, `(dimensions,)`.
        step_path: That of the step size, p_sigma, `(dimensions,)`.
        weights: Of the better half of the population, the best first, `(parents,)`.
        generation: Generations so far.
    """

    mean: Numbers
    step: float
    covariance: Numbers
    deviations: Numbers
    axes: Numbers
    path: Numbers
    step_path: Numbers
    weights: Numbers
    generation: int

    @classmethod
    def at(cls, dimensions: int, population: int, step: float) -> _Strategy:
        """The strategy at the beginning, at the origin."""
        parents = population // 2
        weights = math.log((population + 1) / 2) - np.log(np.arange(1, parents + 1))
        zero, identity = np.zeros(dimensions), np.eye(dimensions)
        return cls(
            mean=zero,
            step=step,
            covariance=identity,
            deviations=np.ones(dimensions),
            axes=identity,
            path=zero,
            step_path=zero,
            weights=weights / weights.sum(),
            generation=0,
        )

    def moves(self, noise: Numbers) -> Numbers:
        """Draws with this covariance, from standard normal noise `(population, dimensions)`."""
        return (noise * self.deviations) @ self.axes.T

    def after(self, moves: Numbers) -> _Strategy:
        """The strategy for the next generation, given this one's moves, the best first."""
        n = len(self.mean)
        if n == 0:
            return self
        rate, parents = _Rates.of(n, self.weights), moves[: len(self.weights)]
        move = self.weights @ parents
        white = self.axes @ ((self.axes.T @ move) / self.deviations)
        step_path = (1 - rate.c_step) * self.step_path
        step_path = step_path + math.sqrt(rate.c_step * (2 - rate.c_step) * rate.mu) * white
        length = float(np.linalg.norm(step_path))
        settled = math.sqrt(1 - (1 - rate.c_step) ** (2 * (self.generation + 1)))
        # While the step size grows fast, the path is stalled: it would lengthen the covariance.
        moves_on = float(length / settled < (1.4 + 2 / (n + 1)) * rate.expected)
        path = (1 - rate.c_path) * self.path
        path = path + moves_on * math.sqrt(rate.c_path * (2 - rate.c_path) * rate.mu) * move
        # Compensates the variance lost while the path is stalled.
        lost = (1 - moves_on) * rate.c_one * rate.c_path * (2 - rate.c_path)
        covariance = (
            (1 - rate.c_one - rate.c_mu + lost) * self.covariance
            + rate.c_one * np.outer(path, path)
            + rate.c_mu * (parents.T * self.weights) @ parents
        )
        # Symmetric but for rounding.
        covariance = (covariance + covariance.T) / 2
        variances, axes = np.linalg.eigh(covariance)
        return _Strategy(
            mean=self.mean + self.step * move,
            step=self.step * math.exp(rate.c_step / rate.d_step * (length / rate.expected - 1)),
            covariance=covariance,
            deviations=np.sqrt(np.maximum(variances, _SMALLEST_VARIANCE)),
            axes=axes,
            path=path,
            step_path=step_path,
            weights=self.weights,
            generation=self.generation + 1,
        )
