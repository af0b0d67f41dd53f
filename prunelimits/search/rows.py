"""Rows of the store, each with a checksum of its content."""

from __future__ import annotations

import hmac
import math
from typing import Any

from prunelimits.resuming import digest

TABLES = """
CREATE TABLE description (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum TEXT NOT NULL);
CREATE TABLE phases (
    phase INTEGER PRIMARY KEY, description TEXT NOT NULL, checksum TEXT NOT NULL
);
CREATE TABLE shards (
    phase INTEGER, shard TEXT, correct BLOB NOT NULL, engine TEXT NOT NULL,
    version TEXT NOT NULL, seconds REAL NOT NULL, checksum TEXT NOT NULL,
    PRIMARY KEY (phase, shard)
);
CREATE TABLE best (
    phase INTEGER, nonzeros INTEGER, correct INTEGER NOT NULL, rank TEXT NOT NULL,
    recipe INTEGER NOT NULL, repeat INTEGER NOT NULL, network BLOB NOT NULL,
    checksum TEXT NOT NULL, PRIMARY KEY (phase, nonzeros)
);
"""
_KINDS: dict[str, tuple[type, ...]] = {
    "description": (str, str),
    "phases": (int, str),
    "shards": (int, str, bytes, str, str, float),
    "best": (int, int, int, str, int, int, bytes),
}


def sealed(table: str, *values: object) -> tuple[object, ...]:
    """The values of a row of a table, with their checksum behind them."""
    return (*values, digest(table, *values))


def unsealed(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values of a row, if they are of the right kinds and none has changed since `sealed`.

    Raises:
        ValueError: If they are not.
    """
    *values, checksum = row
    kinds = _KINDS[table]
    # SQLite keeps any kind of value in any column.
    if [type(value) for value in values] != list(kinds) or not isinstance(checksum, str):
        raise ValueError(f"a row of its table {table!r} holds other kinds of values")
    if not hmac.compare_digest(digest(table, *values).encode(), checksum.encode()):
        raise ValueError(f"a row of its table {table!r} is damaged: its checksum is another")
    if any(isinstance(value, float) and not 0 <= value < math.inf for value in values):
        raise ValueError(f"a row of its table {table!r} holds a number out of its range")
    return tuple(values)


def counted(text: str) -> int:
    """A number that is kept as text, for there may be more than SQLite's integers can count.

    Raises:
        ValueError: If the text is not what `str` makes of such a number.
    """
    if not (text.isascii() and text.isdecimal()) or (text != "0" and text[0] == "0"):
        raise ValueError(f"{text[:20]!r} is no rank")
    return int(text)
