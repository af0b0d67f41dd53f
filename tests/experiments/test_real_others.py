"""The table of the catalogue's other methods, by hand, and which these are."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import real_other_tables as tables
from real_choices import NINE
from real_methods import others
from real_rows import Row

from prunelimits import pruners

NAMES = list(dict.fromkeys(variant.method for variant in others().variants))


def rows(split: int, keep: int, test: dict[str, int], cost: float = 1.0) -> list[Row]:
    return [
        Row(
            "digits", split, method, 1, 0, keep, cost, (9,), (9,), (right,), (right,), 100, 100, 1.0
        )
        for method, right in test.items()
    ]


def test_every_method_of_the_catalogue_is_one_of_the_nine_or_here_or_said_to_be_left_out():
    catalogue = {
        name
        for name, value in vars(pruners).items()
        if inspect.isclass(value)
        and issubclass(value, pruners.AbstractPruner)
        and value.__module__.startswith("prunelimits.pruners.catalogue")
        and not inspect.isabstract(value)
    }
    here = {name.removesuffix(", trained") for name in NAMES}
    # Nothing to compare; EarlyGMP is among the schedules of GMP; the rest change weights, or take
    # minutes for what others take a second for.
    left_out = {"Dense", "EarlyGMP", "OBC", "OBS", "SparseGPT", "CHITA", "DeepR"}
    left_out |= {"EdgePopup", "RareGems", "LOMP"}
    assert catalogue == {*NINE, *here, *left_out}
    text = (Path(__file__).parents[2] / "docs" / "real-tasks.md").read_text()
    assert all(name in text for name in left_out - {"Dense"})


def test_methods_stand_beside_the_best_of_the_nine_on_the_splits_that_all_have():
    two = [row for split in range(3) for keep in (25, 200) for row in rows(
        split, keep, dict.fromkeys(NINE, 50) | {"RigL": 60 + split})]  # fmt: skip
    more = [row for split in range(2) for keep in (25, 200) for row in rows(
        split, keep, dict.fromkeys(NAMES, 55) | {"SET": 70})]  # fmt: skip
    part = rows(2, 25, dict.fromkeys(NAMES[1:], 99))
    lines = tables.table(two, [*more, *part], 1).splitlines()[2:]
    by_name = {line.split(" | ")[0].strip("| "): line for line in lines}
    assert list(by_name) == NAMES
    # RigL has 60 and 61.
    assert by_name["SET"] == "| SET | +9.5 |  |  | +9.5 |"
    assert by_name["PHEW"] == "| PHEW | -5.5 |  |  | -5.5 |"


def test_what_is_not_paid_for_is_left_empty():
    two = rows(0, 25, dict.fromkeys(NINE, 50))
    dear = rows(0, 25, dict.fromkeys(NAMES, 55), cost=2.0)
    assert all(
        line.endswith("|  |  |  |  |") for line in tables.table(two, dear, 1).splitlines()[2:]
    )
    assert "+5.0" in tables.table(two, dear, 32)


@pytest.mark.parametrize("method", NAMES)
def test_every_method_has_starts_and_a_short_training(method: str):
    (short,) = (v for v in others().variants if v.method == method and v.times == 1)
    assert len(short.starts) == 8
    if method.endswith(", trained"):
        assert short.pruner is not None
        assert short.pruner.update_steps(300) == [199]  # at 2/3 or just before
