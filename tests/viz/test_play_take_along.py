"""What is taken along from the page that trains: presets, a link, files, and a film."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch

import prunelimits as pl
from prunelimits.datasets import plane_features
from prunelimits.exchange import from_json
from prunelimits.viz import play
from prunelimits.viz.pages.presets import KEPT_NETWORKS, presets
from prunelimits.viz.pages.records import BEST_UNTIED
from tests.viz.test_play_page import value, wait_for_epoch

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

ROOT = Path(__file__).parents[2]
SMALL = "#data=gaussians&samples=200&hidden=6-5&epochs=15&batch=16&lr=0.05"


def shown_network(tab: Tab) -> list[list[float]]:
    return tab.evaluate(
        "() => { const { network } = playground.views[0];"
        " return [[...network.values].map((_, i) => network.effect(i)), [...network.kept]]; }"
    )


def test_the_networks_that_come_with_the_page_are_those_that_were_kept():
    for kept in KEPT_NETWORKS:
        model, masks = pl.load(ROOT / kept.source)
        folder = ROOT / "prunelimits/viz/pages/networks"
        copied, same = from_json((folder / f"{kept.name}.json").read_text(), kept.name)
        assert copied.widths == model.widths
        assert pl.masks.count(masks) == pl.masks.count(same)
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, copied.get_parameter(name))
            assert torch.equal(masks[name], same[name])
    # What is called the record is the smallest that is kept with a margin, at either target.
    called = {kept.source for kept in KEPT_NETWORKS if kept.about.startswith("The record")}
    assert called == {
        f"examples/networks/{name}.pt"
        for name in (
            "cubist-spiral-95-17-margin-with-biases-22",
            "cubist-spiral-995-23-margin-with-biases-28",
        )
    }
    for target, size in zip((95, 995), BEST_UNTIED, strict=True):
        kept = (ROOT / "examples/networks").glob(f"cubist-spiral-{target}-*-margin-*.pt")
        assert min(int(path.stem.split("-")[3]) for path in kept) == size
    ids = [preset["id"] for preset in presets()]
    assert len(set(ids)) == len(ids) >= 20


def test_presets_begin_with_their_network_or_their_run(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment="#hidden=4&samples=200")
    counts = {}
    for preset in presets():
        network = preset["network"]
        if network is None:
            continue
        tab.select_option("#preset", preset["id"])
        tab.wait_for_function(
            "(nonzeros) => playground.views[0].network?.nonzeros() === nonzeros",
            arg=network["nonzeros"],
        )
        rest(tab)
        accuracy = value(tab, "accuracy")
        assert accuracy >= (99.4 if "99.5 %" in preset["label"] else 94.9), preset["label"]
        counts[preset["id"]] = value(tab, "nonzeros")
        assert f"start={preset['id']}" in tab.url
    assert counts["at-95-18"] == 18
    # To look at a record is not to have it.
    assert tab.inner_text("#records tbody tr:last-child td:nth-child(2)") == "\N{EN DASH}"
    tab.select_option("#preset", "figure-18-lth")
    assert tab.input_value("select[name=method]") == "LTH"
    assert tab.input_value("input[name=keep]") == "55"
    tab.select_option("#preset", "at-95-18")
    tab.click("#deeper")  # from here on it is another network
    assert tab.input_value("#preset") == ""
    assert "start" not in tab.url


def test_a_link_to_a_preset_opens_it_and_a_wrong_one_is_refused(open_page: Callable[..., Tab]):
    tab = open_page(play(), fragment="#start=at-95-18&hidden=3-1-3&test=0")
    assert value(tab, "nonzeros") == 18
    assert tab.input_value("#preset") == "at-95-18"
    for fragment, reason in (
        ("start=nothing", 'start must be one of random, figure-1, .*, got "nothing"'),
        ("start=at-95-18&hidden=4-4", "at-95-18 has widths 2-3-1-3-1, not 2-4-4-1"),
        ("start=<b>", "start must be random or the name of a preset, got"),
        ("weights=abc&hidden=3", "weights do not fit the network of this address"),
        ("weights=AAAA.AA&hidden=3", "weights do not fit the network of this address"),
        ("weights=%3Cimg%20src=x%3E.%3Cb%3E&hidden=3", "weights do not fit"),
        ("inputs=x1-x9", "inputs must be different ones of x1, x2,"),
        ("inputs=x1-x1", "inputs must be different ones of x1, x2,"),
        ("inputs=", "inputs must be different ones of x1, x2,"),
    ):
        tab.evaluate("(fragment) => { location.hash = fragment; }", fragment)
        tab.wait_for_function(
            "(reason) => new RegExp(reason).test(document.getElementById('message').textContent)",
            arg=reason,
        )


def test_a_link_holds_the_network_and_all_settings(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment=SMALL + "&inputs=x1-x1x2&activation=tanh")
    tab.click("#epoch")
    wait_for_epoch(tab, 1)
    tab.click("[data-action=weakest]")
    rest(tab)
    tab.click("#share")
    tab.wait_for_function("() => document.getElementById('message').textContent.includes('A link')")
    shared, fragment = shown_network(tab), tab.evaluate("location.hash")
    assert "weights=" in fragment
    other = open_page(play(), fragment=fragment)
    assert shown_network(other) == shared
    assert other.is_checked("#inputs label:nth-child(5) input")
    assert other.input_value("select[name=activation]") == "tanh"


def test_a_network_of_other_inputs_says_which_and_comes_back(
    open_page: Callable[..., Tab], rest, tmp_path: Path
):
    tab = open_page(play(), fragment=SMALL)
    for place in (3, 6):  # the square of x1, the sine of x1
        tab.check(f"#inputs label:nth-child({place}) input")
    rest(tab)
    assert value(tab, "nonzeros") == 6 * 5 + 5 * 7 + 6
    assert tab.locator(".diagram .inputs text").all_text_contents() == ["x₁", "x₂", "x₁²", "sin x₁"]
    assert tab.get_attribute("#view-0-unit-0-2", "aria-label").startswith("Input x₁²")
    tab.click("#run")
    wait_for_epoch(tab, 15)
    rest(tab)
    with tab.expect_download() as download:
        tab.click("[data-action=json]")
    file = tmp_path / "net.json"
    download.value.save_as(file)
    names = json.loads(file.read_text())["inputs"]
    assert names == ["x1", "x2", "x1x1", "sinx1"]
    with pytest.raises(ValueError, match=r"load it with inputs=\('x1', 'x2', 'x1x1', 'sinx1'\)"):
        pl.load(file)
    model, masks = pl.load(file, inputs=names)
    assert model.widths == (4, 6, 5, 1)
    points = tab.evaluate("[...playground.samples.x]")
    labels = torch.tensor(tab.evaluate("[...playground.samples.y]"))
    x = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    with torch.no_grad():
        right = ((model(plane_features(x, names))[:, 0] > 0) == labels.bool()).double().mean()
    assert value(tab, "accuracy") == pytest.approx(100 * float(right), abs=0.006)
    # The page reads its own file, and a page of other inputs sets them.
    before = shown_network(tab)
    other = open_page(play(model, masks, inputs=names), fragment="#data=gaussians&samples=200")
    assert shown_network(other) == before
    plain = open_page(play(), fragment=SMALL)
    plain.set_input_files("#file", file)
    plain.wait_for_function("() => playground.views[0].network?.widths[0] === 4")
    rest(plain)
    assert shown_network(plain) == before
    # The last input cannot be taken away.
    for place in (6, 3, 2, 1):
        plain.locator(f"#inputs label:nth-child({place}) input").click()
        rest(plain)
    assert plain.is_checked("#inputs label:nth-child(1) input")
    assert plain.evaluate("playground.settings.inputs") == ["x1"]


def test_constants_are_folded_and_can_be_brought_back(open_page: Callable[..., Tab], rest):
    model = pl.MLP((2, 3, 3, 1))
    masks = {n: torch.ones_like(p).bool() for n, p in model.named_parameters()}
    masks["layers.0.weight"][1] = False  # a unit without inputs
    x, y = pl.datasets.cubist_spiral(300)
    tab = open_page(pl.viz.playground(model, masks, (x, y)))
    before = value(tab, "accuracy"), value(tab, "effective")
    tab.click("[data-action=fold]")
    rest(tab)
    folded, left = pl.connectivity.fold_constants(model, masks)
    effects, kept = shown_network(tab)
    assert kept == pl.masks.flatten(left).int().tolist()
    values = torch.cat([folded[n].flatten() for n in masks])
    torch.testing.assert_close(torch.tensor(effects), values, rtol=1e-5, atol=1e-6)
    assert value(tab, "accuracy") == pytest.approx(before[0], abs=0.4)
    assert value(tab, "nonzeros") == value(tab, "effective") == before[1]
    assert tab.get_attribute("[data-action=fold]", "aria-disabled") == "true"
    tab.click("[data-action=undo]")
    rest(tab)
    assert shown_network(tab)[1] == pl.masks.flatten(masks).int().tolist()


@pytest.mark.parametrize("inputs", ["x1-x2", "x1-x2-x1x2"])
def test_a_session_becomes_a_film(open_page: Callable[..., Tab], rest, tmp_path: Path, inputs: str):
    tab = open_page(play(), fragment=f"{SMALL}&inputs={inputs}")
    tab.click("#run")
    wait_for_epoch(tab, 15)
    tab.fill("input[name=keep]", "12")
    tab.keyboard.press("Enter")
    tab.select_option("select[name=method]", "Magnitude")
    tab.click("#prune")
    tab.wait_for_function("() => playground.views[0].network.kept.filter((k) => k).length < 30")
    tab.click("#run")
    wait_for_epoch(tab, 30)
    rest(tab)
    last, accuracy = shown_network(tab), value(tab, "accuracy")
    with tab.expect_download() as download:
        tab.click("#save-film")
    file = tmp_path / "film.html"
    download.value.save_as(file)
    assert file.stat().st_size < 2_000_000
    film = open_page(SimpleNamespace(save=lambda path: shutil.copy(file, path)))
    labels = film.evaluate("playground.content.networks.map(({ label }) => label)")
    assert labels[0] == "epoch 0"
    assert "epoch 15: Magnitude keeps 12" in labels
    assert labels[-1] == "epoch 30"
    # The start, 15 epochs, the pruning, 15 epochs.
    assert len(labels) == 1 + 15 + 1 + 15
    film.locator("#film input").fill(str(len(labels) - 1))
    rest(film)
    assert shown_network(film) == last
    assert value(film, "accuracy") == pytest.approx(accuracy)
