from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prunelimits.resuming import StoreError
from prunelimits.search.database import SCHEMA
from prunelimits.search.shard import Candidate, ShardResult
from prunelimits.search.spaces import MasksOf, StructuredWidths
from prunelimits.search.store import Store

PHASE = MasksOf((2, 3, 1))
DESCRIPTION = {"search": '{"target": 0.95, "seeds": 1}', "data": '{"samples": 100}'}


def result(shard: int, *best: Candidate) -> ShardResult:
    correct = np.arange(6, dtype=np.int32).reshape(2, 3, 1) + shard
    return ShardResult(PHASE, shard, correct, list(best), "engine", 1.5)


def candidate(correct: int, rank: int, *, nonzeros: int = 20, recipe: int = 0) -> Candidate:
    return Candidate(nonzeros, correct, rank, recipe, 0, f"network {rank} {recipe}".encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "search.sqlite"


@pytest.fixture
def filled(path: Path) -> Path:
    with Store(path, write=True) as store:
        store.describe(DESCRIPTION)
        store.begin_phase(PHASE)
        for shard in range(50):
            store.add(result(shard, candidate(shard, shard, nonzeros=shard)), "1.0")
    return path


def test_what_was_added_is_read_back(filled: Path):
    with Store(filled, write=False) as store:
        assert store.description() == DESCRIPTION
        assert store.phases() == [PHASE]
        assert store.finished(PHASE) == set(range(50))
        assert store.finished(StructuredWidths(3, 1)) == set()
        for shard, correct in store.shards(PHASE):
            assert correct.tolist() == [n + shard for n in range(6)]
        assert [c.nonzeros for c in store.best(PHASE)] == list(range(50))
        assert store.best(PHASE)[7] == candidate(7, 7, nonzeros=7)
        assert store.effort() == (75.0, ["engine, prunelimits 1.0"])


def test_the_best_does_not_depend_on_the_order(path: Path):
    # Most correct, then lowest rank (as a number: 9 before 10), then lowest recipe.
    offers = [
        candidate(5, 10),
        candidate(5, 9),
        candidate(5, 9, recipe=1),
        candidate(4, 1),
        candidate(5, 2**70),
    ]
    for order in (offers, offers[::-1]):
        with Store(None, write=True) as store:
            for shard, offer in enumerate(order):
                store.add(result(shard, offer), "1.0")
            assert store.best(PHASE) == [candidate(5, 9)]


def test_a_shard_is_added_whole_or_not_at_all(path: Path):
    with Store(path, write=True) as store:
        store.add(result(0, candidate(5, 1)), "1.0")
        # An offer that the tables do not take, after the shard and another offer were written.
        unfit = Candidate(30, 5, 2, 0, 0, None)  # pyright: ignore[reportArgumentType]
        with pytest.raises(StoreError, match="NOT NULL"):
            store.add(result(1, candidate(6, 2), unfit), "1.0")
        assert store.finished(PHASE) == {0}
        assert store.best(PHASE) == [candidate(5, 1)]


def test_a_shard_that_is_there_twice_is_ignored_or_told_plainly(path: Path):
    with Store(path, write=True) as store:
        for _ in range(2):
            store.add(result(0, candidate(5, 1)), "1.0")
        assert store.finished(PHASE) == {0}
        assert store.effort()[0] == 1.5
        other = dataclasses.replace(result(1, candidate(6, 2)), shard=0, engine="another")
        with pytest.raises(
            StoreError, match="shard 0 of phase 2 is there already with another"
        ) as e:
            store.add(other, "1.0")
        assert "damaged" not in str(e.value)
        assert store.best(PHASE) == [candidate(5, 1)]


@pytest.mark.slow
def test_a_second_writer_is_refused_also_from_another_process(path: Path):
    script = (
        f"import sys; from prunelimits.search.store import Store\nStore({str(path)!r}, write=True)"
    )
    with Store(path, write=True):
        with pytest.raises(StoreError, match="is being written to by another run"):
            Store(path, write=True)
        other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert "is being written to by another run" in other.stderr
        with Store(path, write=False) as reader:
            assert reader.finished(PHASE) == set()
    assert {file.name for file in path.parent.iterdir()} == {path.name, f"{path.name}.lock"}
    with Store(path, write=True):
        pass


def test_another_search_is_refused_by_what_differs(filled: Path):
    with Store(filled, write=True) as store:
        store.describe(DESCRIPTION)
        with pytest.raises(StoreError, match=r"\(seeds is 1, asked for 2\)"):
            store.describe({**DESCRIPTION, "search": '{"target": 0.95, "seeds": 2}'})
        assert store.description() == DESCRIPTION


def test_another_schema_is_refused(filled: Path):
    database = sqlite3.connect(filled)
    database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    database.close()
    with pytest.raises(StoreError, match=f"has schema {SCHEMA + 1}"):
        Store(filled, write=True)


def test_a_foreign_database_is_refused_and_left_alone(path: Path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE mine (x)")
    database.commit()
    database.close()
    before = path.read_bytes()
    for write in (True, False):
        with pytest.raises(StoreError, match="not a store of prunelimits"):
            Store(path, write=write)
    assert path.read_bytes() == before


def test_another_kind_of_file_is_refused_and_left_alone(path: Path):
    path.write_bytes(b"0123456789" * 1000)
    with pytest.raises(StoreError, match="damaged or no store"):
        Store(path, write=True)
    assert path.read_bytes() == b"0123456789" * 1000
    assert not path.with_name(path.name + ".lock").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_told(filled: Path, share: float):
    content = filled.read_bytes()
    filled.write_bytes(content[: int(share * len(content))])
    with pytest.raises(StoreError, match="damaged"):
        Store(filled, write=True)


def test_a_full_disk_is_told_and_loses_nothing(path: Path):
    with Store(path, write=True) as store:
        store.add(result(0), "1.0")
        # SQLite's own limit stands for the disk's: the error is the same.
        (pages,) = store._db._db.execute("PRAGMA page_count").fetchone()
        store._db._db.execute(f"PRAGMA max_page_count = {pages}")
        large = Candidate(20, 5, 1, 0, 0, bytes(100_000))
        with pytest.raises(StoreError, match=r"disk is full; free some space"):
            store.add(result(1, large), "1.0")
        assert store.finished(PHASE) == {0}
    with Store(path, write=True) as store:
        store.add(result(1, large), "1.0")
        assert store.finished(PHASE) == {0, 1}


def test_a_missing_file_or_folder_is_told(path: Path):
    with pytest.raises(StoreError, match="does not exist"):
        Store(path, write=False)
    with pytest.raises(StoreError, match=r"the folder of .* does not exist"):
        Store(path / "deeper.sqlite", write=True)
    assert not path.exists()


def test_a_store_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with Store(None, write=True) as store:
        store.describe(DESCRIPTION)
        assert store.description() == DESCRIPTION
    assert not list(tmp_path.iterdir())
