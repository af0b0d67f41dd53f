"""What studies refuse of their command lines before anything trains, and that tables stay whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import depth
import exhaust_by_levels
import exhaust_networks
import planted
import pytest
import real_convolutions
import real_study
import real_units
from kept_rows import add_rows, read_rows


def refused(study: Any, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> str:
    """What a study says of a command that it refuses."""
    monkeypatch.setattr("sys.argv", ["x", *command])
    with pytest.raises(SystemExit):
        study.main()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("study", "wrong"),
    [
        *(
            (real_study, wrong)
            for wrong in (
                "--splits 0", "--hidden-layers 0", "--hidden-layers -1", "--minutes nan",
                "--splits x",
            )
        ),
        *((real_convolutions, wrong) for wrong in ("--splits 0", "--splits -1", "--starts 0")),
        *((depth, wrong) for wrong in ("--depths 0", "--seeds 0", "--seeds -2", "--depths 1.5")),
        (real_units, "--splits 0"),
    ],
)  # fmt: skip
def test_a_study_of_nothing_is_refused(
    study: Any, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    packages = [] if study is depth else ["--packages", str(tmp_path)]
    said = refused(study, [str(tmp_path / "t.csv"), *packages, *wrong.split()], monkeypatch, capsys)
    flag, value = wrong.split()
    assert re.search(f"{flag}: must be a .* of at least [01], got {value!r}", said)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["--tasks", "--methods"])
def test_names_that_a_study_does_not_have_are_refused(
    flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    command = [str(tmp_path / "t.csv"), flag, "nobody"]
    said = refused(real_convolutions, command, monkeypatch, capsys)
    assert f"{flag}: invalid choice: 'nobody' (choose from" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("study", [real_study, real_units, planted, real_convolutions, depth])
def test_a_table_that_can_be_nowhere_is_refused_before_anything_trains(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    packages = [] if study is depth else ["--packages", str(tmp_path)]
    for place in (tmp_path, tmp_path / "none" / "t.csv"):
        said = refused(study, [str(place), *packages], monkeypatch, capsys)
        assert f"table: must be a file in a folder that is there, got {str(place)!r}" in said


def test_a_table_to_read_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    missing = tmp_path / "none.csv"
    command = ["5", "--table", str(tmp_path / "t.csv"), "--first", str(missing)]
    said = refused(exhaust_by_levels, command, monkeypatch, capsys)
    assert f"--first: must be a file that is there, got {str(missing)!r}" in said


def test_rows_are_added_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever interrupts the writing, what was there before stays, and no line is cut."""
    table = tmp_path / "t.csv"
    add_rows(table, [{"a": 1, "b": 2}])
    exhaust_networks.append(table, [(3, 4)])
    before = table.read_bytes()
    assert before == b"a,b\n1,2\n3,4\n"

    def full(_: int) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr("prunelimits.resuming.whole.os.fsync", full)
    for add in (
        lambda: add_rows(table, [{"a": 5, "b": 6}]),
        lambda: exhaust_networks.append(table, [(5, 6)]),
    ):
        with pytest.raises(OSError, match="no space left"):
            add()
    with pytest.raises(KeyError):
        add_rows(table, [{"a": 5, "b": 6}, {"a": 7}])
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert table.read_bytes() == before


def test_notes_in_a_table_are_no_rows(tmp_path: Path):
    table = tmp_path / "t.csv"
    table.write_text("# of which study\na,b\n1,2\n")
    assert read_rows(table) == [{"a": "1", "b": "2"}]
    assert read_rows(tmp_path / "none.csv") == read_rows(None) == []
