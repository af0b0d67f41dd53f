"""The study of depth: its rows, its medians by hand, and its page."""

from __future__ import annotations

from pathlib import Path

import depth
import depth_tables
import pytest
from depth import Row
from page_tables import places, refreshed

from prunelimits.datasets import cubist_spiral
from prunelimits.elimination import Elimination
from prunelimits.pruners import SNIP
from prunelimits.training import Recipe


def row(seed: int, nonzeros: int, accuracy: float, method: str = "SNIP", layers: int = 2) -> Row:
    return Row(layers, seed, "pruner", method, 9, nonzeros, nonzeros + 2, nonzeros - 1, accuracy, 1)


def test_the_smallest_at_the_target_is_counted_by_seed():
    rows = [row(0, 30, 0.96), row(0, 20, 0.95), row(0, 10, 0.94), row(1, 40, 0.99), row(2, 9, 0.1)]
    seeds = depth_tables.by_seed(rows, "SNIP", 2)
    assert [depth_tables.smallest(mine, 0.95) for mine in seeds] == [20, 40, None]
    assert depth_tables.middle(seeds, 0.95) == "40 (20; 2 of 3)"
    assert depth_tables.middle(seeds, 0.95, rule=True) == "42 (22; 2 of 3)"
    assert depth_tables.middle(seeds, 0.995) == "none (none; 0 of 3)"
    assert depth_tables.by_seed(rows, "SNIP", 3) == []


def test_each_job_is_done_once_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    quick = Recipe(epochs=1, batch_size=50)
    monkeypatch.setattr(depth, "cubist_spiral", lambda: cubist_spiral(200))
    monkeypatch.setattr(depth, "ELIMINATIONS", {
        "few": Elimination(networks=2, beam=2, tries=1, step=0.5, dense=quick, recovery=quick,
                           evolved=0, slack=1.0),
        "defaults": Elimination(networks=2, beam=2, tries=1, step=0.5, dense=quick,
                                recovery=quick, evolved=0, slack=1.0),
    })  # fmt: skip
    monkeypatch.setattr(depth, "TARGET", 0.1)
    monkeypatch.setattr(depth, "METHODS", (SNIP(),))
    monkeypatch.setattr(depth, "_STUDY", depth.Study(methods=(SNIP(),), recipes=(quick,)))
    monkeypatch.setattr(depth, "RECIPE", quick)
    monkeypatch.setattr(depth, "BUDGETS", (20, 30))
    monkeypatch.setattr(depth, "SEARCHED", {1: 8})
    table = tmp_path / "depth.csv"
    arguments = ["depth.py", str(table), "--depths", "1", "2", "--seeds", "1"]
    monkeypatch.setattr("sys.argv", arguments)
    depth.main()
    rows = depth.read_rows(table)
    assert {r[:4] for r in rows} >= {
        (1, 0, "elimination", "few"), (2, 0, "elimination", "defaults"),
        (1, 0, "pruner", "SNIP"), (2, 0, "pruner", "SNIP"), (1, 0, "search", "search"),
    }  # fmt: skip
    assert [r.keep for r in rows if r[:4] == (2, 0, "pruner", "SNIP")] == [20, 30]
    assert all(r.nonzeros <= r.with_biases for r in rows)
    depth.main()
    assert depth.read_rows(table) == rows


def test_the_page_says_what_the_results_hold(tmp_path: Path):
    page = depth_tables.PAGE.read_text()
    known = depth_tables.tables(depth_tables.RESULTS)
    assert set(places(page)) == set(known)
    assert refreshed(page, known) == page, "run python benchmarks/depth_tables.py figure"
    depth_tables.figure(depth.read_rows(depth_tables.RESULTS), tmp_path / "depth.png")
    assert (tmp_path / "depth.png").stat().st_size > 10_000
