"""Jobs on executors that are well, fail now and then, or fail for good."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from prunelimits.resuming.jobs import WorkersLostError, _Missing, run_jobs


def power(exponent: int, number: int) -> int:
    return number**exponent


def squares(numbers: Iterable[int], executor: Executor | None, in_flight: int = 3) -> Iterator[int]:
    return run_jobs(power, 2, numbers, key="squares", executor=executor, in_flight=in_flight)


class Recorder(Executor):
    """Runs a job when it is submitted; the first `failures` tries of each job fail."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.tries: Counter[int] = Counter()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        (parcel,) = args
        future: Future[Any] = Future()
        # A first try is not one where the worker only says what it misses.
        result = function(parcel)
        if isinstance(result, _Missing):
            future.set_result(result)
            return future
        self.tries[parcel.job] += 1
        if self.tries[parcel.job] <= self.failures:
            future.set_exception(TypeError(f"lost the machine of {parcel.job}"))
        else:
            future.set_result(result)
        return future


def test_every_executor_gives_every_result_once():
    expected = [n**2 for n in range(20)]
    assert list(squares(range(20), None)) == expected
    with ThreadPoolExecutor(2) as pool:
        assert sorted(squares(range(20), pool)) == expected


def test_a_job_that_an_executor_lost_is_tried_once_more():
    executor = Recorder(failures=1)
    results = sorted(squares(range(20), executor))
    assert results == [n**2 for n in range(20)]
    assert set(executor.tries.values()) == {2}


def test_the_second_failure_of_a_job_is_raised():
    executor = Recorder(failures=2)
    with pytest.raises(TypeError, match="lost the machine of 0"):
        list(squares(range(1), executor))
    assert executor.tries == {0: 2}


def test_jobs_are_drawn_as_they_are_needed_and_a_caller_that_stops_stops_the_run():
    drawn: list[int] = []

    def jobs() -> Iterator[int]:
        for n in range(1000):
            drawn.append(n)
            yield n

    executor = Recorder(failures=0)
    results = squares(jobs(), executor, 4)
    next(results)
    results.close()
    assert drawn == [0, 1, 2, 3]


class Weighing(Executor):
    """Pickles everything to one process and back, as a pool does, and notes the bytes sent."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(workers, context)
        self.sent: list[int] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.sent.append(len(pickle.dumps((function, args, kwargs))))
        return self.pool.submit(function, *args, **kwargs)


def total(shared: list[int], number: int) -> int:
    return sum(shared) + number


@pytest.mark.slow
def test_what_jobs_share_is_sent_once_to_a_worker():
    heavy = [7] * 100_000
    weighing = Weighing(2)
    with weighing.pool:
        for _ in range(2):
            results = run_jobs(
                total, heavy, range(50), key="sevens", executor=weighing, in_flight=3
            )
            assert sorted(results) == [700_000 + n for n in range(50)]
    size = len(pickle.dumps(heavy))
    # A worker that starts late may miss it more than once: what was sent for it goes to any.
    assert 1 <= sum(sent > size for sent in weighing.sent) <= 20
    assert all(sent < 1000 or sent > size for sent in weighing.sent)


def test_runs_of_other_data_are_not_mixed_up():
    with ThreadPoolExecutor(3) as pool:
        runs = {
            key: run_jobs(power, key, range(10), key=str(key), executor=pool, in_flight=2)
            for key in range(5)
        }
        results = {key: [] for key in runs}
        for _ in range(10):
            for key, run in runs.items():
                results[key].append(next(run))
    assert {key: sorted(found) for key, found in results.items()} == {
        key: sorted(n**key for n in range(10)) for key in range(5)
    }


class Ended(Executor):
    """Whatever it is given is cancelled, as a cluster's is whose scheduler is gone."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def end_this_process(_: int, number: int) -> int:
    os._exit(number)


@pytest.mark.slow
def test_lost_workers_are_told_with_what_to_do():
    with pytest.raises(WorkersLostError, match="start the same again to go on"):
        list(squares(range(3), Ended()))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool, pytest.raises(WorkersLostError, match="workers"):
        list(run_jobs(end_this_process, 1, range(1, 3), key="", executor=pool, in_flight=1))
