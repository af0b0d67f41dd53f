"""The list of sparsest networks: every kept network measured in plain PyTorch, and its rules."""

from __future__ import annotations

from pathlib import Path

import pytest
import real_study
import sparsest_known
import torch
from real_tasks import RealTask, task_named
from sparsest_known import Known, entry, is_better, read_list, write_list

import prunelimits as pl

LIST = read_list()
INSTALLED = ("digits", "BreastCancer", "MNIST")
TASK = RealTask("small", lambda _: pl.datasets.gaussians(200, classes=3), (6, 4), 2, 20, (6, 12))


def test_there_is_a_list():
    assert LIST
    assert len({(known.task, known.below) for known in LIST}) == len(LIST)


@pytest.mark.parametrize(
    "known", [k for k in LIST if k.task in INSTALLED], ids=lambda k: k.file.removesuffix(".pt")
)
def test_a_kept_network_is_what_the_list_says(known: Known):
    path = sparsest_known.FOLDER / known.file
    state = torch.load(path, weights_only=True)["state_dict"]
    parts = task_named(known.task).parts(Path(), 0)
    for (x, y), accuracy in ((parts.test, known.accuracy), (parts.choose, known.choose)):
        h = x.double()
        for layer in range(len(state) // 2):
            h = torch.relu(h) if layer else h
            h = h @ state[f"layers.{layer}.weight"].double().T
            h = h + state[f"layers.{layer}.bias"].double()
        labels = h.argmax(1) if h.shape[1] > 1 else (h[:, 0] > 0).long()
        assert float((labels == y).double().mean()) == pytest.approx(accuracy, abs=1e-6)
    weights = sum(int((v != 0).sum()) for name, v in state.items() if name.endswith("weight"))
    assert weights <= known.weights < known.nonzeros
    assert known.accuracy >= known.target


def test_fewer_weights_at_the_target_belong_into_the_list():
    old = Known("t", 1, 0.9, 20, 30, 0.95, 0.9, "x", "t-1.pt")
    assert is_better(old._replace(weights=19), [old])
    assert not is_better(old._replace(weights=20), [old])
    assert not is_better(old._replace(weights=5, accuracy=0.89), [old])
    assert is_better(old._replace(below=5), [old])


def test_the_list_is_read_back(tmp_path: Path):
    write_list(LIST, tmp_path / "list.csv")
    assert read_list(tmp_path / "list.csv") == LIST
    assert read_list(tmp_path / "none.csv") == []


def test_a_candidate_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sparsest_known, "targets", lambda _: {1: 0.0, 5: 1.1})
    monkeypatch.setattr(sparsest_known, "read_list", list)
    model = pl.MLPEnsemble((2, 4, 3), 1, seed=0).member(0)[0]
    masks = {name: torch.ones_like(v, dtype=torch.bool) for name, v in model.named_parameters()}
    pl.save(model, masks, tmp_path / "mine.pt")
    assert sparsest_known.check(tmp_path / "mine.pt", TASK, tmp_path)
    told = capsys.readouterr().out
    assert "1 below dense (0.00%): 20 weights" in told
    assert "none is known: NEW BEST" in told
    assert "below the target" in told
    other = pl.MLPEnsemble((3, 4, 3), 1, seed=0).member(0)[0]
    masks = {name: torch.ones_like(v, dtype=torch.bool) for name, v in other.named_parameters()}
    pl.save(other, masks, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="must have 2 inputs and 3 outputs"):
        sparsest_known.check(tmp_path / "other.pt", TASK, tmp_path)


def test_targets_are_below_the_median_of_the_dense(tmp_path: Path):
    rows = [
        real_study.Row("t", 0, "dense", times, 0, 9, 1.0, (9,), (9,), (5,), test, 10, 10, 1.0)
        for times, test in ((1, (8,)), (5, (9, 10)))
    ]
    real_study.append(rows, tmp_path / "study.csv")
    found = sparsest_known.targets("t", tmp_path / "study.csv")
    assert found == {1: 0.89, 5: 0.85}
    with pytest.raises(ValueError, match="task must have dense networks"):
        sparsest_known.targets("u", tmp_path / "study.csv")


def test_what_is_found_is_an_entry():
    parts = TASK.parts(Path(), 0)
    model = pl.MLPEnsemble((2, 4, 3), 1, seed=0).member(0)[0]
    masks = {name: torch.ones_like(v, dtype=torch.bool) for name, v in model.named_parameters()}
    known = entry("small", 1, 0.5, (model, masks), parts, "hand")
    assert (known.weights, known.nonzeros, known.file) == (20, 27, "small-1.pt")
