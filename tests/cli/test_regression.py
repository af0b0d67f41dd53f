"""`--regression` of the commands that find networks: labels are numbers to predict."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import prunelimits as pl
from prunelimits.cli import main
from prunelimits.cli.eliminate import Eliminate, TrainingOptions
from prunelimits.cli.search import Search
from prunelimits.cli.show import Show
from prunelimits.datasets import planted_relu, three_parts
from prunelimits.elimination import Elimination, read_elimination

X, Y = planted_relu(200, generator=torch.Generator().manual_seed(1), noise=0.02)
Y = Y[:, 0]
QUICK = TrainingOptions(epochs=8, batch_size=20, lr=0.05)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs in a folder with nothing but the numbers."""
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", x=X.numpy(), y=Y.numpy())


def eliminate(**options) -> Eliminate:
    method = Elimination(networks=6, beam=4, tries=2, evolved=0)
    given = {"target": 0.5, "widths": (1, 4, 1), "seed": 3, "quiet": True, **options}
    return Eliminate(
        method=method, dense=QUICK, recovery=QUICK, data=Path("data.npz"), regression=True, **given
    )


def search(**options) -> Search:
    given = {"target": 0.5, "widths": (1, 2, 1), "epochs": 8, "batch_size": 20, "seed": 3}
    return Search(
        data=Path("data.npz"), learning_rates=(0.05,), schedules=("constant",), regression=True,
        quiet=True, **given | options,
    )  # fmt: skip


def explained_of_test(file: str, share: float) -> float:
    """R² on the rows set aside."""
    _, _, (x, y) = three_parts(
        X, Y, choose=(1 - share) / 2, test=share, seed=3, by_class=False
    )  # fmt: skip
    model, _ = pl.load(file)
    error = (model(x)[:, 0].detach().double() - y.double()).square().mean()
    return float(1 - error / y.double().var(correction=0))


@pytest.mark.parametrize(
    ("command", "store"), [(eliminate, "elimination.pt"), (search, "search.sqlite")]
)
def test_numbers_are_predicted_and_measured_by_what_is_explained(
    command, store: str, capsys: pytest.CaptureFixture[str]
):
    assert command(test=0.25, pictures=Path("pictures")).run() == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "R2" in printed
    assert "accuracy" not in printed.replace("accuracy.", "")  # the picture of that name
    assert Show(Path(store), model=Path("net.pt")).run() == 0
    assert "R2" in capsys.readouterr().out
    told = f"has an R2 of {explained_of_test('net.pt', 0.25):.2%} on the 50 test rows"
    assert told in printed
    assert (Path("pictures") / "accuracy.png").stat().st_size > 5_000


def test_an_elimination_of_numbers_is_that_of_the_library():
    assert eliminate().run() == 0
    kept = read_elimination("elimination.pt")
    assert kept.loss == "mse"
    best = kept.sparsest
    assert best is not None
    error = (best.model(X)[:, 0].detach().double() - Y.double()).square().mean()
    assert best.score == pytest.approx(float(1 - error / Y.double().var(correction=0)), abs=1e-5)


PLANE = torch.rand(120, 2, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("command", "store", "widths"),
    [(eliminate, "elimination.pt", (2, 4, 1)), (search, "search.sqlite", (2, 1))],
)
def test_what_is_kept_is_shown_with_the_numbers_that_it_predicts(
    command, store: str, widths: tuple[int, ...], capsys: pytest.CaptureFixture[str]
):
    numbers = 3 * PLANE[:, 0] - PLANE[:, 1]
    np.savez("data.npz", x=PLANE.numpy(), y=numbers.numpy())
    assert command(widths=widths).run() == 0
    shown = ["show", store, "--pictures"]
    assert main([*shown, "with", "--data", "data.npz"]) == 0
    assert main([*shown, "without"]) == 0
    for folder, count in (("with", len(PLANE)), ("without", 0)):
        picture = Path(folder, "network.svg").read_text()
        drawn = re.findall(r'<g id="PathCollection_\d+">(.*?)\n   </g>', picture, re.DOTALL)
        assert sum(group.count("<use ") for group in drawn) == count
    capsys.readouterr()
    assert main(["view", store, "--data", "data.npz", "-o", "page.html"]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "--data data.npz holds numbers to predict, and a page shows classes" in error
    Path("text.csv").write_text("a,b,y\n" + "".join(f"{n},1,{'uv'[n % 2]}\n" for n in range(60)))
    assert main(["show", store, "--data", "text.csv"]) == 1
    assert "labels must be numbers for a regression" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["search", "eliminate", "gap"])
def test_numbers_need_a_file_of_numbers(command: str, capsys: pytest.CaptureFixture[str]):
    assert main([command, "--regression"]) == 1
    assert "--regression needs --data, got --regression alone" in capsys.readouterr().err
    Path("text.csv").write_text("a,y\n" + "".join(f"{n},{'uv'[n % 2]}\n" for n in range(60)))
    assert main([command, "--data", "text.csv", "--regression"]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "labels must be numbers for a regression, got texts such as 'u'" in error
    assert {path.name for path in Path().iterdir()} == {"data.npz", "text.csv"}


def test_sizes_that_leave_nothing_out_are_told(capsys: pytest.CaptureFixture[str]):
    assert search(max_nonzeros=9).run() == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "Networks of widths 1 2 1 have at most 7 weights and biases: --max-nonzeros 9 " in printed
    )
    assert search(max_nonzeros=7, store=Path("other.sqlite")).run() == 0
    assert "leaves none out" not in capsys.readouterr().out
