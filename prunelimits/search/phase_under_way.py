"""One phase of a search under way: which shards are left, and the best networks so far."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from prunelimits.randomness import Permutation, derive
from prunelimits.search.config import SearchConfig
from prunelimits.search.ranked_networks import AbstractSpace
from prunelimits.search.shard import (
    DIVERGED,
    ShardResult,
    most_correct,
    networks_per_shard,
    shard_ranks,
)
from prunelimits.search.spaces import Phase
from prunelimits.search.store import Store
from prunelimits.training.task import Task

Order: TypeAlias = Literal["fewest", "shuffled"]


@dataclass(frozen=True)
class Progress:
    """How far a phase is.

    Attributes:
        phase: What it goes through; `phase.number` is 1 or 2.
        trained: Trainings done, earlier runs included.
        trainings: Trainings in the whole phase.
        nonzeros: Of the best network so far: the smallest that reaches the target, or the most
            accurate while none does. None before anything was trained.
        accuracy: Its accuracy.
    """

    phase: Phase
    trained: int
    trainings: int
    nonzeros: int | None
    accuracy: float | None


def listed_space(phase: Phase, task: Task) -> AbstractSpace:
    """The networks of a phase, after a check that they can be listed.

    Raises:
        ValueError: If they do not fit the task, or their tables would be too large.
    """
    space = phase.space(task.inputs, task.outputs)
    try:
        # Builds the tables.
        space.keys([0] if space.count else [])
    except (ValueError, MemoryError) as error:
        raise ValueError(
            f"phase {phase.number}, {phase}, cannot be searched: {error}. Choose a smaller "
            "max_nonzeros or width, or symmetry='layer'"
        ) from error
    return space


class PhaseUnderWay:
    """A phase under way: what its store holds already, and what finishes as it goes on.

    Args:
        store: Open, for writing; the beginning of the phase is recorded in it.
        config: The search.
        task: The data.
        phase: What the phase goes through.
        stop_at_target: Whether networks larger than one that reaches the target are left out.
        part: `(number, of)`: which shards are to be trained here; None: all.

    Raises:
        ValueError: If the networks cannot be listed; the store is then as it was.
    """

    def __init__(
        self,
        store: Store,
        config: SearchConfig,
        task: Task,
        phase: Phase,
        stop_at_target: bool,
        part: tuple[int, int] | None = None,
    ) -> None:
        self.config, self.phase, self.stop_at_target = config, phase, stop_at_target
        self.part = part
        self.most = most_correct(task)
        self.space = listed_space(phase, task)
        self.shards = -(-self.space.count // networks_per_shard(config))
        store.begin_phase(phase)
        self.finished = store.finished(phase)
        self.trained = sum(self._trainings(shard) for shard in self.finished)
        # Nonzeros -> correct samples and rank of the most accurate network of that size.
        self.best = {c.nonzeros: (c.correct, c.rank) for c in store.best(phase)}

    def remaining(self, order: Order, deadline: float | None) -> Iterator[int]:
        """The shards to train, decided one by one as the work goes on."""
        begun = set(self.finished)
        useful = self.useful_shards()
        position = 0
        while position < useful:
            shard = position if order == "fewest" else self._shuffled(position, useful)
            position += 1
            if shard not in begun and self._is_here(shard):
                if deadline is not None and time.monotonic() >= deadline:
                    return
                begun.add(shard)
                yield shard
            if (fewer := self.useful_shards()) < useful:
                # A permutation of fewer shards is a different one: start it anew, and skip the
                # shards that have begun.
                useful = fewer
                position = position if order == "fewest" else 0

    def update(self, result: ShardResult) -> None:
        """Takes note of a finished shard."""
        self.finished.add(result.shard)
        self.trained += self._trainings(result.shard)
        for new in result.best:
            correct, rank = self.best.get(new.nonzeros, (DIVERGED, 0))
            if (-new.correct, new.rank) < (-correct, rank):
                self.best[new.nonzeros] = (new.correct, new.rank)

    def winner(self) -> tuple[int, ...] | None:
        """The widths of the smallest network at the target, None while it is not certain."""
        size = self._smallest()
        if size is None or not all(n in self.finished for n in range(self.useful_shards())):
            return None
        return self.space.widths(self.best[size][1])

    def progress(self) -> Progress:
        """How far the phase is."""
        size = self._smallest()
        if size is None:
            size = max(self.best, key=lambda n: (self.best[n][0], -n), default=None)
        return Progress(
            phase=self.phase,
            trained=self.trained,
            trainings=self.space.count * self._trainings_each,
            nonzeros=size,
            accuracy=None if size is None else self.best[size][0] / self.most,
        )

    def useful_shards(self) -> int:
        """How many shards there are without those left out, which come last: sizes ascend."""
        best = self._smallest() if self.stop_at_target else None
        if best is None:
            return self.shards
        low, high = 0, self.shards
        while low < high:
            middle = (low + high) // 2
            first = shard_ranks(self.config, self.space, middle)[:1]
            if int(self.space.nonzeros(first)) > best:
                high = middle
            else:
                low = middle + 1
        return low

    def _is_here(self, shard: int) -> bool:
        number, of = self.part or (1, 1)
        return shard % of == number - 1

    def _shuffled(self, position: int, useful: int) -> int:
        seed = int(derive(self.config.seed, -2, self.phase.number)[0])
        return int(Permutation(useful, seed).at([position])[0])

    def _smallest(self) -> int | None:
        """Nonzeros of the smallest network that reaches the target, None while there is none."""
        target = self.config.target
        reaching = (n for n, (correct, _) in self.best.items() if correct / self.most >= target)
        return min(reaching, default=None)

    @property
    def _trainings_each(self) -> int:
        return len(self.config.recipes) * self.config.seeds

    def _trainings(self, shard: int) -> int:
        return len(shard_ranks(self.config, self.space, shard)) * self._trainings_each
