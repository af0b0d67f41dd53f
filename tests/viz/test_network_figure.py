from __future__ import annotations

import copy
import io
import itertools
import math
import re

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle
from matplotlib.path import Path

from prunelimits.models import MLP
from prunelimits.viz import network_figure

BLUE, ORANGE, WHITE = "#0877bd", "#f59322", "#ffffff"


def make_model(widths=(2, 4, 3, 1), dtype=torch.float32, seed=0) -> MLP:
    generator = torch.Generator().manual_seed(seed)
    model = MLP(widths).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def make_masks(model: MLP, seed=1, share=0.6):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(parameter.shape, generator=generator) < share
        for name, parameter in model.named_parameters()
    }


def parts(figure, kind: str):
    """The artists of one kind by their place, such as (layer, unit)."""
    result = {}
    for artist in itertools.chain(figure.axes, *(axes.get_children() for axes in figure.axes)):
        gid = artist.get_gid()
        if gid and gid.startswith(kind + "-"):
            place = tuple(map(int, gid.split("-")[1:]))
            assert place not in result
            result[place] = artist
    return result


def masked(model: MLP, masks, layer: int):
    weight, bias = f"layers.{layer}.weight", f"layers.{layer}.bias"
    state = {name: p.detach().double() for name, p in model.named_parameters()}
    for name, mask in (masks or {}).items():
        state[name] = state[name] * mask
    return state[weight].tolist(), state[bias].tolist()


def values_by_loop(model: MLP, masks, point):
    """Each layer's values at one point, with nothing but Python's floats."""
    layers = len(model.widths) - 1
    result = [list(point)]
    for layer in range(layers):
        weight, bias = masked(model, masks, layer)
        values = [
            b + sum(w * value for w, value in zip(row, result[-1], strict=True))
            for row, b in zip(weight, bias, strict=True)
        ]
        result.append(values if layer == layers - 1 else [max(value, 0.0) for value in values])
    return result


CASES = [
    pytest.param(((2, 4, 3, 1), None), id="dense"),
    pytest.param(((2, 4, 3, 1), 0.5), id="masked"),
    pytest.param(((2, 1), None), id="no hidden layer"),
    pytest.param(((2, 7, 3, 3, 1), 0.25), id="very sparse"),
]


@pytest.fixture(params=CASES)
def case(request):
    widths, share = request.param
    model = make_model(widths)
    return model, None if share is None else make_masks(model, share=share)


def test_one_curve_for_each_kept_weight(case):
    model, masks = case
    expected = {}
    for layer in range(len(model.widths) - 1):
        weight, _ = masked(model, masks, layer)
        for unit, row in enumerate(weight):
            for source, value in enumerate(row):
                if value != 0:
                    expected[layer + 1, unit, source] = value
    edges = parts(network_figure(model, masks, resolution=4), "edge")
    assert edges.keys() == expected.keys()
    for place, edge in edges.items():
        assert to_hex(edge.get_edgecolor()) == (BLUE if expected[place] > 0 else ORANGE)
        cubic = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        assert edge.get_path().codes.tolist() == cubic
    by_magnitude = sorted(edges, key=lambda place: abs(expected[place]))
    widths = [edges[place].get_linewidth() for place in by_magnitude]
    assert all(thin < thick for thin, thick in itertools.pairwise(widths))


def test_width_is_relative_to_the_largest_weight_of_the_network():
    model = make_model()
    twice = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in twice.parameters():
            parameter.mul_(2)
    one, two = (parts(network_figure(m, resolution=4), "edge") for m in (model, twice))
    for place, edge in one.items():
        assert edge.get_linewidth() == pytest.approx(two[place].get_linewidth())


