"""The page that trains, while it trains: what is drawn, what can be touched, how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from prunelimits.viz import play
from tests.viz.test_play_page import SMALL, value, wait_for_epoch
from tests.viz.test_playground_touch import TOUCHABLE

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

DENSE = "#samples=200&epochs=10000&test=0"

COLOURED = """() => {
  const canvas = document.querySelector("canvas.many");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 3; i < data.length; i += 4) count += data[i] > 0 ? 1 : 0;
  return count / (data.length / 4);
}"""

LINES = """() => [...document.querySelectorAll("g.edge")].map((group) => {
  const line = group.querySelector(".line");
  const { visibility } = getComputedStyle(line);
  const index = group.__data__.index;
  const { values, kept } = playground.views[0].network;
  return [Math.abs(values[index]), Number(line.getAttribute("stroke-width")), visibility,
    group.dataset.sign === (values[index] < 0 ? "negative" : "positive"), kept[index],
    group.dataset.state];
})"""


def test_while_hundreds_of_weights_train_they_are_a_picture_that_can_be_touched(
    open_page: Callable[..., Tab], rest
):
    tab = open_page(play(), fragment=DENSE)
    assert tab.locator(".diagram.swift").count() == 0
    tab.click("#run")
    tab.wait_for_selector(".diagram.swift")
    assert {line[2] for line in tab.evaluate(LINES)} == {"hidden"}
    assert tab.evaluate(COLOURED) > 0.1
    x, y = tab.locator("#view-0-edge-4-0-3").evaluate(TOUCHABLE)
    tab.mouse.click(x, y)
    tab.wait_for_function(
        "() => { const { network } = playground.views[0];"
        " return network.kept[network.weight(4, 0, 3)] === 0; }"
    )
    assert tab.inner_text("#run") == "Pause"
    tab.mouse.move(1, 1)
    tab.click("#run")
    tab.wait_for_function("() => document.getElementById('run').textContent === 'Play'")
    rest(tab)
    assert tab.locator(".diagram.swift").count() == 0
    assert tab.get_attribute("#view-0-edge-4-0-3", "data-state") == "pruned"
    lines = sorted(line for line in tab.evaluate(LINES) if line[4])
    assert len(lines) == 559
    assert all(line[2:4] == ["visible", True] for line in lines)
    # The weights into the unit that lost its only way on.
    assert sum(line[5] == "cut" for line in lines) == 16
    widths = [line[1] for line in lines if line[5] == "live"]
    assert widths == sorted(widths)
    assert widths[-1] > widths[0] + 1


def test_a_weight_under_the_pointer_is_seen_as_itself_while_it_trains(
    open_page: Callable[..., Tab],
):
    tab = open_page(play(), fragment=DENSE)
    tab.click("#run")
    tab.wait_for_selector(".diagram.swift")
    x, y = tab.locator("#view-0-edge-4-0-5").evaluate(TOUCHABLE)
    tab.mouse.move(x, y)
    tab.wait_for_selector("#tip:not([hidden])")
    assert "weight from layer 3, unit 6 to the output" in tab.inner_text("#tip")
    shown = [line[2] for line in tab.evaluate(LINES)]
    assert shown.count("visible") == 1


def test_few_weights_stay_curves_while_they_train(open_page: Callable[..., Tab]):
    tab = open_page(play(), fragment="#samples=200&epochs=10000&hidden=4-4")
    tab.click("#run")
    tab.wait_for_function("() => Number(document.getElementById('play').dataset.epoch) > 3")
    assert tab.locator(".diagram.swift").count() == 0
    assert {line[2] for line in tab.evaluate(LINES)} == {"visible"}


def test_elimination_tells_how_far_it_is_and_why_it_stopped(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment=SMALL + "&method=Elimination&keep=8")
    tab.click("#prune")
    tab.wait_for_function(
        "() => /^stage [1-4] of 4: /.test(document.getElementById('progress').textContent)"
    )
    assert 0 <= tab.evaluate("document.getElementById('how-far').value") < 1
    tab.wait_for_function(
        "() => document.getElementById('progress').textContent.startsWith('Finished: ')",
        timeout=120_000,
    )
    rest(tab)
    told = tab.inner_text("#progress")
    nonzeros = int(value(tab, "nonzeros"))
    assert f"the 8 weights to keep: with its biases {nonzeros} nonzeros" in told
    assert f"{value(tab, 'accuracy'):.1f} % of the training data right" in told
    assert tab.evaluate("document.getElementById('how-far').value") == 1
    assert tab.inner_text("#announcement") == told
    assert tab.inner_text("#run") == "Train on"


def test_an_end_is_announced_and_what_changes_all_the_time_is_not(open_page: Callable[..., Tab]):
    tab = open_page(play(), fragment=SMALL)
    assert tab.get_attribute("#progress", "aria-live") == "off"
    tab.click("#run")
    wait_for_epoch(tab, 15)
    assert tab.inner_text("#announcement") == "epoch 15 of 15"


def test_an_end_is_announced_where_the_run_is_over_before_anything_is_drawn(
    open_page: Callable[..., Tab],
):
    tab = open_page(play(), fragment=SMALL)
    # No frame before the worker has done everything.
    tab.evaluate(
        "() => { const draw = window.requestAnimationFrame.bind(window);"
        " window.requestAnimationFrame = (f) => setTimeout(() => draw(f), 3000); }"
    )
    tab.click("#run")
    wait_for_epoch(tab, 15)
    assert tab.inner_text("#announcement") == "epoch 15 of 15"


def test_what_is_wasted_is_told_beside_what_is_effective(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment="#hidden=4&samples=200")
    assert tab.inner_text(".waste") == ""
    tab.locator("#view-0-edge-2-0-1").evaluate("(edge) => edge.dispatchEvent(new Event('click'))")
    rest(tab)
    # The unit's two weights and its bias lead nowhere.
    assert (value(tab, "nonzeros"), value(tab, "effective")) == (16, 13)
    assert tab.inner_text(".waste") == "3 wasted"
    tab.click("#tour")
    for _ in range(3):
        tab.click("#story-next")
    assert tab.inner_text("#story-text").startswith(
        "16 weights and biases are left; 3 of them are wasted: 3 on no path from an input"
    )
    before = value(tab, "accuracy")
    tab.click("#story-act")
    rest(tab)
    assert (value(tab, "nonzeros"), value(tab, "effective")) == (13, 13)
    assert value(tab, "accuracy") == before
    tab.wait_for_function(
        "() => document.getElementById('story-text').textContent"
        " === '13 weights and biases are left, none in vain.'"
    )


def test_a_film_of_the_session_is_watched_in_a_tab(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment=SMALL)
    tab.click("#run")
    wait_for_epoch(tab, 15)
    last = tab.evaluate("[...playground.views[0].network.values]")
    complaints: list[str] = []
    with tab.context.expect_page() as opened:
        tab.click("#watch-film")
    film = opened.value
    film.on("console", lambda message: complaints.append(message.text))
    film.on("pageerror", lambda error: complaints.append(str(error)))
    film.wait_for_selector("#film:not([hidden])")
    assert film.evaluate("playground.content.networks.length") == 16
    film.locator("#film input").fill("15")
    rest(film)
    assert film.evaluate("[...playground.views[0].network.values]") == last
    film.click("[data-film=play]")
    film.wait_for_function("() => document.querySelector('#film input').value === '2'")
    assert complaints == []


@pytest.mark.long
def test_a_dense_network_trains_fast_while_it_is_drawn_smoothly(
    open_page: Callable[..., Tab], record_property: Callable[[str, object], None]
):
    """On a machine without other work."""
    tab = open_page(play(), fragment="#epochs=10000&test=0")
    assert tab.evaluate("playground.samples.size") == 2000
    pace = tab.evaluate("() => playground.benchmark(10)")
    for name, rate in pace.items():
        record_property(name, rate)
    assert pace["epochs"] >= 20
    assert pace["pictures"] >= 30
    small = open_page(play(), fragment="#epochs=10000&test=0&hidden=3-3-3")
    pace = small.evaluate("() => playground.benchmark(10)")
    record_property("small", pace)
    assert pace["epochs"] >= 60
