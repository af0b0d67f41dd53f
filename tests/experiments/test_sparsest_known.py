"""The list of sparsest networks: every kept network measured in plain PyTorch, and its rules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sparsest_known
import torch
from real_rows import Row, append
from real_tasks import RealTask, task_named
from sparsest_known import Known, budgets_reached, entry, is_better, read_list, write_list

import prunelimits as pl

LIST = read_list()
INSTALLED = ("digits", "BreastCancer", "MNIST")
TASK = RealTask("small", lambda _: pl.datasets.gaussians(200, classes=3), (6, 4), 2, 20, (6, 12))


def test_there_is_a_list():
    assert LIST
    assert len({(known.task, known.below) for known in LIST}) == len(LIST)


@pytest.mark.parametrize("known", LIST, ids=lambda k: k.file.removesuffix(".pt"))
def test_a_kept_network_has_the_weights_that_the_list_says(known: Known):
    model, masks = pl.load(sparsest_known.FOLDER / known.file)
    weights = {name: mask for name, mask in masks.items() if name.endswith("weight")}
    assert sum(int(mask.sum()) for mask in weights.values()) == known.weights
    assert sum(int(mask.sum()) for mask in masks.values()) == known.nonzeros
    assert known.accuracy >= known.target
    for name, parameter in model.named_parameters():
        assert not bool(parameter[~masks[name]].any())


@pytest.mark.parametrize("known", LIST, ids=lambda k: k.file.removesuffix(".pt"))
def test_a_kept_network_is_what_the_list_says(known: Known):
    """Without a folder of packages, of the tasks that are installed alone."""
    packages = os.environ.get("PRUNELIMITS_PACKAGES")
    if known.task not in INSTALLED and packages is None:
        pytest.skip(f"{known.task} is in a package: PRUNELIMITS_PACKAGES names the folder")
    path = sparsest_known.FOLDER / known.file
    state = torch.load(path, weights_only=True)["state_dict"]
    parts = task_named(known.task).parts(Path(packages or "."), 0)
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


def test_the_targets_are_those_of_the_kept_study():
    found = {task: sparsest_known.targets(task) for task in {known.task for known in LIST}}
    assert {(k.task, k.below): k.target for k in LIST} == {
        (task, below): target for task, both in found.items() for below, target in both.items()
    }


@pytest.mark.slow
def test_no_budget_of_the_kept_study_reaches_a_target_with_fewer_weights():
    for known in LIST:
        reached = budgets_reached(known.task, known.target, sparsest_known.STUDY)
        assert min(reached, default=(known.weights, ""))[0] >= known.weights


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


def test_a_candidate_counts_by_what_it_computes_with(tmp_path: Path):
    """Not by what its masks say: those of a file need not be those that its weights have."""
    model = pl.MLPEnsemble((2, 4, 3), 1, seed=0).member(0)[0]
    with torch.no_grad():
        model.layers[0].weight[0] = 0
    pl.save(model, None, tmp_path / "dense.pt")
    found, masks = sparsest_known.candidate(tmp_path / "dense.pt")
    assert entry("small", 1, 0.5, (found, masks), TASK.parts(Path(), 0), "x").weights == 18
    # None of these masks was applied to the weights beside them.
    none = {name: torch.zeros_like(v, dtype=torch.bool) for name, v in model.named_parameters()}
    pl.save(model, none, tmp_path / "none.pt")
    found, masks = sparsest_known.candidate(tmp_path / "none.pt")
    parts = TASK.parts(Path(), 0)
    known = entry("small", 1, 0.5, (found, masks), parts, "x")
    assert (known.weights, known.nonzeros) == (0, 0)
    constant = float((parts.test[1] == 0).double().mean())
    assert known.accuracy == pytest.approx(constant, abs=1e-6)
    with torch.no_grad():
        model.layers[0].bias[0] = torch.nan
    pl.save(model, None, tmp_path / "nan.pt")
    with pytest.raises(ValueError, match=r"nan\.pt must be finite, but its layers\.0\.bias holds"):
        sparsest_known.candidate(tmp_path / "nan.pt")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("check none.pt --task digits", "none.pt: no such file; --packages names the folder"),
        ("check text.pt --task digits", "text.pt is damaged or no file of torch.save"),
        ("check text.pt --task Rings", "task must be one of PimaIndiansDiabetes, "),
        ("check --task digits", "check needs a file and one --task"),
        ("find --tasks digits --tries 0", "--tries: must be a whole number of at least 1, got '0'"),
        ("find --tasks Vowel", "Vowel.rda: no such file; --packages names the folder"),
    ],
)
def test_what_cannot_be_checked_is_told_in_a_line(
    arguments: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("text.pt").write_text("no network")
    monkeypatch.setattr("sys.argv", ["sparsest_known.py", *arguments.split()])
    with pytest.raises(SystemExit):
        sparsest_known.main()
    assert said in capsys.readouterr().err


def test_targets_are_below_the_median_of_the_dense(tmp_path: Path):
    rows = [
        Row("t", 0, "dense", times, 0, 9, 1.0, (9,), (9,), (5,), test, 10, 10, 1.0)
        for times, test in ((1, (8,)), (5, (9, 10)))
    ]
    append(rows, tmp_path / "study.csv")
    found = sparsest_known.targets("t", tmp_path / "study.csv")
    # Of the long trainings, as every dense network of the page.
    assert found == {1: 0.94, 5: 0.9}
    with pytest.raises(ValueError, match="task must have dense networks"):
        sparsest_known.targets("u", tmp_path / "study.csv")


def test_what_is_found_is_an_entry():
    parts = TASK.parts(Path(), 0)
    model = pl.MLPEnsemble((2, 4, 3), 1, seed=0).member(0)[0]
    masks = {name: torch.ones_like(v, dtype=torch.bool) for name, v in model.named_parameters()}
    known = entry("small", 1, 0.5, (model, masks), parts, "hand")
    assert (known.weights, known.nonzeros, known.file) == (20, 27, "small-1.pt")


def test_what_is_found_is_kept_wherever_it_is_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    listed = tmp_path / "list.csv"
    monkeypatch.setattr(sparsest_known, "FOLDER", tmp_path / "networks")
    monkeypatch.setattr(sparsest_known, "read_list", lambda: read_list(listed))
    monkeypatch.setattr(sparsest_known, "write_list", lambda known: write_list(known, listed))
    parts = TASK.parts(Path(), 0)
    model = pl.MLPEnsemble((2, 4, 3), 1, seed=0).member(0)[0]
    masks = {name: torch.ones_like(v, dtype=torch.bool) for name, v in model.named_parameters()}
    sparsest_known.offer("small", {1: 1.1, 5: 0.0}, (model, masks), parts, "hand")
    assert [(k.below, k.weights) for k in read_list(listed)] == [(5, 20)]
    masks["layers.0.weight"][0] = False
    sparsest_known.offer("small", {1: 0.0, 5: 0.0}, (model, masks), parts, "hand")
    assert [(k.below, k.weights) for k in read_list(listed)] == [(1, 18), (5, 18)]
    kept = pl.load(tmp_path / "networks" / "small-5.pt")[1]
    assert torch.equal(kept["layers.0.weight"], masks["layers.0.weight"])


def test_ever_fewer_weights_are_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    listed = tmp_path / "list.csv"
    monkeypatch.setattr(sparsest_known, "FOLDER", tmp_path / "networks")
    monkeypatch.setattr(sparsest_known, "read_list", lambda: read_list(listed))
    monkeypatch.setattr(sparsest_known, "write_list", lambda known: write_list(known, listed))
    monkeypatch.setattr(sparsest_known, "targets", lambda *_: {1: 0.0})
    monkeypatch.setattr(sparsest_known, "budgets_reached", lambda *_: [(12, "LTH"), (6, "GMP")])
    quick = pl.Recipe(epochs=1, batch_size=30)
    method = pl.elimination.Regrowth(starts=2, beam=2, cycles=0, finalists=2, recovery=quick)
    monkeypatch.setattr(sparsest_known, "METHOD", method)
    sparsest_known.find(TASK, tmp_path, 9)
    (best,) = read_list(listed)
    # 6, then 5, 4 and 3: two hidden layers have three weights on a path.
    assert best.weights <= 4


def test_networks_of_another_depth_are_of_the_same_task(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    asked: list[RealTask] = []
    monkeypatch.setattr(sparsest_known, "find", lambda task, *_: asked.append(task))
    monkeypatch.setattr("sys.argv", ["x", "find", "--tasks", "digits", "--hidden-layers", "1"])
    sparsest_known.main()
    assert [(task.name, task.hidden) for task in asked] == [("digits", (32,))]


def test_the_fewest_weights_of_every_method_are_of_both_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def at(method: str, keep: int, right: int, task: str = "small") -> Row:
        return Row(task, 0, method, 1, 0, keep, 1.0, (9,), (9,), (right,), (right,), 100, 100, 1.0)

    study, larger = tmp_path / "study.csv", tmp_path / "larger.csv"
    rows = [at("LTH", 6, 80), at("LTH", 12, 91), at("SNIP", 12, 95), at("LTH", 24, 95)]
    append([*rows, at("SNIP", 6, 95, "other"), at("LTH", 6, 10, "other")], study)
    append([at("LTH", 48, 99), at("GMP", 48, 90), at("RigL", 48, 89)], larger)
    monkeypatch.setattr(sparsest_known, "LARGER", larger)
    known = [Known("small", 1, 0.9, 5, 7, 0.91, 0.9, "x", "a.pt"),
             Known("other", 1, 0.9, 4, 7, 0.91, 0.9, "x", "b.pt"),
             Known("small", 5, 0.86, 3, 7, 0.91, 0.9, "x", "c.pt")]  # fmt: skip
    lines = sparsest_known.by_method(known, 1, study).splitlines()
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in lines}
    assert lines[0] == "|  | small | other |"
    assert cells["LTH"] == ["12", "- |"]
    assert cells["SNIP"] == ["12", "6 |"]
    assert (cells["GMP"], cells["RigL"]) == (["48", "- |"], ["-", "- |"])
    assert cells["sparsest known"] == ["**5**", "**4** |"]
