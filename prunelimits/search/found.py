"""What a search has found, as numbers, networks and a notebook's table."""

from __future__ import annotations

from dataclasses import dataclass

from prunelimits.html_table import html_table
from prunelimits.models import MLP
from prunelimits.search.config import SearchConfig
from prunelimits.search.spaces import Phase
from prunelimits.training import Loss, Recipe
from prunelimits.types import Masks

# Sizes that a notebook shows.
_MOST_ROWS = 60


@dataclass(frozen=True, eq=False, repr=False)
class FoundNetwork:
    """The most accurate network of its size.

    Attributes:
        nonzeros: Weights and biases.
        accuracy: Share of the samples classified right, as the search measured it; R² for numbers
            to predict.
        phase: What the phase goes through; `phase.number` is 1 (structured widths) or 2 (masks).
        rank: Position in the phase's space.
        recipe: How it was trained.
        repeat: Which of its initialisations.
        seed: Of its initialisation; None if the search began from a network.
        model: The trained network.
        masks: Which of its parameters it keeps.
    """

    nonzeros: int
    accuracy: float
    phase: Phase
    rank: int
    recipe: Recipe
    repeat: int
    seed: int | None
    model: MLP
    masks: Masks

    def __repr__(self) -> str:
        widths = "-".join(map(str, self.model.widths))
        return (
            f"<FoundNetwork: {self.nonzeros} nonzeros, accuracy {self.accuracy:.2%}, widths "
            f"{widths}, rank {self.rank} of phase {self.phase.number}>"
        )


@dataclass(frozen=True)
class SizeSummary:
    """All that was trained at one size.

    Attributes:
        nonzeros: Weights and biases.
        networks: Different networks trained.
        trainings: Trainings of them, over recipes and seeds.
        reached: Trainings that reached the target at their end.
        diverged: Trainings that diverged.
        stopped: Trainings that halving stopped before their end, which never count as reaching it.
        accuracy: The best accuracy at the end of a training; 0 where none came to its end.
    """

    nonzeros: int
    networks: int
    trainings: int
    reached: int
    diverged: int
    stopped: int
    accuracy: float


@dataclass(frozen=True)
class PhaseSummary:
    """How far a phase went.

    Attributes:
        phase: What it goes through; `phase.number` is 1 or 2.
        networks: In the whole space; 0 where the filter leaves none.
        trainings: In the whole space, over recipes and seeds.
        trained: Trainings done.
        sizes: What was trained at each size, by ascending size.
    """

    phase: Phase
    networks: int
    trainings: int
    trained: int
    sizes: tuple[SizeSummary, ...]


@dataclass(frozen=True, eq=False, repr=False)
class SearchResult:
    """The state of a search, finished or not.

    Attributes:
        config: What was searched for.
        samples: How many samples accuracy was measured on.
        loss: The training loss; with `"mse"` accuracies are R², to a millionth and at least 0.
        data: SHA-256 of the data, see `Task.fingerprint`.
        initial: SHA-256 of the network that every training began from; None: each from its own.
        phases: The phases that were begun.
        best: The most accurate network of every size over both phases, by ascending size.
        seconds: Time spent in training.
        made_by: Engines and versions that took part.
    """

    config: SearchConfig
    samples: int
    loss: Loss
    data: str
    initial: str | None
    phases: tuple[PhaseSummary, ...]
    best: tuple[FoundNetwork, ...]
    seconds: float
    made_by: tuple[str, ...]

    @property
    def sparsest(self) -> FoundNetwork | None:
        """The smallest network that reaches the target, None while there is none."""
        reaching = (n for n in self.best if n.accuracy >= self.config.target)
        return next(reaching, None)

    @property
    def most_accurate(self) -> FoundNetwork | None:
        """The most accurate network, the smallest of equals; None while nothing was trained."""
        return max(self.best, key=lambda n: (n.accuracy, -n.nonzeros), default=None)

    def __repr__(self) -> str:
        return f"<SearchResult: {self._summary()}>"

    def _repr_html_(self) -> str:
        """What was trained at each size, as notebooks show it."""
        header = ("phase", "nonzeros", "networks", "trainings", "at the target", "best accuracy")
        rows = [
            (
                f"{phase.phase.number}: {phase.phase}",
                *(f"{n:,}" for n in (size.nonzeros, size.networks, size.trainings, size.reached)),
                f"{size.accuracy:.2%}",
            )
            for phase in self.phases
            for size in phase.sizes
        ]
        left_out = len(rows) - _MOST_ROWS
        notes = [self._summary(), *([f"{left_out:,} larger sizes are not shown"] * (left_out > 0))]
        return html_table("Search", header, rows[:_MOST_ROWS], notes)

    def _summary(self) -> str:
        target = f"{100 * self.config.target:.4g} %"
        trained = sum(phase.trained for phase in self.phases)
        done = f"{trained:,} trainings on {self.samples:,} samples"
        if (best := self.sparsest) is not None:
            return f"sparsest at {target}: {best.nonzeros} nonzeros, {best.accuracy:.2%}; {done}"
        if (best := self.most_accurate) is not None:
            return (
                f"none at {target} yet, most accurate: {best.nonzeros} nonzeros, "
                f"{best.accuracy:.2%}; {done}"
            )
        return f"none at {target} yet; {done}"
