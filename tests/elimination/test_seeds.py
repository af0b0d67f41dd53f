"""Several seeds give what each gives alone, wherever they run."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from prunelimits.elimination import EliminationResult, eliminate_seeds, read_elimination

from .circle import X, Y
from .small import QUICK, START, content, run


@cache
def alone(seed: int) -> object:
    """What a seed gives by itself, which is the same for every kind of executor."""
    return content(run(seed=seed))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["here", "threads", "processes"])
def test_every_seed_gives_what_it_gives_alone(kind: str, tmp_path: Path):
    told: list[tuple[int, EliminationResult]] = []
    options = {
        "seeds": [4, 0, 2],
        "start": START,
        "target": 0.85,
        "store": tmp_path / "kept.pt",
        "on_result": lambda seed, result: told.append((seed, result)),
    }
    if kind == "here":
        results = eliminate_seeds(X, Y, QUICK, **options)
    else:
        context = multiprocessing.get_context("spawn")
        pool = ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(2, context)
        with pool as executor:
            results = eliminate_seeds(X, Y, QUICK, executor=executor, **options)
    assert list(results) == [4, 0, 2]
    assert {seed: id(result) for seed, result in told} == {s: id(r) for s, r in results.items()}
    for seed, result in results.items():
        assert content(result) == alone(seed)
        assert content(read_elimination(tmp_path / f"kept-{seed}.pt")) == content(result)


def test_what_was_kept_is_not_done_again(tmp_path: Path):
    options = {"start": START, "target": 0.85, "store": tmp_path / "kept.pt"}
    begun = eliminate_seeds(X, Y, QUICK, seeds=[1, 2], time_limit=1e-9, **options)
    assert not any(result.finished for result in begun.values())
    ended = eliminate_seeds(X, Y, QUICK, seeds=[1, 2, 3], **options)
    assert all(result.finished for result in ended.values())
    assert content(ended[2]) == content(run(seed=2))
    again = eliminate_seeds(X, Y, QUICK, seeds=[2], **options)
    assert again[2].rounds == ended[2].rounds


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"seeds": []}, ValueError, "seeds must be different integers, at least one"),
        ({"seeds": [1, 1]}, ValueError, "seeds must be different integers"),
        ({"seeds": [0.5]}, TypeError, "seeds"),
        ({"seeds": [0], "in_flight": 0}, ValueError, "in_flight must be at least 1, got 0"),
        ({"seeds": [0], "executor": 3}, TypeError, "executor must be"),
        ({"seeds": [0], "on_result": 3}, TypeError, "on_result must be a function or None"),
        ({"seeds": [0], "target": 2.0}, ValueError, "target"),
    ],
)
def test_wrong_arguments_are_refused_by_name(wrong, kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        eliminate_seeds(X, Y, QUICK, **{"start": START, "target": 0.85, **wrong})
