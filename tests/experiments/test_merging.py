"""A study in parts, joined, is the study in one piece."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from torch import Tensor

from prunelimits import pruners
from prunelimits.experiments import Study, merge_tables, read_table, run_study
from prunelimits.resuming import StoreError, WriterLock


@pytest.fixture
def quick(study: Study) -> Study:
    recipes = tuple(dataclasses.replace(recipe, epochs=2) for recipe in study.recipes)
    return dataclasses.replace(study, recipes=recipes)


@pytest.mark.slow
@pytest.mark.parametrize("of", [1, 3])
def test_parts_joined_are_the_whole(
    of: int, quick: Study, data: tuple[Tensor, Tensor], tmp_path: Path
):
    whole = run_study(quick, *data, table=tmp_path / "whole.csv")
    told: list[tuple[int, int]] = []
    for number in range(1, of + 1):
        told.clear()
        run_study(
            quick,
            *data,
            table=tmp_path / f"{number}.csv",
            part=(number, of),
            on_progress=lambda done, total: told.append((done, total)),
        )
        assert told[-1][0] == told[-1][1] == len(read_table(tmp_path / f"{number}.csv")[0])
        assert of == 1 or told[-1][1] < len(whole)
    paths = [tmp_path / f"{number}.csv" for number in range(1, of + 1)]
    joined = merge_tables(reversed(paths), tmp_path / "joined.csv")
    assert joined == sorted(whole)
    assert (tmp_path / "joined.csv").read_text() == (tmp_path / "whole.csv").read_text()
    # Joined again, into itself as well, nothing changes, and the study finds nothing left to do.
    merge_tables([*paths, tmp_path / "joined.csv"], tmp_path / "joined.csv")
    assert run_study(quick, *data, table=tmp_path / "joined.csv", time_limit=0) == whole


def test_methods_of_several_tables_stand_in_one(
    quick: Study, data: tuple[Tensor, Tensor], tmp_path: Path
):
    studies = [
        dataclasses.replace(quick, methods=(method,))
        for method in (pruners.SNIP(), pruners.Random())
    ]
    for number, study in enumerate(studies):
        run_study(study, *data, table=tmp_path / f"{number}.csv")
    merge_tables([tmp_path / "0.csv", tmp_path / "1.csv"], tmp_path / "both.csv")
    both = dataclasses.replace(quick, methods=(pruners.SNIP(), pruners.Random()))
    rows = run_study(both, *data, table=tmp_path / "both.csv", time_limit=0)
    assert {row.run.method for row in rows} == {"SNIP", "Random"}
    # The joined table knows both methods: neither goes on in it with other settings.
    other = dataclasses.replace(quick, methods=(pruners.SNIP(xavier=True),))
    assert other.names == ("SNIP",)
    with pytest.raises(StoreError, match="SNIP"):
        run_study(other, *data, table=tmp_path / "both.csv", time_limit=0)


def test_what_does_not_belong_together_is_refused_and_changes_nothing(
    quick: Study, data: tuple[Tensor, Tensor], tmp_path: Path
):
    small = dataclasses.replace(quick, methods=(pruners.Random(),), widths=(3,))
    run_study(small, *data, table=tmp_path / "a.csv", part=(1, 2))
    run_study(dataclasses.replace(small, seed=1), *data, table=tmp_path / "b.csv", part=(2, 2))
    kept = (tmp_path / "a.csv").read_text()
    with pytest.raises(StoreError, match=r"b\.csv.*seed"):
        merge_tables([tmp_path / "b.csv"], tmp_path / "a.csv")
    lines = kept.splitlines()
    cells = lines[2].split(",")
    cells[8] = "0.25"
    (tmp_path / "c.csv").write_text("\n".join([*lines[:2], ",".join(cells), *lines[3:]]) + "\n")
    with pytest.raises(StoreError, match=r"c\.csv has another result of Run.* than .*a\.csv"):
        merge_tables([tmp_path / "c.csv"], tmp_path / "a.csv")
    with (
        WriterLock(tmp_path / "a.csv"),
        pytest.raises(StoreError, match=r"a\.csv"),
    ):
        merge_tables([tmp_path / "b.csv"], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == kept
    with pytest.raises(StoreError, match="does not exist"):
        merge_tables([tmp_path / "d.csv"], tmp_path / "e.csv")
    assert not (tmp_path / "e.csv").exists()
