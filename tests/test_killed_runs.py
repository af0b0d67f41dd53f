"""Runs that are killed again and again, with a second writer trying: nothing is lost or done twice.

By the command line, in processes of their own, as on a machine that loses its power.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import prunelimits as pl

KILLS = 10


class Kind(NamedTuple):
    """A kind of run: its command, the file it keeps, and what that file says."""

    arguments: list[str]
    file: str
    content: Callable[[Path], object]


def search_content(path: Path) -> object:
    with contextlib.closing(sqlite3.connect(path)) as database:
        shards = database.execute("SELECT * FROM shards").fetchall()
        assert shards
        result = pl.search.read_result(pl.search.Store(path, write=False))
    found = [(n.nonzeros, n.accuracy, n.rank, n.recipe, n.repeat) for n in result.best]
    weights = [
        {name: value.tolist() for name, value in n.model.state_dict().items()} for n in result.best
    ]
    return result.phases, found, weights


def elimination_content(path: Path) -> object:
    result = pl.search.read_elimination(path)
    assert result.finished
    rounds = [(r.stage, r.nonzeros, r.trained, r.score, r.epochs, r.work) for r in result.rounds]
    networks = [
        (n.nonzeros, {name: value.tolist() for name, value in n.model.state_dict().items()})
        for n in result.networks
    ]
    return rounds, networks


def gap_content(path: Path) -> object:
    rows = path.read_text().splitlines()
    assert len(rows) == len(set(rows)) > 2
    return sorted(rows)


KINDS = {
    "search": Kind(
        [
            "search", "--data", "../data.npz", "--target", "0.99", "--widths", "2", "3", "2", "1",
            "--learning-rates", "0.05", "--schedules", "cosine", "--epochs", "30", "--seeds", "12",
            "--shard-size", "64", "--workers", "2", "--quiet", "--store", "kept.sqlite",
        ],
        "kept.sqlite",
        search_content,
    ),
    "elimination": Kind(
        [
            "eliminate", "--data", "../data.npz", "--target", "0.9",
            "--quiet", "--store", "kept.pt",
        ],
        "kept.pt",
        elimination_content,
    ),
    "gap": Kind(
        [
            "gap", "--data", "../data.npz", "--methods", "SNIP", "GMP", "Magnitude", "RigL",
            "--widths", "3", "4", "5", "6", "--budgets", "9", "12", "15", "--workers", "2",
            "--repeats", "4", "--learning-rates", "0.05", "0.1", "--quiet", "--table", "kept.csv",
        ],
        "kept.csv",
        gap_content,
    ),
}  # fmt: skip


def start(folder: Path, kind: Kind) -> subprocess.Popen[bytes]:
    def heed_interrupts() -> None:
        # What a shell runs in the background ignores them, and so do its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen(
        [sys.executable, "-m", "prunelimits.cli", *kind.arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=heed_interrupts,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def of_session(session: int) -> list[str]:
    """Commands of the living processes of a session."""
    living: list[str] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                living.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return living


def finish(folder: Path, kind: Kind) -> None:
    process = start(folder, kind)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output.decode()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    x, _ = pl.datasets.cubist_spiral(2_000)
    y = (x.square().sum(1) < 1.5).long()
    np.savez(folder / "data.npz", x=x.numpy(), y=y.numpy())
    return folder


@pytest.fixture(scope="module", params=KINDS)
def undisturbed(request: pytest.FixtureRequest, data: Path) -> tuple[Kind, object]:
    kind = KINDS[request.param]
    folder = data / f"{request.param}-undisturbed"
    folder.mkdir()
    finish(folder, kind)
    return kind, kind.content(folder / kind.file)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc").exists(), reason="it looks for processes in /proc")
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_run_that_is_killed_ten_times_ends_as_one_that_is_not(
    blow: signal.Signals, undisturbed: tuple[Kind, object], data: Path
):
    kind, expected = undisturbed
    folder = data / f"{kind.arguments[0]}-{kind.file}-{blow}"
    folder.mkdir()
    dice = random.Random(int(blow))
    refused = killed = 0
    for _ in range(KILLS):
        both = [start(folder, kind), start(folder, kind)]
        # One of them writes; the other is told so and ends, or ends because all is done.
        deadline = time.monotonic() + 120
        while all(p.poll() is None for p in both) and time.monotonic() < deadline:
            time.sleep(0.05)
        writer = next((p for p in both if p.poll() is None), None)
        time.sleep(dice.uniform(0, 1.5))
        if writer is not None and writer.poll() is None:
            os.kill(writer.pid, blow)
            killed += 1
        for process in both:
            output, _ = process.communicate(timeout=120)
            text = output.decode()
            if process is not writer and process.returncode != 0:
                assert kind.file in text, text
                refused += 1
            if blow != signal.SIGKILL:
                assert "Traceback" not in text, text
        gone = time.monotonic() + 30
        while (left := [c for p in both for c in of_session(p.pid)]) and time.monotonic() < gone:
            time.sleep(0.1)
        assert not left
    finish(folder, kind)
    assert kind.content(folder / kind.file) == expected
    assert refused > 0
    assert killed > 0
    expected_files = {kind.file, f"{kind.file}.lock"}
    assert {path.name for path in folder.iterdir()} <= expected_files
