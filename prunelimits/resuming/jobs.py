"""Running many independent jobs, in this process or on any executor."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass, replace
from itertools import islice
from threading import Lock
from typing import Any, Generic, TypeVar

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")

# In a process that runs jobs: what those of a run share, by the run's key, for the latest runs.
_at_hand: OrderedDict[str, Any] = OrderedDict()
_MOST_AT_HAND = 2
_lock = Lock()


class WorkersLostError(RuntimeError):
    """An executor lost its workers, or its scheduler; what was finished before is not lost."""


def run_jobs(
    function: Callable[[Shared, Job], Result],
    shared: Shared,
    jobs: Iterable[Job],
    *,
    key: str,
    executor: Executor | None,
    in_flight: int,
) -> Iterator[Result]:
    """The results of `function(shared, job)` for every job, in the order in which they finish.

    Jobs are drawn lazily, so millions of them cost nothing, and a caller that stops iterating stops
    the run: what has not begun is cancelled.

    What the jobs share, such as the data of a search, is sent to a worker once and not with every
    job: a worker that does not have it says so, and its job is sent again, with it.

    On an executor a job that fails is tried once more: where a machine is lost, some executors pass
    on an error of their own for a job that another machine could do. (Dask's raises a `TypeError`
    if a worker dies between the end of a job and the client's look at its state.)

    Args:
        function: Is called with each job; picklable if the executor needs it.
        shared: Its first argument, the same for all jobs.
        jobs: Its second arguments.
        key: A name for `shared` that no other run uses.
        executor: Where the jobs run; None: in this process, one after the other.
        in_flight: How many jobs the executor holds at a time.

    Raises:
        WorkersLostError: If the executor lost its workers.
        Exception: What `function` raises, on an executor the second time.
    """
    if executor is None:
        for job in jobs:
            yield function(shared, job)
        return
    waiting = (_Parcel(function, key, job) for job in jobs)
    running: dict[Future[Any], tuple[_Parcel[Shared, Job, Result], bool]] = {}
    try:
        while True:
            for parcel in islice(waiting, in_flight - len(running)):
                running[executor.submit(_run, parcel)] = parcel, True
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                parcel, may_fail = running.pop(future)
                complete = replace(parcel, shared=shared)
                if may_fail and future.exception() is not None:
                    running[executor.submit(_run, complete)] = complete, False
                elif isinstance(result := future.result(), _Missing):
                    running[executor.submit(_run, complete)] = complete, may_fail
                else:
                    yield result
    except (BrokenExecutor, CancelledError) as error:
        reason = f" ({error})" if str(error) else ""
        raise WorkersLostError(
            f"the workers or their scheduler ended unexpectedly{reason}; they may have run out of "
            "memory. What is finished is kept: start the same again to go on"
        ) from error
    finally:
        for future in running:
            future.cancel()
        with _lock:
            _at_hand.pop(key, None)


@dataclass(frozen=True, eq=False)
class _Parcel(Generic[Shared, Job, Result]):
    """A job on its way to a worker; without `shared` if the worker should have that already."""

    function: Callable[[Shared, Job], Result]
    key: str
    job: Job
    shared: Shared | None = None


class _Missing:
    """A worker's answer where it does not have what the jobs share."""


def _run(parcel: _Parcel[Shared, Job, Result]) -> Result | _Missing:
    with _lock:
        if parcel.shared is not None:
            _at_hand[parcel.key] = parcel.shared
        if parcel.key not in _at_hand:
            return _Missing()
        _at_hand.move_to_end(parcel.key)
        while len(_at_hand) > _MOST_AT_HAND:
            _at_hand.popitem(last=False)
        shared: Shared = _at_hand[parcel.key]
    return parcel.function(shared, parcel.job)
