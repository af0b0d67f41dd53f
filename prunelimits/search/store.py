"""The store: one SQLite file that holds what a search has found, safe against any interruption."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from prunelimits.arguments import checked_file, checked_flag
from prunelimits.resuming import StoreError, WriterLock, check_same
from prunelimits.search.rows import TABLES, counted, sealed, unsealed
from prunelimits.search.shard import Candidate, ShardResult
from prunelimits.search.spaces import Phase, phase_from_json, phase_to_json

SCHEMA = 3
"""Raised when the tables or the meaning of their content change."""

_APPLICATION = 0x70726C6D  # "prlm", so that another program's database is recognised


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
        self.path = None if path is None else checked_file("path", path)
        checked_flag("write", write)
        self._lock: WriterLock | None = None
        if self.path is not None and not write and not self.path.exists():
            raise StoreError(f"{self.path} does not exist")
        if self.path is not None and write:
            self._lock = WriterLock(self.path)
            self._lock.acquire()
        try:
            with self._errors():
                self._db = sqlite3.connect(self.path or ":memory:", isolation_level=None)
                self._prepare(write)
        except BaseException:
            self.close()
            raise

    def _prepare(self, write: bool) -> None:
        (tables,) = self._one("SELECT count(*) FROM sqlite_master")
        if not tables and write:
            with self._transaction():
                # executescript would commit on its own.
                for statement in TABLES.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {SCHEMA}")
        (application,) = self._one("PRAGMA application_id")
        if application != _APPLICATION:
            raise StoreError(f"{self.path} is not a store of prunelimits")
        (schema,) = self._one("PRAGMA user_version")
        if schema != SCHEMA:
            raise StoreError(
                f"{self.path} has schema {schema}, this version of prunelimits uses {SCHEMA}: "
                "use the version that made it, or start a new store"
            )
        if _layout(self._db) != _expected_layout():
            raise StoreError(
                f"{self.path} is damaged: its tables are others than those of a store; start a new "
                "store"
            )
        (verdict,) = self._one("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise StoreError(f"{self.path} is damaged ({verdict}): start a new store")

    def describe(self, description: dict[str, str]) -> None:
        """Records what the store is for, or checks that it is for just that.

        Raises:
            StoreError: If the store is for something else; the message says what differs.
        """
        if not self.description():
            with self._errors(), self._transaction():
                for entry in description.items():
                    self._insert("description", *entry)
        with self._errors():
            recorded = _flat(self.description())
        check_same(self.path, recorded, _flat(description), "search")

    def description(self) -> dict[str, str]:
        """What `describe` recorded."""
        with self._errors():
            return dict(self._rows("description"))

    def begin_phase(self, phase: Phase) -> None:
        """Records that a phase has begun, or checks that it is just that.

        Raises:
            StoreError: If the store holds another phase of this number.
        """
        with self._errors(), self._transaction():
            begun = {old.number: old for old in self.phases()}.get(phase.number)
            if begun is None:
                self._insert("phases", phase.number, phase_to_json(phase))
        if begun is not None and begun != phase:
            raise StoreError(
                f"{self.path} holds a phase {begun!r}, asked for {phase!r}: use another store"
            )

    def phases(self) -> list[Phase]:
        """The phases that were begun, in order."""
        with self._errors():
            result: list[Phase] = []
            for number, description in self._rows("phases", "ORDER BY phase"):
                result.append(phase_from_json(description))
                if result[-1].number != number:
                    raise ValueError(f"its phase {number} is described as {result[-1]}")
            begun = {phase.number for phase in result}
            query = "SELECT phase FROM shards UNION SELECT phase FROM best"
            if strays := {number for (number,) in self._db.execute(query)} - begun:
                raise ValueError(f"it holds results of phases that were not begun: {strays}")
            return result

    def finished(self, phase: Phase) -> set[int]:
        """The shards of a phase that are done."""
        with self._errors():
            rows = self._rows("shards", "WHERE phase = ?", phase.number)
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
        with self._errors(), self._transaction():
            where = "WHERE phase = ? AND shard = ?"
            if old := next(self._rows("shards", where, *row[:2]), None):
                if old[2] == row[2]:
                    return
                raise StoreError(
                    f"{self.path}: shard {result.shard} of phase {result.phase.number} is there "
                    f"already with another result, by {old[3]}; this one is by {result.engine}: "
                    "go on with one engine on one kind of machine"
                )
            self._insert("shards", *row)
            for candidate in result.best:
                self._offer(result.phase, candidate)

    def _offer(self, phase: Phase, new: Candidate) -> None:
        """Keeps the candidate if it beats the best of its size, whatever came first."""
        where = "WHERE phase = ? AND nonzeros = ?"
        place = (new.rank, new.recipe, new.repeat)
        for _, _, correct, rank, recipe, repeat, _ in self._rows(
            "best", where, phase.number, new.nonzeros
        ):
            if (-correct, (counted(rank), recipe, repeat)) <= (-new.correct, place):
                return
        values = (new.correct, str(new.rank), *place[1:], new.network)
        self._insert("best", phase.number, new.nonzeros, *values)

    def best(self, phase: Phase) -> list[Candidate]:
        """The most accurate network of every size, by ascending size."""
        with self._errors():
            rows = self._rows("best", "WHERE phase = ? ORDER BY nonzeros", phase.number)
            return [Candidate(n, c, counted(rank), *rest) for _, n, c, rank, *rest in rows]

    def shards(self, phase: Phase) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """Finished shards in order: which one, and its correct samples as one row of numbers."""
        where = "WHERE phase = ? ORDER BY length(shard), shard"
        with self._errors():
            for _, shard, correct, *_ in self._rows("shards", where, phase.number):
                yield counted(shard), np.frombuffer(correct, dtype="<i4")

    def effort(self) -> tuple[float, list[str]]:
        """Seconds of training in all finished shards, and who did it: engines with versions."""
        with self._errors():
            spent: list[float] = []
            made_by: set[str] = set()
            for *_, engine, version, seconds in self._rows("shards"):
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

    def _rows(self, table: str, rest: str = "", *parameters: object) -> Iterator[tuple[Any, ...]]:
        for row in self._db.execute(f"SELECT * FROM {table} {rest}", parameters):
            yield unsealed(table, row)

    def _insert(self, table: str, *values: object) -> None:
        row = sealed(table, *values)
        places = ", ".join("?" * len(row))
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({places})", row)

    def _one(self, query: str) -> tuple[Any, ...]:
        return self._db.execute(query).fetchone()

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # A full disk may have rolled back already.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self) -> Generator[None]:
        """SQLite's errors in the user's terms."""
        try:
            yield
        except sqlite3.Error as error:
            text = str(error)
            if "full" in text:
                advice = (
                    "free some space and start the same command again: nothing finished is lost"
                )
            elif isinstance(error, sqlite3.OperationalError) and not (
                "malformed" in text or "decode" in text
            ):
                advice = "check the path and its permissions"
            else:
                advice = "the file is damaged or no store of prunelimits: start a new store"
            raise StoreError(f"{self.path}: {text}; {advice}") from error
        # What checks of the content raise, and what JSON leads to that describes something else.
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StoreError(f"{self.path} is damaged: {error}; start a new store") from error


def _layout(database: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Every table and index, as they were made; statistics for the planner do no harm."""
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"
    return sorted(database.execute(query), key=repr)


@lru_cache(maxsize=1)
def _expected_layout() -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(TABLES)
        return _layout(database)


def _flat(description: dict[str, str]) -> dict[str, str]:
    """The description with JSON objects unfolded, so that a difference can be named."""
    result: dict[str, str] = {}
    for name, value in description.items():
        content = json.loads(value)
        if isinstance(content, dict):
            result |= {key: json.dumps(part) for key, part in content.items()}
        else:
            result[name] = value
    return result
