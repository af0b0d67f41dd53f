"""Errors of the library in the words of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import prunelimits as pl
from prunelimits.cli import main
from prunelimits.cli.eliminate import Eliminate
from prunelimits.cli.flags import in_flags
from prunelimits.cli.limit import Limit
from prunelimits.cli.play import Play
from prunelimits.cli.search import Search


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 1
    text = capsys.readouterr().err
    assert text.startswith("prunelimits: ")
    return text.removeprefix("prunelimits: ").strip()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("target must be at most 1, got 95", "--target must be at most 1, got 95"),
        ("held_out must be below 1", "--held-out must be below 1"),
        ("widths[1] must be at least 1, got 0", "--widths[1] must be at least 1, got 0"),
        ("time_limit must be above 0", "--minutes must be above 0"),
        ("batch_size must be at most 60", "--batch-size must be at most 60"),
        ("every_widths needs max_nonzeros, got None", "--every-widths needs --max-nonzeros, got"),
        (
            "first_phase_only cannot be combined with widths or every_widths",
            "--first-phase-only cannot be combined with --widths or --every-widths",
        ),
        (
            "min_nonzeros must be at most max_nonzeros, got max_nonzeros.txt",
            "--min-nonzeros must be at most --max-nonzeros, got max_nonzeros.txt",
        ),
        ("inputs must be in some_folder/max_nonzeros.csv", "--inputs must be in some_folder/max_n"),
        ("initial's layers.0.weight must", "--initial's layers.0.weight must"),
        (
            "y must hold at least two classes",
            "--data d.csv: labels y must hold",
        ),
        ("x must have shape (n, 2)", "--data d.csv: inputs x must have shape (n, 2)"),
        ("nothing of that kind", "nothing of that kind"),
        ("the store is full", "the store is full"),
    ],
)
def test_an_argument_is_named_by_its_flag(said: str, shown: str):
    assert in_flags(Search(data=Path("d.csv")), ValueError(said)).startswith(shown)


def test_a_network_that_does_not_fit_is_named_with_its_flag():
    said = "model must have 1 inputs, got widths (2, 2, 1)"
    shown = "--network net.pt must have 1 inputs, got widths (2, 2, 1)"
    assert in_flags(Play(network=Path("net.pt")), ValueError(said)) == shown
    assert in_flags(Limit(model="a:b"), ValueError("model must be one")) == "--model must be one"


def test_arguments_of_groups_have_the_flags_of_these():
    found = in_flags(Eliminate(), ValueError("beam must be at least 1"))
    assert found == "--beam must be at least 1"
    # --dense.epochs or --recovery.epochs: which of them, the error does not know.
    said = "epochs must be at least 1"
    assert in_flags(Eliminate(), ValueError(said)) == said


def test_a_file_that_is_not_there_is_named_with_its_flag():
    error = FileNotFoundError(2, "No such file or directory", "start.pt")
    found = in_flags(Search(initial=Path("start.pt")), error)
    assert found == "--initial start.pt: No such file or directory"
    assert in_flags(Search(), error) == "start.pt: No such file or directory"


def test_a_colon_and_a_letter_is_no_picture(capsys: pytest.CaptureFixture[str]):
    assert "nomod:X:" in refused(capsys, "gap", "--methods", "nomod:X")


@pytest.mark.parametrize("command", ["search", "gap", "eliminate"])
def test_where_pictures_cannot_go_is_told_before_anything_is_done(
    command: str, capsys: pytest.CaptureFixture[str]
):
    Path("there").write_text("a file")
    said = refused(capsys, command, "--pictures", "there")
    assert said == "--pictures there: must be a folder, or not be there yet"
    assert [path.name for path in Path().iterdir()] == ["there"]


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (("search", "--store", "no/s.sqlite"), "--store no/s.sqlite"),
        (("gap", "--table", "no/gap.csv"), "--table no/gap.csv"),
        (("eliminate", "--store", "no/e.pt"), "--store no/e.pt"),
        (("limit", "net.pt", "--csv", "no/limit.csv"), "--csv no/limit.csv"),
        (("analyze", "net.pt", "--json", "no/a.json"), "--json no/a.json"),
        (("view", "net.pt", "-o", "no/page.html"), "--output no/page.html"),
        (("play", "-o", "no/page.html"), "--output no/page.html"),
        (("show", "search.sqlite", "--csv", "no/table.csv"), "--csv no/table.csv"),
        (("merge", "a.csv", "--into", "no/all.csv"), "--into no/all.csv"),
    ],
)
def test_a_folder_that_is_not_there_is_told_first(
    arguments: tuple[str, ...], flag: str, capsys: pytest.CaptureFixture[str]
):
    assert refused(capsys, *arguments) == f"{flag}: the folder no does not exist"


def test_what_contradicts_a_sketch_is_refused(capsys: pytest.CaptureFixture[str]):
    said = refused(capsys, "gap", "--quick", "--budgets", "30")
    assert said.startswith("--budgets cannot go with --quick")
    said = refused(capsys, "gap", "--quick", "--schedules", "step")
    assert said.startswith("--schedules cannot go with --quick")


def test_a_network_is_no_store(capsys: pytest.CaptureFixture[str]):
    pl.save(pl.MLP((2, 3, 1)), None, "net.pt")
    assert "prunelimits view and prunelimits analyze" in refused(capsys, "show", "net.pt")


def test_the_limit_wants_classes(capsys: pytest.CaptureFixture[str]):
    torch.manual_seed(0)
    pl.save(pl.MLP((2, 3, 1)), None, "net.pt")
    Path("d.csv").write_text("a,b,c\n" + "".join(f"{n},{n % 3},{n * 1.5}\n" for n in range(40)))
    said = refused(capsys, "limit", "net.pt", "--data", "d.csv", "--batch-size", "10")
    assert said.startswith("--data d.csv: labels y must be classes, got numbers from 0 to 58.5")
    assert "--label" in said


def test_the_kept_study_is_of_the_spiral(capsys: pytest.CaptureFixture[str]):
    said = refused(capsys, "gap", "--kept", "--data", "mine.csv")
    assert "--kept is of the Cubist Spiral" in said or "--data mine.csv" in said
    said = refused(capsys, "gap", "--kept", "--epochs", "3")
    assert "recipes" in said
    assert not Path("gap.csv").exists()


def test_the_kept_study_is_shown_without_training(capsys: pytest.CaptureFixture[str]):
    assert main(["gap", "--kept", "--methods", "SNIP", "GMP", "--quiet"]) == 0
    assert "SNIP" in capsys.readouterr().out
    assert Path("gap.csv").exists()


@pytest.mark.parametrize(
    ("flag", "given", "other"),
    [
        ("--csv", "data.npz", "--data"),
        ("--csv", "./data.npz", "--data"),
        ("--csv", "link.npz", "--data"),
        ("--state", "net.pt", "FILE"),
        ("--state", "sweep.csv", "--csv"),
    ],
)
def test_a_file_that_is_read_or_written_already_is_not_written_over(
    flag: str, given: str, other: str, capsys: pytest.CaptureFixture[str]
):
    data, network = Path("data.npz"), Path("net.pt")
    data.write_bytes(b"kept")
    network.write_bytes(b"kept")
    Path("link.npz").symlink_to(data)
    arguments = ["limit", "net.pt", "--data", "data.npz", flag, given]
    if other == "--csv":
        # The first of the two that is looked at says so.
        assert "--csv sweep.csv: must be another file than --state" in refused(
            capsys, *arguments, "--csv", "sweep.csv"
        )
    else:
        told = f"{flag} {Path(given)}: must be another file than {other}"
        assert refused(capsys, *arguments) == told
    assert data.read_bytes() == network.read_bytes() == b"kept"


def test_the_network_to_analyze_is_not_written_over(capsys: pytest.CaptureFixture[str]):
    pl.save(pl.MLP((2, 3, 1)), None, "net.pt")
    before = Path("net.pt").read_bytes()
    told = refused(capsys, "analyze", "net.pt", "--json", "net.pt")
    assert told == "--json net.pt: must be another file than FILE"
    assert Path("net.pt").read_bytes() == before
