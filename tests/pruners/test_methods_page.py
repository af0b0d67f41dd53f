"""The tables of docs/methods.md against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prunelimits import pruners
from prunelimits.pruners import Score, Weights
from prunelimits.pruners.described import text_of

PAGE = (Path(__file__).parents[2] / "docs" / "methods.md").read_text()
ROWS = {
    cells[0].strip("`"): cells[1:]
    for cells in (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.split("## The published methods")[1].split("## Schedules")[0].splitlines()
        if line.startswith("| `")
    )
}


def test_every_method_has_a_row_and_every_row_a_method():
    assert sorted(ROWS) == sorted(method.__name__ for method in pruners.all())


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_the_method(name: str):
    score, schedule, scope, data, cost = ROWS[name]
    pruner = getattr(pruners, name)()
    parts = pruner.combination
    assert parts.shape == Weights()
    function = parts.score.function.__name__
    if not isinstance(parts.score, Score):
        assert score == "learned"
    else:
        assert score.strip("`") in (function, {"_ones": "ones", "_visits": "walks"}.get(function))
    # What the table tells of the schedule is so; the rest has its defaults.
    told = re.fullmatch(r"`(\w+)\((.*)\)`", schedule)
    assert told is not None
    assert type(parts.schedule).__name__ == told[1]
    for setting in told[2].split(", "):
        field, _, value = setting.partition("=")
        own = getattr(parts.schedule, field)
        named = {"by_gradient": pruners.by_gradient, "at_random": pruners.at_random}
        assert own == named.get(value, own) if value in named else text_of(own) in (
            value, value.replace('"', "'"),
        )  # fmt: skip
    assert scope == (parts.scope if isinstance(parts.scope, str) else "everything")
    if "batch" in data:
        assert not pruner.needs_data
    else:
        assert data == ("yes" if pruner.needs_data else "no")
    assert cost
