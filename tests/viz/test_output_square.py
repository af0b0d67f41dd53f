"""Networks that predict numbers: the last square of their pictures."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

from prunelimits.models import MLP
from prunelimits.viz import network_figure

BLUE, ORANGE = "#0877bd", "#f59322"
LAST = "unit-2-0"


def make_model() -> MLP:
    """`relu(x1 + x2) - relu(x1)`: a number by hand."""
    model = MLP((2, 2, 1))
    with torch.no_grad():
        model.layers[0].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
        model.layers[0].bias.zero_()
        model.layers[1].weight.copy_(torch.tensor([[1.0, -1.0]]))
        model.layers[1].bias.zero_()
    return model


def by_hand(x1: float, x2: float) -> float:
    return max(x1 + x2, 0.0) - max(x1, 0.0)


def last_square(figure):
    (axes,) = (axes for axes in figure.axes if axes.get_gid() == LAST)
    return axes


def points(count: int = 40):
    generator = torch.Generator().manual_seed(3)
    x = 4 * torch.rand(count, 2, generator=generator) - 2
    predicted = torch.tensor([by_hand(*point) for point in x.tolist()])
    return x, 10 + 3 * predicted + 0.2 * torch.randn(count, generator=generator)


def test_points_have_the_colours_of_their_numbers():
    x, y = points()
    axes = last_square(network_figure(make_model(), None, x, y, loss="mse", resolution=8))
    (scatter,) = (c for c in axes.collections if isinstance(c, PathCollection))
    drawn = {
        tuple(np.float32(point)): color[:3]
        for point, color in zip(scatter.get_offsets(), scatter.get_facecolors(), strict=True)
    }
    assert set(drawn) == {tuple(np.float32(point)) for point in x.tolist()}
    smallest, largest = (tuple(x[y.argmin()].numpy()), tuple(x[y.argmax()].numpy()))
    np.testing.assert_allclose(drawn[smallest], to_rgb(ORANGE), atol=0.01)
    np.testing.assert_allclose(drawn[largest], to_rgb(BLUE), atol=0.01)
    order = [tuple(point) for point in x[y.argsort()].numpy()]
    # From orange to blue the red falls, as soon as it does not rise to the white between them.
    middle = sum(float(v) < (float(y.min()) + float(y.max())) / 2 for v in y)
    blues = [drawn[point][2] for point in order[:middle]]
    reds = [drawn[point][0] for point in order[middle:]]
    assert blues == sorted(blues)
    assert reds == sorted(reds, reverse=True)


def test_the_square_shows_the_output_between_the_smallest_and_the_largest_number():
    x, y = points()
    figure = network_figure(make_model(), None, x, y, loss="mse", resolution=8, extent=2.0)
    (image,) = last_square(figure).images
    low, high = float(y.min()), float(y.max())
    for row, column in ((0, 0), (3, 6), (7, 7)):
        value = by_hand(-2 + (2 * column + 1) / 4, -2 + (2 * row + 1) / 4)
        expected = min(max(2 * (value - low) / (high - low) - 1, -1.0), 1.0)
        assert image.get_array()[row, column] == pytest.approx(expected, abs=1e-5)
    texts = [t.get_text() for axes in figure.axes for t in axes.texts if t.get_gid()]
    assert texts == [f"{low:.4g}", f"{high:.4g}"]


def test_the_heading_tells_the_share_of_the_variance_that_is_explained():
    x, y = points()
    heading = network_figure(make_model(), None, x, y, loss="mse", resolution=8).get_suptitle()
    numbers = y.tolist()
    mean = sum(numbers) / len(numbers)
    errors = (v - by_hand(*p) for v, p in zip(numbers, x.tolist(), strict=True))
    share = 1 - sum(e * e for e in errors) / sum((v - mean) ** 2 for v in numbers)
    (told,) = re.findall(r"R2 (-?[\d.]+) %", heading)
    assert float(told) == pytest.approx(100 * share, abs=0.006)


def test_without_points_the_colours_are_those_of_the_plane():
    figure = network_figure(make_model(), loss="mse", resolution=8, extent=2.0)
    axes = last_square(figure)
    assert not axes.collections  # no boundary: nothing is decided
    (image,) = axes.images
    assert (image.get_array().min(), image.get_array().max()) == (-1, 1)
    assert "R2" not in figure.get_suptitle()


def test_numbers_that_are_all_the_same_are_drawn():
    x = torch.rand(5, 2)
    figure = network_figure(make_model(), None, x, torch.full((5,), 2.0), loss="mse", resolution=8)
    assert "R2" not in figure.get_suptitle()


def test_another_loss_changes_nothing():
    x = torch.rand(20, 2)
    y = (x[:, 0] > 0.5).long()
    one, other = (
        network_figure(make_model(), None, x, y, loss=loss, resolution=8)
        for loss in (None, "binary_cross_entropy")
    )
    assert one.get_suptitle() == other.get_suptitle()
    assert (
        last_square(one).images[0].get_array() == last_square(other).images[0].get_array()
    ).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "squared"}, "loss must be "),
        ({"x": torch.zeros(2, 2), "y": torch.tensor([1.0, torch.nan])}, "y must hold finite num"),
        ({"x": torch.zeros(2, 2), "y": torch.zeros(3)}, r"y must have shape \(2,\), one number"),
        ({"classes": ("a", "b")}, "classes must name at most 0 classes, got 2 names"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        network_figure(make_model(), **({"loss": "mse"} | arguments))
