"""Where the command line lets shards be trained."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from prunelimits.training import MLPEnsemble, TorchEngine, default_engine

if TYPE_CHECKING:
    from distributed import Client


@contextmanager
def open_executor(
    workers: int | None, scheduler: str | None
) -> Generator[tuple[Executor | None, int]]:
    """Where shards are trained, and how many it should hold at a time.

    A Dask cluster, a pool of processes, or None for this process.

    Args:
        workers: Processes; None: one where the fast engine uses every core by itself, otherwise as
            many as there are cores.
        scheduler: Address of a Dask scheduler, which `workers` does not concern.
    """
    if scheduler is not None:
        with _dask_client(scheduler) as client:
            threads: Any = client.nthreads()
            # The next shard is at hand when a thread is free.
            yield client.get_executor(), 2 * max(1, sum(threads.values()))
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    if workers is None:
        # One thread each is torch's best use of several cores on networks this small.
        slow = isinstance(default_engine(MLPEnsemble((1, 1), models=1)), TorchEngine)
        workers = cores if slow else 1
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if workers == 1:
        yield None, 1
        return
    context = multiprocessing.get_context("spawn")
    threads = max(1, cores // workers)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=(threads,))
    try:
        # One more than work: a shard takes long enough to hand over the next, and a time limit
        # waits for what is held.
        yield pool, workers + 1
    except BaseException:
        # Nobody waits for shards that are under way: they are not lost, only not begun.
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _dask_client(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError('--scheduler needs Dask: pip install "prunelimits[dask]"') from error
    return Client(address)


def _begin_worker(threads: int) -> None:
    """Settings of a process that this command started for itself."""
    torch.set_num_threads(threads)
    os.environ["PRUNELIMITS_THREADS"] = str(threads)
    # The parent has said it already.
    warnings.filterwarnings("ignore", "prunelimits was installed without its native engine")
    # Ctrl-C reaches the whole process group; the parent decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
