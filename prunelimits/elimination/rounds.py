"""The rounds of an elimination: dense training, units removed, parameters removed."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from prunelimits.elimination.beam import Beam, removed
from prunelimits.elimination.candidates import candidates
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.network_stack import NetworkStack, join
from prunelimits.elimination.result import Round, Stage
from prunelimits.elimination.settling import settle
from prunelimits.elimination.state import State
from prunelimits.elimination.trainer import Trainer
from prunelimits.elimination.units import remove_units
from prunelimits.randomness import derive
from prunelimits.training import MLPEnsemble

# Standard deviation of the noise on the units' log scores that makes different networks of one.
_UNIT_NOISE = 0.5
NARROW = 16
"""Networks of layers at most this wide are cheap to train: many dense ones, or many copies."""
# A network that has so many times the smallest one's parameters is left behind: it would take many
# rounds to come down to the others.
_LEFT_BEHIND = 4
# Without a target, units are removed for as long as a network has this many times the budget.
_UNITS_UNTIL = 3
# Evolution works on networks of a few dozen parameters.
_EVOLVED_BELOW = 64


class Rounds:
    """An elimination under way.

    Args:
        method: How.
        trainer: The task.
        target: Score to reach, or None.
        nonzeros: Parameters to get down to, or None.
        seed: Decides the noise.
        starts: How many networks it starts from. Where those are fewer than `method.networks`,
            copies that lose different units make up for the others.
    """

    def __init__(
        self,
        method: Elimination,
        trainer: Trainer,
        target: float | None,
        nonzeros: int | None,
        seed: int,
        *,
        starts: int,
    ) -> None:
        self.method, self.trainer, self.seed = method, trainer, seed
        self.target, self.nonzeros, self.starts = target, nonzeros, starts
        self.state = State(Beam(method.beam, method.per_origin, max(1, method.evolved)))
        self._last: tuple[Stage, NetworkStack] | None = None

    @property
    def seconds(self) -> float:
        """Time so far, earlier runs included."""
        return self.state.rounds[-1].seconds if self.state.rounds else 0.0

    def next(self, start: MLPEnsemble, trained: bool) -> bool:
        """Does the next round; False if there is none."""
        if not self.state.rounds:
            networks = settle(NetworkStack.unmeasured(start), self.method.biases)
            if trained:
                networks = self.trainer.measured(networks)
            else:
                networks = self.trainer.train(networks, self.method.dense, 0)
            self._record("dense", networks)
            reaching = networks.score >= (self.target or -torch.inf) - self.method.slack
            # Where nothing reaches, the best may recover.
            whole = networks[reaching] if reaching.any() else networks
            self.state.whole = whole if len(whole) else None
            return True
        if self.state.whole is not None:
            return self._unit_round(self.state.whole)
        return self._parameter_round() or self._evolution_round()

    def note(self, seconds: float) -> None:
        """Writes down the round that was done."""
        assert self._last is not None
        stage, networks = self._last
        reaching = [
            size
            for size, network in self.state.beam.front.items()
            if self.target is None or float(network.score[0]) >= self.target
        ]
        self.state.rounds.append(
            Round(
                stage=stage,
                nonzeros=int(networks.nonzeros().min()) if len(networks) else 0,
                trained=len(networks),
                score=float(networks.score.max()) if len(networks) else 0.0,
                origins=len(networks.origin.unique()),
                smallest=min(reaching, default=None),
                epochs=self.trainer.epochs,
                work=self.trainer.work,
                seconds=seconds,
            )
        )

    def _unit_round(self, networks: NetworkStack) -> bool:
        """Removes units from all; who falls out of reach stays as it was before."""
        method, generator = self.method, self._generator()
        noise = None
        if self.starts < method.networks and max(networks.widths[1:-1]) <= NARROW:
            if not (networks.origin >= self.starts).all():
                networks = self._copies(networks)
            shape = (len(networks), len(networks.units), max(networks.widths[1:-1]))
            noise = _UNIT_NOISE * torch.randn(
                shape, generator=generator, dtype=torch.float32, device="cpu"
            )
        smaller = remove_units(
            networks, self.trainer.sample, method.unit_share, method.biases, noise
        )
        smaller = self.trainer.train(smaller, method.recovery, len(self.state.rounds))
        self._record("units", smaller)
        smaller = smaller[smaller.score >= self._floor()]
        stays = ~torch.isin(networks.origin, smaller.origin)
        done = ~self._can_lose_units(smaller)
        known = [] if self.state.shrunk is None else [self.state.shrunk]
        self.state.shrunk = join([*known, networks[stays], smaller[done]])
        self.state.whole = smaller[~done]
        if not len(self.state.whole):
            shrunk = self.state.shrunk
            shrunk = shrunk[shrunk.nonzeros().argsort(stable=True)[: method.beam]]
            shrunk = shrunk[shrunk.nonzeros() < _LEFT_BEHIND * shrunk.nonzeros()[0]]
            self.state.beam.offer(settle(shrunk, method.biases))
            self.state.whole = self.state.shrunk = None
        return True

    def _parameter_round(self) -> bool:
        """Goes on from the largest networks that wait."""
        while (networks := self.state.beam.take(self.method.step)) is not None:
            if self.target is not None:
                networks = networks[networks.score >= self.target - self.method.slack]
            if self.nonzeros is not None:
                networks = networks[networks.nonzeros() > self.nonzeros]
            # Without a weight a network is a constant: the end.
            networks = networks[networks.masks["layers.0.weight"].flatten(1).any(1)]
            if len(networks):
                break
        else:
            return False
        count = removed(int(networks.nonzeros().max()), self.method.step)
        found = candidates(networks, count, self.method, self.trainer, self._generator())
        found = self.trainer.train(found, self.method.recovery, len(self.state.rounds))
        self._record("parameters", found)
        self.state.beam.offer(found)
        return True

    def _evolution_round(self) -> bool:
        """Evolves the best of the small networks, but for those that a smaller one matches."""
        done = self.state.rounds[-1].stage == "evolution"
        if done or not self.method.evolved or self.trainer.loss == "mse":
            return False
        small = {size: n for size, n in self.state.beam.front.items() if size < _EVOLVED_BELOW}
        if not small:
            return False
        best = max(float(networks.score[0]) for networks in small.values())
        enough = min(size for size, n in small.items() if float(n.score[0]) == best)
        found = [networks for size, networks in small.items() if size <= enough]
        self._record("evolution", self.trainer.evolved(join(found), len(self.state.rounds)))
        return True

    def _copies(self, networks: NetworkStack) -> NetworkStack:
        """As many as the method wants, each an origin of its own from now on."""
        copy = torch.arange(max(self.method.networks, len(networks)), device="cpu")
        copies = networks[copy % len(networks)]
        # From `starts` on, so that copies are told from what they are copies of.
        origin = copies.origin + self.starts * (1 + copy // len(networks))
        return dataclasses.replace(copies, origin=origin)

    def _record(self, stage: Stage, networks: NetworkStack) -> None:
        self._last = (stage, networks)
        self.state.beam.remember(networks)

    def _floor(self) -> float:
        """The score below which a network has lost a unit too many."""
        goal = self.state.rounds[0].score if self.target is None else self.target
        return goal - self.method.slack

    def _can_lose_units(self, networks: NetworkStack) -> Tensor:
        """Which members have a layer of several units, and are not near the budget yet."""
        used = [
            networks.masks[f"layers.{n}.weight"].any(2).sum(1) for n in range(len(networks.units))
        ]
        many = torch.stack([count > 1 for count in used]).any(0)
        if self.target is None and self.nonzeros is not None:
            many &= networks.nonzeros() > _UNITS_UNTIL * self.nonzeros
        return many

    def _generator(self) -> torch.Generator:
        """Random numbers of the round that comes, for everything but the order of samples."""
        word = derive(self.seed, len(self.state.rounds), 1)[0]
        return torch.Generator().manual_seed(int(word >> 1))