def test_curves_join_the_squares_of_their_units(case):
    model, masks = case
    figure = network_figure(model, masks, resolution=4)
    units = parts(figure, "unit")
    canvas = figure.axes[0]
    to_figure = canvas.transData + figure.transFigure.inverted()
    for (layer, unit, source), edge in parts(figure, "edge").items():
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = to_figure.transform(edge.get_path().vertices)
        start = units[layer - 1, source].get_position()
        end = units[layer, unit].get_position()
        assert x0 == pytest.approx(start.x1)
        assert start.y0 < y0 < start.y1
        assert x3 == pytest.approx(end.x0)
        assert end.y0 < y3 < end.y1
        assert (y0, y3) == pytest.approx((y1, y2))
        assert x0 < x1 == pytest.approx(x2)
        assert x2 < x3


def test_edges_lie_under_the_squares():
    figure = network_figure(make_model(), resolution=4)
    order = sorted(figure.axes, key=lambda axes: axes.get_zorder())
    assert order[0] is figure.axes[0]
    assert all(edge.axes is figure.axes[0] for edge in parts(figure, "edge").values())


def test_units_with_nothing_kept_are_left_out(case):
    model, masks = case
    layers = len(model.widths) - 1
    expected = {(0, 0), (0, 1), (layers, 0)}
    for layer in range(1, layers):
        into, bias = masked(model, masks, layer - 1)
        out, _ = masked(model, masks, layer)
        for unit in range(model.widths[layer]):
            if any(into[unit]) or bias[unit] or any(row[unit] for row in out):
                expected.add((layer, unit))
    figure = network_figure(model, masks, resolution=4)
    assert parts(figure, "unit").keys() == expected
    assert parts(figure, "bias").keys() == {place for place in expected if place[0] > 0}
    captions = [text.get_text() for text in figure.axes[0].texts]
    for layer in range(1, layers):
        drawn = sum(place[0] == layer for place in expected)
        width = model.widths[layer]
        count = "" if drawn == width else f"\n{drawn} of {width} units"
        assert f"layer {layer}{count}" in captions
    assert {"inputs", "output", "x₁", "x₂"} <= set(captions)


@pytest.mark.parametrize("kept", ["layers.0.weight", "layers.0.bias", "layers.1.weight"])
def test_one_kept_parameter_is_enough_for_a_unit(kept):
    model = make_model((2, 3, 1))
    masks = {name: torch.zeros_like(p, dtype=torch.bool) for name, p in model.named_parameters()}
    drawn = {(0, 0), (0, 1), (2, 0)}
    assert parts(network_figure(model, masks, resolution=4), "unit").keys() == drawn
    masks[kept][(0, 1) if kept == "layers.1.weight" else 1] = True
    drawn.add((1, 1))
    assert parts(network_figure(model, masks, resolution=4), "unit").keys() == drawn


def test_zeros_of_the_model_are_pruned_without_masks():
    model, masks = make_model(), make_masks(make_model())
    zeroed = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in zeroed.named_parameters():
            parameter.mul_(masks[name])
    one, two = network_figure(model, masks, resolution=4), network_figure(zeroed, resolution=4)
    assert parts(one, "unit").keys() == parts(two, "unit").keys()
    assert parts(one, "edge").keys() == parts(two, "edge").keys()
    assert one.get_suptitle() == two.get_suptitle()


def test_bias_chips_have_the_colour_of_the_bias(case):
    model, masks = case
    biases = [masked(model, masks, layer)[1] for layer in range(len(model.widths) - 1)]
    largest = max(abs(bias) for layer in biases for bias in layer)
    for (layer, unit), chip in parts(network_figure(model, masks, resolution=4), "bias").items():
        share = biases[layer - 1][unit] / largest if largest else 0.0
        end = to_rgb(BLUE if share > 0 else ORANGE)
        expected = [1 + abs(share) * (channel - 1) for channel in end]
        np.testing.assert_allclose(chip.get_facecolor()[:3], expected, atol=0.005)
        if share == 0:
            assert to_hex(chip.get_facecolor()) == WHITE


