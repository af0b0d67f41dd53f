"""What a page computes is what PyTorch computes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor

import prunelimits as pl
from prunelimits.connectivity import effective_masks
from prunelimits.types import Masks
from prunelimits.viz.pages import film, playground

BLUE, WHITE, ORANGE = (8, 119, 189), (255, 255, 255), (245, 147, 34)
EXTENT = 2.25

PIXELS = """canvas => {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  let text = "";
  for (let i = 0; i < data.length; i += 8192) {
    text += String.fromCharCode(...data.subarray(i, i + 8192));
  }
  return [width, height, btoa(text)];
}"""


def network(widths: tuple[int, ...], share: float, seed: int = 0) -> tuple[pl.MLP, Masks]:
    """Random parameters, of which about a share is kept."""
    generator = torch.Generator().manual_seed(seed)
    shapes = pl.models.mlp.parameter_shapes(widths)
    params = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    masks = {name: torch.rand(shape, generator=generator) < share for name, shape in shapes.items()}
    return pl.MLP.from_params(widths, params), masks


def pruned(model: pl.MLP, masks: Masks) -> pl.MLP:
    """The masked network in float64."""
    params = pl.masks.apply(dict(model.named_parameters()), masks)
    return pl.MLP.from_params(model.widths, {n: p.detach().double() for n, p in params.items()})


def pixels(tab, selector: str) -> np.ndarray:
    """The image on a canvas, `(height, width, 3)`."""
    width, height, text = tab.locator(selector).evaluate(PIXELS)
    image = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
    assert (image[..., 3] == 255).all()
    return image[..., :3].astype(float)


def coloured(values: np.ndarray) -> np.ndarray:
    """Values in [-1, 1] as the paper's colours."""
    share = np.abs(values)[..., None]
    ends = np.where(values[..., None] < 0, ORANGE, BLUE)
    return WHITE + share * (ends - np.array(WHITE))


def plane(side: int) -> Tensor:
    centres = EXTENT * ((2 * np.arange(side) + 1) / side - 1)
    x1, x2 = np.meshgrid(centres, -centres)
    return torch.from_numpy(np.stack([x1, x2], axis=-1).reshape(-1, 2))


@pytest.mark.parametrize("widths", [(2, 4, 3, 1), (2, 7, 3, 3, 1), (2, 1), (2, 5, 4, 3)])
def test_unit_images_are_pytorch_s_activations(open_page: Callable, widths: tuple[int, ...]):
    model, masks = network(widths, share=0.7)
    everything = {name: torch.ones_like(mask) for name, mask in masks.items()}
    masks = masks if len(widths) > 2 else everything
    tab = open_page(playground(model, masks))
    side = 256
    with torch.no_grad():
        layers = pruned(model, masks).activations(plane(side))
    compared = 0
    for layer, values in enumerate(layers):
        decision = layer == len(widths) - 1 and widths[-1] == 1
        for unit, value in enumerate(values.T.numpy()):
            selector = f"#view-0-unit-{layer}-{unit} canvas"
            if decision:
                selector, value = "#view-0 .shade", np.tanh(value / 2)
            elif tab.locator(selector).count() == 0:
                kept = [masks[f"layers.{layer - 1}.{part}"][unit] for part in ("weight", "bias")]
                assert not any(bool(mask.any()) for mask in kept)
                continue
            else:
                value = value / (np.abs(value).max() or 1.0)
            difference = np.abs(pixels(tab, selector) - coloured(value.reshape(side, side)))
            assert difference.max() <= 1.0
            compared += 1
    assert compared >= 3


def test_the_values_behind_the_images_are_float32_s(open_page: Callable):
    model, masks = network((2, 16, 16, 16, 1), share=0.5)
    tab = open_page(playground(model, masks))
    answer = tab.evaluate(
        "() => playground.views[0].painter.shown.values.at(-1)"
        ".map((unit) => [...unit.slice(0, 4000)])"
    )
    with torch.no_grad():
        expected = pruned(model, masks)(plane(256))[:4000, 0]
    torch.testing.assert_close(torch.tensor(answer[0]).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("outputs", "seed"), [(1, 6), (3, 8)])
