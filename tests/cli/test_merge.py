"""`prunelimits merge`, and --part where the parts come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from prunelimits.cli import main
from prunelimits.elimination import eliminate
from prunelimits.search import Store


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    np.savez("data.npz", x=x.numpy(), y=(x[:, 0] > 0).int().numpy())
    return tmp_path


SEARCH = ["search", "--data", "data.npz", "--widths", "2", "2", "1", "--epochs", "1"]
SEARCH += ["--batch-size", "20", "--shard-size", "6", "--target", "0.6", "--quiet"]
GAP = ["gap", "--data", "data.npz", "--widths", "3", "--methods", "SNIP", "Random", "--epochs", "1"]
GAP += ["--budgets", "5", "9", "--batch-size", "20", "--quiet"]


def test_a_search_in_parts(capsys: pytest.CaptureFixture[str]):
    assert main([*SEARCH, "--store", "whole"]) == 0
    for number in ("1", "2"):
        assert main([*SEARCH, "--part", f"{number}/2", "--store", number]) == 0
    capsys.readouterr()
    assert main(["merge", "1", "2", "-o", "joined"]) == 0
    assert "Sparsest network at 60 %" in capsys.readouterr().out
    with Store("whole", write=False) as whole, Store("joined", write=False) as joined:
        [phase] = whole.phases()
        assert len(whole.finished(phase)) > 2
        assert joined.finished(phase) == whole.finished(phase)
        assert joined.best(phase) == whole.best(phase)


def test_a_study_in_parts(capsys: pytest.CaptureFixture[str]):
    assert main([*GAP, "--table", "whole.csv"]) == 0
    for number in ("1", "2"):
        assert main([*GAP, "--part", f"{number}/2", "--table", f"{number}.csv"]) == 0
    assert main(["merge", "1.csv", "2.csv", "--into", "joined.csv"]) == 0
    assert "36 runs in joined.csv" in capsys.readouterr().out
    assert Path("joined.csv").read_text() == Path("whole.csv").read_text()


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2", "1.5/2"])
def test_a_wrong_part_is_told(part: str, capsys: pytest.CaptureFixture[str]):
    for command in (SEARCH, GAP):
        assert main([*command, f"--part={part}"]) == 1
        assert f"--part must be i/N, such as 3/16, with i from 1 to N, got '{part}'" in " ".join(
            capsys.readouterr().err.split()
        )
    assert not {path.name for path in Path().iterdir()} - {"data.npz"}


def test_what_cannot_be_joined_is_told(capsys: pytest.CaptureFixture[str]):
    x, y = torch.randn(40, 2), torch.tensor([0.0, 1.0] * 20)
    eliminate(x, y, target=0.4, start=(2, 2, 1), store="kept.pt", time_limit=5)
    assert main(["merge", "kept.pt", "-o", "new"]) == 1
    assert "kept.pt is of an elimination" in capsys.readouterr().err
    assert main(["merge", "none.csv", "-o", "new.csv"]) == 1
    assert "none.csv does not exist" in capsys.readouterr().err
    Path("text.csv").write_text("a,b\n1,2\n")
    assert main(["merge", "text.csv", "-o", "new.csv"]) == 1
    assert "text.csv must have the columns" in capsys.readouterr().err
    Path("store.sqlite").touch()
    assert main(["merge", "text.csv", "store.sqlite", "-o", "new.csv"]) == 1
    assert "store.sqlite must be a .csv file like others" in capsys.readouterr().err
    assert not Path("new.csv").exists()
