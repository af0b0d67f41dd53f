"""The rounds of an elimination: dense training, units removed, parameters removed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from prunelimits.elimination.beam import BySize, offer, remember, removed, take
from prunelimits.elimination.candidates import candidates
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.goal import Goal
from prunelimits.elimination.network_stack import NetworkStack, join
from prunelimits.elimination.recipes import Recipes
from prunelimits.elimination.result import Round, Stage
from prunelimits.elimination.settling import settle
from prunelimits.elimination.start import NARROW
from prunelimits.elimination.state import EliminationState
from prunelimits.elimination.trainer import Trained, Trainer
from prunelimits.elimination.units import remove_units
from prunelimits.randomness import derive
from prunelimits.training import MLPEnsemble

# Standard deviation of the noise on the units' log scores that makes different networks of one.
_UNIT_NOISE = 0.5
# A network with so many times the smallest one's parameters is given up when parameters begin to
# be removed: it would take many rounds to come down to the others.
_LEFT_BEHIND = 4
# Without a target, units are removed for as long as a network has this many times the budget.
_UNITS_UNTIL = 3
# Evolution works on networks of a few dozen parameters.
_EVOLVED_BELOW = 64

_Done: TypeAlias = tuple[Stage, Trained, EliminationState]
"""What a round was, what it trained, and the state after it but for its description and front."""


@dataclass(frozen=True, eq=False)
class Rounds:
    """How an elimination goes from one state to the next.

    Attributes:
        method: How.
        trainer: The task.
        goal: What to reach.
        seed: Decides the noise.
        start: The networks that it starts from. Where those are fewer than `method.networks`,
            copies that lose different units make up for the others.
        trained: Whether they are trained already.
    """

    method: Elimination
    trainer: Trainer
    goal: Goal
    seed: int
    start: MLPEnsemble
    trained: bool

    @property
    def _recipes(self) -> Recipes:
        return self.method.recipes(len(self.trainer.data.x))

    @property
    def _slack(self) -> float:
        """How far below the target networks go on: at least one sample, with room for rounding."""
        data = self.trainer.data
        one_sample = 0.0 if data.loss == "mse" else (1 + 1e-6) / len(data.measure_x)
        return max(self.method.slack, one_sample)

    def next(self, state: EliminationState) -> EliminationState:
        """The state after one more round; if none is left to do, the same one, marked finished."""
        began = time.monotonic()
        if not state.rounds:
            done = self._dense_round(state)
        elif state.losing_units is not None:
            done = self._unit_round(state, state.losing_units)
        else:
            done = self._parameter_round(state) or self._evolution_round(state)
        if done is None:
            return replace(state, finished=True)
        stage, trained, after = done
        front = remember(state.front, trained.networks, max(1, self.method.evolved))
        seconds = time.monotonic() - began
        described = self._described(stage, trained, state, self._smallest(front), seconds)
        return replace(after, front=front, rounds=(*state.rounds, described))

    def _described(
        self,
        stage: Stage,
        trained: Trained,
        before: EliminationState,
        smallest: int | None,
        seconds: float,
    ) -> Round:
        networks = trained.networks
        last = before.rounds[-1] if before.rounds else None
        return Round(
            stage=stage,
            nonzeros=int(networks.nonzeros().min()) if len(networks) else 0,
            trained=len(networks),
            score=float(networks.score.max()) if len(networks) else 0.0,
            origins=len(networks.origin.unique()),
            smallest=smallest,
            epochs=trained.epochs + (last.epochs if last else 0),
            work=trained.work + (last.work if last else 0),
            seconds=seconds + (last.seconds if last else 0.0),
        )

    def _smallest(self, front: BySize) -> int | None:
        target = self.goal.target
        reaching = (s for s, n in front.items() if target is None or float(n.score[0]) >= target)
        return min(reaching, default=None)

    def _dense_round(self, state: EliminationState) -> _Done:
        networks = settle(NetworkStack.unmeasured(self.start), self.method.biases)
        if self.trained:
            trained = Trained(self.trainer.measured(networks), epochs=0, work=0)
        else:
            trained = self.trainer.train(networks, self._recipes.dense, 0)
        networks = trained.networks
        target = -torch.inf if self.goal.target is None else self.goal.target
        reaching = networks.score >= target - self._slack
        # Where no network is near the target, all go on: fewer parameters may do better.
        whole = networks[reaching] if reaching.any() else networks
        return "dense", trained, replace(state, losing_units=whole if len(whole) else None)

    def _unit_round(self, state: EliminationState, networks: NetworkStack) -> _Done:
        """Removes units from all; a network that then scores too low is taken as it was before."""
        method, generator = self.method, self._generator(state)
        noise = None
        if len(self.start) < method.networks and max(networks.widths[1:-1]) <= NARROW:
            if not (networks.origin >= len(self.start)).all():
                networks = self._copies(networks)
            shape = (len(networks), len(networks.units), max(networks.widths[1:-1]))
            noise = _UNIT_NOISE * torch.randn(
                shape, generator=generator, dtype=torch.float32, device="cpu"
            )
        smaller = remove_units(
            networks, self.trainer.sample, method.unit_share, method.biases, noise
        )
        trained = self.trainer.train(smaller, self._recipes.recovery, len(state.rounds))
        smaller = trained.networks
        smaller = smaller[smaller.score >= self._floor(state)]
        stays = ~torch.isin(networks.origin, smaller.origin)
        done = ~self._can_lose_units(smaller)
        known = [] if state.lost_units is None else [state.lost_units]
        lost = join([*known, networks[stays], smaller[done]])
        going_on = smaller[~done]
        if len(going_on):
            return "units", trained, replace(state, losing_units=going_on, lost_units=lost)
        lost = lost[lost.nonzeros().argsort(stable=True)[: method.beam]]
        lost = lost[lost.nonzeros() < _LEFT_BEHIND * lost.nonzeros()[0]]
        settled = settle(lost, method.biases)
        waiting = offer(state.waiting, settled, method.beam, method.per_origin)
        return "units", trained, replace(state, waiting=waiting, losing_units=None, lost_units=None)

    def _parameter_round(self, state: EliminationState) -> _Done | None:
        """Goes on from the largest waiting networks that may lose more; None if there are none."""
        method, waiting = self.method, state.waiting
        while True:
            networks, waiting = take(waiting, method.step, method.beam, method.per_origin)
            if networks is None:
                return None
            networks = self._leading_on(networks)
            if len(networks):
                break
        count = removed(int(networks.nonzeros().max()), method.step)
        found = candidates(networks, count, method, self.trainer, self._generator(state))
        trained = self.trainer.train(found, self._recipes.recovery, len(state.rounds))
        waiting = offer(waiting, trained.networks, method.beam, method.per_origin)
        return "parameters", trained, replace(state, waiting=waiting)

    def _leading_on(self, networks: NetworkStack) -> NetworkStack:
        """Those near enough to the target, above the budget, and with a weight left to remove."""
        if self.goal.target is not None:
            networks = networks[networks.score >= self.goal.target - self._slack]
        if self.goal.nonzeros is not None:
            networks = networks[networks.nonzeros() > self.goal.nonzeros]
        return networks[networks.masks["layers.0.weight"].flatten(1).any(1)]

    def _evolution_round(self, state: EliminationState) -> _Done | None:
        """Evolves the small networks, up to the smallest size whose score no other exceeds."""
        done = state.rounds[-1].stage == "evolution"
        if done or not self.method.evolved or self.trainer.data.loss == "mse":
            return None
        small = {size: n for size, n in state.front.items() if size < _EVOLVED_BELOW}
        if not small:
            return None
        best = max(float(networks.score[0]) for networks in small.values())
        enough = min(size for size, n in small.items() if float(n.score[0]) == best)
        found = [networks for size, networks in small.items() if size <= enough]
        return "evolution", self.trainer.evolved(join(found), len(state.rounds)), state

    def _copies(self, networks: NetworkStack) -> NetworkStack:
        """As many as the method wants, each an origin of its own from now on."""
        copy = torch.arange(max(self.method.networks, len(networks)), device="cpu")
        copies = networks[copy % len(networks)]
        # Beyond the starting networks' numbers, so that copies are told from what they copy.
        origin = copies.origin + len(self.start) * (1 + copy // len(networks))
        return replace(copies, origin=origin)

    def _floor(self, state: EliminationState) -> float:
        """The score below which a network has lost a unit too many."""
        goal = state.rounds[0].score if self.goal.target is None else self.goal.target
        return goal - self._slack

    def _can_lose_units(self, networks: NetworkStack) -> Tensor:
        """Which members have a layer of several units, and are not near the budget yet."""
        used = [
            networks.masks[f"layers.{n}.weight"].any(2).sum(1) for n in range(len(networks.units))
        ]
        many = torch.stack([count > 1 for count in used]).any(0)
        if self.goal.target is None and self.goal.nonzeros is not None:
            many &= networks.nonzeros() > _UNITS_UNTIL * self.goal.nonzeros
        return many

    def _generator(self, state: EliminationState) -> torch.Generator:
        """Random numbers of the round that comes, for everything but the order of samples."""
        word = derive(self.seed, len(state.rounds), 1)[0]
        return torch.Generator().manual_seed(int(word >> 1))
