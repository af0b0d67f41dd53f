"""`prunelimits gap` as a user meets it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import prunelimits as pl
from prunelimits.cli.gap import Gap, method
from prunelimits.cli.gap_report import draw_gap, print_gap, print_parts
from prunelimits.cli.points import read_points
from prunelimits.elimination import Elimination
from prunelimits.experiments import Run, RunResult, Study, read_table, run_study
from prunelimits.models import MLP
from prunelimits.search import StoreError

SMALL: dict[str, Any] = {
    "methods": ("SNIP", "GMP", "Random"),
    "widths": (3, 5),
    "budgets": (8, 20),
    "learning_rates": (0.1,),
    "epochs": 1,
    "batch_size": 50,
    "data": Path("data.npz"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder but for the data."""
    monkeypatch.chdir(tmp_path)
    x, y = pl.datasets.cubist_spiral(300)
    np.savez("data.npz", x=x.numpy(), y=y.numpy())
    return tmp_path


@pytest.mark.slow
def test_a_study_is_printed_kept_and_drawn(capsys: pytest.CaptureFixture[str]):
    Path("search.csv").write_text("phase,nonzeros,accuracy\n2,30,0.96\n2,26,0.9\n")
    pl.save(MLP((2, 3, 1)), None, "net.pt")
    compare = (Path("search.csv"), Path("net.pt"))
    command = Gap(**SMALL, pictures=Path("pictures"), compare=compare)
    assert command.run() == 0
    printed = capsys.readouterr().out
    assert "Pruned from width 3: smallest nonzeros at a target, best of 3 runs" in printed
    assert "Pruned from width 5" in printed
    assert all(name in printed for name in SMALL["methods"])
    # 3 methods, 3 recipes, budgets 8 and 20 of 27 and of 65 weights.
    results, _ = read_table("gap.csv")
    assert len(results) == 3 * 3 * 4
    for name in ("gap.png", "gap.svg", "disconnected.png", "disconnected.svg"):
        assert (Path("pictures") / name).stat().st_size > 10_000
    before = Path("gap.csv").read_bytes()
    assert Gap(**SMALL).run() == 0
    assert "36 of 36 runs (100 %)" in capsys.readouterr().out
    assert Path("gap.csv").read_bytes() == before


def test_quick_and_without_time(capsys: pytest.CaptureFixture[str]):
    usual = {"budgets": Gap.budgets, "schedules": Gap.schedules}
    settings = {**SMALL, "widths": (5,), **usual, "table": Path("quick.csv")}
    command = Gap(**settings, quick=True, minutes=0)
    assert command.run() == 0
    # Budgets 20, 26, 33, 44 and 55 of 65 weights, one recipe.
    assert "0 of 15 runs (0 %)" in capsys.readouterr().out
    assert not Path("quick.csv").exists()


@pytest.mark.slow
def test_what_one_part_chooses_another_measures(capsys: pytest.CaptureFixture[str]):
    command = Gap(**{**SMALL, "widths": (5,)}, choose=0.2, test=0.3, seed=4)
    assert command.run() == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "90 test rows of the best of 3 runs by 60 other rows" in printed
    assert "Nothing was chosen by the test rows, 90 in all" in printed
    results, _ = read_table("gap.csv")
    assert len(results) == 3 * 3 * 2
    x, y = pl.datasets.cubist_spiral(300)
    parts = pl.datasets.three_parts(x, y, choose=0.2, test=0.3, seed=4)
    study = command._study()
    by_hand = run_study(
        study, *parts.train, table="other.csv", choose=parts.choose, test=parts.test
    )
    assert results == sorted(by_hand)
    for name in ("SNIP", "GMP", "Random"):
        own = [r for r in results if r.run.method == name and r.run.keep == 20]
        best = max(own, key=lambda r: (r.choose or 0, -r.nonzeros))
        assert f"{best.test:.1%} (" in printed


def test_a_network_without_parameters_has_no_share_of_them(capsys: pytest.CaptureFixture[str]):
    """As an elimination may leave it, or a method whose trainings all diverged."""
    study = Study(methods=(Elimination(),), widths=(3,), budgets=(8,), recipes=(pl.Recipe(),))
    nothing = RunResult(Run("Elimination", 3, 8, 0, 0), 0, 0, 0, 0.5, 10.0, 60.0, 0.5, 0.5)
    print_gap(study, [nothing])
    print_parts(study, [nothing], (10, 10))
    draw_gap([nothing], Path("pictures"))
    assert capsys.readouterr().out.count("50.0") >= 2
    assert Path("pictures", "disconnected.png").exists()


