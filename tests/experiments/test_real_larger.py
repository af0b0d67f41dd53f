"""The table of larger budgets, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import real_larger_tables as tables
import real_study
from real_choices import NINE
from real_methods import Compared, Variant, with_more_weights
from real_rows import Row, read_rows
from real_tasks import STUDIED, RealTask

import prunelimits as pl


def rows(split: int, keep: int, test: dict[str, int], cost: float = 1.0) -> list[Row]:
    return [
        Row("digits", split, method, 1 if method in ("LTH", "Regrowth, short") else 5, 0, keep,
            cost if method.startswith("Regrowth") else 1.0, (9,), (9,), (right,), (right,),
            100, 100, 1.0)
        for method, right in test.items()
    ]  # fmt: skip


def study(split: int, keep: int, nine: int, early: int, regrown: int, cost: float) -> list[Row]:
    """SNIP is the best of the nine."""
    here = dict.fromkeys(NINE, 50) | {"SNIP": nine, "GMP until 0.15": early}
    return rows(split, keep, here | {"Regrowth, short": regrown}, cost)


def test_budgets_stand_below_the_largest_of_the_study_less_the_dense_networks():
    dense = rows(0, 2720, {"dense": 90}) + rows(1, 2720, {"dense": 96})
    two = study(0, 200, 80, 82, 88, 30.0) + study(1, 200, 84, 83, 89, 30.0)
    two += study(2, 200, 1, 1, 1, 30.0) + study(0, 100, 2, 2, 2, 30.0)
    more = dense + study(0, 400, 90, 88, 91, 30.0) + study(1, 400, 94, 95, 95, 36.0)
    lines = tables.table(two, more).splitlines()
    # Of split 0 -10, of split 1 -12; regrowth to 400 costs too much on one of two splits.
    assert lines[2:] == [
        "| digits (93.0%) | 2 | 200 | -11.0 | -10.5 | -11.0 | -10.5 | -4.5 | +6.5 |",
        "| digits (93.0%) | 2 | 400 | -1.0 | -1.5 | -1.0 | -1.5 |  |  |",
    ]


def test_an_interval_is_told_of_six_splits():
    more = [row for s in range(6) for row in rows(s, 2720, {"dense": 97})]
    more += [row for s in range(6) for row in study(s, 400, 90, 88, 91 + s, 30.0)]
    (line,) = tables.table([], more).splitlines()[2:]
    assert line.endswith("| -3.5 | +3.5 (+1.0 to +6.0) |")


def test_larger_budgets_have_tasks_and_methods_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for task in STUDIED:
        assert task.of_more_weights().budgets == task.larger
        assert not task.larger or min(task.larger) > max(task.budgets)
    compared = with_more_weights()
    assert (list(compared.regrowths), list(compared.shorter)) == (
        [], ["Regrowth, short", "Regrowth, shortest"]
    )  # fmt: skip
    dense = Compared((Variant("dense", None, 1, range(1)),), {}, {})
    monkeypatch.setattr(real_study, "with_more_weights", lambda: dense)
    asked: list[RealTask] = []
    monkeypatch.setattr(
        real_study, "jobs", lambda tasks, *_: asked.extend(tasks) or iter(())
    )  # fmt: skip
    monkeypatch.setattr(real_study, "task_named", lambda name: known[name])
    small = RealTask("small", lambda _: pl.datasets.digits(), (6, 4), 1, 8, (6,))
    known = {"small": small, "wide": replace(small, name="wide", larger=(30, 40))}
    command = ["x", str(tmp_path / "table.csv"), "--packages", ".", "--tasks", "small", "wide"]
    monkeypatch.setattr("sys.argv", [*command, "--larger"])
    real_study.main()
    assert [(task.name, task.budgets) for task in asked] == [("wide", (30, 40))]
    assert read_rows(tmp_path / "table.csv") == []
    monkeypatch.setattr("sys.argv", [*command, "--larger", "--hidden-layers", "1"])
    with pytest.raises(SystemExit):
        real_study.main()
