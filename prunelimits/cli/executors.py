"""Where the command line lets shards be trained."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

import torch

from prunelimits.training import MLPEnsemble, TorchEngine, default_engine


@contextmanager
def open_executor(workers: int | None, scheduler: str | None) -> Generator[Executor | None]:
    """Where shards are trained: a Dask cluster, a pool of processes, or None for this process.

    Args:
        workers: Processes; None: one where the fast engine uses every core by itself, otherwise as
            many as there are cores.
        scheduler: Address of a Dask scheduler, which `workers` does not concern.
    """
    if scheduler is not None:
        with _dask_executor(scheduler) as executor:
            yield executor
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
        yield None
        return
    context = multiprocessing.get_context("spawn")
    threads = max(1, cores // workers)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=(threads,))
    try:
        yield pool
    except BaseException:
        # Nobody waits for shards that are under way: they are not lost, only not begun.
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _dask_executor(address: str) -> Generator[Executor]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError('--scheduler needs Dask: pip install "prunelimits[dask]"') from error
    with Client(address) as client:
        yield client.get_executor()


def _begin_worker(threads: int) -> None:
    """Settings of a process that this command started for itself."""
    torch.set_num_threads(threads)
    os.environ["PRUNELIMITS_THREADS"] = str(threads)
    # The parent has said it already.
    warnings.filterwarnings("ignore", "prunelimits was installed without its native engine")
    # Ctrl-C reaches the whole process group; the parent decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
