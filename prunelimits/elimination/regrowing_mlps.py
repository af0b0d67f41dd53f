"""Regrowth of MLPs: what their starts are, how they are cut, trained, measured and grown."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits.elimination.candidates import candidates
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.growing import grown
from prunelimits.elimination.kept_stacks import checked_networks, plain_networks
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.regrowing import AbstractRegrowing
from prunelimits.elimination.regrowth_config import Regrowth
from prunelimits.elimination.regrowth_state import Done
from prunelimits.elimination.settling import settle
from prunelimits.elimination.trainer import Trainer
from prunelimits.pruners import GMP
from prunelimits.training import AbstractEngine, MLPEnsemble, Recipe, evaluate, fit
from prunelimits.training.engines import default_engine
from prunelimits.types import Params


class MLPRegrowing(AbstractRegrowing[NetworkStack]):
    """A regrowth of MLPs under way.

    Args:
        method: How.
        data: On what.
        keep: Weights that survive, at most.
        seed: Decides all random numbers.
        engine: Who computes. None: the fastest.
    """

    def __init__(
        self,
        method: Regrowth,
        data: EliminationData,
        keep: int,
        seed: int,
        engine: AbstractEngine | None,
    ) -> None:
        super().__init__(method, data, keep, seed)
        self.trainer = Trainer(data, seed, engine)
        self._engine, self._work = engine, 0
        self.removal = Elimination(
            beam=method.beam, per_origin=method.per_origin, tries=method.tries, step=method.step,
            biases="outgoing",
        )  # fmt: skip

    @property
    @override
    def done(self) -> Done:
        return Done(self._work)

    @override
    def take_up(self, done: Done) -> None:
        self._work = done.work

    @override
    def plain(self, networks: NetworkStack) -> dict[str, Any]:
        return plain_networks(networks)

    @override
    def checked(self, plain: dict[str, Any]) -> NetworkStack:
        return checked_networks(plain)

    def starts(self, widths: tuple[int, ...]) -> NetworkStack:
        """Trained shortly and pruned to `head` times the goal meanwhile, where that is less."""
        method, recipe = self.method, self.recipes.first
        keep = math.ceil(method.head * self.keep)
        seeds = [self.word(1, number) for number in range(method.starts)]
        ensemble = MLPEnsemble(widths, seeds=seeds)
        x, y, loss, seed = self.data.x, self.data.y, self.data.loss, self.word(2)
        if keep < dense_weights(widths):
            result = fit(
                ensemble, x, y, recipe, loss=loss, seed=seed, engine=self._engine,
                pruner=GMP(until=method.until), keep=keep, pruner_seeds=seeds,
            )  # fmt: skip
        else:
            result = fit(ensemble, x, y, recipe, loss=loss, seed=seed, engine=self._engine)
        self._work += round(float(result.parameter_samples.sum()))
        networks = NetworkStack.unmeasured(result.ensemble)[~result.diverged]
        if not len(networks):
            return networks
        return self._with_score(self.trainer.measured(settle(networks, "outgoing")))

    @override
    def candidates(
        self, networks: NetworkStack, count: int, noise: torch.Generator
    ) -> NetworkStack:
        return candidates(networks, count, self.removal, self.trainer, noise)

    @override
    def larger(self, parents: NetworkStack, count: int, noise: torch.Generator) -> NetworkStack:
        return grown(parents, self._gradients(parents), count, noise)

    @override
    def trained(self, networks: NetworkStack, recipe: Recipe, round_: int) -> NetworkStack:
        trained = self.trainer.train(networks, recipe, round_)
        self._work += trained.work
        return self._with_score(trained.networks)

    @override
    def losses(self, networks: NetworkStack, x: Tensor, y: Tensor) -> Tensor:
        ensemble = networks.ensemble()
        return evaluate(ensemble, x, y, loss=self.data.loss, engine=self._engine).loss

    @override
    def measured(self, networks: NetworkStack) -> NetworkStack:
        return self.trainer.measured(networks)

    @override
    def weights(self, networks: NetworkStack) -> Tensor:
        return kept_weights(networks)

    def _gradients(self, networks: NetworkStack) -> Params:
        ensemble = networks.ensemble()
        engine = default_engine(ensemble) if self._engine is None else self._engine
        return engine.gradients(ensemble, self.data.x, self.data.y, self.data.loss)

    def _with_score(self, networks: NetworkStack) -> NetworkStack:
        return replace(networks, score=self.score(networks, networks.loss))


def dense_weights(widths: tuple[int, ...]) -> int:
    """How many weights a network of these widths has, biases aside."""
    return sum(a * b for a, b in pairwise(widths))


def kept_weights(networks: NetworkStack) -> Tensor:
    """How many weights each network keeps, int64 `(models,)`."""
    counts = [m.flatten(1).sum(1) for n, m in networks.masks.items() if n.endswith("weight")]
    return torch.stack(counts).sum(0)
