"""The store: one SQLite file that holds what a search has found, safe against any interruption."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from prunelimits.resuming import StoreError, WriterLock, check_same
from prunelimits.search.shard import Candidate, ShardResult
from prunelimits.search.spaces import Phase, phase_from_json, phase_to_json

SCHEMA = 3
"""Raised when the tables or the meaning of their content change."""

_APPLICATION = 0x70726C6D  # "prlm", so that another program's database is recognised
_TABLES = """
CREATE TABLE description (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE phases (phase INTEGER PRIMARY KEY, description TEXT NOT NULL);
CREATE TABLE shards (
    phase INTEGER, shard TEXT, correct BLOB NOT NULL, engine TEXT NOT NULL,
    version TEXT NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (phase, shard)
);
CREATE TABLE best (
    phase INTEGER, nonzeros INTEGER, correct INTEGER NOT NULL, rank TEXT NOT NULL,
    recipe INTEGER NOT NULL, repeat INTEGER NOT NULL, network BLOB NOT NULL,
    PRIMARY KEY (phase, nonzeros)
);
"""


class Store:
    """A search's description, finished shards, and best networks.

    Every shard is one transaction: after a crash at any moment it is there whole or not at all.
    One process writes; others may read meanwhile.

    Args:
        path: The file. None: in memory, for a search that need not be resumed.
        write: Whether this process is the one that writes. Creates the file if it is missing.

    Raises:
        StoreError: If the file is damaged, another program's, of another schema, missing although
            it is to be read, or another process is writing to it.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, write: bool) -> None:
        self.path = None if path is None else Path(path)
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
                for statement in _TABLES.split(";"):
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
                rows = list(description.items())
                self._db.executemany("INSERT INTO description VALUES (?, ?)", rows)
        check_same(self.path, _flat(self.description()), _flat(description), "search")

    def description(self) -> dict[str, str]:
        """What `describe` recorded."""
        with self._errors():
            return dict(self._db.execute("SELECT name, value FROM description").fetchall())

    def begin_phase(self, phase: Phase) -> None:
        """Records that a phase has begun, or checks that it is just that.

        Raises:
            StoreError: If the store holds another phase of this number.
        """
        with self._errors(), self._transaction():
            row = (phase.number, phase_to_json(phase))
            self._db.execute("INSERT OR IGNORE INTO phases VALUES (?, ?)", row)
        begun = next(old for old in self.phases() if old.number == phase.number)
        if begun != phase:
            raise StoreError(
                f"{self.path} holds a phase {begun!r}, asked for {phase!r}: use another store"
            )

    def phases(self) -> list[Phase]:
        """The phases that were begun, in order."""
        with self._errors():
            rows = self._db.execute("SELECT description FROM phases ORDER BY phase").fetchall()
        return [phase_from_json(description) for (description,) in rows]

    def finished(self, phase: Phase) -> set[int]:
        """The shards of a phase that are done."""
        with self._errors():
            query = "SELECT shard FROM shards WHERE phase = ?"
            return {int(shard) for (shard,) in self._db.execute(query, (phase.number,))}

    def add(self, result: ShardResult, version: str) -> None:
        """Records a finished shard and the best networks in it, in one transaction."""
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
            self._db.execute("INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?)", row)
            for candidate in result.best:
                self._offer(result.phase, candidate)

    def _offer(self, phase: Phase, new: Candidate) -> None:
        """Keeps the candidate if it beats the best of its size, whatever came first."""
        query = "SELECT correct, rank, recipe, repeat FROM best WHERE phase = ? AND nonzeros = ?"
        old = self._db.execute(query, (phase.number, new.nonzeros)).fetchone()
        place = (new.rank, new.recipe, new.repeat)
        if old and (-old[0], (int(old[1]), *old[2:])) <= (-new.correct, place):
            return
        self._db.execute(
            "INSERT OR REPLACE INTO best VALUES (?, ?, ?, ?, ?, ?, ?)",
            (phase.number, new.nonzeros, new.correct, str(new.rank), *place[1:], new.network),
        )

    def best(self, phase: Phase) -> list[Candidate]:
        """The most accurate network of every size, by ascending size."""
        query = (
            "SELECT nonzeros, correct, rank, recipe, repeat, network FROM best "
            "WHERE phase = ? ORDER BY nonzeros"
        )
        with self._errors():
            rows = self._db.execute(query, (phase.number,)).fetchall()
        return [Candidate(n, c, int(rank), *rest) for n, c, rank, *rest in rows]

    def shards(self, phase: Phase) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """Finished shards in order: which one, and its correct samples as one row of numbers."""
        query = "SELECT shard, correct FROM shards WHERE phase = ? ORDER BY length(shard), shard"
        with self._errors():
            for shard, correct in self._db.execute(query, (phase.number,)):
                yield int(shard), np.frombuffer(correct, dtype="<i4")

    def effort(self) -> tuple[float, list[str]]:
        """Seconds of training in all finished shards, and who did it: engines with versions."""
        with self._errors():
            (seconds,) = self._one("SELECT total(seconds) FROM shards")
            query = "SELECT DISTINCT engine || ', prunelimits ' || version FROM shards ORDER BY 1"
            return seconds, [name for (name,) in self._db.execute(query)]

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
            elif isinstance(error, sqlite3.OperationalError) and "malformed" not in text:
                advice = "check the path and its permissions"
            else:
                advice = "the file is damaged or no store of prunelimits: start a new store"
            raise StoreError(f"{self.path}: {text}; {advice}") from error


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
