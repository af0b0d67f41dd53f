"""The task as elimination meets it: training and measuring many sparse networks at once."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.randomness import derive
from prunelimits.training import AbstractEngine, Loss, Recipe, evaluate, evolve, fit

# Samples on which removals are compared before training, and activations are measured.
_SCREENED = 4096
_ACTIVATIONS = 2048
# What the smallest networks of the Cubist Spiral need.
_GENERATIONS = 400
_POPULATION = 32


class Trainer:
    """Trains and measures networks on one task, and counts what that costs.

    Args:
        x: Training inputs, checked.
        y: Their labels or targets.
        measure_x: Inputs on which the score is measured.
        measure_y: Their labels or targets.
        loss: The training loss.
        seed: Decides the order of the samples and which of them are a sample.
        engine: Who computes. None: the fastest.

    Attributes:
        epochs: Passes of one network over the training data so far, in trainings and evolution.
        work: Kept parameters times samples, summed over all these passes.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        measure_x: Tensor,
        measure_y: Tensor,
        *,
        loss: Loss,
        seed: int,
        engine: AbstractEngine | None,
    ) -> None:
        self.x, self.y = x, y
        self.loss: Loss = loss
        self.measure_x, self.measure_y = measure_x, measure_y
        self.seed, self.engine = seed, engine
        self.epochs, self.work = 0, 0
        generator = torch.Generator().manual_seed(int(derive(seed, -1)[0] >> 1))
        chosen = torch.randperm(len(x), generator=generator, device="cpu")[:_SCREENED].sort().values
        self._screened = (x[chosen], y[chosen])
        self.sample = x[chosen][:: -(-len(chosen) // _ACTIVATIONS)]
        """Some inputs, to measure activations on."""
        spread = measure_y.double().var(0, correction=0).mean() if loss == "mse" else None
        self._variance = spread

    def train(self, networks: NetworkStack, recipe: Recipe, round_: int) -> NetworkStack:
        """The networks trained and measured; those that diverged are left out."""
        recipe = replace(recipe, batch_size=min(recipe.batch_size, len(self.x)))
        result = fit(
            networks.ensemble(),
            self.x,
            self.y,
            recipe,
            loss=self.loss,
            seed=self._round_seed(round_),
            engine=self.engine,
        )
        self.epochs += len(networks) * recipe.epochs
        self.work += int(networks.nonzeros().sum()) * recipe.epochs * len(self.x)
        ensemble = result.ensemble
        trained = replace(networks, params=ensemble.params, masks=ensemble.masks, loss=result.loss)
        if self.measure_x is self.x:
            trained = replace(trained, score=self._score(result.accuracy, result.loss))
        else:
            trained = self._measured(trained)
        return trained[~result.diverged]

    def evolved(self, networks: NetworkStack, round_: int) -> NetworkStack:
        """The networks after an evolution of their parameters for the training score itself."""
        ensemble = evolve(
            networks.ensemble(),
            self.x,
            self.y,
            generations=_GENERATIONS,
            population=_POPULATION,
            loss=self.loss,
            seed=self._round_seed(round_),
            engine=self.engine,
        )
        passes = _GENERATIONS * _POPULATION
        self.epochs += len(networks) * passes
        self.work += int(networks.nonzeros().sum()) * passes * len(self.x)
        return self.measured(replace(networks, params=ensemble.params))

    def measured(self, networks: NetworkStack) -> NetworkStack:
        """The networks as they are, with their loss and score."""
        result = evaluate(networks.ensemble(), self.x, self.y, loss=self.loss, engine=self.engine)
        return self._measured(replace(networks, loss=result.loss))

    def screened(self, networks: NetworkStack) -> NetworkStack:
        """The networks as they are, with their loss on some samples."""
        result = evaluate(networks.ensemble(), *self._screened, loss=self.loss, engine=self.engine)
        return replace(networks, loss=result.loss.nan_to_num(nan=torch.inf))

    def _round_seed(self, round_: int) -> int:
        """What decides the random numbers of one round."""
        return int(derive(self.seed, round_)[0] >> 1)

    def _measured(self, networks: NetworkStack) -> NetworkStack:
        result = evaluate(
            networks.ensemble(),
            self.measure_x,
            self.measure_y,
            loss=self.loss,
            engine=self.engine,
        )
        score = self._score(result.accuracy, result.loss)
        return replace(networks, score=score.nan_to_num(nan=-torch.inf))

    def _score(self, accuracy: Tensor, loss: Tensor) -> Tensor:
        """Accuracy, or for squared error the coefficient of determination."""
        return accuracy if self._variance is None else 1 - loss / self._variance
