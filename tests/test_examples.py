"""The examples run as their first lines say, on little data."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import prunelimits as pl

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(folder: Path, name: str, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_own_data(tmp_path: Path):
    printed = run(tmp_path, "own_data.py")
    assert "the sparsest:" in printed
    model, _ = pl.load(tmp_path / "moons.pt")
    nonzeros = sum(int((p != 0).sum()) for p in model.parameters())
    assert f"the sparsest: {nonzeros} nonzeros" in printed
    assert (tmp_path / "moons.png").exists()


def test_random_starts(tmp_path: Path):
    printed = run(tmp_path, "random_starts.py", "--starts", "3", "--epochs", "1", "--points", "500")
    assert printed.count("of 3") == 6


def test_remeasure(tmp_path: Path):
    torch.manual_seed(0)
    model = pl.MLP((2, 4, 1))
    x, y = pl.datasets.cubist_spiral(dtype=torch.float64)
    pl.save(model, None, tmp_path / "net.pt")
    correct = int(((model.double()(x)[:, 0] > 0) == (y == 1)).sum())
    assert f"17 nonzeros, {correct} of 49982 right" in run(tmp_path, "remeasure.py", "net.pt")


def test_playground_pictures(tmp_path: Path):
    pytest.importorskip("playwright")
    if shutil.which("chromium") is None:
        pytest.skip("there is no chromium")
    printed = run(tmp_path, "playground_pictures.py", "pictures", "--only", "network")
    assert printed == "Wrote pictures/network.png\n"
    assert (tmp_path / "pictures" / "network.png").stat().st_size > 10_000


def test_every_example_is_tested():
    tested = {"own_data.py", "playground_pictures.py", "random_starts.py", "remeasure.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


@pytest.mark.parametrize(
    "name", ["own_data.py", "playground_pictures.py", "random_starts.py", "remeasure.py"]
)
def test_an_example_says_how_to_run_it(name: str):
    assert f"Run: python examples/{name}" in (EXAMPLES / name).read_text()
