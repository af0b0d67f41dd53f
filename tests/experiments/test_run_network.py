"""The networks behind the lines of a table."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from prunelimits import pruners
from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import Run, Study, run_network, run_study
from prunelimits.masks import count
from prunelimits.models import MLP
from prunelimits.training import MLPEnsemble, Recipe, evaluate

STUDY = Study(
    methods=(pruners.LTH(), pruners.RigL(), pruners.ProsPr(), pruners.SNIP()),
    widths=(3, 4),
    budgets=(11, 14),
    recipes=(Recipe(epochs=2, batch_size=50), Recipe(epochs=2, batch_size=50, lr=0.1)),
    repeats=2,
)


@pytest.mark.slow
@pytest.mark.parametrize("start", [None, MLP((2, 5, 5, 5, 1))])
def test_a_network_is_the_one_that_was_measured(tmp_path: Path, start: MLP | None):
    x, y = cubist_spiral(500)
    results = run_study(STUDY, x, y, table=tmp_path / "gap.csv", initial=start)
    for result in results[::3]:
        model, masks = run_network(STUDY, result.run, x, y, initial=start)
        assert count(masks) == result.nonzeros
        params = {name: value.detach()[None] for name, value in model.named_parameters()}
        network = MLPEnsemble.from_params(model.widths, params, masks)
        assert all(torch.equal(network.params[name], params[name]) for name in params)
        assert float(evaluate(network, x, y).accuracy[0]) == pytest.approx(
            result.accuracy, abs=1.1 / len(x)
        )


def test_a_start_of_other_widths_is_refused():
    x, y = cubist_spiral(500)
    for widths in ((2, 5, 1), (2, 3, 3, 3, 1), (3, 5, 5, 5, 1), (2, 5, 5, 5, 2)):
        with pytest.raises(
            ValueError, match=r"initial must have widths \(2, 4, 4, 4, 1\) or wider"
        ):
            run_network(STUDY, Run("SNIP", 3, 11, 0, 0), x, y, initial=MLP(widths))
    with pytest.raises(TypeError, match="initial must be a prunelimits"):
        run_network(STUDY, Run("SNIP", 3, 11, 0, 0), x, y, initial="a.pt")  # pyright: ignore


def test_a_run_of_another_study_is_refused():
    x, y = cubist_spiral(500)
    for run in (Run("GMP", 3, 11, 0, 0), Run("SNIP", 3, 12, 0, 0), Run("SNIP", 3, 11, 2, 0)):
        with pytest.raises(ValueError, match="run must be one of the study, got Run"):
            run_network(STUDY, run, x, y)
    with pytest.raises(TypeError, match="run must be a Run"):
        run_network(STUDY, ("SNIP", 3, 11, 0, 0), x, y)