def test_accuracy_is_pytorch_s_to_the_point(open_page: Callable, outputs: int, seed: int):
    model, masks = network((2, 8, 6, outputs), share=0.8, seed=seed)
    x, y = pl.datasets.cubist_spiral()
    y = y if outputs == 1 else torch.bucketize(x[:, 0].contiguous(), torch.tensor([-0.4, 0.5]))
    with torch.no_grad():
        logits = pruned(model, masks)(x.double())
    if outputs == 1:
        margin, classes = logits.abs(), (logits[:, 0] > 0).long()
    else:
        best = logits.topk(2).values
        margin, classes = best[:, 0] - best[:, 1], logits.argmax(1)
    assert margin.min() > 1e-4
    tab = open_page(playground(model, masks, (x, y)))
    correct = int((classes == y).sum())
    assert 0 < correct < len(y)
    place = tab.locator("[data-count=accuracy]")
    assert place.get_attribute("title") == f"{correct:,} of {len(y):,} points"
    assert place.locator(".value").inner_text() == f"{100 * correct / len(y):.2f} %"


def test_a_large_network_is_counted_in_parts_and_exactly(open_page: Callable):
    model, masks = network((2, 64, 64, 1), share=1.0)
    x, y = pl.datasets.cubist_spiral(20_000)
    with torch.no_grad():
        logits = pruned(model, masks)(x.double())[:, 0]
    assert logits.abs().min() > 1e-5
    tab = open_page(playground(model, None, (x, y)))
    correct = int(((logits > 0) == (y == 1)).sum())
    title = tab.locator("[data-count=accuracy]").get_attribute("title")
    assert title == f"{correct:,} of {len(y):,} points"


def states_by_paths(model: pl.MLP, masks: Masks) -> dict[str, str]:
    """What every nonzero is, by listing all paths; biases are edges from a source of their own."""
    graph = nx.DiGraph()
    last = len(model.widths) - 1
    names = {}
    for layer in range(1, last + 1):
        for unit in range(model.widths[layer]):
            for source in range(model.widths[layer - 1]):
                if masks[f"layers.{layer - 1}.weight"][unit, source]:
                    edge = ((layer - 1, source), (layer, unit))
                    names[edge] = f"edge-{layer}-{unit}-{source}"
            if masks[f"layers.{layer - 1}.bias"][unit]:
                names[("bias", layer, unit), (layer, unit)] = f"bias-{layer}-{unit}"
    graph.add_edges_from(names)
    inputs = [node for node in graph if node[0] == 0]
    biases = [node for node in graph if node[0] == "bias"]
    outputs = [node for node in graph if node[0] == last]
    state = dict.fromkeys(names.values(), "cut")
    on_a_path = set()
    for sources, found in ((biases, "constant"), (inputs, "live")):
        for source in sources:
            for output in outputs:
                for path in nx.all_simple_paths(graph, source, output):
                    for edge in pairwise(path):
                        state[names[edge]] = found
                    if found == "live":
                        on_a_path |= set(path)
    for edge, name in names.items():
        # A bias counts with the unit it belongs to.
        if edge[0][0] == "bias" and (edge[1] in on_a_path or edge[1][0] == last):
            state[name] = "live"
    return state


def test_what_takes_part_is_what_lies_on_paths(open_page: Callable):
    frames, expected = [], []
    for seed in range(60):
        model, masks = network((2, 3, 3, 2, 1), share=0.25 + 0.01 * seed, seed=seed)
        frames.append((f"{seed}", model, masks))
        expected.append(states_by_paths(model, masks))
    tab = open_page(film(frames))
    shown = tab.evaluate("""() => playground.content.networks.map((_, i) => {
        playground.show(i);
        const { reach, network } = playground.views[0];
        const entries = [...network.values.keys()].map((index) => {
          const { layer, unit, source } = network.place(index);
          const name = source < 0 ? `bias-${layer}-${unit}` : `edge-${layer}-${unit}-${source}`;
          return [name, reach.parameter(index)];
        });
        return Object.fromEntries(entries.filter(([, state]) => state !== "pruned"));
    })""")
    assert shown == expected
    everything = [state for states in expected for state in states.values()]
    assert {"live", "constant", "cut"} == set(everything)
    for (_, _, masks), states in zip(frames, expected, strict=True):
        live = sum(state == "live" for state in states.values())
        cut = sum(state == "cut" for state in states.values())
        assert pl.masks.count(effective_masks(masks)) == live
        kept = pl.masks.count(effective_masks(masks, keep_constants=True))
        assert kept == pl.masks.count(masks) - cut


def test_zero_weights_do_not_count(open_page: Callable):
    model, masks = network((2, 3, 1), share=1.0)
    with torch.no_grad():
        model.get_parameter("layers.1.weight")[0, 1] = 0
    tab = open_page(playground(model, masks))
    assert tab.locator("[data-count=nonzeros] .value").inner_text() == "12"
    assert tab.locator("[data-count=effective] .value").inner_text() == "9"
    assert tab.locator("[data-count=units] .value").inner_text() == "2 of 3"
