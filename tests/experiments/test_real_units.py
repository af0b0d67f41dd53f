"""The study of units in small form, its counts by hand, and its page."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import real_unit_tables
import real_units
import torch
from page_tables import places, refreshed
from real_tasks import RealTask
from real_unit_places import Place, real_place
from real_unit_rows import Row, read_rows
from real_unit_tables import fewest
from real_units import Measured, compositions, hidden_units, rows_of

import prunelimits as pl
from prunelimits.elimination import Elimination
from prunelimits.training import Recipe

TASK = RealTask("Vowel", lambda _: pl.datasets.gaussians(200, classes=3), (6, 4), 2, 20, (6, 12))
QUICK = Recipe(epochs=1, batch_size=30)


@pytest.fixture
def place() -> Place:
    return real_place(TASK, TASK.parts(Path(), 0), 0)


@pytest.mark.parametrize(("units", "layers"), [(4, 1), (5, 2), (7, 3), (3, 3), (2, 3)])
def test_every_division_of_units_is_there_once(units: int, layers: int):
    every = [w for w in product(range(1, units + 1), repeat=layers) if sum(w) == units]
    assert list(compositions(units, layers)) == every


def test_units_are_those_with_a_weight():
    masks = {name: torch.zeros(2, *shape, dtype=torch.bool) for name, shape in (
        ("layers.0.weight", (3, 2)), ("layers.1.weight", (2, 3)), ("layers.2.weight", (1, 2)),
        ("layers.0.bias", (3,)),
    )}  # fmt: skip
    masks["layers.0.weight"][0, 1] = True
    masks["layers.1.weight"][0, 0, 1] = True
    masks["layers.2.weight"][0, 0, 0] = True
    masks["layers.0.weight"][1, :, 0] = True
    assert hidden_units(masks) == [2, 3]
    assert real_units.kept_weights(masks) == [4, 3]


def test_of_each_number_of_units_the_choosing_rows_take_one(place: Place):
    found = [Measured(3, 9, 0.5, 0.9), Measured(3, 8, 0.6, 0.1), Measured(3, 7, 0.6, 0.2),
             Measured(2, 4, 0.4, 0.3)]  # fmt: skip
    rows = rows_of(place, "X", found, 1234567.0, 2.0)
    assert [(r.units, r.weights, r.choose, r.test) for r in rows] == [
        (2, 4, 0.4, 0.3), (3, 7, 0.6, 0.2),
    ]  # fmt: skip
    assert rows[0].cost == 1.235e6


@pytest.mark.slow
@pytest.mark.parametrize("name", real_units.STRUCTURED)
def test_a_structured_pruner_keeps_as_many_units_and_all_on_a_path(place: Place, name: str):
    found, cost = real_units.structured(place, name)
    # Eight starts of each budget, or fewer where some diverged.
    assert {one.units for one in found} == set(place.units) == {2, 3, 4, 5, 6, 7, 8, 9}
    assert cost > 0


def test_phase_one_ends_where_the_target_is_reached(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(real_units, "targets", lambda _: ({0: 2.0, 1: 0.0}, 0.0))
    monkeypatch.setattr(real_units, "MOST", 4)
    found, _ = real_units.phase_one(place)
    assert [one.units for one in found].count(4) == 8 * 3
    monkeypatch.setattr(real_units, "targets", lambda _: ({0: 0.0, 1: 0.0}, 0.0))
    assert {one.units for one in real_units.phase_one(place)[0]} == {2}


def test_elimination_loses_whole_units_alone(place: Place, monkeypatch: pytest.MonkeyPatch):
    method = Elimination(networks=4, unit_share=0.2, step=0.95, beam=1, tries=1, evolved=0,
                         slack=0.0, biases="outgoing", recovery=QUICK)  # fmt: skip
    monkeypatch.setattr(real_units, "UNITS_ONLY", method)
    monkeypatch.setattr(real_units, "targets", lambda _: ({0: 0.3, 1: 0.2}, 0.0))
    found, cost = real_units.by_elimination(place)
    sizes = {
        2 * a + a * b + 3 * b: a + b for a in range(1, 7) for b in range(1, 5)
    }  # whole networks, by their weights
    assert {one.weights for one in found} <= set(sizes)
    assert min(one.units for one in found) < 10
    assert cost > 0


def test_a_study_goes_on_where_its_table_ends(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[str] = []

    def method(_: Place) -> tuple[list[Measured], float]:
        calls.append("called")
        return [Measured(2, 4, 0.9, 0.8)], 10.0

    monkeypatch.setattr(real_units, "place_of", lambda *_: place)
    monkeypatch.setattr(real_units, "targets", lambda _: ({0: 0.95, 1: 0.9}, 7.0))
    monkeypatch.setattr(real_units, "methods", lambda: {"A": method, "B": method})
    table = tmp_path / "units.csv"
    monkeypatch.setattr("sys.argv", ["x", str(table), "--tasks", "Vowel", "--splits", "1"])
    real_units.main()
    rows = read_rows(table)
    assert [(r.method, r.units) for r in rows] == [
        ("target 0", 10), ("target 1", 10), ("A", 2), ("B", 2),
    ]  # fmt: skip
    real_units.main()
    assert len(calls) == 2
    assert read_rows(table) == rows


def test_the_fewest_at_a_target_are_told_by_split():
    def row(split: int, method: str, units: int, choose: float, test: float = 0.5) -> Row:
        return Row("Vowel", split, method, units, 10 * units, choose, test, 4.0, 1.0)

    rows = [
        row(0, "target 0", 9, 0.8), row(0, "target 1", 9, 0.7), row(1, "target 0", 9, 0.9),
        row(0, "LTH", 3, 0.7), row(0, "LTH", 4, 0.8, 0.6), row(0, "LTH", 5, 0.9),
        row(1, "LTH", 8, 0.95, 0.7), row(0, "GMP", 3, 0.1), row(1, "GMP", 7, 0.91),
    ]  # fmt: skip
    assert fewest(rows, "Vowel", 0, "LTH", 0) == (4, 40, 0.6)
    assert fewest(rows, "Vowel", 0, "LTH", 1) == (3, 30, 0.5)
    assert fewest(rows, "Vowel", 0, "GMP", 0) is None
    lines = real_unit_tables.units_table(rows, 0).splitlines()
    assert lines[:1] == ["|  | Vowel |"]
    assert "| LTH | **6** (60 weights; 65.0%) |" in lines
    assert "| GMP | none (1 of 2) |" in lines
    assert "| GMP | 1 |" in real_unit_tables.costs_table(rows).splitlines()


@pytest.mark.parametrize(
    ("file", "units"),
    [
        ("docs/results/phase-one-at-95.pt", 10),
        ("docs/results/bench-95-widths-at-95.pt", 7),
        ("docs/results/phase-one-at-995.pt", 12),
        ("examples/networks/cubist-spiral-95-17-with-biases-22.pt", 7),
        ("examples/networks/cubist-spiral-995-23-with-biases-28.pt", 8),
    ],
)
def test_the_kept_networks_of_the_spiral_have_the_units_that_the_page_tells(file: str, units: int):
    model, masks = pl.load(real_unit_tables.PAGE.parents[1] / file)
    assert hidden_units({name: mask[None] for name, mask in masks.items()}) == [units]
    x, y = pl.datasets.cubist_spiral()
    right = (model.double()(x.double())[:, 0] > 0) == (y == 1)
    assert float(right.double().mean()) >= (0.995 if "-995" in file else 0.95)


def test_the_page_holds_what_the_results_say():
    page = real_unit_tables.PAGE.read_text()
    assert set(places(page)) == set(real_unit_tables.tables())
    assert refreshed(page, real_unit_tables.tables()) == page, "run benchmarks/real_unit_tables.py"