def test_what_a_run_costs_is_told_beside_the_dearest(capsys: pytest.CaptureFixture[str]):
    study = Study(
        methods=(method("SNIP"), method("LTH")), widths=(3,), budgets=(8,), recipes=(pl.Recipe(),)
    )
    results = [
        RunResult(Run(name, 3, 8, 0, 0), 9, 9, 9, 0.5, cost, 1.0, 0.5, 0.5)
        for name, cost in (("SNIP", 30.0), ("LTH", 120.0))
    ]
    print_parts(study, results, (10, 10))
    printed = capsys.readouterr().out
    assert re.search(r"SNIP +│ +50.0% \(50.0%\) │ +0.25 │", printed)
    assert re.search(r"LTH +│ +50.0% \(50.0%\) │ +1 │", printed)


def test_what_the_test_rows_tell_apart_depends_on_the_accuracy(
    capsys: pytest.CaptureFixture[str],
):
    study = Study(methods=(method("SNIP"),), widths=(3,), budgets=(8, 9), recipes=(pl.Recipe(),))
    results = [
        RunResult(Run("SNIP", 3, keep, 0, 0), 9, 9, 9, 0.5, 1.0, 1.0, share, share)
        for keep, share in ((8, 0.5), (9, 0.9))
    ]
    print_parts(study, results, (100, 100))
    printed = " ".join(capsys.readouterr().out.split())
    # Twice the square root of 0.9 x 0.1 / 100, and of 0.5 x 0.5 / 100.
    assert "by more than about 6.0 points near 90%, 10.0 points near 50%" in printed


def test_parts_are_refused_before_anything_trains():
    for wrong in ({"choose": 0.2}, {"test": 0.2}, {"choose": 0.2, "test": -1.0}):
        with pytest.raises(ValueError, match=r"--(choose|test) must be above 0 and below 1"):
            Gap(**SMALL, **wrong).run()
    with pytest.raises(ValueError, match=r"^choose and test must leave rows"):
        Gap(**SMALL, choose=0.5, test=0.5).run()
    x, _ = pl.datasets.cubist_spiral(300)
    np.savez("data.npz", x=x.numpy(), y=np.r_[np.zeros(298), 1, 1])
    with pytest.raises(ValueError, match=r"data\.npz: class 1 must have at least three rows"):
        Gap(**SMALL, choose=0.2, test=0.2).run()
    assert not Path("gap.csv").exists()


@pytest.mark.slow
def test_numbers_are_predicted_with_regression(capsys: pytest.CaptureFixture[str]):
    x, y = pl.datasets.planted_relu(200)
    np.savez("relu.npz", x=x.numpy(), y=y.numpy())
    trained = pl.fit(pl.MLPEnsemble((1, 3, 1), 1, seed=1), x, y, pl.Recipe(epochs=20), loss="mse")
    pl.save(trained.ensemble.member(0)[0], None, "net.pt")
    few = {**SMALL, "data": Path("relu.npz"), "widths": (3,), "epochs": 20, "hidden_layers": 1}
    few |= {"budgets": (3, 5), "methods": ("GMP", "Random")}
    command = Gap(**few, regression=True, compare=(Path("net.pt"),), pictures=Path("pictures"))
    assert command.run() == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "smallest nonzeros at a target of R2, best of 3 runs" in printed
    assert "best and median: R2 over all runs" in printed
    assert "accura" not in printed.lower()
    assert (Path("pictures") / "gap.png").stat().st_size > 10_000
    results, _ = read_table("gap.csv")
    assert results == sorted(run_study(command._study(), x, y, table="other.csv", loss="mse"))
    assert Gap(**few, regression=True, choose=0.2, test=0.3, table=Path("parts.csv")).run() == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "R2 on 60 test rows of the best of 3 runs by 40 other rows" in printed
    assert "differ by more than" not in printed
    assert "accura" not in printed.lower()
    model, _ = pl.load("net.pt")
    ((_, explained),) = read_points(Path("net.pt"), x, y, loss="mse")
    left = ((model(x).detach() - y.view(-1, 1)) ** 2).mean() / y.var(correction=0)
    assert explained == pytest.approx(1 - float(left), abs=1e-5)
    assert explained > 0.3


def test_what_is_no_number_to_predict_is_refused():
    few = {**SMALL, "data": None}
    with pytest.raises(ValueError, match="--regression needs --data"):
        Gap(**few, regression=True).run()
    few |= {"data": Path("table.csv"), "regression": True, "widths": (3,)}
    Path("table.csv").write_text(
        "a,b,y\n" + "".join(f"{n},{n % 7},{'uv'[n % 2]}\n" for n in range(60))
    )
    with pytest.raises(
        ValueError,
        match=r"table\.csv: labels must be numbers for a regression, got texts such as 'u'",
    ):
        Gap(**few).run()
    Path("table.csv").write_text("a,b,y\n" + "".join(f"{n},{n % 7},4\n" for n in range(60)))
    with pytest.raises(ValueError, match="y must vary for squared error"):
        Gap(**few).run()
    # Sixty ages are no sixty classes.
    Path("table.csv").write_text("a,b,y\n" + "".join(f"{n},{n % 7},{n}\n" for n in range(60)))
    assert Gap(**few, standardise=True).run() == 0


