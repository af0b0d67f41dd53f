"""Where the command line lets shards be trained."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for_end
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
    with _pool(workers, max(1, cores // workers)) as pool:
        # One more than work: a shard takes long enough to hand over the next, and a time limit
        # waits for what is held.
        yield pool, workers + 1


@contextmanager
def _pool(workers: int, threads: int) -> Generator[ProcessPoolExecutor]:
    """Processes that end with this one, however it ends, and leave Ctrl-C to it."""
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=(threads,))
    try:
        with _interrupts_held_back():
            # A process starts when there is something to do for it, and inherits what is held back.
            for _ in range(workers):
                pool.submit(os.getpid)
        yield pool
    except BaseException:
        # Nobody waits for shards that are under way: they are not lost, only not begun.
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held_back() -> Generator[None]:
    """Ctrl-C reaches the whole process group; what starts in here never hears of it.

    In this process it arrives late instead.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _dask_client(address: str) -> Generator[Client]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError('--scheduler needs Dask: pip install "prunelimits[dask]"') from error
    try:
        client = Client(address)
    except (ValueError, OSError) as error:
        raise ValueError(f"--scheduler {address}: {error}") from error
    with client:
        # When it loses its scheduler it logs at length what this command says in a line. Its parts
        # have levels of their own, so the handlers are what is quietened.
        handlers = {handler: handler.level for handler in logging.getLogger("distributed").handlers}
        for handler in handlers:
            handler.setLevel(logging.CRITICAL)
        try:
            yield client
        finally:
            client.close()
            for handler, level in handlers.items():
                handler.setLevel(level)


def _begin_worker(threads: int) -> None:
    """Settings of a process that this command started for itself."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    os.environ["PRUNELIMITS_THREADS"] = str(threads)
    # The parent has said it already.
    warnings.filterwarnings("ignore", "prunelimits was installed without its native engine")
    # The parent decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for ever for something to do."""
    if (parent := multiprocessing.parent_process()) is not None:
        wait_for_end([parent.sentinel])
        os._exit(1)
