from __future__ import annotations

import io
from dataclasses import replace

import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from prunelimits.limits import (
    PruningLimit,
    PruningSweep,
    Spectrum,
    magnitude_sweep,
    pruning_limit,
    statistical_dimension,
)
from prunelimits.problem import problem_of
from prunelimits.viz.limit import limit_figure

EPSILON = 0.05


@pytest.fixture(scope="module")
def computed() -> tuple[PruningLimit, PruningSweep]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=generator)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    batches = [(x[:40], y[:40]), (x[40:], y[40:])]
    limit = pruning_limit(model, nn.functional.cross_entropy, batches, epsilon=EPSILON)
    problem, params = problem_of(model, nn.functional.cross_entropy, batches)
    fractions = [step / 42 for step in range(43)]
    return limit, magnitude_sweep(
        problem, params, limit.prunable, removed=fractions, test=[(x[:30], y[:30])]
    )


def lines(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    return {str(i.get_label()): (list(i.get_xdata()), list(i.get_ydata())) for i in axes.lines}


def names(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_theory_crosses_the_diagonal_where_the_prediction_is(computed):
    limit, sweep = computed
    theory = limit_figure(limit, sweep).axes[0]
    removed, dimension = lines(theory)["dimension, published formula"]
    for place in (0, len(removed) // 2, -1):
        m = round(removed[place] * limit.weights)
        distance = float(limit.magnitudes[:m].square().sum().sqrt())
        expected = statistical_dimension(limit.spectrum, distance, EPSILON).value
        assert dimension[place] == pytest.approx(expected / limit.weights)
    # Every number of weights is on the curve of so small a network.
    above = [s for s, d in zip(removed, dimension, strict=True) if d >= s]
    assert above[-1] == pytest.approx(limit.predicted.removed)
    assert lines(theory)["weights removed"] == ([0, 1], [0, 1])


def test_every_panel_has_every_limit_and_the_legend_says_it(computed):
    limit, sweep = computed
    figure = limit_figure(limit, sweep)
    marks = {
        "predicted, published formula": limit.predicted.removed,
        "predicted, exact dimension": limit.exact.removed,
        "predicted, quadratic model": limit.constructive.removed,
        "measured, loss within epsilon": sweep.removed_within(EPSILON),
    }
    for label, removed in marks.items():
        full = f"{label}: {100 * removed:.1f} % removed"
        assert full in names(figure)
        for axes in figure.axes[:3]:
            assert lines(axes)[full] == ([removed, removed], [0, 1])
    above = any(name.startswith("measured, accuracy above dense") for name in names(figure))
    assert above == bool(sweep.removed_above_dense())


def test_practice_is_the_sweep(computed):
    limit, sweep = computed
    figure = limit_figure(limit, sweep, title="A network")
    _, loss, accuracy, eigenvalues, weights = figure.axes
    assert figure.get_suptitle() == "A network"
    removed = sweep.removed.tolist()
    assert lines(loss)["training data"] == (removed, sweep.train.loss.tolist())
    assert lines(loss)["test data"] == (removed, sweep.test.loss.tolist())
    allowed = lines(loss)["training loss + epsilon"][1]
    assert allowed[0] == pytest.approx(limit.loss + EPSILON, rel=1e-5)
    assert [list(line.get_ydata()) for line in accuracy.lines[:2]] == [
        sweep.train.accuracy.tolist(),
        sweep.test.accuracy.tolist(),
    ]
    # All eigenvalues and all weights are in the bars.
    negative = float((limit.spectrum.nodes < 0).double().mean())
    heights = {p.get_label(): float(sum(p.get_data().values)) for p in eigenvalues.patches}
    assert heights["positive eigenvalues"] == pytest.approx(1 - negative)
    assert 0 < negative < 1
    stacked = next(p for p in eigenvalues.patches if p.get_label() == "negative eigenvalues")
    assert float(sum(stacked.get_data().values)) == pytest.approx(1)
    assert float(sum(weights.patches[0].get_data().values)) == pytest.approx(1)
    half = lines(eigenvalues)["counts by half: 2 epsilon / R²"][0][0]
    assert half == pytest.approx(2 * EPSILON / limit.predicted.distance**2)
    line = weights.lines[0].get_xdata()[0]
    assert int((limit.magnitudes <= line).sum()) == limit.predicted.removed_weights


def test_theory_alone_and_other_tasks(computed):
    limit, sweep = computed
    assert len(limit_figure(limit).axes) == 3
    assert not any("measured" in name for name in names(limit_figure(limit)))
    blank = replace(sweep.train, accuracy=torch.full_like(sweep.train.accuracy, torch.nan))
    regression = replace(sweep, train=blank, test=None)
    figure = limit_figure(limit, regression)
    assert len(figure.axes) == 4
    assert any("measured, loss" in name for name in names(figure))


def test_without_test_data_there_is_no_published_criterion(computed):
    limit, sweep = computed
    figure = limit_figure(limit, replace(sweep, test=None))
    assert len(figure.axes) == 5
    assert "test data" not in names(figure)
    assert not any("above dense" in name for name in names(figure))


def test_it_can_be_drawn_at_the_ends(computed):
    limit, sweep = computed
    prediction = replace(limit.predicted, removed_weights=0, distance=0.0)
    flat = torch.zeros_like(limit.spectrum.nodes[0])
    flat[0] = 2.0
    extreme = replace(
        limit,
        predicted=prediction,
        spectrum=Spectrum.of_eigenvalues(flat),
        magnitudes=torch.zeros_like(limit.magnitudes),
    )
    drawing = io.BytesIO()
    limit_figure(extreme, sweep).savefig(drawing, format="svg")
    assert drawing.tell() > 10_000


def test_a_sweep_of_another_network_is_refused(computed):
    limit, sweep = computed
    with pytest.raises(ValueError, match="sweep must be of the limit's 42 weights, got 41"):
        limit_figure(limit, replace(sweep, weights=41))
