"""The study of every small network by levels: its rows, what it keeps, and how it goes on."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import exhaust_by_levels
import exhausted_tables
import numpy as np
import pytest
import torch
from damped_newton import Network
from exhaust_by_levels import HEADER, Reached, Study, add_rows, again, by_promise, measured, reached
from exhaust_networks import Attempt, every_network
from kept_rows import read_rows
from level_starts import LevelStarts

import prunelimits as pl
from prunelimits.enumeration import ModelMasks
from prunelimits.training import evaluate
from tests.experiments.compiler import needs_compiler

pytestmark = needs_compiler

QUICK = LevelStarts(starts=16, going_on=16, cut=4, draws=4, cut_points=128, points=128, steps=20)
STUDY = Study(how=QUICK, more=replace(QUICK, starts=32), target=0.9)
SPACE = ModelMasks((2, 3, 1, 3, 1), symmetry="network", max_nonzeros=22)


@pytest.fixture
def data() -> tuple[torch.Tensor, torch.Tensor]:
    return pl.datasets.cubist_spiral(1_000)


def network_of(attempt: Attempt) -> Network:
    return Network(attempt.space.widths, attempt.space.take([attempt.rank])[0].numpy())


def test_what_is_reached_is_what_the_kept_network_has(
    data: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    attempt = Attempt(SPACE, 6)
    found = reached(network_of(attempt), *data, STUDY, np.random.default_rng(0))
    assert found.best is not None
    assert found.evolved == pytest.approx(float(evaluate(found.best, *data).accuracy))
    assert found.evolved > 0.7
    exhaust_by_levels.keep(found, replace(STUDY, keep=tmp_path, target=found.evolved), "one")
    model, masks = pl.load(tmp_path / "one.pt")
    assert pl.masks.count(masks) == 22
    right = (model(data[0])[:, 0] > 0) == (data[1] == 1)
    assert float(right.double().mean()) == pytest.approx(found.evolved)


def test_what_is_below_the_target_is_not_kept(tmp_path: Path) -> None:
    ensemble = pl.MLPEnsemble((2, 3, 1), 1)
    study = Study(keep=tmp_path / "none", target=0.9)
    exhaust_by_levels.keep(Reached(0.1, 0.8, 0.8, 0.8, ensemble), study, "one")
    assert not (tmp_path / "none").exists()


def test_what_is_near_gets_more_starts_and_never_gets_worse(
    data: tuple[torch.Tensor, torch.Tensor],
) -> None:
    network = network_of(Attempt(SPACE, 6))
    once = reached(network, *data, STUDY, np.random.default_rng(0))
    more = reached(network, *data, replace(STUDY, near=0.5), np.random.default_rng(0))
    assert more.early == once.early
    assert more.trained >= once.trained


def test_evolution_is_for_what_is_promising_and_not_at_the_target(
    data: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def noted(ensemble: pl.MLPEnsemble, x: torch.Tensor, y: torch.Tensor) -> pl.MLPEnsemble:
        asked.append(len(ensemble))
        return ensemble

    monkeypatch.setattr(exhaust_by_levels, "evolve", noted)
    network = network_of(Attempt(SPACE, 6))
    for promising, target, times in ((2.0, 3.0, 0), (0.1, 3.0, 1), (0.1, 0.2, 1)):
        study = replace(STUDY, promising=promising, target=target)
        reached(network, *data, study, np.random.default_rng(0))
        assert len(asked) == times


def test_a_network_that_is_given_up_has_an_error_and_no_accuracy(
    data: tuple[torch.Tensor, torch.Tensor],
) -> None:
    study = replace(STUDY, how=replace(QUICK, most_error=0))
    row = measured(Attempt(SPACE, 6), *data, study)
    assert row[:5] == ["2 3 1 3 1", 6, 22, 0, 32]
    assert float(str(row[5])) > 0
    assert row[6:] == ["0.00000"] * 3


def test_rows_are_the_same_in_one_run_and_in_two(
    data: tuple[torch.Tensor, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pl.datasets, "cubist_spiral", lambda: data)
    attempts = [Attempt(SPACE, 4), Attempt(SPACE, 6), Attempt(SPACE, 6, 1)]
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    add_rows(whole, attempts, STUDY)
    add_rows(parts, attempts[:1], STUDY)
    add_rows(parts, attempts, STUDY)
    assert whole.read_text() == parts.read_text()
    rows = read_rows(whole)
    assert tuple(rows[0]) == HEADER
    assert rows[1]["evolved"] != rows[2]["evolved"] or rows[1]["error"] != rows[2]["error"]


def test_those_that_reached_most_come_first(tmp_path: Path) -> None:
    table = tmp_path / "first.csv"
    attempts = list(every_network(13))
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("widths", "rank", "evolved"))
        for number, attempt in enumerate(attempts[:-1]):
            writer.writerow((*attempt.key[:2], number / 10))
    found = by_promise(attempts, table)
    assert found[:-2] == attempts[:-1][::-1][: len(attempts) - 2]
    assert {one.key for one in found} == {one.key for one in attempts}


def test_other_attempts_go_round() -> None:
    one, other = Attempt(SPACE, 1), Attempt(SPACE, 2)
    numbers = [(attempt.rank, attempt.number) for attempt in again([one, other, one], (1, 2))]
    assert numbers == [(1, 1), (2, 1), (1, 2), (2, 2)]


def a_table(folder: Path, rows: list[tuple[object, ...]]) -> Path:
    path = folder / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def test_a_page_counts_what_was_tried_and_what_was_not_given_up(tmp_path: Path) -> None:
    table = a_table(
        tmp_path,
        [
            ("2 3 1 3 1", 6, 22, 0, 160, 0.03, 0.98, 0.94, 0.94),
            ("2 3 1 3 1", 6, 22, 1, 160, 0.03, 0.98, 0.96, 0.96),
            ("2 3 1 3 1", 1, 21, 0, 160, 0.2, 0, 0, 0),
            ("2 3 1 3 1", 2, 21, 0, 160, 0.05, 0.8, 0.79, 0.79),
        ],
    )
    every = tmp_path / "every.csv"
    every.write_text("nonzeros\n22\n22\n21\n21\n17\n")
    lines = exhausted_tables.by_levels(table, every).splitlines()[2:]
    first = "| 21 | 2 of 2 | 1 | 1 | 0 | 0 | 79.00%, (2, 3, 1, 3, 1), rank 2 | 0.00% |"
    # The early accuracy of 98 % is on few points and does not count.
    other = "| 22 | 1 of 2 | 2 | 1 | 1 | 0 | 96.00%, (2, 3, 1, 3, 1), rank 6 |  |"
    assert lines == [first, other]


def test_chances_of_a_miss_are_those_of_the_first_attempts(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    one, other = ("2 3 1 3 1", 6, 22), ("2 3 1 3 1", 5, 22)
    rows = [
        (*own, n, 160, 0, 0, 0, hit) for own in (one, other) for n, hit in ((1, 0.96), (2, 0.9))
    ]
    tried = a_table(tmp_path / "again", rows)
    first = [(*one, 0, 160, 0, 0, 0, 0.96), (*other, 0, 160, 0, 0, 0, 0.9)]
    later = [(*other, 1, 160, 0, 0, 0, 0.96)]
    texts = [
        exhausted_tables.chance_of_a_miss(a_table(tmp_path, rows), tried)
        for rows in (first, first + later)
    ]
    assert texts[0] == texts[1]
    assert texts[0].splitlines()[-1].startswith("| 22 | 1 | 1.0 |")


def test_a_page_tells_how_often_known_networks_get_past_the_plateau(tmp_path: Path) -> None:
    rows = [
        ("2 4 1 3 1", 11, 26, number, 160, 0.02, 0.9, reached, reached)
        for number, reached in enumerate((0.966, 0.971, 0.996, 0.965), 1)
    ]
    line = exhausted_tables.past_the_plateau(a_table(tmp_path, rows)).splitlines()[-1]
    assert line.startswith(
        "| (2, 4, 1, 3, 1), rank 11 | 26 | 160 | 2 of 4 | 50% (7% to 93%) | 1 of"
    )
    assert line.endswith("| 99.60% |")


def test_a_page_adds_up_networks_with_free_biases(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("parameters,networks,left\n8,48,12\n9,140,66\n10,1406,\n")
    assert exhausted_tables.with_free_biases(path).splitlines()[2:] == [
        "| 9 | 140 | 188 | 66 |",
        "| 10 | 1,406 | 1,594 | not written out |",
    ]
