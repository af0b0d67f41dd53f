"""Starts that do not fit are told by the flag and the file, before anything is trained."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import prunelimits as pl
from prunelimits.cli import main
from prunelimits.elimination import Elimination, eliminate


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in a folder with data and some networks."""
    monkeypatch.chdir(tmp_path)
    x, y = pl.datasets.cubist_spiral(300)
    np.savez("data.npz", x=x.numpy(), y=y.numpy())
    for name, widths in (
        *(("narrow", (2, 3, 3, 3, 1)), ("short", (2, 3, 1))),
        *(("three", (3, 4, 1)), ("outputs", (2, 5, 3))),
    ):
        pl.save(pl.MLP(widths), None, f"{name}.pt")
    dead = pl.MLP((2, 4, 1))
    with torch.no_grad():
        for parameter in dead.parameters():
            parameter.zero_()
    pl.save(dead, None, "ties.pt")
    return tmp_path


GAP = "gap --methods SNIP --budgets 12 --widths 5"
SEARCH = "search --target 0.6 --widths 2 5 3 3 1"
WIDER = r"must have widths \(2, 5, .* or wider hidden ones, got \(2, 3"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (f"{GAP} --initial narrow.pt", f"--initial narrow.pt {WIDER}"),
        (f"{GAP} --initial short.pt", f"--initial short.pt {WIDER}"),
        (f"{SEARCH} --initial narrow.pt", f"--initial narrow.pt {WIDER}"),
        (f"{SEARCH} --initial short.pt", f"--initial short.pt {WIDER}"),
        (f"{SEARCH} --margin -0.1", "--margin must be at least 0, got -0.1"),
        ("eliminate --margin -1", "--margin must be at least 0, got -1"),
        ("eliminate --margin inf", "--margin must be finite and at least 0, got inf"),
        ("eliminate --margin nan", "--margin must be at least 0, got nan"),
        (
            "eliminate --initial narrow.pt --width 5",
            "--width cannot go with --initial, which decides it, got 5",
        ),
        (
            "eliminate --initial narrow.pt --widths 2 5 1",
            "--widths cannot go with --initial, which decides it, got 2 5 1",
        ),
        (
            "eliminate --initial narrow.pt --dense.weight-decay 0.0",
            "--dense.weight-decay cannot go with --initial, which decides it, got 0.0",
        ),
        (
            "eliminate --widths 2 5 1 --hidden-layers 2",
            "--hidden-layers cannot go with --widths, which decides it, got 2",
        ),
        (
            "eliminate --initial outputs.pt",
            r"--initial outputs.pt must have 2 inputs and 1 outputs .* got widths \(2, 5, 3\)",
        ),
        (
            f"{SEARCH} --first-per-count 1 2 1 3",
            "--first-per-count must name every layer once, got",
        ),
        (
            f"{SEARCH} --first-per-count 7 2",
            "--first-per-count's layer must be from 0 to 3, got 7",
        ),
        (
            "search --target 0.6 --first-phase-max-nonzeros 8",
            "--first-phase-max-nonzeros must be at least 9, .* got 8",
        ),
        (
            f"{GAP} --compare three.pt",
            r"--compare three.pt must have 2 inputs .*, got widths \(3, 4, 1\)",
        ),
        (f"{GAP} --compare none.csv", "--compare none.csv: No such file"),
        ("eliminate --initial three.pt", "--initial three.pt must have 2 inputs and 1 out"),
        (
            "eliminate --margin 0.01 --initial ties.pt",
            "--initial ties.pt must have no ties where margin is above 0, but 300 of 300 samples",
        ),
    ],
)
def test_a_command_names_the_flag_and_the_file(
    command: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    before = sorted(folder.iterdir())
    assert main([*command.split(), "--data", "data.npz", "--quiet"]) == 1
    assert re.search(message, " ".join(capsys.readouterr().err.split()))
    assert sorted(folder.iterdir()) == before


def test_ties_are_refused_of_a_trained_start_with_a_margin_alone():
    x, y = pl.datasets.cubist_spiral(200)
    model, _ = pl.load("ties.pt")
    strict = Elimination(networks=2, margin=0.01)
    with pytest.raises(ValueError, match="no ties where margin is above 0, but 200"):
        eliminate(x, y, strict, target=0.5, start=model, trained=True)
    three = pl.MLP((2, 4, 3))
    with torch.no_grad():
        for parameter in three.parameters():
            parameter.zero_()
    with pytest.raises(ValueError, match="two that are equal"):
        eliminate(x, torch.arange(200) % 3, strict, target=0.5, start=three, trained=True)
