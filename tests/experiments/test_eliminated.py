"""Elimination as a method of a study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prunelimits import pruners
from prunelimits.elimination import Elimination
from prunelimits.experiments import Run, Study, read_table, run_network, run_study
from prunelimits.experiments.part import fit_part, parts
from prunelimits.resuming import StoreError
from prunelimits.training import Recipe
from prunelimits.training.task import make_task

QUICK = Elimination(
    networks=3, recovery=Recipe(epochs=1, batch_size=20), beam=3, tries=2, step=0.2, evolved=0
)


@pytest.fixture
def study() -> Study:
    return Study(
        methods=(QUICK, pruners.SNIP()),
        widths=(5,),
        budgets=(12, 30),
        recipes=(Recipe(epochs=5, batch_size=20), Recipe(epochs=5, batch_size=20, lr=0.1)),
    )


def test_every_budget_gets_the_most_accurate_network_within_it(
    study: Study, data: tuple[Tensor, Tensor], tmp_path: Path
):
    results = run_study(study, *data, table=tmp_path / "gap.csv")
    assert len(results) == len(study) == 8
    own = {r.run: r for r in results if r.run.method == "Elimination"}
    x, y = data[0].double(), data[1]
    for run, result in own.items():
        if run.recipe:
            continue
        model, masks = run_network(study, run, *data)
        assert model.widths == (2, 5, 5, 5, 1)
        weights = {name: mask for name, mask in masks.items() if name.endswith("weight")}
        assert sum(int(mask.sum()) for mask in weights.values()) <= run.keep
        assert sum(int(mask.sum()) for mask in masks.values()) == result.nonzeros
        logits = model.double()(x).squeeze(1)
        accuracy = float(((logits > 0) == (y == 1)).double().mean())
        assert accuracy == pytest.approx(result.accuracy, abs=1 / len(x))
        assert result.trimmed <= result.effective <= result.nonzeros
    for recipe in (0, 1):
        line = [own[Run("Elimination", 5, keep, recipe, 0)] for keep in study.budgets]
        # What fits a smaller budget fits a larger one; one elimination has all of them.
        assert [r.accuracy for r in line] == sorted(r.accuracy for r in line)
        assert len({r.parameter_samples for r in line}) == 1
    assert own[Run("Elimination", 5, 12, 0, 0)] != own[Run("Elimination", 5, 12, 1, 0)]


def test_it_goes_on_from_its_table_and_other_settings_are_refused(
    study: Study, data: tuple[Tensor, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table = tmp_path / "gap.csv"
    study = replace(study, recipes=study.recipes[:1])
    results = run_study(study, *data, table=table)
    monkeypatch.setattr("prunelimits.experiments.gap.train_part", None)
    assert run_study(study, *data, table=table) == results
    assert {r.run for r in read_table(table)[0]} == set(study.runs())
    other = Study(
        methods=(Elimination(networks=5, evolved=0),), widths=(5,), budgets=(12,),
        recipes=study.recipes,
    )  # fmt: skip
    with pytest.raises(StoreError, match=r"gap\.csv .*Elimination"):
        run_study(other, *data, table=table)


def test_it_starts_from_a_network_and_measures_on_rows_set_aside(
    study: Study, data: tuple[Tensor, Tensor], tmp_path: Path
):
    from prunelimits import MLP

    with torch.random.fork_rng():
        torch.manual_seed(0)
        initial = MLP((2, 6, 6, 6, 1))
    x, y = data
    # The points are in the order of their classes.
    place = torch.arange(len(x)) % 6
    study = replace(study, recipes=study.recipes[:1])
    results = run_study(
        study, x[place < 4], y[place < 4], table=tmp_path / "gap.csv", initial=initial,
        choose=(x[place == 4], y[place == 4]), test=(x[place == 5], y[place == 5]),
    )  # fmt: skip
    for result in results:
        assert result.choose is not None
        assert (50 * result.choose) == pytest.approx(round(50 * result.choose))


def test_parts_of_a_pruner_and_of_elimination_are_not_mixed_up(
    study: Study, data: tuple[Tensor, Tensor]
):
    task = make_task(*data)
    every = list(parts(study, task))
    assert [(len(part.runs), part.runs[0].method) for part in every] == [
        (2, "Elimination"), (2, "Elimination"), (4, "SNIP"),
    ]  # fmt: skip
    with pytest.raises(TypeError, match="part must be of a pruner, got one of Elimination"):
        fit_part(task, every[0])


def test_a_margin_is_refused_for_numbers_before_anything_trains(study: Study, tmp_path: Path):
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    methods = (pruners.SNIP(), replace(QUICK, margin=0.1))
    wrong, table = replace(study, methods=methods), tmp_path / "gap.csv"
    with pytest.raises(ValueError, match=r"margin must be 0 for squared error.*got 0\.1"):
        run_study(wrong, x, x[:, 0], table=table, loss="mse")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"margin must be 0 for squared error.*got 0\.1"):
        run_network(wrong, Run("SNIP", 5, 12, 0, 0), x, x[:, 0], loss="mse")
