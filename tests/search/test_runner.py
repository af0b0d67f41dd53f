"""Jobs on executors that are well, fail now and then, or fail for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from prunelimits.search.runner import run_jobs


def square(number: int) -> int:
    return number * number


class Recorder(Executor):
    """Runs a job when it is submitted; the first `failures` tries of each job fail."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.tries: Counter[int] = Counter()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        (job,) = args
        self.tries[job] += 1
        future: Future[Any] = Future()
        if self.tries[job] <= self.failures:
            future.set_exception(TypeError(f"lost the machine of {job}"))
        else:
            future.set_result(function(job))
        return future


def test_every_executor_gives_every_result_once():
    expected = [square(n) for n in range(20)]
    assert list(run_jobs(square, range(20), executor=None, in_flight=3)) == expected
    with ThreadPoolExecutor(2) as pool:
        assert sorted(run_jobs(square, range(20), executor=pool, in_flight=3)) == expected


def test_a_job_that_an_executor_lost_is_tried_once_more():
    executor = Recorder(failures=1)
    results = sorted(run_jobs(square, range(20), executor=executor, in_flight=3))
    assert results == [square(n) for n in range(20)]
    assert set(executor.tries.values()) == {2}


def test_the_second_failure_of_a_job_is_raised():
    executor = Recorder(failures=2)
    with pytest.raises(TypeError, match="lost the machine of 0"):
        list(run_jobs(square, range(1), executor=executor, in_flight=3))
    assert executor.tries == {0: 2}


def test_jobs_are_drawn_as_they_are_needed_and_a_caller_that_stops_stops_the_run():
    drawn: list[int] = []

    def jobs() -> Iterator[int]:
        for n in range(1000):
            drawn.append(n)
            yield n

    executor = Recorder(failures=0)
    results = run_jobs(square, jobs(), executor=executor, in_flight=4)
    next(results)
    results.close()
    assert drawn == [0, 1, 2, 3]
