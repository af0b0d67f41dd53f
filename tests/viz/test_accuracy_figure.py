from __future__ import annotations

import io

import numpy as np
import pytest

from prunelimits.pareto import pareto_front
from prunelimits.viz import accuracy_figure

POINTS = [(26, 0.91), (30, 0.96), (28, 0.90), (34, 0.95), (40, 0.99)]


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def line(figure, start):
    (found,) = (item for item in figure.axes[0].lines if str(item.get_label()).startswith(start))
    return found


def test_points_and_front():
    figure = accuracy_figure(POINTS)
    (cloud,) = figure.axes[0].collections
    np.testing.assert_array_equal(cloud.get_offsets(), POINTS)
    front = line(figure, "Pareto front")
    assert front.get_drawstyle() == "steps-post"
    *steps, end = zip(*front.get_data(), strict=True)
    assert steps == pareto_front(POINTS) == [(26, 0.91), (30, 0.96), (40, 0.99)]
    assert end == (figure.axes[0].get_xlim()[1], 0.99)
    assert labels(figure) == ["Pareto front", "networks found"]


@pytest.mark.parametrize(
    ("target", "size", "label"),
    [(0.96, 30, "30 nonzeros, 96.00 %"), (0.961, 40, "40 nonzeros, 99.00 %")],
)
def test_smallest_size_at_the_target(target, size, label):
    figure = accuracy_figure(POINTS, target=target)
    assert list(line(figure, "target").get_ydata()) == [target, target]
    ring = line(figure, "smallest at the target")
    assert ring.get_xydata().tolist() == [[size, dict(POINTS)[size]]]
    assert labels(figure)[-1] == f"smallest at the target:\n{label}"


def test_a_target_out_of_reach_is_said_to_be():
    assert labels(accuracy_figure(POINTS, target=0.995))[-1] == "target 99.5 %, not reached"


def test_published_results_have_markers_of_their_own():
    paper = {"search": (30, 0.9604), "LTH": (44, 0.951), "SynFlow": (51, 0.952)}
    figure = accuracy_figure(POINTS, paper=paper)
    marks = [line(figure, label) for label in paper]
    assert [tuple(mark.get_xydata()[0]) for mark in marks] == list(paper.values())
    assert len({mark.get_marker() for mark in marks}) == len(paper)
    assert labels(figure)[2:] == list(paper)
    assert figure.axes[0].get_xlim()[1] > 51


@pytest.mark.parametrize("count", [1, 2, 50, 2000])
def test_axes_are_in_percent_and_whole_sizes(count):
    rng = np.random.default_rng(0)
    points = list(zip(rng.integers(0, 99, count).tolist(), rng.random(count), strict=True))
    figure = accuracy_figure(points, title="all of them")
    figure.savefig(io.BytesIO(), format="png")
    axes = figure.axes[0]
    assert axes.get_title() == "all of them"
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    assert all(text.get_text().endswith(" %") for text in axes.get_yticklabels())
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    assert all(left < size < right and bottom < value < top for size, value in points)


def test_a_perfect_and_a_failed_network_are_inside():
    bottom, top = accuracy_figure([(0, 0.0), (5, 1.0)]).axes[0].get_ylim()
    assert -0.05 < bottom < 0
    assert 1 < top < 1.05


def test_bad_input():
    with pytest.raises(ValueError, match="points must hold at least one"):
        accuracy_figure([])
    with pytest.raises(ValueError, match=r"accuracy must be a fraction in \[0, 1\], got 96.04"):
        accuracy_figure([(30, 96.04)])
    with pytest.raises(ValueError, match=r"accuracy must be a fraction in \[0, 1\], got 96.04"):
        accuracy_figure(POINTS, paper={"search": (30, 96.04)})
    with pytest.raises(ValueError, match=r"target must be a fraction in \[0, 1\], got 95"):
        accuracy_figure(POINTS, target=95)
