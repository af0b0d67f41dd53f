"""Stores that somebody has edited, or a disk has damaged: told, and never by another error."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prunelimits.datasets import cubist_spiral
from prunelimits.resuming import WriterLock
from prunelimits.search import SearchConfig, Store, StoreError, combinatorial_search, read_result
from prunelimits.search.rows import sealed
from prunelimits.training import Recipe

TABLES = ("description", "phases", "shards", "best")
CONFIG = SearchConfig(
    target=0.55,
    width=2,
    hidden_layers=1,
    recipes=(Recipe(epochs=1, batch_size=50), Recipe(epochs=1, batch_size=50, lr=0.2)),
    seeds=2,
    shard_size=8,
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stores") / "search.sqlite"
    combinatorial_search(CONFIG, *cubist_spiral(200), store=path)
    return path


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(original, tmp_path / "search.sqlite"))


def read(path: Path) -> None:
    with Store(path, write=False) as opened:
        read_result(opened)


def told(path: Path, message: str = "search") -> None:
    """Reading and going on are refused with the file's name, and nothing is trained."""
    with pytest.raises(StoreError, match=message) as reading:
        read(path)
    assert str(path) in str(reading.value)
    with pytest.raises(StoreError) as searching:
        combinatorial_search(CONFIG, *cubist_spiral(200), store=path)
    assert str(path) in str(searching.value)


def changed(path: Path, *statements: str, seal: bool = False) -> None:
    """Edits a store, with `seal` so that every checksum is right again."""
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
        if seal:
            seal_again(database)


def seal_again(database: sqlite3.Connection) -> None:
    for table in TABLES:
        for rowid, *row in database.execute(f"SELECT rowid, * FROM {table}").fetchall():
            try:
                checksum = sealed(table, *row[:-1])[-1]
            except TypeError:
                continue
            database.execute(f"UPDATE {table} SET checksum = ? WHERE rowid = ?", (checksum, rowid))


def test_an_untouched_store_is_read(store: Path):
    read(store)
    combinatorial_search(CONFIG, *cubist_spiral(200), store=store)


@pytest.mark.parametrize("table", ["shards", "best"])
def test_every_flipped_bit_of_a_blob_is_told(store: Path, table: str):
    column = "correct" if table == "shards" else "network"
    with closing(sqlite3.connect(store)) as database, database:
        ((blob,),) = database.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchall()
    content, chance = store.read_bytes(), random.Random(0)
    begin = content.find(blob)
    if begin < 0:  # on several pages
        blob = blob[:200]
        begin = content.index(blob)
    for _ in range(48):
        damaged = bytearray(content)
        damaged[begin + chance.randrange(len(blob))] ^= 1 << chance.randrange(8)
        store.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"search\.sqlite.*damaged"):
            read(store)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM description",
        "DELETE FROM description WHERE name = 'data'",
        "INSERT INTO description SELECT 'more', value, checksum FROM description LIMIT 1",
        "UPDATE description SET value = '{}'",
        "UPDATE description SET value = 'no JSON'",
        "UPDATE description SET value = '[[[' WHERE name = 'data'",
        "UPDATE description SET value = replace(value, '200', '0') WHERE name = 'data'",
        "UPDATE description SET value = replace(value, '200', '1e999') WHERE name = 'data'",
        "UPDATE description SET value = replace(value, '200', 'null') WHERE name = 'data'",
        "UPDATE description SET value = replace(value, 'd_in', 'other') WHERE name = 'data'",
        "UPDATE description SET value = replace(value, '0.55', '7') WHERE name = 'search'",
        "UPDATE description SET value = replace(value, 'seeds', 'seats') WHERE name = 'search'",
        "UPDATE description SET value = x'ff'",
        "UPDATE phases SET description = '{}'",
        "UPDATE phases SET description = replace(description, '2', '-2')",
        "UPDATE phases SET phase = phase + 10",
        "DELETE FROM phases WHERE phase = 2",
        "UPDATE shards SET correct = x'00'",
        "UPDATE shards SET correct = substr(correct, 5)",
        "UPDATE shards SET correct = 'text'",
        "UPDATE shards SET shard = '-1' WHERE shard = '0'",
        "UPDATE shards SET shard = '01' WHERE shard = '1'",
        "UPDATE shards SET shard = 'x' WHERE shard = '0'",
        "UPDATE shards SET shard = '1000000' WHERE shard = '0'",
        "UPDATE shards SET seconds = -1",
        "UPDATE shards SET seconds = 'x'",
        "UPDATE shards SET seconds = 9e999",
        "UPDATE shards SET engine = x'00'",
        "UPDATE shards SET phase = phase + 7",
        "UPDATE shards SET phase = NULL",
        "DELETE FROM best",
        "DELETE FROM best WHERE rowid = (SELECT min(rowid) FROM best)",
        "UPDATE best SET nonzeros = nonzeros + 100",
        "UPDATE best SET correct = correct + 1",
        "UPDATE best SET correct = -1",
        "UPDATE best SET correct = 'x'",
        "UPDATE best SET rank = '-1'",
        "UPDATE best SET rank = '1e3'",
        "UPDATE best SET rank = '99999999999999999999999'",
        "UPDATE best SET recipe = 2",
        "UPDATE best SET recipe = -1",
        "UPDATE best SET repeat = 2",
        "UPDATE best SET repeat = 1.5",
        "UPDATE best SET network = x'00'",
        "UPDATE best SET network = (SELECT network FROM best ORDER BY nonzeros DESC LIMIT 1)",
        "UPDATE best SET checksum = 'x'",
        "UPDATE best SET checksum = x'00'",
    ],
)
@pytest.mark.parametrize("seal", [False, True], ids=["as it is", "with new checksums"])
def test_edited_content_is_told(store: Path, statement: str, seal: bool):
    if "checksum = " in statement and seal:
        pytest.skip("sealing undoes this edit")
    changed(store, statement, seal=seal)
    if "DELETE FROM description" in statement and "WHERE" not in statement:
        with Store(store, write=False) as opened, pytest.raises(ValueError, match="no search yet"):
            read_result(opened)
        return
    told(store)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE best",
        "ALTER TABLE shards ADD COLUMN more TEXT",
        "ALTER TABLE shards RENAME COLUMN engine TO motor",
        "CREATE TABLE more (x)",
        "CREATE VIEW more AS SELECT * FROM shards",
        "CREATE TRIGGER more AFTER INSERT ON shards BEGIN DELETE FROM best; END",
        "CREATE INDEX more ON shards (engine)",
    ],
)
def test_other_tables_are_told(store: Path, statement: str):
    changed(store, statement)
    told(store, "its tables are others")


