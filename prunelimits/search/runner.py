"""Running many independent jobs, here or on any executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from itertools import islice
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    executor: Executor | None,
    in_flight: int,
) -> Iterator[Result]:
    """The results of `function` on every job, in the order in which they finish.

    Jobs are drawn lazily, so millions of them cost nothing, and a caller that stops iterating stops
    the run: what has not begun is cancelled.

    On an executor a job that fails is tried once more: where a machine is lost, some executors pass
    on an error of their own for a job that another machine could do. (Dask's raises a `TypeError`
    if a worker dies between the end of a job and the client's look at its state.)

    Args:
        function: What to do; picklable if the executor needs it.
        jobs: On what.
        executor: Where; None: in this process, one after the other.
        in_flight: How many jobs the executor holds at a time.

    Raises:
        RuntimeError: If the executor lost its workers.
        Exception: What `function` raises, on an executor the second time.
    """
    if executor is None:
        yield from map(function, jobs)
        return
    waiting = iter(jobs)
    running: dict[Future[Result], tuple[Job, bool]] = {}  # a job, and whether it may fail
    try:
        while True:
            for job in islice(waiting, in_flight - len(running)):
                running[executor.submit(function, job)] = job, True
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                job, may_fail = running.pop(future)
                if may_fail and future.exception() is not None:
                    running[executor.submit(function, job)] = job, False
                else:
                    yield future.result()
    except BrokenExecutor as error:
        raise RuntimeError(
            f"a worker process ended unexpectedly ({error}): it may have run out of memory; "
            "start the same search again to go on"
        ) from error
    finally:
        for future in running:
            future.cancel()
