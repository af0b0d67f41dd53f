"""Maximising the score itself, which gradients cannot: CMA-ES over a network's kept parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelimits.arguments import checked_integer
from prunelimits.masks import rows, unflatten
from prunelimits.models import parameter_shapes
from prunelimits.modes import in_plain_modes
from prunelimits.training.engine import AbstractEngine, Loss
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.training.fit import evaluate

# A parameter of zero has no size to take steps in proportion to.
_SMALLEST_SCALE = 1e-3
# Rounding can make a variance negative.
_SMALLEST_VARIANCE = 1e-20


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
) -> MLPEnsemble:
    """The best parameters that an evolution strategy finds near those of every member.

    A training descends a loss, which is not the accuracy: the smallest networks at an accuracy
    gain from a search for the accuracy itself. This is
    [CMA-ES](https://arxiv.org/abs/1604.00772) with its usual constants, for all members at once,
    over the parameters that each keeps, in units of their sizes at the start. It measures
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
        seed: Decides the candidates.
        engine: Who measures. None: the fastest that supports the ensemble.

    Raises:
        ValueError: If data do not fit the ensemble or a number is out of its range.
        TypeError: If something counted is not an integer.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> from prunelimits.training import evaluate
        >>> x, y = cubist_spiral(1000)
        >>> start = MLPEnsemble((2, 8, 1), models=2, seed=0)
        >>> evolved = evolve(start, x, y, generations=30)
        >>> bool((evaluate(evolved, x, y).accuracy > evaluate(start, x, y).accuracy).all())
        True
    """
    checked_integer("generations", generations, 0)
    checked_integer("population", population, 4)
    if not (math.isfinite(step) and step > 0):
        raise ValueError(f"step must be a positive number, got {step!r}")
    shapes = parameter_shapes(ensemble.widths)
    masks = rows(ensemble.masks)
    # The parameters that a member keeps, those that keep fewer filled up by some they do not.
    place = (~masks).int().argsort(dim=1, stable=True)[:, : int(masks.sum(1).max())]
    kept = masks.gather(1, place)

    def networks(values: Tensor) -> MLPEnsemble:
        """Kept parameters `(members, copies, most)` as an ensemble."""
        flat = values.new_zeros((*values.shape[:2], masks.shape[1]))
        flat.scatter_(2, place.unsqueeze(1).expand_as(values), values)
        params = unflatten(flat.flatten(0, 1).to(ensemble.dtype), shapes)
        copied = unflatten(masks.repeat_interleave(values.shape[1], 0), shapes)
        return MLPEnsemble.from_params(ensemble.widths, params, copied)

    def scores(values: Tensor) -> Tensor:
        """What to maximise, `(members, copies)`."""
        measured = evaluate(networks(values), x, y, loss=loss, engine=engine)
        score = -measured.loss if loss == "mse" else measured.accuracy
        return score.nan_to_num(nan=-torch.inf).view(values.shape[:2])

    start = rows(ensemble.params).gather(1, place).double()
    best, best_score = start, scores(start.unsqueeze(1)).squeeze(1)
    scale = start.abs().clamp_min(_SMALLEST_SCALE)
    strategy = _Strategy.at(torch.zeros_like(start), kept, population, step)
    generator = torch.Generator().manual_seed(seed)
    members = torch.arange(len(ensemble), device=ensemble.device)
    for _ in range(generations):
        noise = torch.randn(
            (len(ensemble), population, kept.shape[1]),
            generator=generator,
            dtype=torch.float32,
            device="cpu",
        )
        moves = strategy.moves(noise.double().to(ensemble.device))
        places = strategy.mean.unsqueeze(1) + strategy.step[:, None, None] * moves
        candidates = start.unsqueeze(1) + scale.unsqueeze(1) * places
        score = scores(candidates)
        order = score.argsort(dim=1, descending=True, stable=True)
        first = order[:, 0]
        better = score[members, first] > best_score
        best = torch.where(better.unsqueeze(1), candidates[members, first], best)
        best_score = torch.where(better, score[members, first], best_score)
        strategy = strategy.after(moves.gather(1, order.unsqueeze(2).expand_as(moves)))
    return networks(best.unsqueeze(1))


@dataclass(frozen=True, eq=False)
class _Strategy:
    """CMA-ES between two generations, for several problems of up to as many dimensions.

    Names and constants are those of the [tutorial](https://arxiv.org/abs/1604.00772), Table 1.

    Attributes:
        mean: `(problems, dimensions)`.
        step: Step size, `(problems,)`.
        covariance: `(problems, dimensions, dimensions)`.
        deviations: Standard deviations along the covariance's axes, `(problems, dimensions)`.
        axes: Its eigenvectors, in columns, `(problems, dimensions, dimensions)`.
        path: Evolution path, `(problems, dimensions)`.
        step_path: That of the step size, `(problems, dimensions)`.
        kept: Which dimensions a problem has, bool `(problems, dimensions)`.
        weights: Of the better half of the population, the best first, `(parents,)`.
        generation: Generations so far.
    """

    mean: Tensor
    step: Tensor
    covariance: Tensor
    deviations: Tensor
    axes: Tensor
    path: Tensor
    step_path: Tensor
    kept: Tensor
    weights: Tensor
    generation: int

    @classmethod
    def at(cls, mean: Tensor, kept: Tensor, population: int, step: float) -> _Strategy:
        parents = population // 2
        ranks = torch.arange(1, parents + 1, dtype=mean.dtype, device=mean.device)
        weights = math.log((population + 1) / 2) - ranks.log()
        identity = torch.eye(mean.shape[1], dtype=mean.dtype, device=mean.device)
        identity = identity.expand(len(mean), -1, -1)
        zero = torch.zeros_like(mean)
        return cls(
            mean=mean,
            step=mean.new_full(mean.shape[:1], step),
            covariance=identity,
            deviations=torch.ones_like(mean),
            axes=identity,
            path=zero,
            step_path=zero,
            kept=kept,
            weights=weights / weights.sum(),
            generation=0,
        )

    def moves(self, noise: Tensor) -> Tensor:
        """Standard normal noise `(problems, population, dimensions)` given the covariance."""
        along = noise * self.deviations.unsqueeze(1)
        return along @ self.axes.mT * self.kept.unsqueeze(1)

    def after(self, moves: Tensor) -> _Strategy:
        """The strategy for the next generation, given this one's moves, the best first."""
        parents = moves[:, : len(self.weights)]
        n = self.kept.sum(1).clamp_min(1).to(moves.dtype)
        mu = float(1 / self.weights.square().sum())
        c_step = (mu + 2) / (n + mu + 5)
        d_step = 1 + 2 * (((mu - 1) / (n + 1)).sqrt() - 1).clamp_min(0) + c_step
        c_path = (4 + mu / n) / (n + 4 + 2 * mu / n)
        c_one = 2 / ((n + 1.3).square() + mu)
        c_mu = torch.minimum(1 - c_one, 2 * (mu - 2 + 1 / mu) / ((n + 2).square() + mu))
        expected = n.sqrt() * (1 - 1 / (4 * n) + 1 / (21 * n.square()))

        move = torch.einsum("p,mpd->md", self.weights, parents)
        along = (self.axes.mT @ move.unsqueeze(2)) / self.deviations.unsqueeze(2)
        white = (self.axes @ along).squeeze(2)
        step_path = _decayed(self.step_path, c_step) + white * _column(
            (c_step * (2 - c_step) * mu).sqrt()
        )
        length = step_path.norm(dim=1)
        settled = (1 - (1 - c_step).pow(2 * (self.generation + 1))).sqrt()
        moderate = (length / settled < (1.4 + 2 / (n + 1)) * expected).to(moves.dtype)
        path = _decayed(self.path, c_path) + move * _column(
            moderate * (c_path * (2 - c_path) * mu).sqrt()
        )
        rank_one = path.unsqueeze(2) * path.unsqueeze(1)
        rank_mu = torch.einsum("p,mpd,mpe->mde", self.weights, parents, parents)
        # What the path lacks while it does not grow is made up for.
        rest = 1 - c_one - c_mu + (1 - moderate) * c_one * c_path * (2 - c_path)
        covariance = (
            rest[:, None, None] * self.covariance
            + c_one[:, None, None] * rank_one
            + c_mu[:, None, None] * rank_mu
        )
        # Dimensions that a problem lacks neither shrink nor mix with the others.
        both = self.kept.unsqueeze(2) & self.kept.unsqueeze(1)
        identity = torch.eye(both.shape[1], dtype=moves.dtype, device=moves.device)
        covariance = torch.where(both, covariance, identity)
        variances, axes = torch.linalg.eigh(covariance)
        return _Strategy(
            mean=self.mean + _column(self.step) * move,
            step=self.step * (c_step / d_step * (length / expected - 1)).exp(),
            covariance=covariance,
            deviations=variances.clamp_min(_SMALLEST_VARIANCE).sqrt(),
            axes=axes,
            path=path,
            step_path=step_path,
            kept=self.kept,
            weights=self.weights,
            generation=self.generation + 1,
        )


def _column(values: Tensor) -> Tensor:
    return values.unsqueeze(1)


def _decayed(path: Tensor, rate: Tensor) -> Tensor:
    return _column(1 - rate) * path