def test_a_view_in_the_place_of_a_table_is_told(store: Path):
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    changed(store, "DROP TABLE phases", f"CREATE VIEW phases AS {endless}")
    told(store, "its tables are others")


def test_statistics_for_the_planner_do_no_harm(store: Path):
    changed(store, "ANALYZE")
    read(store)


def edits(chance: random.Random, database: sqlite3.Connection) -> tuple[str, tuple[Any, ...]]:
    """A random edit of a random row."""
    table = chance.choice(TABLES)
    columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
    (rows,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    where = f"rowid = (SELECT rowid FROM {table} LIMIT 1 OFFSET {chance.randrange(rows or 1)})"
    column = chance.choice(columns)
    old = database.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
    values: list[Callable[[], object]] = [
        lambda: chance.randrange(-(2**63), 2**63),
        lambda: chance.choice([0, 1, -1, 2, 10**9]),
        lambda: chance.choice([0.5, float("inf"), -1e300]),
        lambda: chance.choice(["", "x", "{}", "[]", "null", "\0", '{"MasksOf": {}}', "[" * 5000]),
        lambda: chance.randbytes(chance.randrange(20)),
        lambda: mutated(chance, old[0] if old else None),
    ]
    kind = chance.randrange(12)
    if kind == 0:
        return f"DELETE FROM {table} WHERE {where}", ()
    if kind == 1:
        return f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} WHERE {where}", ()
    return f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {where}", (chance.choice(values)(),)


def mutated(chance: random.Random, value: object) -> object:
    if isinstance(value, str) and value:
        place = chance.randrange(len(value))
        return value[:place] + chance.choice('019xe-."[]{},') + value[place + 1 :]
    if isinstance(value, bytes) and value:
        data = bytearray(value)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        return bytes(data)
    return value + chance.choice([-1, 1]) if isinstance(value, int | float) else value


@pytest.mark.slow
@pytest.mark.parametrize("seal", [False, True], ids=["as they are", "with new checksums"])
def test_random_edits_are_told_or_change_nothing_but_never_end_otherwise(store: Path, seal: bool):
    content, chance = store.read_bytes(), random.Random(seal)
    refused = 0
    for _ in range(250):
        store.write_bytes(content)
        with closing(sqlite3.connect(store)) as database, database:
            try:
                database.execute(*edits(chance, database))
            except sqlite3.IntegrityError:
                continue
            if seal:
                seal_again(database)
        try:
            read(store)
        except StoreError as error:
            assert str(store) in str(error)  # noqa: PT017
            refused += 1
        except ValueError as error:
            assert "no search yet" in str(error)  # noqa: PT017
    assert refused > 120


def test_an_unwritable_folder_is_told_with_the_name_of_the_file(tmp_path: Path):
    # A folder in the lock's place stands for one that may not be written to, also for root.
    (tmp_path / "search.sqlite.lock").mkdir()
    with pytest.raises(StoreError, match=r"search\.sqlite cannot be locked.*permissions"):
        combinatorial_search(CONFIG, *cubist_spiral(200), store=tmp_path / "search.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["search.sqlite.lock"]


def test_a_reader_is_not_shut_out_by_a_writer(store: Path):
    with WriterLock(store):
        read(store)
        with pytest.raises(StoreError, match="being written to by another run"):
            combinatorial_search(CONFIG, *cubist_spiral(200), store=store)
