"""Training and measuring many sparse networks at once, on the data of an elimination."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch

from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.randomness import derive
from prunelimits.training import AbstractEngine, Recipe, evaluate, evolve, fit

# Samples on which activations are measured.
_ACTIVATIONS = 2048
# Of an evolution: what the smallest networks of the Cubist Spiral need.
_GENERATIONS = 400
_POPULATION = 32


class Trained(NamedTuple):
    """Networks after a training or an evolution, and what it cost.

    Attributes:
        networks: Trained and measured.
        epochs: Passes of one network over the training data, of all networks together.
        work: Kept parameters times samples, summed over all these passes.
    """

    networks: NetworkStack
    epochs: int
    work: int


class Trainer:
    """Trains and measures networks on one task.

    Args:
        data: The task.
        seed: Decides the order of the samples and on which of them removals are compared.
        engine: Who computes. None: the fastest.
        margin: Of the score, see `training.evaluate`.
    """

    def __init__(
        self, data: EliminationData, seed: int, engine: AbstractEngine | None, margin: float = 0.0
    ) -> None:
        self.data, self.seed, self.engine = data, seed, engine
        self.margin = margin
        self._screened = data.screened(seed)
        x, _ = self._screened
        self.sample = x[:: -(-len(x) // _ACTIVATIONS)]
        """Some inputs, to measure activations on."""

    def train(self, networks: NetworkStack, recipe: Recipe, round_: int) -> Trained:
        """The networks trained and measured; those that diverged are left out."""
        recipe = replace(recipe, batch_size=min(recipe.batch_size, len(self.data.x)))
        result = fit(
            networks.ensemble(),
            self.data.x,
            self.data.y,
            recipe,
            loss=self.data.loss,
            seed=self._round_seed(round_),
            engine=self.engine,
        )
        ensemble = result.ensemble
        trained = replace(networks, params=ensemble.params, masks=ensemble.masks, loss=result.loss)
        if self.data.measure_x is self.data.x and not self.margin:
            trained = replace(trained, score=self.data.score(result.accuracy, result.loss))
        else:
            trained = self._measured(trained)
        return self._costing(networks, recipe.epochs, trained[~result.diverged])

    def evolved(self, networks: NetworkStack, round_: int) -> Trained:
        """The networks after an evolution of their parameters for the training score itself."""
        ensemble = evolve(
            networks.ensemble(),
            self.data.x,
            self.data.y,
            generations=_GENERATIONS,
            population=_POPULATION,
            loss=self.data.loss,
            seed=self._round_seed(round_),
            engine=self.engine,
            margin=self.margin,
        )
        evolved = self.measured(replace(networks, params=ensemble.params))
        return self._costing(networks, _GENERATIONS * _POPULATION, evolved)

    def measured(self, networks: NetworkStack) -> NetworkStack:
        """The networks as they are, with their loss and score."""
        result = evaluate(
            networks.ensemble(), self.data.x, self.data.y, loss=self.data.loss, engine=self.engine
        )
        return self._measured(replace(networks, loss=result.loss))

    def screened(self, networks: NetworkStack) -> NetworkStack:
        """The networks as they are, with their loss on some samples."""
        result = evaluate(
            networks.ensemble(), *self._screened, loss=self.data.loss, engine=self.engine
        )
        return replace(networks, loss=result.loss.nan_to_num(nan=torch.inf))

    def _costing(self, networks: NetworkStack, passes: int, left: NetworkStack) -> Trained:
        """The networks `left` and the cost of `passes` over the data with each of `networks`."""
        work = int(networks.nonzeros().sum()) * passes * len(self.data.x)
        return Trained(left, len(networks) * passes, work)

    def _round_seed(self, round_: int) -> int:
        """What decides the random numbers of one round."""
        return int(derive(self.seed, round_)[0] >> 1)

    def _measured(self, networks: NetworkStack) -> NetworkStack:
        result = evaluate(
            networks.ensemble(),
            self.data.measure_x,
            self.data.measure_y,
            loss=self.data.loss,
            engine=self.engine,
            margin=self.margin,
        )
        score = self.data.score(result.accuracy, result.loss)
        return replace(networks, score=score.nan_to_num(nan=-torch.inf))
