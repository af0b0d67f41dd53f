"""The command line as a user meets it: what it prints, writes, and says when asked for nonsense."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import os
import pty
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import prunelimits as pl
from prunelimits.cli import main
from prunelimits.enumeration import every_widths

SMALL = [
    *["--widths", "2", "3", "2", "1", "--inputs", "all"],
    *["--epochs", "2", "--batch-size", "50", "--seeds", "2"],
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def data() -> Path:
    x, y = pl.datasets.cubist_spiral(300)
    np.savez("data.npz", x=x.numpy(), y=y.numpy())
    return Path("data.npz")


def remeasure(path: Path, x: Tensor, y: Tensor) -> tuple[int, float]:
    """Nonzeros and accuracy of a saved network, by plain PyTorch in float64."""
    content = torch.load(path, weights_only=True)
    state = {name: value.double() for name, value in content["state_dict"].items()}
    h = x.double()
    layers = len(content["widths"]) - 1
    for layer in range(layers):
        h = h @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
        if layer < layers - 1:
            h = torch.relu(h)
    correct = ((h[:, 0] > 0) == (y == 1)).double().mean().item()
    return sum(int((value != 0).sum()) for value in state.values()), correct


def test_a_search_is_shown_exported_and_remeasured(data: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["search", *SMALL, "--data", str(data), "--target", "0.5"]) == 0
    printed = capsys.readouterr().out
    assert "Phase 2: masks of widths 2-3-2-1" in printed
    assert "Sparsest network at 50 %" in printed
    assert "Kept in search.sqlite" in printed
    assert "stopped early" not in printed
    options = ["--model", "net.pt", "--csv", "table.csv", "--pictures", "pictures"]
    assert main(["show", "search.sqlite", *options, "--data", str(data)]) == 0
    with open("table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    spaces = pl.ModelMasks((2, 3, 2, 1)).counts_by_nonzeros()
    assert {int(row["nonzeros"]): int(row["networks"]) for row in rows} == spaces
    reached = [row for row in rows if float(row["accuracy"]) >= 0.5]
    nonzeros, accuracy = remeasure(Path("net.pt"), *pl.datasets.cubist_spiral(300))
    assert nonzeros == int(reached[0]["nonzeros"])
    # In float32 a sample on the boundary may fall on the other side.
    assert accuracy == pytest.approx(float(reached[0]["accuracy"]), abs=1.1 / 300)
    model, masks = pl.load("net.pt")
    assert pl.masks.count(masks) == nonzeros
    assert model.widths == (2, 3, 2, 1)
    for name in ("network.png", "network.svg", "accuracy.png", "accuracy.svg"):
        assert Path("pictures", name).stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("command", ["search", "eliminate"])
def test_pictures_say_where_no_network_is_drawn(command: str, capsys: pytest.CaptureFixture[str]):
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)).numpy()
    np.savez("four.npz", x=x, y=(x[:, 0] > 0).astype(int))
    common = ["--data", "four.npz", "--target", "0.6", "--pictures", "pictures"]
    own = {
        "search": ["--widths", "4", "1", "1", "--epochs", "1", "--batch-size", "50"],
        "eliminate": ["--minutes", "1"],
    }[command]
    assert main([command, *common, *own]) == 0
    printed = capsys.readouterr().out
    assert "No network is drawn: that needs 2 inputs and 1 output, and it has 4 and 1" in printed
    assert not Path("pictures", "network.png").exists()
    assert Path("pictures", "accuracy.png").exists()


def test_the_paper_s_result_stands_beside_ours_on_the_paper_s_data(
    capsys: pytest.CaptureFixture[str],
):
    options = ["--widths", "2", "3", "3", "3", "1", "--max-nonzeros", "22", "--epochs", "1"]
    assert main(["search", *options, "--batch-size", "5000", "--quiet"]) == 0
    assert "The paper's search at 95 %: 30 nonzeros, accuracy 96.04%" in capsys.readouterr().out


def test_both_phases_run_from_one_command(data: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--hidden-layers", "1", "--width", "3", "--epochs", "1", "--batch-size", "50"]
    assert main(["search", *small, "--data", str(data), "--target", "0.4"]) == 0
    printed = capsys.readouterr().out
    assert "Phase 1: choices of widths" in printed
    assert "Phase 2: masks of widths 2-1-1" in printed


def test_the_first_phase_ends_at_a_size(data: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--hidden-layers", "1", "--width", "3", "--epochs", "1", "--batch-size", "50"]
    command = ["search", *small, "--data", str(data), "--target", "0.99", "--first-phase-only"]
    assert main([*command, "--first-phase-max-nonzeros", "9"]) == 0
    # Widths 2-1-1 and 2-2-1, six recipes.
    assert "12 of 12 trainings done" in " ".join(capsys.readouterr().out.split())


def test_the_paper_s_order_chooses_other_first_masks(
    data: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["search", *SMALL, "--data", str(data), "--target", "0.4"]
    command += ["--first-per-count", "1", "1"]
    for order in ("ascending", "published"):
        assert main([*command, "--subset-order", order, "--store", f"{order}.sqlite"]) == 0
    capsys.readouterr()
    without = ["search", *SMALL, "--data", str(data), "--target", "0.4", "--store", "all.sqlite"]
    assert main([*without, "--subset-order", "published"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--subset-order published is for the first masks of --first-per-count" in said
    assert main([*command, "--store", "published.sqlite"]) == 1
    assert 'subset_order is "published", asked for "ascending"' in capsys.readouterr().err
    spaces = [
        pl.ModelMasks((2, 3, 2, 1), first_per_count={1: 1}, order=o)
        for o in ("ascending", "published")
    ]
    chosen = [{pl.masks.flatten(masks).numpy().tobytes() for masks in space} for space in spaces]
    assert chosen[0] != chosen[1]


def test_the_same_command_goes_on_and_another_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["search", *SMALL, "--data", str(data)]
    assert main([*command, "--minutes", "1e-9"]) == 0
    assert " 0 of 1,248 trainings done" in " ".join(capsys.readouterr().out.split())
    assert main(command) == 0
    assert "1,248 of 1,248 trainings done" in " ".join(capsys.readouterr().out.split())
    assert main([*command, "--seed", "1"]) == 1
    error = capsys.readouterr().err
    assert "search.sqlite belongs to another search (seed is 0, asked for 1)" in error


def test_a_search_by_halving_tells_what_was_stopped(data: Path, capsys: pytest.CaptureFixture[str]):
    command = ["search", *SMALL, "--data", str(data), "--halving", "1", "0.1"]
    assert main([*command, "--target", "0.01", "--shard-size", "48"]) == 0
    table = capsys.readouterr().out
    assert "stopped early" in table
    assert main(["show", "search.sqlite", "--csv", "table.csv"]) == 0
    with open("table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # 26 shards of 4 networks, each trained 12 times: of 48 trainings five go on.
    assert sum(int(row["stopped"]) for row in rows) == 26 * 43
    for row in rows:
        ended = int(row["trainings"]) - int(row["stopped"])
        assert int(row["reached"]) == ended
        line = next(line for line in table.splitlines() if line.split()[1:2] == [row["nonzeros"]])
        assert (" - " in line) == (ended == 0)
    assert main([*command, "--halving", "2", "0.1"]) == 1
    assert "halving must end before the 2 epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "networks"),
    [
        (["--widths", "4", "1", "1"], pl.ModelMasks((4, 1, 1), inputs="any").count),
        (["--widths", "4", "1", "1", "--inputs", "all"], pl.ModelMasks((4, 1, 1)).count),
        (
            ["--every-widths", "--max-nonzeros", "8", "--hidden-layers", "1"],
            sum(s.count for s in every_widths(8, d_in=4, hidden_layers=1, inputs="any")),
        ),
    ],
)
def test_own_data_may_leave_inputs_unused(
    options: list[str], networks: int, capsys: pytest.CaptureFixture[str]
):
    """Labels that depend on the first two of four columns need five nonzeros, not seven."""
    x = torch.rand(300, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rows = [f"{','.join(map(str, r))},{'ab'[r[0] + r[1] / 2 > 0]}" for r in x.tolist()]
    Path("table.csv").write_text("\n".join(["p,q,r,s,class", *rows]))
    small = ["--epochs", "20", "--batch-size", "20", "--target", "0.97", "--quiet"]
    assert main(["search", *options, *small, "--data", "table.csv"]) == 0
    smallest = 7 if "all" in options else 5
    assert f"Sparsest network at 97 %: {smallest} nonzeros" in capsys.readouterr().out
    with pl.search.Store("search.sqlite", write=False) as store:
        result = pl.search.read_result(store)
    assert result.phases[0].networks == networks
    if smallest == 5:
        assert result.sparsest.masks["layers.0.weight"].any(0).tolist() == [
            True,
            True,
            False,
            False,
        ]


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_workers_give_the_same_result(data: Path, workers: str):
    command = ["search", *SMALL, "--data", str(data), "--shard-size", "48"]
    assert main([*command, "--workers", workers, "--store", "a.sqlite"]) == 0
    assert main([*command, "--workers", "1", "--store", "b.sqlite"]) == 0
    query = "SELECT phase, nonzeros, correct, rank, recipe, repeat FROM best ORDER BY 1, 2"
    best: list[list[tuple[int, ...]]] = []
    for name in ("a.sqlite", "b.sqlite"):
        with contextlib.closing(sqlite3.connect(name)) as database:
            best.append(database.execute(query).fetchall())
    assert best[0] == best[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--target", "1.2"], "target must be above 0 and at most 1, got 1.2"),
        (["search", "--widths", "2", "17", "1"], "width must be at least the widest hidden layer"),
        (["search", "--widths", "3", "2", "1"], "widths must start with 2"),
        (["search", "--learning-rates", "-1"], "--learning-rates must be"),
        (["search", "--data", "none.npz"], "none.npz"),
        (["search", "--data", "text.npz"], "--data text.npz: is damaged or no .npz file"),
        (
            ["search", "--data", "pickle.npz"],
            "pickle.npz: x must hold numbers or text",
        ),
        (["search", "--initial", "text.npz"], "text.npz is damaged or no"),
        (["search", "--workers", "0", "--data", "data.npz"], "workers must be at least 1, got 0"),
        (["search", "--minutes", "0"], "--minutes must be above 0"),
        (["search", "--margin", "-1"], "margin must be at least 0, got -1"),
        (["eliminate", "--target", "1.2"], "target must be"),
        (["eliminate", "--beam", "0"], "beam must be at least 1, got 0"),
        (["eliminate", "--margin", "-1"], "margin must be at least 0, got -1"),
        (["eliminate", "--widths", "3", "2", "1"], "--widths must start with 2 and end with 1,"),
        (["eliminate", "--dense.epochs", "0"], "epochs must be at least 1, got 0"),
        (
            ["eliminate", "--store", "none/a.pt"],
            "--store none/a.pt: the folder none does",
        ),
        (
            ["search", "--store", "none/a.sqlite"],
            "--store none/a.sqlite: the folder none does",
        ),
        (["show", "none.sqlite"], "none.sqlite does not exist"),
        (["show", "text.npz"], "is not what a search or an elimination of this version keeps"),
    ],
)
def test_bad_input_is_told_in_a_line_and_leaves_no_store(
    arguments: list[str],
    message: str,
    data: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
):
    Path("text.npz").write_text("no archive at all" * 100)
    np.savez("pickle.npz", x=np.array([{"a": 1}], dtype=object), y=np.zeros(1))
    before = sorted(folder.iterdir())
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in " ".join(error.split())
    assert error.startswith("prunelimits: ")
    assert sorted(folder.iterdir()) == before


def test_a_size_that_was_not_trained_is_told(data: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["search", *SMALL, "--data", str(data), "--quiet"]) == 0
    assert main(["show", "search.sqlite", "--nonzeros", "99"]) == 1
    assert "--nonzeros is for --model and --pictures, got 99 alone" in capsys.readouterr().err
    assert main(["show", "search.sqlite", "--nonzeros", "99", "--model", "a.pt"]) == 1
    assert "nonzeros must be a size that was trained" in capsys.readouterr().err
    assert not Path("a.pt").exists()


@pytest.mark.slow
def test_ctrl_c_ends_it_politely():
    """On a terminal, with the progress bar, as a person would do it."""
    command = [sys.executable, "-m", "prunelimits.cli", "search", "--shard-size", "12"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))

    def heed_interrupts() -> None:
        # What a shell runs in the background ignores them, and so do its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, preexec_fn=heed_interrupts
    ) as process:
        os.close(theirs)
        screen = b""
        # On a slow machine the rate is told the other way round.
        while not re.search(rb"\d( trainings/s|s/ trainings), best", screen):
            screen += os.read(ours, 1000)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        # Reading from a terminal whose process has gone is an error.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 1000):
                screen += part
        assert process.wait() == 130
    os.close(ours)
    assert time.monotonic() - began < 120
    assert b"Interrupted. What is finished is kept" in screen
    assert b"Traceback" not in screen
    assert shards_done() >= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_whatever_ends_it_ends_its_workers(sent: signal.Signals, code: int):
    command = [sys.executable, "-m", "prunelimits.cli", "search", "--workers", "2", "--quiet"]
    with subprocess.Popen(
        [*command, "--shard-size", "12"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        while not shards_done():
            assert process.poll() is None
            time.sleep(0.2)
        process.send_signal(sent)
        # Ends when the last worker has closed its end of the pipe.
        output, _ = process.communicate(timeout=120)
        assert process.returncode == code
    if sent == signal.SIGTERM:
        assert b"Interrupted. What is finished is kept" in output
    assert b"Traceback" not in output
    assert shards_done()


def shards_done() -> int:
    """How many shards the store holds; 0 as long as there is none."""
    if not Path("search.sqlite").exists():
        return 0
    with contextlib.closing(sqlite3.connect("search.sqlite")) as database:
        try:
            return int(database.execute("SELECT count(*) FROM shards").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def test_names_of_classes_stand_in_pictures():
    x, y = pl.datasets.cubist_spiral(300)
    names = ("<inside>", "out$ide$")
    rows = [f"{a},{b},{names[int(c)]}" for (a, b), c in zip(x.tolist(), y.tolist(), strict=True)]
    Path("data.csv").write_text("\n".join(["a,b,label", *rows]))
    command = ["search", *SMALL, "--target", "0.5", "--data", "data.csv", "--pictures", "one"]
    assert main(command) == 0
    shown = ["show", "search.sqlite", "--pictures"]
    assert main([*shown, "two", "--data", "data.csv"]) == 0
    assert main([*shown, "none"]) == 0
    for folder, count in (("one", 1), ("two", 1), ("none", 0)):
        text = Path(folder, "network.svg").read_text()
        assert text.count('id="class-0"') == text.count('id="class-1"') == count
        assert "<inside>" not in text


def test_options_about_a_file_need_one(data: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["search", *SMALL, "--data", str(data), "--target", "0.5"]) == 0
    assert main(["show", "search.sqlite", "--standardise"]) == 1
    assert "--standardise needs --data" in capsys.readouterr().err
