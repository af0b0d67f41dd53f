"""The tables of docs/limits.md are those of the CSV files beside it."""

from __future__ import annotations

import csv
import runpy
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
STUDY = runpy.run_path(str(ROOT / "benchmarks" / "limit_tables.py"))
VERDICT = runpy.run_path(str(ROOT / "benchmarks" / "limit_verdict_tables.py"))
DIMENSIONS = runpy.run_path(str(ROOT / "benchmarks" / "limit_dimensions.py"))
LOMP = runpy.run_path(str(ROOT / "benchmarks" / "lomp_table.py"))


def test_the_page_is_what_the_script_makes_of_the_results():
    page = (ROOT / "docs" / "limits.md").read_text()
    assert STUDY["filled"](page) == page


def test_the_verdict_page_is_what_the_script_makes_of_the_results():
    page = VERDICT["PAGE"].read_text()
    assert VERDICT["filled"](page, VERDICT["TABLES"]) == page


def test_what_a_subspace_needs_is_what_the_formulas_say():
    """The two formulas again; both samples near the exact one, as the page says."""
    kept = STUDY["rows"]("limits-dimensions.csv")
    assert len(kept) == len(DIMENSIONS["CASES"])
    size = DIMENSIONS["SIZE"]
    for row, case in zip(kept, DIMENSIONS["CASES"], strict=True):
        needed: list[tuple[float, float]] = []
        for seed in range(DIMENSIONS["DRAWS"]):
            generator = torch.Generator().manual_seed(seed)
            values = case.eigenvalues(generator)
            offset = torch.randn(size, generator=generator, dtype=torch.float64)
            offset *= case.distance / offset.norm()
            published = DIMENSIONS["published"](values, case) / size
            needed.append((published, DIMENSIONS["exact"](values, offset, case) / size))
        means = [sum(some) / len(needed) for some in zip(*needed, strict=True)]
        assert [float(row["published"]), float(row["exact"])] == pytest.approx(means, abs=1e-4)
        for sampled in ("projected", "subspaces"):
            assert abs(float(row[sampled]) - float(row["exact"])) < 0.01
        assert float(row["published"]) > float(row["exact"]) - 1e-9


def test_the_page_of_lomp_is_what_its_runs_say():
    page = LOMP["PAGE"].read_text()
    assert "<!-- table: lomp -->" in page
    assert LOMP["filled"](page) == page, "run python benchmarks/lomp_table.py"
    # By hand, from the rows: LOMP with the strong penalty on the digits' MLP at 2 %.
    own = [
        100 * float(row["accuracy"])
        for row in LOMP["rows"]()
        if (row["data"], row["network"], row["method"]) == ("digits", "MLP", "LOMP, L1 0.008")
        and row["remaining"] == "0.02"
    ]
    assert len(own) == 3
    spread = (sum((value - sum(own) / 3) ** 2 for value in own) / 2) ** 0.5
    assert f"94.9 ± 1.4 | {sum(own) / 3:.1f} ± {spread:.1f} |" in page


def test_where_the_condition_was_wrong_is_told():
    own = [(row, VERDICT["judged"](row)) for row in VERDICT["rows"]("limits-belief.csv")]
    tested = [(row, judged) for row, judged in own if row["group"] == "tested on"]
    assert len(tested) >= 46
    assert sum(judged.believed for _, judged in tested) >= 16
    wrong = {
        (row["data"], row["model"], row["penalty"], row["seed"])
        for row, judged in own
        if judged.believed != (abs(judged.off) <= VERDICT["NEAR"])
    }
    assert wrong == {
        ("digits", "tanh", "l1 0.0002", "1"),
        ("mnist-5k", "mlp", "l1 0.0002", "0"),  # refused by a hair, and right
        ("mnist-5k", "mlp", "l1 0.0002", "1"),
    }
    # What the page says of the others that pass: bounds and predictions.
    passed = [judged for _, judged in own if judged.believed]
    near = [judged for judged in passed if judged.apart < 0.03]
    assert len(near) == len(passed) - 2
    assert max(judged.apart for judged in near) < 0.0215
    assert max(abs(judged.off) for judged in near) < 0.0305


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
