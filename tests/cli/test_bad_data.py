"""Bad input of the commands that take a user's data: told before anything trains, nothing left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import prunelimits as pl
from prunelimits.cli import main

ROWS = [f"{n % 7},{n * n % 11},{n % 3}" for n in range(60)]
GAP = (
    *("gap", "--methods", "SNIP", "--widths", "4", "--budgets", "5", "--hidden-layers", "1"),
    *("--epochs", "1", "--batch-size", "16", "--learning-rates", "0.1", "--schedules", "cosine"),
)
PARTS = ("--choose", "0.2", "--test", "0.2")
OF_ANY_WIDTH = (
    *("eliminate", "--networks", "2", "--evolved", "0", "--minutes", "1", "--target", "0.7"),
)
ELIMINATE = (*OF_ANY_WIDTH, "--width", "4")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write("ok.csv", ROWS)
    pl.save(pl.MLP((2, 4, 3)), None, "net.pt")
    pl.save(pl.MLP((5, 4, 3)), None, "wide.pt")
    pl.save(pl.MLP((2, 4, 1)), None, "two.pt")


def write(name: str, rows: Sequence[str]) -> None:
    Path(name).write_text("\n".join(["a,b,label", *rows, ""]))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says, which leaves the folder as it was."""
    before = {path: path.stat().st_mtime_ns for path in Path().iterdir()}
    assert main(arguments) == 1
    assert {path: path.stat().st_mtime_ns for path in Path().iterdir()} == before
    return capsys.readouterr().err.strip().removeprefix("prunelimits: ")


BAD_STUDIES = (
    ("--budgets 1000", "--budgets must leave something to prune: one at least must be below"),
    ("--learning-rates 0.1 0.1", "--learning-rates must be different, got 0.1, 0.1"),
    ("--schedules step step", "--schedules must be different, got step, step"),
    ("--minutes -1", "--minutes must be at least 0, got -1"),
    ("--seed -1 --choose 0.2 --test 0.2", "--seed must be from 0 to "),
    ("--choose 0.6 --test 0.5", "--choose and --test must leave rows to train on, got 0.6 and"),
    ("--initial noise.pt", "--initial noise.pt is damaged or no file of torch.save"),
    ("--compare none.csv", "--compare none.csv: No such file or directory"),
    ("--compare wide.pt", "--compare wide.pt must have 2 inputs and 3 outputs for these data"),
    ("--compare two.pt", "--compare two.pt must have 2 inputs and 3 outputs for these data"),
    ("--table /dev/zero", "--table /dev/zero must be a file to go on from, got the device"),
    ("--pictures /proc/new", "--pictures /proc/new: nothing can be written there ("),
    ("--table /proc/new.csv", "--table /proc/new.csv: nothing can be written there ("),
)
BAD_ELIMINATIONS = (
    ("--target 0", "--target must be above 0 and at most 1, got 0"),
    ("--target -1", "--target must be above 0 and at most 1, got -1"),
    ("--width 0", "--width must be at least 1, got 0"),
    ("--widths 2 4", "--widths must start with 2 and end with 3, inputs and outputs of these"),
    ("--widths 5 4 3", "--widths must start with 2 and end with 3"),
    ("--widths 2 0 3", "--widths[1] must be at least 1, got 0"),
    ("--networks 0", "--networks must be at least 1, got 0"),
    ("--unit-share 1", "--unit-share must be above 0 and below 1, got 1.0"),
    ("--dense.epochs 0", "--dense.epochs must be at least 1, got 0"),
    ("--recovery.batch-size 0", "--recovery.batch-size must be at least 1, got 0"),
    ("--minutes -1", "--minutes must be above 0, got -1"),
    ("--store net.pt", "--store net.pt is damaged or no store of an elimination"),
    ("--store /dev/zero", "--store /dev/zero must be a file to go on from, got the device"),
    ("--initial noise.pt", "--initial noise.pt is damaged or no file of torch.save"),
)


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        *((GAP, *case) for case in BAD_STUDIES),
        *((OF_ANY_WIDTH, *case) for case in BAD_ELIMINATIONS),
    ],
)
def test_a_study_or_an_elimination_that_cannot_be_is_refused(
    command: tuple[str, ...], arguments: str, said: str, capsys: pytest.CaptureFixture[str]
):
    Path("noise.pt").write_text("no network")
    assert refused(capsys, *command, "--data", "ok.csv", *arguments.split()).startswith(said)


