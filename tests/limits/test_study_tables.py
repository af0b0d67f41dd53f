"""The tables of docs/limits.md are those of the CSV files beside it."""

from __future__ import annotations

import csv
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
STUDY = runpy.run_path(str(ROOT / "benchmarks" / "limit_tables.py"))
VERDICT = runpy.run_path(str(ROOT / "benchmarks" / "limit_verdict_tables.py"))


def test_the_page_is_what_the_script_makes_of_the_results():
    page = (ROOT / "docs" / "limits.md").read_text()
    assert STUDY["filled"](page) == page


def test_the_verdict_page_is_what_the_script_makes_of_the_results():
    page = VERDICT["PAGE"].read_text()
    assert VERDICT["filled"](page, VERDICT["TABLES"]) == page


def test_the_condition_was_right_on_networks_it_was_not_found_on():
    own = [VERDICT["judged"](row) for row in VERDICT["rows"]("limits-belief.csv")
           if row["group"] == "tested on"]  # fmt: skip
    assert len(own) >= 17
    assert sum(judged.believed for judged in own) >= 6
    for judged in own:
        assert judged.believed == (abs(judged.off) <= VERDICT["NEAR"])


def test_every_network_measured_is_on_the_page():
    with open(ROOT / "docs" / "results" / "limits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    page = (ROOT / "docs" / "limits.md").read_text()
    assert len({(r["data"], r["model"], r["penalty"], r["seed"]) for r in rows}) == len(rows)
    for row in rows:
        # The three predictions side by side tell one network from the other.
        cells = [f"{100 * float(row[c]):.1f} %" for c in ("exact", "directed", "constructive")]
        assert " | ".join(cells) in page


def test_a_page_without_a_place_for_a_table_is_refused():
    with pytest.raises(ValueError, match="page must have a line <!-- table: networks -->"):
        STUDY["filled"]("nothing")