def test_chips_sit_on_top_of_their_squares_in_one_size():
    figure = network_figure(make_model(), resolution=4)
    units = parts(figure, "unit")
    sides = []
    for place, chip in parts(figure, "bias").items():
        box = chip.get_window_extent().transformed(figure.transFigure.inverted())
        square = units[place].get_position()
        assert (box.x0 + box.x1) / 2 == pytest.approx((square.x0 + square.x1) / 2)
        assert (box.y0 + box.y1) / 2 == pytest.approx(square.y1)
        sides.append((box.width, box.height))
    np.testing.assert_allclose(sides, [sides[0]] * len(sides))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_square_shows_the_values_of_its_unit(dtype):
    model = make_model(dtype=dtype)
    masks = make_masks(model, share=0.8)
    extent, resolution = 1.5, 6
    figure = network_figure(model, masks, extent=extent, resolution=resolution)
    last = len(model.widths) - 1
    for (layer, unit), axes in parts(figure, "unit").items():
        (image,) = axes.images
        pixels = image.get_array()
        assert pixels.shape == (resolution, resolution)
        assert image.origin == "lower"
        assert tuple(image.get_extent()) == (-extent, extent, -extent, extent)
        assert axes.get_xlim() == axes.get_ylim() == (-extent, extent)
        for row, column in [(0, 0), (0, 5), (5, 0), (2, 4), (4, 1)]:
            point = [-extent + (index + 0.5) * 2 * extent / resolution for index in (column, row)]
            value = values_by_loop(model, masks, point)[layer][unit]
            if layer == last:
                value = math.tanh(value / 2)
            assert pixels[row, column] == pytest.approx(value, abs=1e-5)
        scale = 1.0 if layer == last else (np.abs(pixels).max() or 1.0)
        assert image.get_clim() == (-scale, scale)


def test_x1_goes_right_and_x2_up_on_the_page():
    model = MLP((2, 1))
    with torch.no_grad():  # positive right of and above the corner
        model.layers[0].weight.copy_(torch.tensor([[8.0, 8.0]]))
        model.layers[0].bias.fill_(-16.0)
    figure = network_figure(model, title="", resolution=64)
    drawing = io.BytesIO()
    figure.savefig(drawing, format="rgba")
    width, height = (int(side * figure.dpi) for side in figure.get_size_inches())
    page = np.frombuffer(drawing.getvalue(), np.uint8).reshape(height, width, 4)
    box = parts(figure, "unit")[1, 0].get_position()

    def is_blue(across: float, up: float) -> bool:
        x = box.x0 + across * box.width
        y = box.y0 + up * box.height
        red, _, blue, _ = page[int((1 - y) * height), int(x * width)].astype(int)
        return bool(blue > red)

    assert is_blue(0.95, 0.92)
    assert not is_blue(0.05, 0.92)
    assert not is_blue(0.95, 0.05)
    assert not is_blue(0.05, 0.05)


def test_the_boundary_is_drawn_where_the_logit_is_zero():
    model = MLP((2, 1))
    with torch.no_grad():
        model.layers[0].weight.copy_(torch.tensor([[1.0, 0.0]]))
        model.layers[0].bias.fill_(-0.5)
    (contour,) = parts(network_figure(model), "unit")[1, 0].collections
    np.testing.assert_allclose(contour.get_paths()[0].vertices[:, 0], 0.5, atol=1e-6)
    with torch.no_grad():
        model.layers[0].bias.fill_(50.0)
    assert not parts(network_figure(model), "unit")[1, 0].collections


def test_data_are_drawn_and_counted():
    model = make_model()
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(50, 2, generator=generator)
    y = (torch.rand(50, generator=generator) < 0.5).long()
    figure = network_figure(model, None, x, y)
    scatter = parts(figure, "unit")[3, 0].collections[-1]
    drawn = {
        (tuple(np.float32(point)), to_hex(color))
        for point, color in zip(scatter.get_offsets(), scatter.get_facecolors(), strict=True)
    }
    expected = {
        (tuple(np.float32(point)), BLUE if label else ORANGE)
        for point, label in zip(x.tolist(), y.tolist(), strict=True)
    }
    assert drawn == expected
    right = sum(
        (values_by_loop(model, None, point)[-1][0] > 0) == bool(label)
        for point, label in zip(x.tolist(), y.tolist(), strict=True)
    )
    parameters = sum(p.numel() for p in model.parameters())
    assert figure.get_suptitle() == f"2-4-3-1  ·  {parameters} nonzeros  ·  {2 * right}.00 %"


