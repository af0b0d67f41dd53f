"""How many shards a second one driver takes: what it can feed, apart from what training costs.

The jobs train nothing: each returns at once what a shard of 512 trainings returns, results and the
best network of each of eight sizes, and the driver keeps it in a store on disk, as a search does.
So this is the driver's own work and that of its executor: here, pools of processes, and Dask
workers on the loopback address. With what a core trains (`benchmarks/engine.py`) it tells how many
cores one driver can feed.

Run: python benchmarks/driver.py [SHARDS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from prunelimits.models import MLP
from prunelimits.resuming.jobs import run_jobs
from prunelimits.saving import to_bytes
from prunelimits.search import MasksOf, Store
from prunelimits.search.shard import Candidate, ShardResult

PHASE = MasksOf((2, 7, 3, 3, 1))
TRAININGS = 512
SIZES = range(40, 48)


def pretend(network: bytes, shard: int) -> ShardResult:
    """What a shard of this number could give, without training."""
    correct = np.full((TRAININGS, 1, 1), shard % 40_000, dtype=np.int32)
    best = [Candidate(n, 20_000 + (shard * n) % 7919, shard, 0, 0, network) for n in SIZES]
    return ShardResult(PHASE, shard, correct, best, "none", 0.0)


def shards_a_second(shards: int, executor: Executor | None, in_flight: int) -> float:
    """Through the same loop and into the same store as a search's."""
    model = MLP((2, 7, 3, 3, 1))
    masks = {name: value != 0 for name, value in model.named_parameters()}
    network = to_bytes(model, masks)
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder, "s"), write=True) as store:
        store.describe({"search": "{}"})
        store.begin_phase(PHASE)
        options = {"key": "a driver's benchmark", "executor": executor, "in_flight": in_flight}
        # The first shards start processes and send what is shared.
        list(run_jobs(pretend, network, range(-32, 0), **options))
        began = time.perf_counter()
        for result in run_jobs(pretend, network, range(shards), **options):
            store.add(result, "0")
        return shards / (time.perf_counter() - began)


def main() -> None:
    """Prints a line an executor."""
    shards = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    print(f"{shards:,} shards of {TRAININGS} trainings each that train nothing")
    print(f"{'in this process':24} {shards_a_second(shards, None, 1):8,.0f} shards a second")
    for workers in (1, 2):
        with ProcessPoolExecutor(workers) as pool:
            rate = shards_a_second(shards, pool, workers + 1)
        print(f"{f'{workers} processes':24} {rate:8,.0f} shards a second")
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        print("Dask is not installed")
        return
    for workers in (1, 2):
        with ExitStack() as stack:
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address=None,
                )
            )
            client = stack.enter_context(Client(cluster))
            for in_flight in (2 * workers, 64):
                rate = shards_a_second(shards, client.get_executor(), in_flight)
                name = f"{workers} Dask workers, {in_flight} held"
                print(f"{name:24} {rate:8,.0f} shards a second")


if __name__ == "__main__":
    main()
