"""The limit of real tasks' networks: a row against plain loops, and the table by hand."""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path

import pytest
import real_limits
import real_rows
import torch
from real_limits import Row, _sizes, measured, read_rows, sparsest, table, write_rows
from real_tasks import RealTask
from real_trainings import start_seed
from sparsest_known import Known
from torch.nn import functional

import prunelimits as pl
from prunelimits.limits import pruning_limit
from prunelimits.training import Recipe

THREE = RealTask("three", lambda _: pl.datasets.gaussians(200, classes=3), (6, 4), 8, 20, (6, 12))
TWO = RealTask("two", lambda _: pl.datasets.moons(200), (5, 3), 8, 20, (6, 12))
KNOWN = Known("t", 1, 0.8, 7, 9, 0.81, 0.8, "x", "t-1.pt")


def row(task: str, start: int, predicted: int) -> Row:
    return Row(task, start, 100, 0.1, 0.01, 0.5, predicted, 30, 50, 60, 70, 40, 1.0)


@pytest.mark.parametrize("task", [TWO, THREE], ids=lambda task: task.name)
def test_what_magnitude_leaves_is_what_a_plain_loop_finds(task: RealTask):
    parts = task.parts(Path(), 0)
    found = measured(task, parts, 2)
    start = pl.MLPEnsemble(task.widths(parts), seeds=[start_seed(0, 2)])
    fitted = pl.fit(start, *parts.train, Recipe(epochs=40, batch_size=20), seed=0)
    model = fitted.ensemble.member(0)[0]

    def loss_and_right(kept: int) -> tuple[float, float]:
        flat = torch.cat([p.abs().flatten() for n, p in model.named_parameters() if "weight" in n])
        least = flat.sort(descending=True).values[kept - 1] if kept else torch.inf
        params = {
            name: torch.where(p.abs() >= least, p, 0.0) if "weight" in name else p
            for name, p in model.named_parameters()
        }
        with torch.no_grad():
            train, test = (
                torch.func.functional_call(model, params, (part[0],))
                for part in (parts.train, parts.test)
            )
        if task is TWO:
            loss = functional.binary_cross_entropy_with_logits(train[:, 0], parts.train[1].float())
            return float(loss), float(((test[:, 0] > 0) == parts.test[1]).double().mean())
        loss = functional.cross_entropy(train, parts.train[1])
        return float(loss), float((test.argmax(1) == parts.test[1]).double().mean())

    dense_loss, dense_right = loss_and_right(found.weights)
    assert found.loss == pytest.approx(dense_loss, abs=1e-5)
    for least, fails in (
        (found.magnitude, lambda loss, _: loss > dense_loss + found.epsilon),
        (found.magnitude_1, lambda _, right: right < dense_right - 0.01 - 1e-9),
        (found.magnitude_5, lambda _, right: right < dense_right - 0.05 - 1e-9),
    ):
        for kept in range(found.weights, least - 1, -1):
            assert not fails(*loss_and_right(kept))
        assert least == 0 or fails(*loss_and_right(least - 1))


def test_the_limit_is_that_of_the_kept_network():
    parts = TWO.parts(Path(), 0)
    found = measured(TWO, parts, 0)
    start = pl.MLPEnsemble(TWO.widths(parts), seeds=[start_seed(0, 0)])
    fitted = pl.fit(start, *parts.train, Recipe(epochs=40, batch_size=20), seed=0)
    x, y = parts.train

    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], labels.float())

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the gradient's norm is")
        limit = pruning_limit(fitted.ensemble.member(0)[0], loss, [(x, y)], epsilon=found.epsilon)
    for mine, theirs in ((found.predicted, limit.predicted), (found.exact, limit.exact),
                         (found.quadratic, limit.constructive)):  # fmt: skip
        assert abs(mine - (limit.weights - theirs.removed_weights)) <= 1
    assert found.epsilon > 0


def test_all_small_numbers_of_weights_are_tried():
    assert _sizes(3) == [3, 2, 1, 0]
    sizes = _sizes(1000)
    assert sizes[0] == 1000
    assert all(a > b for a, b in pairwise(sizes))
    assert set(range(390)) <= set(sizes)


def test_rows_are_read_back(tmp_path: Path):
    rows = [row("t", 0, 12), row("t", 1, 14)]
    write_rows(rows, tmp_path / "limits.csv")
    assert read_rows(tmp_path / "limits.csv") == rows
    assert read_rows(tmp_path / "none.csv") == []


def test_the_sparsest_is_of_the_list_and_of_the_study(tmp_path: Path):
    study = tmp_path / "study.csv"

    def run(method: str, keep: int, right: int) -> real_rows.Row:
        times = 5 if method == "dense" else 1
        return real_rows.Row("t", 0, method, times, 0, keep, 1.0, (9,), (9,), (right,), (right,),
                              100, 100, 1.0)  # fmt: skip

    real_rows.append([run("dense", 100, 90), run("LTH", 20, 89), run("LTH", 4, 85)], study)
    assert sparsest("t", 1, [], study) == 20
    assert sparsest("t", 1, [KNOWN], study) == 7
    assert sparsest("t", 5, [KNOWN], study) == 4
    rows = [row("t", n, predicted) for n, predicted in enumerate((10, 12, 20))]
    assert table(rows, [KNOWN], study).splitlines()[2:] == [
        "| t | 100 | 0.50 | 12 | 30 | 50 | 60 | 70 | **7** | 40 | **4** |"
    ]
    real_limits.figure(rows, [KNOWN], tmp_path / "figure.png", study)
    assert (tmp_path / "figure.png").stat().st_size > 10_000
