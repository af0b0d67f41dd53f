"""Regrowth as a method of a study."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prunelimits import MLP, pruners
from prunelimits.cli.gap import method
from prunelimits.datasets import Parts, gaussians, planted_relu, three_parts
from prunelimits.elimination import AllDivergedError, Regrowth, regrow
from prunelimits.experiments import Run, Study, read_table, run_network, run_study
from prunelimits.experiments import part as module
from prunelimits.experiments.part import parts
from prunelimits.training import Recipe
from prunelimits.training.task import make_task, task_in_parts

RECOVERY = Recipe(epochs=1, batch_size=20)
QUICK = Regrowth(starts=3, beam=2, tries=2, cycles=1, finalists=2, recovery=RECOVERY)
RECIPE = Recipe(epochs=3, batch_size=20)
STUDY = Study(
    methods=(QUICK, pruners.SNIP()), widths=(5,), budgets=(8, 16), recipes=(RECIPE,),
    hidden_layers=1,
)  # fmt: skip


@pytest.fixture
def split() -> Parts:
    return three_parts(*gaussians(150, classes=3))


def run(split: Parts, table: Path, study: Study = STUDY, loss: str | None = None):
    return run_study(
        study, *split.train, table=table, choose=split.choose, test=split.test,
        loss=loss,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


def test_a_run_is_the_regrowth_to_its_budget_chosen_by_the_rows_to_choose_by(
    split: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seeds: list[int] = []
    made = module.regrown

    def noted(*arguments: object):
        seeds.append(arguments[-1])  # pyright: ignore[reportArgumentType]
        return made(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(module, "regrown", noted)
    results = run(split, tmp_path / "gap.csv")
    own = [r for r in results if r.run.method == "Regrowth"]
    assert [r.run.keep for r in own] == [8, 16]
    assert len(set(seeds)) == 2
    for seed, result in zip(seeds, own, strict=True):
        found = regrow(
            *split.train, replace(QUICK, first=RECIPE), keep=result.run.keep, start=(2, 5, 3),
            measure=split.choose, seed=seed,
        )  # fmt: skip
        network = found.network
        assert found.weights <= result.run.keep
        assert result.nonzeros == network.nonzeros
        assert result.choose == pytest.approx(network.score)
        x, y = split.test
        right = float((network.model(x).argmax(1) == y).double().mean())
        assert result.test == pytest.approx(right)
        assert result.parameter_samples == found.work
        assert result.operations == 6 * found.work


def test_every_run_is_kept_when_it_is_done(split: Parts, tmp_path: Path):
    task = task_in_parts(split)
    assert [(len(p.runs), p.runs[0].method) for p in parts(STUDY, task)] == [
        (1, "Regrowth"), (1, "Regrowth"), (2, "SNIP"),
    ]  # fmt: skip
    table = tmp_path / "gap.csv"
    results = run(split, table)
    kept = table.read_bytes()
    assert run(split, table) == results
    assert table.read_bytes() == kept
    other = replace(STUDY, methods=(replace(QUICK, beam=3),))
    with pytest.raises(RuntimeError, match=r"gap\.csv belongs to another study \(Regrowth is "):
        run(split, table, other)


def test_a_network_of_a_study_without_rows_set_aside_is_made_again(tmp_path: Path):
    data = gaussians(150, classes=3)
    results = run_study(STUDY, *data, table=tmp_path / "gap.csv")
    wanted = Run("Regrowth", 5, 8, 0, 0)
    (result,) = [r for r in results if r.run == wanted]
    model, masks = run_network(STUDY, wanted, *data)
    assert model.widths == (2, 5, 3)
    assert sum(int(mask.sum()) for mask in masks.values()) == result.nonzeros
    right = float((model(data[0]).argmax(1) == data[1]).double().mean())
    assert result.accuracy == pytest.approx(right)


def test_numbers_are_predicted(tmp_path: Path):
    split = three_parts(*planted_relu(150), by_class=False)
    results = run(split, tmp_path / "gap.csv", loss="mse")
    assert {r.run.method for r in results} == {"Regrowth", "SNIP"}
    assert all(0 <= r.accuracy <= 1 for r in results)


def test_where_all_trainings_diverge_a_run_has_nothing_and_the_study_goes_on(
    split: Parts, tmp_path: Path
):
    wild = replace(STUDY, budgets=(8,), recipes=(replace(RECIPE, lr=1e12),))
    results = run(split, tmp_path / "gap.csv", wild)
    regrown = next(r for r in results if r.run.method == "Regrowth")
    assert (regrown.nonzeros, regrown.accuracy, regrown.test) == (0, 0, 0)
    assert regrown.parameter_samples > 0
    assert len(read_table(tmp_path / "gap.csv")[0]) == 2
    error = AllDivergedError(7)
    assert isinstance(error, ValueError)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.work, str(copy)) == (error.work, str(error))


def test_a_start_is_refused_as_it_would_not_be_used(split: Parts, tmp_path: Path):
    with torch.random.fork_rng():
        initial = MLP((2, 5, 3))
    with pytest.raises(ValueError, match="initial must be None for Regrowth, which draws starts"):
        run_study(STUDY, *split.train, table=tmp_path / "gap.csv", initial=initial)
    assert not list(tmp_path.iterdir())


def test_a_part_of_a_pruner_is_no_regrowth():
    data: tuple[Tensor, Tensor] = gaussians(60, classes=3)
    *_, last = parts(STUDY, make_task(*data))
    with pytest.raises(TypeError, match="part must be of Elimination or Regrowth, got one of SNIP"):
        module.eliminate_part(make_task(*data), last)


def test_the_command_line_knows_it_by_name():
    assert method("Regrowth") == Regrowth()
    assert method("prunelimits.elimination:Regrowth") == Regrowth()