def test_a_class_of_one_row_is_named_as_the_file_names_it(capsys: pytest.CaptureFixture[str]):
    write("one.csv", [*ROWS, "1,2,9"])
    for command in (*GAP, *PARTS), (*ELIMINATE, "--test", "0.2"):
        said = refused(capsys, *command, "--data", "one.csv")
        assert said.startswith("--data one.csv: class '9' must have at least three rows")


def test_numbers_that_are_no_classes_are_told_of(capsys: pytest.CaptureFixture[str]):
    write("many.csv", [f"{n},{n % 5},{n}" for n in range(60)])
    said = refused(capsys, *GAP, *PARTS, "--data", "many.csv")
    assert "60 different labels for 60 rows: --regression takes them for numbers" in said
    assert main([*GAP, "--data", "many.csv", "--minutes", "0"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "many.csv are taken for 60 classes of 60 rows; where they are numbers" in printed
    write("parts.csv", [f"{n},{n % 5},{n / 60}" for n in range(60)])
    said = refused(capsys, *GAP, "--data", "parts.csv")
    assert said.endswith("--regression takes them for numbers to predict")


@pytest.mark.parametrize(
    ("network", "rows", "said"),
    [
        # The class that the network has no output for is in the last batch alone.
        ("net.pt", [*ROWS, "1,2,3"], "labels 0 to 3 do not fit the network"),
        # Binary cross-entropy would take any number for a class.
        ("two.pt", ROWS, "labels 0 to 2 do not fit the network"),
        ("net.pt", [f"{n},1,{n / 60}" for n in range(60)], "labels y must be classes, got numbers"),
        ("noise.pt", ROWS, "noise.pt is damaged or no file of torch.save"),
    ],
)
def test_the_limit_wants_a_network_of_the_classes(
    network: str, rows: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    write("data.csv", rows)
    Path("noise.pt").write_text("no network")
    found = refused(capsys, "limit", network, "--data", "data.csv", "--batch-size", "8")
    assert said in found


@pytest.mark.parametrize("share", ["0.001", "0.999"])
def test_a_share_held_out_leaves_rows_on_both_sides(share: str, capsys: pytest.CaptureFixture[str]):
    arguments = ("limit", "net.pt", "--data", "ok.csv", "--batch-size", "8", "--held-out", share)
    said = refused(capsys, *arguments)
    assert said == f"--held-out must hold out a row and leave a row, of 60, got {share}"


def test_where_the_limit_cannot_be_written_is_told_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def none(*_: object, **__: object):
        raise PermissionError(13, "Permission denied")

    torch.manual_seed(0)
    monkeypatch.setattr("prunelimits.cli.flags.tempfile.TemporaryFile", none)
    for flag, given in (("--csv", "sweep.csv"), ("--pictures", f"a{os.sep}b")):
        said = refused(capsys, "limit", "net.pt", "--data", "ok.csv", flag, given)
        assert said == f"{flag} {given}: nothing can be written there (Permission denied)"


def test_classes_that_a_trained_network_knows_and_the_data_lack_are_told(
    capsys: pytest.CaptureFixture[str],
):
    write("some.csv", [row for row in ROWS if not row.endswith("0")])
    command = ("limit", "net.pt", "--data", "some.csv", "--batch-size", "8", "--quiet")
    assert main(command) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Labels in some.csv: 1 = 0, 2 = 1" in printed
    assert "The data have 2 of the 3 classes that the network tells apart" in printed
    # The network was not trained, which the verdict says, and no warning beside it.
    assert "the network is at no minimum" in printed
