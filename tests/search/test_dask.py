"""The search on a real Dask cluster of two processes on the loopback address."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torch import Tensor

from prunelimits.cli import main
from prunelimits.search import Progress, SearchConfig, Store, combinatorial_search, read_result
from prunelimits.training import TorchEngine

distributed = pytest.importorskip("distributed")

# Dask's own cleaning up, not ours.
pytestmark = pytest.mark.filterwarnings("default::ResourceWarning", "default::UserWarning")
Contents = Callable[[Path], dict[str, list[tuple[object, ...]]]]


@pytest.fixture
def client() -> Iterator[object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        )
    with cluster, distributed.Client(cluster) as client:
        yield client


def without_engine(content: dict[str, list[tuple[object, ...]]]) -> dict[str, object]:
    """Worker processes have other thread counts, which the engine's name records."""
    shards = [(phase, n, correct) for phase, n, correct, *_ in content["shards"]]
    return {**content, "shards": shards}


@pytest.mark.slow
def test_a_cluster_gives_the_same_store_also_after_a_worker_is_killed(
    client: distributed.Client,
    config: SearchConfig,
    data: tuple[Tensor, Tensor],
    tmp_path: Path,
    contents: Contents,
):
    here, there, killed = (tmp_path / f"{name}.sqlite" for name in ("here", "there", "killed"))
    engine = TorchEngine()
    combinatorial_search(config, *data, store=here, engine=engine)
    executor = client.get_executor()
    combinatorial_search(config, *data, store=there, executor=executor, engine=engine)
    assert without_engine(contents(there)) == without_engine(contents(here))

    victims = list(client.run(os.getpid).values())[:1]
    kills: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.trained and not kills:
            kills.extend(victims)
            os.kill(victims[0], signal.SIGKILL)

    combinatorial_search(
        config, *data, store=killed, executor=executor, engine=engine, on_progress=kill
    )
    assert kills == victims
    assert without_engine(contents(killed)) == without_engine(contents(here))


@pytest.mark.slow
def test_the_command_line_hands_the_work_to_a_scheduler(
    client: distributed.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    small = ["--widths", "2", "2", "2", "1", "--epochs", "1", "--shard-size", "12", "--quiet"]
    assert main(["search", *small, "--scheduler", client.scheduler.address]) == 0
    assert main(["search", *small, "--store", "here.sqlite"]) == 0
    results = []
    for name in ("search.sqlite", "here.sqlite"):
        with Store(name, write=False) as store:
            results.append(read_result(store))
    assert results[0].phases == results[1].phases


@pytest.mark.long
def test_a_scheduler_that_is_killed_is_told_in_a_line_and_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    search = [sys.executable, "-W", "ignore", "-m", "prunelimits", "search", "--quiet"]
    search += ["--widths", "2", "2", "2", "1", "--epochs", "20", "--shard-size", "2"]
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-W", "ignore", "-m", "dask"]
    started = [
        subprocess.Popen([*dask, *command], stderr=subprocess.DEVNULL)
        for command in (
            ["scheduler", "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)],
            ["worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard"],
        )
    ]
    try:
        deadline = time.monotonic() + 120
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        there = subprocess.Popen(
            [*search, "--scheduler", address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert there.stdout is not None
        for line in there.stdout:
            if re.search(r"[1-9]\d* of \d+", line):
                break
        started[0].kill()
        _, errors = there.communicate(timeout=200)
        assert there.returncode == 1
        assert "start the same again to go on" in " ".join(errors.split())
        assert "Traceback" not in errors
    finally:
        for process in started:
            process.kill()
            process.wait()
    with Store("search.sqlite", write=False) as store:
        [phase] = store.phases()
        before = store.finished(phase)
    assert before
    subprocess.run(search, check=True, capture_output=True)
    subprocess.run([*search, "--store", "here.sqlite"], check=True, capture_output=True)
    with (
        Store("search.sqlite", write=False) as resumed,
        Store("here.sqlite", write=False) as undisturbed,
    ):
        assert before < resumed.finished(phase)
        assert read_result(resumed).phases == read_result(undisturbed).phases
