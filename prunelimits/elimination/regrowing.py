"""The steps of a regrowth: starts, elimination down to the goal, a long training, growth."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from prunelimits.elimination.beam import BySize, best, offer, removed, take
from prunelimits.elimination.candidates import candidates
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.growing import grown
from prunelimits.elimination.network_stack import NetworkStack, join
from prunelimits.elimination.regrowth_config import Regrowth
from prunelimits.elimination.settling import settle
from prunelimits.elimination.trainer import Trainer
from prunelimits.pruners import GMP
from prunelimits.randomness import derive
from prunelimits.training import AbstractEngine, MLPEnsemble, Recipe, evaluate, fit
from prunelimits.training.engines import default_engine

# Of each network that grows, so many grown ones.
_GROWN = 2


class Regrowing:
    """A regrowth under way. Networks' scores are minus their loss on all rows.

    Args:
        method: How.
        data: On what.
        keep: Weights that survive, at most.
        seed: Decides all random numbers.
        engine: Who computes. None: the fastest.

    Attributes:
        work: Kept parameters times samples so far.
    """

    def __init__(
        self,
        method: Regrowth,
        data: EliminationData,
        keep: int,
        seed: int,
        engine: AbstractEngine | None,
    ) -> None:
        self.method, self.data, self.keep = method, data, keep
        self.recipes = method.recipes(len(data.x))
        self.trainer = Trainer(data, seed, engine)
        self.work = 0
        self._seed, self._engine, self._round = seed, engine, 0
        self._removal = Elimination(
            beam=method.beam, per_origin=method.per_origin, tries=method.tries, step=method.step,
            biases="outgoing",
        )  # fmt: skip

    def best_networks(self, widths: tuple[int, ...]) -> NetworkStack:
        """What all cycles found at the goal, trained long; none where every training diverged."""
        found = self._at_the_goal(self.starts(widths))
        for _ in range(self.method.cycles):
            if not len(found):
                break
            found = join([found, self._at_the_goal(self._grown(found))])
        return found

    def starts(self, widths: tuple[int, ...]) -> NetworkStack:
        """Trained shortly and pruned to `head` times the goal meanwhile, where that is less."""
        method, recipe = self.method, self.recipes.first
        keep = math.ceil(method.head * self.keep)
        seeds = [self._word(1, number) for number in range(method.starts)]
        ensemble = MLPEnsemble(widths, seeds=seeds)
        x, y, loss, seed = self.data.x, self.data.y, self.data.loss, self._word(2)
        if keep < dense_weights(widths):
            result = fit(
                ensemble, x, y, recipe, loss=loss, seed=seed, engine=self._engine,
                pruner=GMP(until=method.until), keep=keep, pruner_seeds=seeds,
            )  # fmt: skip
        else:
            result = fit(ensemble, x, y, recipe, loss=loss, seed=seed, engine=self._engine)
        self.work += round(float(result.parameter_samples.sum()))
        networks = NetworkStack.unmeasured(result.ensemble)[~result.diverged]
        if not len(networks):
            return networks
        return self._with_score(self.trainer.measured(settle(networks, "outgoing")))

    def down(self, networks: NetworkStack) -> NetworkStack:
        """The networks at the goal that elimination finds below these, none better than the first.

        At the goal are those of at most `keep` weights; larger ones lose a share of their
        parameters, but not more than the smallest of them has to.
        """
        method, waiting = self.method, self._offered({}, networks)
        arrived = networks[:0]
        while True:
            some, waiting = take(waiting, method.step, method.beam, method.per_origin)
            if some is None:
                return best(arrived, len(arrived), len(arrived)) if len(arrived) else arrived
            excess = kept_weights(some) - self.keep
            arrived = join([arrived, some[excess <= 0]])
            some, excess = some[excess > 0], excess[excess > 0]
            if len(some):
                share = removed(int(some.nonzeros().max()), method.step)
                count = min(share, int(excess.min()))
                noise = torch.Generator().manual_seed(self._word(3, self._round))
                found = candidates(some, count, self._removal, self.trainer, noise)
                waiting = self._offered(waiting, self._trained(found, self.recipes.recovery))

    def _at_the_goal(self, networks: NetworkStack) -> NetworkStack:
        """The best of those below, as they are and after the long training."""
        arrived = self.down(networks)[: self.method.finalists]
        if not len(arrived):
            return arrived
        return join([arrived, self._trained(arrived, self.recipes.last)])

    def _grown(self, found: NetworkStack) -> NetworkStack:
        """The best networks so far with more weights, trained with these."""
        parents = best(found, self.method.beam, self.method.per_origin)
        parents = parents[torch.arange(len(parents), device="cpu").repeat_interleave(_GROWN)]
        gradients = self._gradients(parents)
        noise = torch.Generator().manual_seed(self._word(4, self._round))
        more = max(1, int(self.method.growth * self.keep))
        larger = grown(parents, gradients, more, noise)
        recipe = replace(self.recipes.recovery, lr=self.recipes.last.lr)
        return self._trained(larger, recipe)

    def _gradients(self, networks: NetworkStack) -> dict[str, Tensor]:
        ensemble = networks.ensemble()
        engine = default_engine(ensemble) if self._engine is None else self._engine
        return engine.gradients(ensemble, self.data.x, self.data.y, self.data.loss)

    def _trained(self, networks: NetworkStack, recipe: Recipe) -> NetworkStack:
        self._round += 1
        trained = self.trainer.train(networks, recipe, self._round)
        self.work += trained.work
        return self._with_score(trained.networks)

    def _with_score(self, networks: NetworkStack) -> NetworkStack:
        """The score is minus the loss of a row, of those to train on and to choose by."""
        data, total = self.data, networks.loss
        if data.measure_x is not data.x:
            others = evaluate(
                networks.ensemble(), data.measure_x, data.measure_y, loss=data.loss,
                engine=self._engine,
            )  # fmt: skip
            n, m = len(data.x), len(data.measure_x)
            total = (n * total + m * others.loss) / (n + m)
        return replace(networks, score=(-total).nan_to_num(nan=-torch.inf))

    def _offered(self, waiting: BySize, networks: NetworkStack) -> BySize:
        return offer(waiting, networks, self.method.beam, self.method.per_origin)

    def _word(self, *path: int) -> int:
        return int(derive(self._seed, *path)[0] >> 1)


def dense_weights(widths: tuple[int, ...]) -> int:
    """How many weights a network of these widths has, biases aside."""
    return sum(a * b for a, b in pairwise(widths))


def kept_weights(networks: NetworkStack) -> Tensor:
    """How many weights each network keeps, int64 `(models,)`."""
    counts = [m.flatten(1).sum(1) for n, m in networks.masks.items() if n.endswith("weight")]
    return torch.stack(counts).sum(0)