@pytest.mark.slow
def test_from_a_saved_network():
    pl.save(MLP((2, 5, 5, 5, 1)), None, "start.pt")
    command = Gap(**SMALL, initial=Path("start.pt"), repeats=2, pictures=Path("pictures"))
    assert command.run() == 0
    assert len(read_table("gap.csv")[0]) == 72
    with pytest.raises(StoreError, match=r"another study \(data or start is"):
        Gap(**SMALL).run()


def test_points_of_a_network(folder: Path):
    x, y = pl.datasets.cubist_spiral(300)
    pl.save(MLP((2, 3, 1)), None, "net.pt")
    ((size, accuracy),) = read_points(Path("net.pt"), x, y)
    model, _ = pl.load("net.pt")
    assert size == 13
    assert accuracy == pytest.approx(float(((model(x)[:, 0] > 0) == (y == 1)).double().mean()))


OWN = """
from dataclasses import dataclass
from prunelimits.pruners import AtInit

@dataclass(frozen=True)
class Mine(AtInit):
    power: float = 1.0

    def scores(self, problem, params, masks, noise=None):
        return {name: params[name].abs() ** self.power for name in masks}

@dataclass(frozen=True)
class Needy(AtInit):
    power: float = None

    def __post_init__(self):
        if self.power is None:
            raise TypeError("power is needed")

    def scores(self, problem, params, masks, noise=None):
        return params

inverse = Mine(power=-1.0)
number = 3
"""


@pytest.mark.slow
def test_own_methods_by_module_in_the_current_folder(capsys: pytest.CaptureFixture[str]):
    """In processes of its own, as a user's shell and the command's workers are."""
    Path("mine.py").write_text(OWN)
    command = [
        sys.executable, "-m", "prunelimits.cli", "gap", "--methods", "mine:Mine", "mine:inverse",
        "Magnitude", "--widths", "5", "--budgets", "20", "--learning-rates", "0.1", "--schedules",
        "constant", "--epochs", "1", "--batch-size", "50", "--data", "data.npz", "--workers", "2",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(pl.__file__).parents[1])}
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    results = {r.run.method: r for r in read_table("gap.csv")[0]}
    assert list(results) == ["Magnitude", "Mine(power=-1.0)", "Mine(power=1.0)"]
    assert results["Mine(power=1.0)"][1:] == results["Magnitude"][1:]
    Path("mine.py").write_text(OWN.replace("** self.power", "** -self.power"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "whose source code was another" in done.stderr


def test_elimination_is_a_method_by_name_and_by_module(monkeypatch: pytest.MonkeyPatch):
    Path("mine.py").write_text(
        "import prunelimits as pl\n"
        "from prunelimits.elimination import Elimination\n"
        "small = Elimination(networks=3, beam=3, step=0.2, evolved=0,\n"
        "                    recovery=pl.Recipe(epochs=1, batch_size=20))\n"
    )
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert method("Elimination") == Elimination()
    assert method("prunelimits.elimination:Elimination") == Elimination()
    few = {"methods": ("mine:small", "SNIP"), "widths": (3,), "schedules": ("cosine",)}
    assert Gap(**{**SMALL, **few}).run() == 0
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert {r.run.method for r in read_table("gap.csv")[0]} == {"Elimination", "SNIP"}


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (
            "Eliminate",
            ValueError,
            r"--methods must be among .*Elimination, Regrowth, or your own .*'Eliminate'",
        ),
        ("mine:", ValueError, r"--methods must be MODULE:NAME, such as .*, got 'mine:'"),
        ("mine:Nothing", ValueError, "--methods mine:Nothing: module 'mine' has no attribute"),
        ("nowhere:Mine", ValueError, "--methods nowhere:Mine: No module named 'nowhere'"),
        ("mine:number", TypeError, "--methods mine:number must be a pruner, .* got 3"),
        ("mine:Needy", TypeError, "--methods mine:Needy must be a pruner that needs no arguments"),
    ],
)
def test_methods_that_are_none_are_refused_by_name(
    name: str, error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
):
    Path("mine.py").write_text(OWN)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    before = list(sys.path)
    with pytest.raises(error, match=message):
        Gap(**{**SMALL, "methods": (name,)}).run()
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert sys.path == before
    assert not Path("gap.csv").exists()


def test_bad_input():
    with pytest.raises(ValueError, match=r"--methods must be among .*SNIP.*, got 'Snip'"):
        method("Snip")
    Path("other.csv").write_text("a,b\n1,2\n")
    x, y = pl.datasets.cubist_spiral(300)
    with pytest.raises(ValueError, match=r"other\.csv must have columns nonzeros and accuracy"):
        read_points(Path("other.csv"), x, y)
    with pytest.raises(FileNotFoundError):
        Gap(**SMALL, initial=Path("none.pt")).run()
    assert not Path("gap.csv").exists()
