"""The store: one SQLite file that holds what a search has found, safe against any interruption."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from prunelimits.arguments import checked_flag, checked_kept_file
from prunelimits.resuming import StoreError, WriterLock, check_same
from prunelimits.search.database import Database
from prunelimits.search.description import check_description, unfolded
from prunelimits.search.rows import counted
from prunelimits.search.shard import Candidate, ShardResult
from prunelimits.search.spaces import Phase, checked_phase, phase_from_json, phase_to_json

# How a database of SQLite begins.
_HEAD = b"SQLite format 3\0"


class Store:
    """A search's description, finished shards, and best networks.

    Every shard is one transaction: after a crash at any moment it is there whole or not at all.
    One process writes; others may read meanwhile.

    Args:
        path: The file. None: in memory, for a search that need not be resumed.
        write: Whether this process is the one that writes. Creates the file if it is missing.

    Raises:
        TypeError: If `path` is no path, or `write` no bool.
        ValueError: If `path` is empty or a folder.
        StoreError: If the file is damaged, another program's, of another schema, missing although
            it is to be read, or another process is writing to it.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, write: bool) -> None:
        self.path = None if path is None else checked_kept_file("path", path)
        checked_flag("write", write)
        self._lock: WriterLock | None = None
        if self.path is not None and not write and not self.path.exists():
            raise StoreError(f"{self.path} does not exist")
        if self.path is not None and write:
            # Before the lock's file is made beside one that is something else.
            _check_head(self.path)
            self._lock = WriterLock(self.path)
            self._lock.acquire()
        try:
            self._db = Database(self.path, write=write)
        except BaseException:
            self.close()
            raise

    def describe(self, description: dict[str, str]) -> None:
        """Records what the store is for, or checks that it is what is recorded.

        Raises:
            TypeError: If `description` is not JSON texts by name.
            ValueError: If a text is no JSON.
            StoreError: If the store is for something else; the message says what differs.
        """
        check_description(description)
        if not self.description():
            with self._db.errors(), self._db.transaction():
                for entry in description.items():
                    self._db.insert("description", *entry)
        with self._db.errors():
            recorded = unfolded(self.description())
        check_same(self.path, recorded, unfolded(description), "search")

    def description(self) -> dict[str, str]:
        """What `describe` recorded."""
        with self._db.errors():
            return dict(self._db.rows("description"))

    def begin_phase(self, phase: Phase) -> None:
        """Records that a phase has begun, or checks that it is the one recorded.

        Raises:
            StoreError: If the store holds another phase of this number.
        """
        phase = checked_phase("phase", phase)
        with self._db.errors(), self._db.transaction():
            begun = {old.number: old for old in self.phases()}.get(phase.number)
            if begun is None:
                self._db.insert("phases", phase.number, phase_to_json(phase))
        if begun is not None and begun != phase:
            raise StoreError(
                f"{self.path} holds a phase {begun!r}, asked for {phase!r}: use another store"
            )

    def phases(self) -> list[Phase]:
        """The phases that were begun, in order."""
        with self._db.errors():
            result: list[Phase] = []
            for number, description in self._db.rows("phases", "ORDER BY phase"):
                result.append(phase_from_json(description))
                if result[-1].number != number:
                    raise ValueError(f"its phase {number} is described as {result[-1]}")
            begun = {phase.number for phase in result}
            query = "SELECT phase FROM shards UNION SELECT phase FROM best"
            if strays := set(self._db.column(query)) - begun:
                raise ValueError(f"it holds results of phases that were not begun: {strays}")
            return result

    def finished(self, phase: Phase) -> set[int]:
        """The shards of a phase that are done."""
        phase = checked_phase("phase", phase)
        with self._db.errors():
            rows = self._db.rows("shards", "WHERE phase = ?", phase.number)
            return {counted(shard) for _, shard, *_ in rows}

    def add(self, result: ShardResult, version: str) -> None:
        """Records a finished shard and the best networks in it, in one transaction.

        A result that is there already changes nothing.

        Raises:
            StoreError: If the shard is there with another result, or cannot be written.
        """
        row = (
            result.phase.number,
            # Text: there may be more shards than SQLite's integers can count.
            str(result.shard),
            result.correct.astype("<i4").tobytes(),
            result.engine,
            version,
            result.seconds,
        )
        with self._db.errors(), self._db.transaction():
            if self._insert_shard(*row):
                for candidate in result.best:
                    self._offer(result.phase, candidate)

    def _insert_shard(
        self, phase: int, shard: str, correct: bytes, engine: str, version: str, seconds: float
    ) -> bool:
        """Whether the shard was not there yet."""
        if old := next(
            self._db.rows("shards", "WHERE phase = ? AND shard = ?", phase, shard), None
        ):
            if old[2] == correct:
                return False
            raise StoreError(
                f"{self.path}: shard {shard} of phase {phase} is there already with another "
                f"result, by {old[3]}; this one is by {engine}: go on with one engine on one kind "
                "of machine"
            )
        self._db.insert("shards", phase, shard, correct, engine, version, seconds)
        return True

    def _offer(self, phase: Phase, new: Candidate) -> None:
        """Keeps the candidate if it beats the best of its size, in whatever order they come."""
        where = "WHERE phase = ? AND nonzeros = ?"
        place = (new.rank, new.recipe, new.repeat)
        for _, _, correct, rank, recipe, repeat, _ in self._db.rows(
            "best", where, phase.number, new.nonzeros
        ):
            if (-correct, (counted(rank), recipe, repeat)) <= (-new.correct, place):
                return
        values = (new.correct, str(new.rank), *place[1:], new.network)
        self._db.insert("best", phase.number, new.nonzeros, *values)

    def absorb(self, others: Iterable[Store]) -> None:
        """Adds all that other stores of the same search hold, or nothing.

        Raises:
            StoreError: If one is of another search, or holds another result of the same shard.
        """
        with self._db.errors(), self._db.transaction():
            for other in others:
                self.describe(other.description())
                for phase in other.phases():
                    self.begin_phase(phase)
                    for row in other.rows_of(phase):
                        self._insert_shard(*row)
                    for candidate in other.best(phase):
                        self._offer(phase, candidate)

    def rows_of(self, phase: Phase) -> Iterator[tuple[Any, ...]]:
        """Finished shards as `absorb` takes them."""
        with self._db.errors():
            yield from self._db.rows("shards", "WHERE phase = ?", phase.number)

    def best(self, phase: Phase) -> list[Candidate]:
        """The most accurate network of every size, by ascending size."""
        phase = checked_phase("phase", phase)
        with self._db.errors():
            rows = self._db.rows("best", "WHERE phase = ? ORDER BY nonzeros", phase.number)
            return [Candidate(n, c, counted(rank), *rest) for _, n, c, rank, *rest in rows]

    def shards(self, phase: Phase) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """Finished shards in order: which one, and its correct samples as one row of numbers."""
        return self._shards(checked_phase("phase", phase))

    def _shards(self, phase: Phase) -> Iterator[tuple[int, NDArray[np.int32]]]:
        where = "WHERE phase = ? ORDER BY length(shard), shard"
        with self._db.errors():
            for _, shard, correct, *_ in self._db.rows("shards", where, phase.number):
                yield counted(shard), np.frombuffer(correct, dtype="<i4")

    def effort(self) -> tuple[float, list[str]]:
        """Seconds of training in all finished shards, and who did it: engines with versions."""
        with self._db.errors():
            spent: list[float] = []
            made_by: set[str] = set()
            for *_, engine, version, seconds in self._db.rows("shards"):
                spent.append(seconds)
                made_by.add(f"{engine}, prunelimits {version}")
            return math.fsum(spent), sorted(made_by)

    def close(self) -> None:
        """Closes the file and lets others write."""
        if (database := getattr(self, "_db", None)) is not None:
            database.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _check_head(path: Path) -> None:
    """Raises if a file is no database."""
    if not path.exists():
        return
    with open(path, "rb") as file:
        start = file.read(len(_HEAD))
    if start and start != _HEAD:
        raise StoreError(
            f"{path}: file is not a database; the file is damaged or no store of prunelimits: "
            "start a new store"
        )
