"""The table that comes with the library is what the docs' whole table has of the default study."""

from __future__ import annotations

from pathlib import Path

from prunelimits.experiments import (
    PAPER_BUDGETS,
    PAPER_METHODS,
    PAPER_RECIPES,
    begin_with_kept,
    read_table,
)

WHOLE = Path(__file__).parents[2] / "docs" / "results" / "gap-random.csv"


def test_it_is_a_part_of_the_table_of_the_docs(tmp_path: Path):
    assert begin_with_kept(tmp_path / "gap.csv")
    kept, study = read_table(tmp_path / "gap.csv")
    whole, described = read_table(WHOLE)
    assert kept == [r for r in whole if r.run.width == 16 and r.run.repeat == 0]
    assert study == described
    assert len(kept) == len(PAPER_METHODS) * len(PAPER_BUDGETS) * len(PAPER_RECIPES)


def test_a_table_that_is_there_stays(tmp_path: Path):
    (tmp_path / "gap.csv").write_text("mine")
    assert not begin_with_kept(tmp_path / "gap.csv")
    assert (tmp_path / "gap.csv").read_text() == "mine"