def test_many_data_are_thinned_evenly_in_each_class():
    position = torch.arange(12_000) / 12_000
    x = torch.stack([4 * position - 2, 0 * position], dim=1)
    y = torch.arange(12_000) % 2  # alternating: a stride of 6 would see one class only
    scatter = parts(network_figure(make_model(), None, x, y), "unit")[3, 0].collections[-1]
    offsets = np.asarray(scatter.get_offsets())
    colors = np.array([to_hex(color) for color in scatter.get_facecolors()])
    assert len(offsets) == 2000
    for color in (BLUE, ORANGE):
        across = offsets[colors == color, 0]
        assert len(across) == 1000
        assert np.diff(across).max() < 2 * np.diff(across).min() + 1e-9


def test_data_may_be_of_another_dtype():
    x, y = torch.randn(9, 2, dtype=torch.float64), torch.ones(9)
    network_figure(make_model(dtype=torch.float32), None, x, y, resolution=4)
    network_figure(make_model(dtype=torch.float64), None, x.float(), y.bool(), resolution=4)


@pytest.mark.parametrize("title", ["Best of 57", ""])
def test_title_can_be_given(title):
    assert network_figure(make_model(), title=title, resolution=4).get_suptitle() == title


def test_a_network_with_nothing_in_it():
    model = make_model((2, 2, 1))
    masks = {name: torch.zeros_like(p, dtype=torch.bool) for name, p in model.named_parameters()}
    figure = network_figure(model, masks, resolution=4)
    assert not parts(figure, "edge")
    assert figure.get_suptitle() == "2-2-1  ·  0 nonzeros"
    figure.savefig(io.BytesIO(), format="png")


def test_the_model_and_the_masks_stay_as_they_are():
    model = make_model().train()
    masks = make_masks(model)
    x, y = torch.randn(20, 2), torch.ones(20)
    model(x).sum().backward()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    masks_before = {name: mask.clone() for name, mask in masks.items()}
    random = torch.get_rng_state()
    network_figure(model, masks, x, y, resolution=4)
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training
    assert torch.is_grad_enabled()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad
        assert torch.equal(parameter, before[name])
        assert torch.equal(parameter.grad, gradients[name])
        assert torch.equal(masks[name], masks_before[name])


def test_an_svg_names_its_parts():
    drawing = io.StringIO()
    network_figure(make_model((2, 2, 1)), resolution=4).savefig(drawing, format="svg")
    ids = re.findall(r'id="((?:unit|bias|edge)-[\d-]+)"', drawing.getvalue())
    assert len(ids) == len(set(ids)) == 5 + 3 + 6


@pytest.mark.parametrize("widths", [(3, 4, 1), (2, 4, 2), (1, 1)])
def test_only_two_inputs_and_one_output(widths):
    with pytest.raises(ValueError, match="2 inputs and 1 output, got widths"):
        network_figure(MLP(widths))


def test_at_most_64_units_of_a_layer_are_drawn():
    model = make_model((2, 65, 1))
    with pytest.raises(ValueError, match=r"layer 1 has 65 units .* prune further"):
        network_figure(model, resolution=4)
    masks = {name: torch.ones_like(p, dtype=torch.bool) for name, p in model.named_parameters()}
    masks["layers.0.weight"][9] = masks["layers.0.bias"][9] = masks["layers.1.weight"][:, 9] = False
    assert len(parts(network_figure(model, masks, resolution=4), "unit")) == 2 + 64 + 1


