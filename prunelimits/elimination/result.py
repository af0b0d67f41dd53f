"""What elimination found, and what it cost."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from prunelimits.arguments import shown
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.settling import narrowed
from prunelimits.html_table import html_table
from prunelimits.masks import count, with_biases
from prunelimits.models import MLP, check_widths
from prunelimits.training import Loss
from prunelimits.types import Masks

Stage: TypeAlias = Literal["dense", "units", "parameters", "evolution"]


@dataclass(frozen=True)
class Round:
    """One finished round: everything that was trained together.

    Attributes:
        stage: `"dense"` (before anything was removed), `"units"`, `"parameters"` or `"evolution"`
            (of the smallest networks, at the end).
        nonzeros: Of the smallest network that the round trained.
        trained: How many networks it trained, or evolved.
        score: The best of them.
        origins: From how many dense networks, or copies of them, they descend.
        smallest: Nonzeros of the smallest network at the target that any round has found, without
            a target the smallest of all; None while there is none.
        epochs: Passes of one network over the training data so far, of all trainings together and
            of all that evolution measured.
        work: Kept parameters times samples so far, summed over all these passes.
        seconds: Time so far, earlier runs included.
    """

    stage: Stage
    nonzeros: int
    trained: int
    score: float
    origins: int
    smallest: int | None
    epochs: int
    work: int
    seconds: float


@dataclass(frozen=True, eq=False)
class EliminatedNetwork:
    """The best network found of its size.

    Attributes:
        nonzeros: Weights and biases that it keeps; all of them lie on a path from an input to an
            output, but for outputs' biases.
        with_biases: The same by the paper's rule, under which every hidden unit in use and every
            output has a bias that counts: the number to compare with published ones.
        score: Accuracy, or the coefficient of determination for squared error.
        model: The network, without units that are not in use.
        masks: Which of its parameters it keeps.
        origin: Which starting network it descends from; further numbers are copies of those.
        network: The same network with what `placed` needs to know.
    """

    nonzeros: int
    with_biases: int
    score: float
    model: MLP
    masks: Masks
    origin: int
    network: NetworkStack

    @classmethod
    def of(cls, network: NetworkStack) -> EliminatedNetwork:
        """The description of one network."""
        network = narrowed(network)
        model, masks = network.member(0)
        weights = {name: mask for name, mask in masks.items() if name.endswith("weight")}
        return cls(
            nonzeros=count(masks),
            with_biases=count(with_biases(weights, "outgoing")),
            score=float(network.score[0]),
            model=model,
            masks=masks,
            origin=int(network.origin[0]),
            network=network,
        )

    def placed(self, widths: tuple[int, ...]) -> tuple[MLP, Masks]:
        """The same network with its units where they stood in the network that it started as.

        Args:
            widths: Those of the starting network.

        Raises:
            TypeError: If `widths` are no sequence of integers.
            ValueError: If the starting network cannot have had them.
        """
        own = self.network
        widths = check_widths(widths)
        least = [own.widths[0], *(int(unit.max()) + 1 for unit in own.units), own.widths[-1]]
        fits = len(widths) == len(least) and all(map(operator.ge, widths, least))
        if not fits or (widths[0], widths[-1]) != (least[0], least[-1]):
            raise ValueError(
                f"widths must be those of the starting network, with {len(least) - 2} hidden "
                f"layers, {least[0]} inputs, {least[-1]} outputs and every unit of this one, "
                f"got {shown(widths)}"
            )
        return own.member(0, widths)


@dataclass(frozen=True, eq=False)
class EliminationResult:
    """The state of an elimination, finished or not.

    Attributes:
        method: How it was done.
        target: Score to reach, or None.
        budget: Nonzeros to get down to, or None.
        networks: The best network of every size that was trained, by ascending size.
        rounds: What was done, in order.
        seed: As given.
        samples: How many samples the score was measured on.
        loss: The training loss; with `"mse"` scores are coefficients of determination.
        finished: Whether nothing is left to do.
    """

    method: Elimination
    target: float | None
    budget: int | None
    networks: tuple[EliminatedNetwork, ...]
    rounds: tuple[Round, ...]
    seed: int
    samples: int
    loss: Loss
    finished: bool

    @property
    def front(self) -> tuple[EliminatedNetwork, ...]:
        """The networks that no smaller one equals, by ascending size."""
        result: list[EliminatedNetwork] = []
        for network in self.networks:
            if not result or network.score > result[-1].score:
                result.append(network)
        return tuple(result)

    @property
    def sparsest(self) -> EliminatedNetwork | None:
        """The answer; None if there is none yet.

        With a target the smallest network that reaches it, within the budget if there is one.
        Without, the best network within the budget.
        """
        fitting = [n for n in self.networks if self.budget is None or n.nonzeros <= self.budget]
        if self.target is None:
            return max(fitting, key=lambda n: (n.score, -n.nonzeros), default=None)
        return next((n for n in fitting if n.score >= self.target), None)

    @property
    def epochs(self) -> int:
        """Passes of one network over the training data, see `Round`."""
        return self.rounds[-1].epochs if self.rounds else 0

    @property
    def seconds(self) -> float:
        """Time taken, over all runs."""
        return self.rounds[-1].seconds if self.rounds else 0.0

    @property
    def hint(self) -> str | None:
        """What may help where nothing was found at the goal, once nothing is left to do."""
        if not self.finished or self.sparsest is not None:
            return None
        if not self.networks:
            return "all trainings diverged: try a lower learning rate, such as dense=Recipe(lr=...)"
        best = max(self.networks, key=lambda network: network.score)
        goals = [] if self.target is None else [f"the target {self.target:.6g}"]
        goals += [] if self.budget is None else [f"{self.budget} nonzeros"]
        return (
            f"no network reached {' within '.join(goals)}; the best score was {best.score:.4f}, of "
            f"{best.nonzeros} nonzeros: train longer (epochs of dense and recovery), start wider, "
            "or ask for less"
        )

    def __repr__(self) -> str:
        return f"<EliminationResult: {self._summary()}>"

    def _repr_html_(self) -> str:
        """The networks that no smaller one equals, as notebooks show them."""
        rows = [(str(n.nonzeros), _widths(n.model), f"{n.score:.2%}") for n in self.front]
        header = ("nonzeros", "widths", "score")
        return html_table("Elimination", header, rows, [self._summary()])

    def _summary(self) -> str:
        done = f"{self.epochs:,} passes over the data, {self.samples:,} samples"
        done += "" if self.finished else ", not finished"
        best = self.sparsest
        if best is None:
            return f"nothing at the goal; {done}"
        goal = "the best" if self.target is None else f"sparsest at {100 * self.target:.4g} %"
        return f"{goal}: {best.nonzeros} nonzeros, {best.score:.2%}; {done}"


def _widths(model: MLP) -> str:
    return "-".join(map(str, model.widths))
