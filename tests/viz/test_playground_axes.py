"""What the pages write beside their pictures: names of frames, sizes, classes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import prunelimits as pl
from prunelimits.search import SearchConfig, combinatorial_search
from prunelimits.viz.pages import comparison, film, gallery, playground


def ticks(tab) -> list[str]:
    return tab.locator("#chart .axis g").first.locator(".tick text").all_text_contents()


@pytest.mark.parametrize("known", [True, False])
def test_frames_of_a_film_stand_on_its_axis_by_their_names(open_page: Callable, known: bool):
    model = pl.MLP((2, 3, 1))
    names = ["dense", "after SNIP", "a name of forty letters, which is too long"]
    data = pl.datasets.cubist_spiral(100) if known else None
    tab = open_page(film([(name, model, None) for name in names], data))
    assert ticks(tab) == ["dense", "after SNIP", "a name of forty l…"]


def test_frames_without_names_are_called_by_their_place(open_page: Callable):
    model = pl.MLP((2, 3, 1))
    tab = open_page(comparison((model, None), (model, None)))
    assert tab.locator(".view h2").all_inner_texts() == ["left", "right"]
    tab = open_page(film([(model, None), ("named", model, None)]))
    assert ticks(tab) == ["1", "named"]
    with pytest.raises(TypeError, match="left must be an MLP, with a label in front"):
        comparison(("a",), (model, None))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the model of left must be an MLP, got 'b'"):
        comparison(("a", "b"), (model, None))  # type: ignore[arg-type]


def test_sizes_on_the_axis_of_a_gallery_are_whole_and_stand_once(open_page: Callable):
    recipe = pl.Recipe(epochs=1, batch_size=32)
    config = SearchConfig(target=0.9, widths=(2, 2, 1), recipes=(recipe,))
    found = combinatorial_search(config, *pl.datasets.cubist_spiral(64))
    tab = open_page(gallery(found))
    shown = [int(text) for text in ticks(tab)]
    assert shown == sorted(set(shown))
    assert set(shown) >= {network.nonzeros for network in found.best}


def test_where_the_output_is_exactly_zero_there_is_a_class_and_an_outline(
    open_page: Callable, rest: Callable
):
    model = pl.MLP((2, 1, 1))  # relu(x1): zero in the left half, positive in the right
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.get_parameter("layers.0.weight")[0, 0] = 1
        model.get_parameter("layers.1.weight")[0, 0] = 1
    tab = open_page(playground(model))
    rest(tab)
    assert tab.evaluate("playground.views[0].region.boundary !== null")
    left, right, zero = tab.evaluate(
        """() => {
          const canvas = document.querySelector(".region .shade");
          const context = canvas.getContext("2d");
          const at = (share) =>
            [...context.getImageData(share * canvas.width, canvas.height / 2, 1, 1).data];
          return [at(0.25), at(0.9), at(0.02)];
        }"""
    )
    orange, blue = (245, 147, 34), (8, 119, 189)

    def distance(pixel: list[int], colour: tuple[int, ...]) -> float:
        return sum((a - b) ** 2 for a, b in zip(pixel[:3], colour, strict=True)) ** 0.5

    assert left == zero
    assert distance(left, orange) < distance([255, 255, 255], orange)
    assert distance(right, blue) < distance(right, orange)