X, Y = torch.zeros(4, 2), torch.ones(4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"masks": {"layers.9.bias": torch.ones(1).bool()}}, "masks names 'layers.9.bias'"),
        ({"masks": {"layers.0.bias": torch.ones(5).bool()}}, r"shape \(4,\), got \(5,\)"),
        ({"x": X}, "got x alone"),
        ({"y": Y}, "got y alone"),
        ({"x": torch.zeros(4, 3), "y": Y}, r"x must have shape \(samples, 2\), got \(4, 3\)"),
        ({"x": torch.zeros(0, 2), "y": torch.ones(0)}, r"x must .* got \(0, 2\)"),
        ({"x": X, "y": torch.ones(3)}, r"y must have shape \(4,\)"),
        ({"x": X, "y": -Y}, "classes 0 and 1, got"),
        ({"extent": 0.0}, "extent must be above 0, got 0.0"),
        ({"extent": math.nan}, "extent must be above 0, got nan"),
        ({"resolution": 1}, "resolution must be at least 2, got 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        network_figure(make_model(), **arguments)


def test_masks_must_be_bool():
    with pytest.raises(
        TypeError, match=r"masks\['layers.0.bias'\] must be a bool tensor, got torch.float32"
    ):
        network_figure(make_model(), {"layers.0.bias": torch.ones(4)})


def test_parameters_must_be_finite_where_they_are_kept():
    model = make_model()
    with torch.no_grad():
        model.layers[1].bias[0] = math.nan
    with pytest.raises(ValueError, match=r"must be finite, 'layers.1.bias' is not"):
        network_figure(model, resolution=4)
    network_figure(model, {"layers.1.bias": torch.tensor([False, True, True])}, resolution=4)


HOSTILE = ("<script>$\\frac$\x1b", "W" * 10_000)


def test_names_of_classes_stand_below_the_decision_in_their_colours():
    figure = network_figure(make_model(), resolution=4, classes=HOSTILE)
    names = parts(figure, "class")
    assert [names[0,].get_text(), names[1,].get_text()] == ["<script>$\\frac$", "W" * 39 + "…"]
    assert not any(name.get_parse_math() for name in names.values())
    canvas = figure.axes[0]
    squares = [patch for patch in canvas.patches if isinstance(patch, Rectangle)]
    middles = [square.get_y() + square.get_height() / 2 for square in squares]
    assert middles == pytest.approx([names[0,].get_position()[1], names[1,].get_position()[1]])
    assert [to_hex(square.get_facecolor()) for square in squares] == [ORANGE, BLUE]
    figure.draw_without_rendering()
    caption = next(text for text in canvas.texts if text.get_text() == "output")
    below = caption.get_window_extent().y0
    assert below > names[0,].get_window_extent().y1 > names[1,].get_window_extent().y1
    assert names[1,].get_window_extent().y0 > 0
    assert names[1,].get_window_extent().x1 < figure.bbox.x1
    written = io.BytesIO()
    figure.savefig(written, format="svg")
    assert b"<script>" not in written.getvalue()


def test_without_names_nothing_stands_there_and_one_name_is_enough():
    assert not parts(network_figure(make_model(), resolution=4), "class")
    names = parts(network_figure(make_model(), resolution=4, classes=["only"]), "class")
    assert [names[0,].get_text(), names[1,].get_text()] == ["only", "class 1"]


@pytest.mark.parametrize(
    ("classes", "error"), [("ab", TypeError), ([1, 2], TypeError), (["a"] * 3, ValueError)]
)
def test_names_must_be_texts_and_at_most_two(classes, error):
    with pytest.raises(error, match="classes"):
        network_figure(make_model(), resolution=4, classes=classes)


def test_what_cannot_be_copied_in_a_model_is_named():
    model = make_model()
    model.layers[1].numbers = (n for n in range(3))  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"model must be one .* it has 'layers\.1\.numbers'"):
        network_figure(model)
