"""Elimination from the command line: what it prints, keeps and writes."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import prunelimits as pl
from prunelimits.cli import main
from prunelimits.cli.eliminate import Eliminate, TrainingOptions
from prunelimits.cli.elimination_report import show_elimination
from prunelimits.elimination import Elimination, read_elimination
from prunelimits.elimination.state_file import is_state_file
from prunelimits.search import Store

QUICK = Elimination(
    networks=8,
    beam=6,
    tries=3,
    slack=0.05,
    evolved=0,
)
DENSE = TrainingOptions(epochs=12, batch_size=20, lr=0.1)
RECOVERY = TrainingOptions(epochs=4, batch_size=20, lr=0.05)
X = pl.datasets.cubist_spiral(300)[0]
Y = (X.square().sum(1) < 1.5).float()


def search(data: tuple[torch.Tensor, torch.Tensor] = (X, Y), **options) -> int:
    np.savez("data.npz", x=data[0].numpy(), y=data[1].numpy())
    given = {"target": 0.8, "widths": (2, 5, 4, 1), "dense": DENSE, "quiet": True, **options}
    return Eliminate(method=QUICK, recovery=RECOVERY, data=Path("data.npz"), **given).run()


def show(**options) -> int:
    return show_elimination(
        read_elimination("elimination.pt"),
        **{
            "target": None,
            "nonzeros": None,
            "model": None,
            "csv_file": None,
            "pictures": None,
            "points": None,
            **options,
        },
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_found_is_kept_shown_and_written(capsys: pytest.CaptureFixture[str]):
    assert search() == 0
    printed = capsys.readouterr().out
    assert "dense, down to 44 nonzeros: 8 trained" in printed
    assert "Sparsest network at 80 %" in printed
    assert show(model=Path("best.pt"), csv_file=Path("sizes.csv")) == 0
    assert capsys.readouterr().out.splitlines()[0] in printed
    result = read_elimination("elimination.pt")
    assert result.sparsest is not None
    model, masks = pl.load("best.pt")
    assert pl.masks.count(masks) == result.sparsest.nonzeros
    accuracy = float(((model(X)[:, 0] > 0) == (Y == 1)).double().mean())
    assert accuracy == pytest.approx(result.sparsest.score)
    with open("sizes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["nonzeros"]) for row in rows] == [n.nonzeros for n in result.networks]


def test_an_interrupted_search_goes_on(capsys: pytest.CaptureFixture[str]):
    search(minutes=1e-9)
    assert "No network at 80 % yet" in capsys.readouterr().out
    search(minutes=0.002)
    search()
    resumed = read_elimination("elimination.pt")
    Path("elimination.pt").unlink()
    search()
    undisturbed = read_elimination("elimination.pt")
    assert [n.score for n in resumed.networks] == [n.score for n in undisturbed.networks]
    assert len(resumed.rounds) == len(undisturbed.rounds)


def test_another_target_and_size_can_be_asked_of_a_store(capsys: pytest.CaptureFixture[str]):
    search()
    result = read_elimination("elimination.pt")
    show(target=0.999, model=Path("best.pt"))
    printed = capsys.readouterr().out
    reaching = [n.nonzeros for n in result.networks if n.score >= 0.999]
    best = max(result.networks, key=lambda n: n.score).nonzeros
    expected = min(reaching, default=best)
    assert ("No network at 99.9 % yet" in printed) != (f"{expected} nonzeros" in printed)
    assert pl.masks.count(pl.load("best.pt")[1]) == expected
    size = result.networks[2].nonzeros
    show(nonzeros=size, model=Path("small.pt"))
    assert pl.masks.count(pl.load("small.pt")[1]) == size
    with pytest.raises(ValueError, match="nonzeros must be a size that was trained"):
        show(nonzeros=10_000, model=Path("none.pt"))


def test_a_trained_network_is_shrunk(capsys: pytest.CaptureFixture[str]):
    model, _ = pl.MLPEnsemble((2, 5, 4, 1), 1, seed=0).member(0)
    pl.save(model, {}, "start.pt")
    search(initial=Path("start.pt"), widths=None, dense=TrainingOptions(), held_out=0.2)
    assert "dense, down to 44 nonzeros: 1 trained" in capsys.readouterr().out


def test_pictures_are_drawn():
    search(pictures=Path("pictures"))
    assert {path.name for path in Path("pictures").iterdir()} == {
        "network.png",
        "network.svg",
        "accuracy.png",
        "accuracy.svg",
    }


def test_a_store_is_recognised():
    search(minutes=0.001)
    Store(Path("search.sqlite"), write=True).close()
    assert is_state_file(Path("elimination.pt"))
    assert not is_state_file(Path("search.sqlite"))
    assert not is_state_file(Path("missing.pt"))
    torch.save({}, "other.pt")
    with pytest.raises(pl.search.StoreError, match="damaged or no store"):
        read_elimination("other.pt")


def test_the_commands_lead_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", x=X.numpy(), y=Y.numpy())
    quick = [
        "--networks", "4", "--beam", "3", "--tries", "2",
        "--dense.epochs", "8", "--dense.batch-size", "20",
        "--recovery.epochs", "2",
    ]  # fmt: skip
    options = ["--widths", "2", "4", "3", "1", "--target", "0.7", "--data", "data.npz", "--quiet"]
    assert main(["eliminate", *options, *quick]) == 0
    assert main(["show", "elimination.pt", "--csv", "sizes.csv"]) == 0
    assert "nonzeros" in capsys.readouterr().out
    assert Path("sizes.csv").exists()


def test_trainings_fit_the_data_but_for_the_numbers_that_are_given(capsys):
    np.savez("data.npz", x=X[:120].numpy(), y=Y[:120].numpy())
    options = ["--data", "data.npz", "--target", "0.7", "--minutes", "0.0001", "--quiet"]
    given = ["--networks", "2", "--recovery.lr", "0.02"]
    assert main(["eliminate", *options, *given]) == 0
    method = read_elimination("elimination.pt").method
    fitting = Elimination(networks=2).recipes(120)
    assert method.dense == fitting.dense
    assert method.recovery == dataclasses.replace(fitting.recovery, lr=0.02)


def test_a_hint_is_printed_where_nothing_reaches_the_target(capsys):
    y = torch.randint(0, 2, (len(X),), generator=torch.Generator().manual_seed(0)).float()
    assert search(data=(X, y), target=1.0) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "No network at 100 % yet: the best score was" in printed
    assert "train longer" in printed


@pytest.mark.slow
def test_several_seeds_on_a_pool(capsys: pytest.CaptureFixture[str]):
    assert search(seeds=3, seed=1, workers=2) == 0
    printed = capsys.readouterr().out
    results = {seed: read_elimination(f"elimination-{seed}.pt") for seed in (1, 2, 3)}
    sizes = {seed: result.sparsest.nonzeros for seed, result in results.items()}
    for seed, size in sizes.items():
        assert f"seed {seed}: {size} nonzeros" in printed
    assert f"best {min(sizes.values())}, of 3 seeds" in printed
    best = min(sizes, key=lambda seed: sizes[seed])
    assert f"prunelimits show elimination-{best}.pt" in " ".join(printed.split())


def test_seeds_and_workers_go_together(capsys: pytest.CaptureFixture[str]):
    Path("start.pt").touch()
    for given, message in (
        (["--workers", "2"], "--workers shares out --seeds, of which there is one"),
        (["--scheduler", "tcp://a:1"], "--scheduler shares out --seeds"),
        (["--seeds", "0"], "--seeds must be at least 1, got 0"),
    ):
        assert main(["eliminate", *given]) == 1
        assert message in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_is_said_before_anything_trains(capsys: pytest.CaptureFixture[str]):
    search(nonzeros=44)
    assert "widths 2 5 4 1 have 44 weights and biases: nothing has to go for --nonzeros 44" in (
        capsys.readouterr().out
    )
    Path("elimination.pt").unlink()
    more = ["--data", "data.npz", "--widths", "2", "5", "4", "1", "--nonzeros"]
    for nonzeros, message in (
        ("45", "at most 44, the weights and biases of start with widths"),
        ("2", "at least 3, a weight in every layer of widths (2, 5, 4, 1), got 2"),
    ):
        for seeds in ("1", "2"):
            assert main(["eliminate", *more, nonzeros, "--seeds", seeds]) == 1
            told = " ".join(capsys.readouterr().err.split())
            assert f"--nonzeros must be {message}" in told
    twice = (torch.cat([X, X]), torch.cat([Y, 1 - Y]))
    with pytest.raises(ValueError, match=r"target must be at most 0\.5, as equal rows"):
        search(twice)
    assert not list(Path().glob("elimination*.pt"))


def test_names_of_classes_stand_in_pictures_and_in_the_table_of_the_test_rows(
    capsys: pytest.CaptureFixture[str],
):
    names = ("<out>", "in$ide$")
    np.savez("named.npz", x=X.numpy(), y=np.array([names[int(label)] for label in Y]))
    command = Eliminate(
        method=QUICK, dense=DENSE, recovery=RECOVERY, data=Path("named.npz"), target=0.8,
        widths=(2, 5, 1), quiet=True, test=0.2, pictures=Path("one"),
    )  # fmt: skip
    assert command.run() == 0
    printed = capsys.readouterr().out
    assert all(any(n in line and "%" in line for line in printed.splitlines()) for n in names)
    assert main(["show", "elimination.pt", "--pictures", "two", "--data", "named.npz"]) == 0
    for folder in ("one", "two"):
        text = Path(folder, "network.svg").read_text()
        assert text.count('id="class-0"') == text.count('id="class-1"') == 1
