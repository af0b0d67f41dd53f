"""`--test` of the commands that find networks: rows that nothing was chosen by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import prunelimits as pl
from prunelimits.cli.advice import tell_test
from prunelimits.cli.data import OwnData
from prunelimits.cli.eliminate import Eliminate, TrainingOptions
from prunelimits.cli.search import Search
from prunelimits.cli.show import Show
from prunelimits.datasets import gaussians, three_parts
from prunelimits.elimination import Elimination


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    monkeypatch.chdir(tmp_path)
    x, y = gaussians(400, deviation=0.6)
    x = 100 * x + 7
    np.savez("data.npz", x=x.numpy(), y=y.numpy())
    return x, y


def told(capsys: pytest.CaptureFixture[str], rows: int) -> str:
    printed = " ".join(capsys.readouterr().out.split())
    assert f"on the {rows} test rows, by which nothing was chosen" in printed
    return printed


def accuracy_by_hand(file: str, x: Tensor, y: Tensor, share: float) -> float:
    parts = three_parts(x, y, choose=(1 - share) / 2, test=share, seed=3)
    used = torch.cat([parts.train[0], parts.choose[0]]).double()
    test = (parts.test[0].double() - used.mean(0)) / used.std(0, correction=0)
    model, _ = pl.load(file)
    return float(((model(test.float())[:, 0] > 0) == (parts.test[1] == 1)).double().mean())


def test_a_search_is_measured_on_rows_it_never_saw(
    data: tuple[Tensor, Tensor], capsys: pytest.CaptureFixture[str]
):
    command = Search(
        data=Path("data.npz"), test=0.25, seed=3, standardise=True, widths=(2, 2, 1),
        learning_rates=(0.1,), schedules=("constant",), epochs=2, batch_size=20, target=0.8,
    )  # fmt: skip
    assert command.run() == 0
    printed = told(capsys, 100)
    assert Show(Path("search.sqlite"), model=Path("net.pt")).run() == 0
    assert f"has {accuracy_by_hand('net.pt', *data, 0.25):.2%} on the" in printed


def test_the_inputs_that_a_network_reads_are_told_by_their_columns(
    data: tuple[Tensor, Tensor], capsys: pytest.CaptureFixture[str]
):
    x, y = (part.tolist() for part in data)
    rows = [
        f"{a},{n % 7},{b},{int(label)}" for n, ((a, b), label) in enumerate(zip(x, y, strict=True))
    ]
    Path("data.csv").write_text("\n".join(["left,noise,right,label", *rows]) + "\n")
    command = Search(
        data=Path("data.csv"), drop=("noise",), widths=(2, 2, 1), learning_rates=(0.1,),
        schedules=("constant",), epochs=2, batch_size=20, target=0.8,
    )  # fmt: skip
    assert command.input_names() == ["left", "right"]
    assert command.run() == 0
    assert Show(Path("search.sqlite"), model=Path("net.pt")).run() == 0
    used = pl.effective_masks(*pl.load("net.pt"))["layers.0.weight"].any(0).tolist()
    names = ", ".join(n for n, reads in zip(("left", "right"), used, strict=True) if reads)
    assert f"It reads {sum(used)} of 2 inputs: {names}" in capsys.readouterr().out


def test_an_elimination_is_measured_on_rows_it_never_saw(
    data: tuple[Tensor, Tensor], capsys: pytest.CaptureFixture[str]
):
    quick = TrainingOptions(epochs=1, batch_size=30)
    command = Eliminate(
        data=Path("data.npz"), test=0.2, seed=3, standardise=True, width=3, hidden_layers=1,
        target=0.8, held_out=0.2, dense=quick, recovery=quick,
        method=Elimination(networks=3, beam=3, tries=2, evolved=0),
    )  # fmt: skip
    assert command.run() == 0
    printed = told(capsys, 80)
    assert Show(Path("elimination.pt"), model=Path("net.pt")).run() == 0
    assert f"has {accuracy_by_hand('net.pt', *data, 0.2):.2%} on the" in printed
    with pytest.raises(ValueError, match="--test is for one elimination, got --seeds 2"):
        Eliminate(data=Path("data.npz"), test=0.2, seeds=2).run()


def test_shares_and_classes_that_leave_nothing_are_refused(data: tuple[Tensor, Tensor]):
    own = OwnData(data=Path("data.npz"))
    with pytest.raises(ValueError, match=r"--test must be above 0 and below 1, got 1\.5"):
        own.set_aside(1.5, 0)
    (x, y, _), none = own.set_aside(0, 0)
    assert none is None
    assert (len(x), len(y)) == (400, 400)
    np.savez("data.npz", x=np.ones((9, 2)), y=np.r_[np.zeros(7), 1, 1])
    with pytest.raises(ValueError, match=r"--data data\.npz: class 1 must have at least three"):
        own.set_aside(0.2, 0)


def test_the_test_rows_are_counted_by_class_under_the_classes_names(
    capsys: pytest.CaptureFixture[str],
):
    model = pl.MLP((1, 1))
    with torch.no_grad():
        model.layers[0].weight.fill_(1.0)
        model.layers[0].bias.fill_(0.0)
    x = torch.tensor([[-1.0], [-2.0], [3.0], [4.0], [-5.0]])
    y = torch.tensor([0, 0, 0, 1, 1])
    tell_test(model, 1, (x, y), ("[bold]no[/bold]", "yes\x1b[31m"))
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [[cell.strip() for cell in line[1:4]] for line in lines] == [
        ["[bold]no[/bold]", "3", "66.67%"],
        ["yes [31m", "2", "50.00%"],
    ]
    tell_test(model, 1, (x[:3], y[:3]), None)
    printed = capsys.readouterr().out
    assert "class 0" in printed
    assert any("class 1" in line and "-" in line for line in printed.splitlines())
