"""The study of planted truths in small form."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import planted
import planted_tables
import pytest
from page_tables import places, refreshed

from prunelimits.elimination import Regrowth
from prunelimits.pruners import Magnitude
from prunelimits.training import Recipe


@pytest.mark.parametrize("name", ["ReLU", "circle"])
def test_the_hidden_network_is_all_there_and_others_are_counted(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(planted, "POINTS", 200)
    monkeypatch.setattr(planted, "STARTS", 2)
    monkeypatch.setattr(planted, "LONG", Recipe(epochs=1, batch_size=50, lr=1e-4))
    monkeypatch.setattr(planted, "METHODS", {"Magnitude": Magnitude()})
    task = next(task for task in planted.TASKS if task.name == name)
    hidden = planted.run(task, "hidden")
    assert [row.found for row in hidden] == [1.0, 1.0]
    best = 0.0 if name == "ReLU" else 1.0
    assert all(row.result == pytest.approx(best, abs=0.03) for row in hidden)
    rows = planted.run(task, "Magnitude")
    weights = hidden[0].keep
    assert [row.keep for row in rows] == [weights, weights, 4 * weights, 4 * weights]
    wide, masks = planted.planted(task)
    # By hand, for the first start: which of the largest weights are hidden ones.
    every = [
        (float(abs(value)), bool(kept))
        for layer, mask in masks.items()
        if layer.endswith("weight")
        for value, kept in zip(
            wide.params[layer][0].flatten().tolist(), mask[0].flatten().tolist(), strict=True
        )
    ]
    largest = sorted(every, key=lambda pair: -pair[0])[:weights]
    assert rows[0].found == pytest.approx(sum(kept for _, kept in largest) / weights, abs=1e-4)


def test_rows_are_read_back(tmp_path: Path):
    assert planted.read_rows(tmp_path / "none.csv") == []
    (tmp_path / "a.csv").write_text("task,method,keep,start,result,found\nReLU,GMP,5,1,0.5,0.25\n")
    assert planted.read_rows(tmp_path / "a.csv") == [planted.Row("ReLU", "GMP", 5, 1, 0.5, 0.25)]


@pytest.mark.slow
# After one epoch each there may be nothing to find.
@pytest.mark.filterwarnings("ignore:the best network found keeps no weight at all")
def test_elimination_and_regrowth_are_laid_out_as_the_wide_networks(
    monkeypatch: pytest.MonkeyPatch,
):
    quick = Recipe(epochs=1, batch_size=50, lr=1e-3)
    monkeypatch.setattr(planted, "POINTS", 200)
    monkeypatch.setattr(planted, "STARTS", 2)
    monkeypatch.setattr(planted, "WIDTH", 5)
    few = replace(planted.ELIMINATION, networks=2, beam=2, tries=1, dense=quick, recovery=quick)
    monkeypatch.setattr(planted, "ELIMINATION", few)
    grown = Regrowth(starts=2, beam=2, cycles=1, first=quick, recovery=quick, last=quick)
    monkeypatch.setattr(planted, "REGROWTH", grown)
    task = planted.TASKS[0]
    for method in ("Elimination", "Regrowth"):
        rows = planted.run(task, method)
        assert [(row.keep, row.start) for row in rows] == [(5, 0), (5, 1), (20, 0), (20, 1)]
        assert all(0 <= row.found <= 1 for row in rows)
    wide, _ = planted.planted(task)
    found = planted.eliminated(task, wide, task.data(0), 5)
    assert found.widths == wide.widths
    weights = sum(m.flatten(1).sum(1) for n, m in found.masks.items() if n.endswith("weight"))
    assert bool((weights <= 5).all())


def test_the_page_says_what_the_results_hold():
    page = planted_tables.PAGE.read_text()
    known = planted_tables.tables(planted_tables.RESULTS)
    assert set(places(page)) == set(known)
    assert refreshed(page, known) == page, "run python benchmarks/planted_tables.py"


def test_what_diverged_is_counted():
    rows = [
        planted.Row("ReLU", "GMP", 5, n, value, 0.0) for n, value in enumerate((1, 2, math.nan))
    ]
    assert planted_tables._result(rows, planted.TASKS[0]) == "1 of 3 diverged"
    assert planted_tables._result(rows[:2], planted.TASKS[0]) == "1.500 (1.000)"
