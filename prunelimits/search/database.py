"""The file behind a store: SQLite, with a checksum in every row and errors in the user's terms."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from prunelimits.resuming import StoreError
from prunelimits.search.rows import TABLES, sealed, unsealed

SCHEMA = 3
"""Increased when the tables or the meaning of their content change."""

_APPLICATION = 0x70726C6D  # "prlm", so that another program's database is recognised


class Database:
    """A connection to a file that is a store, or becomes one.

    Args:
        path: The file. None: in memory.
        write: Whether the tables are made where there are none.

    Raises:
        StoreError: If the file is damaged, another program's or of another schema.
    """

    def __init__(self, path: Path | None, *, write: bool) -> None:
        self.path = path
        with self.errors():
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
            try:
                self._prepare(write)
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def _prepare(self, write: bool) -> None:
        (tables,) = self._one("SELECT count(*) FROM sqlite_master")
        if not tables and write:
            with self.transaction():
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

    def rows(self, table: str, rest: str = "", *parameters: object) -> Iterator[tuple[Any, ...]]:
        """The rows of a table, without their checksums, which must fit; `rest` is SQL."""
        for row in self._db.execute(f"SELECT * FROM {table} {rest}", parameters):
            yield unsealed(table, row)

    def insert(self, table: str, *values: object) -> None:
        """Adds a row, or replaces the one with the same key."""
        row = sealed(table, *values)
        places = ", ".join("?" * len(row))
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({places})", row)

    def column(self, query: str) -> list[Any]:
        """The first column of what a query gives."""
        return [row[0] for row in self._db.execute(query)]

    def _one(self, query: str) -> tuple[Any, ...]:
        return self._db.execute(query).fetchone()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All that is written within is written, or nothing; one within another is part of it."""
        if self._db.in_transaction:
            yield
            return
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
    def errors(self) -> Generator[None]:
        """SQLite's errors, and those that checks of the content raise, in the user's terms."""
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
        # JSON that describes something else can raise more than ValueError.
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StoreError(f"{self.path} is damaged: {error}; start a new store") from error


def _layout(database: sqlite3.Connection) -> list[tuple[str, ...]]:
    """The SQL of every table and index but SQLite's own statistics, which do no harm."""
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"
    return sorted(database.execute(query), key=repr)


@lru_cache(maxsize=1)
def _expected_layout() -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(TABLES)
        return _layout(database)
