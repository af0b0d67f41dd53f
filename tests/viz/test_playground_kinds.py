"""The kinds of pages and networks, and who reads them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import prunelimits as pl
from prunelimits.pareto import pareto_front
from prunelimits.search import SearchConfig, SearchResult, combinatorial_search
from prunelimits.viz.pages import comparison, film, gallery, play, playground

HOSTILE = "<img src=x onerror=\"document.title='run'\"></script><script>alert(1)</script>.pt"


@pytest.fixture(scope="module")
def result() -> SearchResult:
    config = SearchConfig(
        target=0.5, widths=(2, 3, 2, 1), recipes=(pl.Recipe(epochs=2, batch_size=50, lr=0.1),)
    )
    return combinatorial_search(config, *pl.datasets.cubist_spiral(300))


def count(tab, name: str, view: int = 0) -> str:
    return tab.locator(f"#view-{view} [data-count={name}] .value").inner_text()


def values(tab, view: int = 0) -> torch.Tensor:
    shown = tab.evaluate(f"() => [...playground.views[{view}].network.values]")
    return torch.tensor(shown, dtype=torch.float32)


def flat(model: pl.MLP) -> torch.Tensor:
    return pl.masks.flatten({name: p.detach() for name, p in model.named_parameters()})


def network(widths: tuple[int, ...], seed: int = 0) -> pl.MLP:
    generator = torch.Generator().manual_seed(seed)
    shapes = pl.models.mlp.parameter_shapes(widths)
    return pl.MLP.from_params(
        widths, {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    )


def test_a_gallery_opens_the_network_of_the_point(
    open_page: Callable, rest: Callable, result: SearchResult
):
    tab = open_page(gallery(result, pl.datasets.cubist_spiral(300)))
    points = tab.locator(".point")
    assert points.count() == len(result.best)
    assert result.sparsest is not None
    assert count(tab, "nonzeros") == str(result.sparsest.nonzeros)
    front = pareto_front((n.nonzeros, n.accuracy) for n in result.best)
    best = tab.locator(".point.best").evaluate_all(
        "points => points.map((p) => p.getAttribute('aria-label'))"
    )
    assert sorted(best) == sorted(
        f"{n} nonzeros: {n} nonzeros, {100 * accuracy:.2f} %" for n, accuracy in front
    )
    for found in result.best:
        tab.locator(f".point[aria-label^='{found.nonzeros} nonzeros']").click()
        rest(tab)
        assert tab.locator(".view .label").inner_text() == f"{found.nonzeros} nonzeros"
        assert torch.equal(values(tab), flat(found.model))
        assert count(tab, "accuracy") == f"{100 * found.accuracy:.2f} %"
    # By keyboard: one point to the left.
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("Enter")
    rest(tab)
    assert torch.equal(values(tab), flat(result.best[-2].model))


def test_the_chart_of_networks_that_predict_numbers_says_what_they_explain(open_page: Callable):
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    config = SearchConfig(
        target=0.4, widths=(2, 2, 1), recipes=(pl.Recipe(epochs=1, batch_size=20),)
    )
    tab = open_page(gallery(combinatorial_search(config, x, x.sum(1), loss="mse")))
    chart = tab.locator("#chart")
    assert "R²" in chart.inner_text()
    assert "accuracy" not in chart.inner_text().lower()


def test_a_gallery_compares_two(open_page: Callable, rest: Callable, result: SearchResult):
    tab = open_page(gallery(result))
    first = values(tab)
    tab.locator("#compare").click()
    last = result.best[-1]
    tab.locator(f".point[aria-label^='{last.nonzeros} nonzeros']").click()
    rest(tab)
    assert torch.equal(values(tab, 0), first)
    assert torch.equal(values(tab, 1), flat(last.model))
    assert tab.locator(".point.chosen").count() == 2
    assert count(tab, "accuracy") == "no data"
    tab.locator("#compare").click()
    rest(tab)
    assert tab.locator(".view").count() == 1
    assert tab.locator(".point.chosen").count() == 1


def test_two_networks_stand_side_by_side(open_page: Callable, rest: Callable):
    left, right = network((2, 3, 1)), network((2, 5, 4, 1))
    tab = open_page(comparison(("left", left, None), ("right", right, None)))
    assert [count(tab, "nonzeros", view) for view in (0, 1)] == ["13", "44"]
    boxes = [tab.locator(f"#view-{view}").bounding_box() for view in (0, 1)]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    assert boxes[0]["y"] == boxes[1]["y"]
    tab.locator("#view-1 [data-action=weakest]").click()
    rest(tab)
    assert [count(tab, "nonzeros", view) for view in (0, 1)] == ["13", "43"]


def test_a_film_plays_a_run(open_page: Callable, rest: Callable):
    model = network((2, 6, 4, 1))
    weights = {n: p.detach().abs() for n, p in model.named_parameters() if n.endswith("weight")}
    frames = [
        (f"keep {keep}", model, pl.masks.with_biases(pl.masks.top(weights, keep=keep)))
        for keep in (40, 20, 10, 5)
    ]
    expected = [str(pl.masks.count(masks)) for _, _, masks in frames]
    tab = open_page(film(frames, pl.datasets.cubist_spiral(300)))
    places = tab.locator(".unit").evaluate_all("units => units.map((u) => u.id + u.style.top)")
    for frame, (label, _, _) in enumerate(frames):
        assert tab.locator(".view .label").inner_text() == label
        assert count(tab, "nonzeros") == expected[frame]
        # Every unit keeps its place, that the eye can follow.
        now = tab.locator(".unit").evaluate_all("units => units.map((u) => u.id + u.style.top)")
        assert now == places
        tab.locator("[data-film=on]").click()
        rest(tab)
    tab.locator("#film select").select_option("fast")
    tab.locator("[data-film=play]").click()
    tab.wait_for_function("() => document.querySelector('[data-film=play]').textContent === 'Play'")
    rest(tab)
    assert count(tab, "nonzeros") == expected[-1]
    tab.locator(".point").nth(1).click()
    rest(tab)
    assert count(tab, "nonzeros") == expected[1]
    assert tab.locator("#film input").input_value() == "1"


def test_hostile_names_are_text(open_page: Callable):
    model = network((2, 3, 1))
    tab = open_page(
        comparison((HOSTILE, model, None), (HOSTILE, model, None), title=HOSTILE, about=HOSTILE)
    )
    assert tab.title() == HOSTILE
    assert tab.locator("h1").inner_text() == HOSTILE
    assert tab.locator("#about").inner_text() == HOSTILE
    assert tab.locator("img").count() == 0
    with tab.expect_download() as waiting:
        tab.locator("#view-1 [data-action=json]").click()
    assert "/" not in waiting.value.suggested_filename
    assert "<" not in waiting.value.suggested_filename


def test_wide_layers_fold_and_unfold(open_page: Callable, rest: Callable):
    tab = open_page(playground(network((2, 256, 1)), None, pl.datasets.cubist_spiral(500)))
    folded = tab.locator(".fold")
    shown = tab.locator(".unit").count()
    assert folded.inner_text() == f"+ {256 - (shown - 2)}"
    assert shown < 64
    folded.click()
    rest(tab)
    assert tab.locator(".unit").count() == 2 + 256
    assert tab.locator(".fold").count() == 0


@pytest.mark.parametrize("outputs", [1, 4])
def test_more_inputs_than_a_plane_has_show_histograms(open_page: Callable, outputs: int):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 5, generator=generator)
    y = torch.randint(max(2, outputs), (1000,), generator=generator)
    model = network((5, 6, 3, outputs))
    tab = open_page(playground(model, None, (x, y)))
    with torch.no_grad():
        *_, hidden, logits = model.activations(x)
    guesses = (logits[:, 0] > 0).long() if outputs == 1 else logits.argmax(1)
    right = int((guesses == y).sum())
    assert tab.locator("[data-count=accuracy]").get_attribute("title") == f"{right} of 1,000 points"
    tab.locator("#view-0-unit-2-0").hover()
    caption = tab.locator("figcaption")
    tab.wait_for_function(
        "() => document.querySelector('figcaption').textContent.startsWith('Layer 2')"
    )
    zeros = 100 * float((hidden[:, 0] == 0).double().mean())
    assert f"{zeros:.2f} % zeros" in caption.inner_text()
    # The bars of a class have its colour, and their areas its share.
    painted = tab.locator(".shade").evaluate("""canvas => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const colours = new Set();
      for (let i = 0; i < data.length; i += 4) colours.add(data.slice(i, i + 3).join());
      return [...colours];
    }""")
    paper = {"8,119,189", "245,147,34"}
    several = {"0,114,178", "230,159,0", "0,158,115", "204,121,167"}
    assert (paper if outputs == 1 else several) <= set(painted)


@pytest.mark.parametrize("widths", [(2, 1), (2, 1, 1, 1, 1, 1, 1, 1, 1), (2, 3, 64, 2), (1, 2, 1)])
@pytest.mark.parametrize("width", [390, 1280])
def test_networks_of_every_shape_have_their_place(
    open_page: Callable, widths: tuple[int, ...], width: int
):
    x, y = pl.datasets.cubist_spiral(200)
    tab = open_page(playground(network(widths), None, (x[:, : widths[0]], y.long())), width=width)
    boxes = tab.locator(".unit").evaluate_all(
        "units => units.map((unit) => Object.values(unit.getBoundingClientRect().toJSON()))"
    )
    for number, (x1, y1, w1, h1, *_) in enumerate(boxes):
        assert w1 >= 20
        for x2, y2, w2, h2, *_ in boxes[:number]:
            apart = x1 >= x2 + w2 or x2 >= x1 + w1 or y1 >= y2 + h2 or y2 >= y1 + h1
            assert apart
    # The page itself never scrolls sideways: at most the drawing in its box.
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def contrast(first: list[int], second: list[int]) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(colour: list[int]) -> float:
        shares = [channel / 255 for channel in colour]
        linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


COLOURS = """name => {
  const style = getComputedStyle(document.documentElement);
  const { r, g, b } = d3.rgb(style.getPropertyValue(name).trim());
  return [r, g, b];
}"""


def test_themes_and_palettes_repaint_and_can_be_read(open_page: Callable, rest: Callable):
    tab = open_page(playground(network((2, 3, 1))), dark=True)
    seen = set()
    for theme in ("auto", "light", "dark"):
        for palette in ("paper", "safe"):
            tab.locator("#theme").select_option(theme)
            tab.locator("#palette").select_option(palette)
            rest(tab)
            colour = {
                name: tab.evaluate(COLOURS, f"--{name}")
                for name in ("positive", "negative", "zero", "ink", "grey", "page", "accent")
            }
            for text in ("ink", "grey", "accent"):
                assert contrast(colour[text], colour["zero"]) >= 4.5
                assert contrast(colour[text], colour["page"]) >= 4.5
            if palette == "safe":
                for sign in ("positive", "negative"):
                    assert contrast(colour[sign], colour["zero"]) >= 3
            corner = tab.locator("#view-0-unit-0-0 canvas").evaluate(
                "c => [...c.getContext('2d').getImageData(c.width - 1, 0, 1, 1).data.slice(0, 3)]"
            )
            assert max(abs(a - b) for a, b in zip(corner, colour["positive"], strict=True)) <= 1
            seen.add(tuple(corner))
    assert len(seen) == 4  # auto is dark here


def test_on_paper_a_dark_page_is_white(open_page: Callable):
    tab = open_page(playground(network((2, 3, 1))), dark=True)
    tab.emulate_media(media="print")
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate(COLOURS, "--zero") == [255, 255, 255]
    middle = "c => [...c.getContext('2d').getImageData(c.width / 2, 0, 1, 1).data]"
    assert min(tab.locator("#view-0-unit-0-0 canvas").evaluate(middle)) >= 253
    assert not tab.locator(".view .actions").is_visible()
    # The region is one opaque sheet, whose corner is the decision at half strength.
    sheet = tab.locator(".sheet")
    assert sheet.is_visible()
    assert not tab.locator(".shade").is_visible()
    shades = tab.evaluate("""() => [".shade", ".sheet"].map((name) => {
      const canvas = document.querySelector(name);
      return [...canvas.getContext("2d").getImageData(1, 1, 1, 1).data];
    })""")
    for shade, printed in zip(*shades, strict=True):
        assert abs((shade + 255) / 2 - printed) <= 2
    tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    tab.emulate_media(media="screen")
    assert max(tab.locator("#view-0-unit-0-0 canvas").evaluate(middle)[:3]) < 60


def test_a_page_whose_network_is_damaged_says_so(open_page: Callable):
    page = playground(network((2, 3, 1)))
    for text, message in (
        ('"widths": [2, 3, 1]', "need"),
        ('"kept": "', ""),
    ):
        damaged = page.html.replace(text, text.replace("3, 1]", "4, 1]").replace('": "', '": "!'))
        assert damaged != page.html
        other = playground(network((2, 3, 1)))
        other.html = damaged
        tab = open_page(other)
        alert = tab.locator("#message").inner_text()
        assert alert.startswith("This page cannot show its network: ")
        assert message in alert


def test_in_a_notebook_s_frame_it_works(open_page: Callable, rest: Callable, browser, tmp_path):
    page = playground(network((2, 3, 1)))
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html><body>{page._repr_html_()}</body>")
    tab = browser.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.goto(notebook.as_uri())
    frame = tab.frame_locator("iframe")
    frame.locator(".view[aria-busy=false]").wait_for()
    frame.locator("[data-action=weakest]").click()
    frame.locator("[data-count=nonzeros] .value", has_text="12").wait_for()
    with tab.expect_download():
        frame.locator("[data-action=json]").click()
    tab.close()
    assert complaints == []


NAMES = ("<img src=x onerror=alert(1)>", "\"'&amp;", "y" * 10_000, "")


@pytest.mark.parametrize("inputs", [2, 3])
@pytest.mark.parametrize("outputs", [1, 4])
def test_names_of_classes_stand_where_classes_do(open_page: Callable, inputs: int, outputs: int):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, inputs, generator=generator)
    y = torch.arange(90) % max(2, outputs)
    model = network((inputs, 4, outputs))
    page = playground(model, None, (x, y), classes=NAMES[: max(2, outputs)])
    tab = open_page(page)
    expected = [NAMES[0], NAMES[1], "y" * 39 + "…", "class 3"][: max(2, outputs)]
    if inputs == 2 and outputs == 1:
        shown = tab.locator(".scale span:not(.bar)").all_inner_texts()
    else:
        if inputs > 2 and outputs > 1:
            # The table of answers is a drawing; of one unit there is a histogram by class.
            assert "True class" in tab.inner_text(".region figcaption")
            tab.hover(".unit[id*=unit-1-]")
        shown = tab.locator(".classes li").all_inner_texts()
    assert shown == expected
    if outputs > 1:
        names = tab.locator("[id*=unit-2-]").evaluate_all(
            "nodes => nodes.map((n) => n.getAttribute('aria-label'))"
        )
        for unit, (name, label) in enumerate(zip(names, expected, strict=True)):
            assert f"utput {unit + 1} ({label})" in name
    assert tab.locator("img").count() == 0
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_names_that_do_not_fit_are_refused():
    model, data = network((2, 3, 1)), (torch.randn(9, 2), torch.arange(9) % 2)
    with pytest.raises(ValueError, match="classes must name at most 2 classes, got 3 names"):
        playground(model, None, data, classes=["a", "b", "c"])
    with pytest.raises(TypeError, match="classes must hold strs, got 'ab'"):
        comparison(model, model, data, classes="ab")
    with pytest.raises(TypeError, match=r"classes\[1\]"):
        film([model], data, classes=["a", 1])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="classes are given without data"):
        play(classes=["a", "b"])
