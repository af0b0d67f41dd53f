"""The page that trains, in a real browser: it learns, prunes exactly, and says what it refuses."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

import prunelimits as pl
from prunelimits.connectivity import analyze
from prunelimits.viz import play, playground
from prunelimits.viz.pages.records import BEST_KNOWN, BEST_UNTIED, records

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

SMALL = "#data=gaussians&samples=200&hidden=6-5&epochs=15&batch=16&lr=0.05"
LATE = 20_000


def value(tab: Tab, count: str) -> float:
    text = tab.inner_text(f"[data-count={count}] .value")
    return float(re.sub(r"[,%\s]", "", text))


def wait_for_epoch(tab: Tab, epoch: int) -> None:
    tab.wait_for_function(
        "(epoch) => { const { dataset } = document.getElementById('play');"
        " return dataset.state === 'paused' && Number(dataset.epoch) === epoch; }",
        arg=epoch,
        timeout=LATE,
    )


@pytest.mark.slow
def test_a_page_trains_to_the_end_and_improves(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment=SMALL)
    assert value(tab, "nonzeros") == 6 * 3 + 5 * 7 + 6
    assert value(tab, "paths") == 2 * 6 * 5
    tab.click("#run")
    wait_for_epoch(tab, 15)
    rest(tab)
    assert value(tab, "accuracy") > 95
    assert value(tab, "test") > 90
    assert tab.inner_text("#run") == "Train on"
    assert tab.inner_text("#progress") == "epoch 15 of 15"
    for curve in ("loss", "accuracy", "weights"):
        assert tab.locator(f"#{curve}-curve path").first.get_attribute("d").count("L") == 15
    tab.click("#run")  # another training from here
    wait_for_epoch(tab, 30)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_network(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment=SMALL)
    runs = []
    for speed in ("Infinity", "20"):
        tab.select_option("#speed", speed)
        tab.click("#run")
        wait_for_epoch(tab, 15)
        rest(tab)
        runs.append(tab.evaluate("[...playground.views[0].network.values]"))
        tab.click("#restart")
        wait_for_epoch(tab, 0)
    assert runs[0] == runs[1]


def test_methods_prune_to_the_exact_budget_and_the_download_is_the_network(
    open_page: Callable[..., Tab], rest, tmp_path: Path
):
    tab = open_page(play(), fragment=SMALL)
    tab.fill("input[name=keep]", "12")
    tab.keyboard.press("Enter")
    tab.select_option("select[name=method]", "SynFlow")
    tab.click("#prune")
    tab.wait_for_function(
        "() => { const { network } = playground.views[0]; let kept = 0;"
        " network.eachWeight((i) => { kept += network.kept[i]; }); return kept === 12; }"
    )
    rest(tab)
    with tab.expect_download() as download:
        tab.click("[data-action=json]")
    download.value.save_as(tmp_path / "net.json")
    model, masks = pl.load(tmp_path / "net.json")
    assert sum(int(m.sum()) for n, m in masks.items() if n.endswith("weight")) == 12
    report = analyze(model, masks)
    assert value(tab, "nonzeros") == report.nonzeros
    assert value(tab, "effective") == report.effective_nonzeros
    assert value(tab, "paths") == report.paths
    tab.select_option("select[name=method]", "GMP")
    assert tab.inner_text("#prune") == "Train from the start with GMP"
    tab.click("#prune")
    wait_for_epoch(tab, 15)
    kept = tab.evaluate(
        "() => { const { network } = playground.views[0]; let kept = 0;"
        " network.eachWeight((i) => { kept += network.kept[i]; }); return kept; }"
    )
    assert kept == 12
    assert "method=GMP" in tab.url
    assert "keep=12" in tab.url


def test_what_is_changed_by_hand_stays_changed_while_it_trains(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment=SMALL)
    tab.click("[data-action=weakest]")
    rest(tab)
    left = value(tab, "nonzeros")
    assert left == 58
    tab.click("#epoch")
    wait_for_epoch(tab, 1)
    rest(tab)
    assert value(tab, "nonzeros") == left


def test_a_malformed_address_is_told_and_not_used(open_page: Callable[..., Tab]):
    tab = open_page(play(), fragment="#hidden=<img src=x onerror=alert(1)>&seed=4")
    message = tab.inner_text("#message")
    assert message.startswith("The address behind # is not used: hidden must be one to 5 widths")
    assert tab.locator("#message img").count() == 0
    assert tab.input_value("input[name=seed]") == "0"
    tab.fill("input[name=lr]", "fast")
    tab.keyboard.press("Tab")
    assert tab.inner_text("#message") == 'lr must be a number from 0.00001 to 10, got "fast"'
    assert tab.input_value("input[name=lr]") == "0.05"


@pytest.mark.slow
def test_everything_is_reached_by_keyboard_and_has_a_name(open_page: Callable[..., Tab]):
    tab = open_page(play(), fragment=SMALL)
    reached = set()
    for _ in range(60):
        tab.keyboard.press("Tab")
        here = tab.evaluate(
            "() => { const e = document.activeElement;"
            " return [e.id || e.name || e.dataset.action || e.className.baseVal || e.className,"
            " e.ariaLabel || e.labels?.[0]?.textContent.trim() || e.textContent.trim()]; }"
        )
        assert here[1], here
        reached.add(here[0])
    assert {"run", "step", "epoch", "restart", "speed", "data", "samples", "noise"} <= reached
    assert {"shallower", "deeper", "lr", "batch", "method", "keep", "budget", "seed"} <= reached
    assert {"weakest", "json"} <= reached
    for part in ("view-0-unit", "view-0-edge"):
        assert any(name.startswith(part) for name in reached)
    tab.focus("#run")
    tab.keyboard.press("Space")
    wait_for_epoch(tab, 15)


@pytest.mark.slow
def test_a_first_visit_leads_through_five_steps_and_can_be_skipped(open_page: Callable[..., Tab]):
    tab = open_page(play())
    for _ in range(2):  # a network that is drawn fast
        tab.click("#shallower")
    titles = []
    for _ in range(5):
        titles.append(tab.inner_text("#story-title"))
        tab.click("#story-next")
    assert [title[:6] for title in titles] == [f"{step} of 5" for step in range(1, 6)]
    assert tab.is_hidden("#story")
    tab.click("#tour")
    assert tab.inner_text("#story-title") == titles[0]
    tab.click("#story-next")
    tab.click("#story-act")
    tab.wait_for_function("() => Number(document.getElementById('play').dataset.epoch) > 0")
    tab.click("#story-next")
    tab.click("#story-act")
    assert tab.input_value("select[name=method]") == "GMP"
    assert tab.input_value("input[name=keep]") == "48"  # 60 of 560; there are 48
    tab.click("#story-skip")
    assert tab.is_hidden("#story")
    assert tab.evaluate("document.activeElement.id") == "tour"


def test_who_follows_a_link_is_not_led(open_page: Callable[..., Tab]):
    assert open_page(play(), fragment=SMALL).is_hidden("#story")


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_is_wider_than_the_screen_and_the_network_comes_early(
    open_page: Callable[..., Tab], dark: bool
):
    tab = open_page(play(), width=390, height=844, dark=dark, fragment="#hidden=8-8&samples=200")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    top = tab.evaluate("document.querySelector('.diagram').getBoundingClientRect().top")
    assert top < 600


def test_one_s_own_model_and_data_are_where_the_page_begins(open_page: Callable[..., Tab], rest):
    model = pl.MLP((2, 4, 3))
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    masks = pl.masks.with_biases(
        pl.masks.top({n: p for n, p in model.named_parameters() if n.endswith("weight")}, keep=9)
    )
    tab = open_page(play(model, masks, (x, y)))
    values = torch.cat([p.detach().flatten() for p in model.parameters()]).tolist()
    kept = tab.evaluate("[...playground.views[0].network.kept]")
    assert tab.evaluate("[...playground.views[0].network.values]") == values
    assert kept == pl.masks.flatten(masks).int().tolist()
    tab.click("#epoch")
    wait_for_epoch(tab, 1)
    assert tab.evaluate("[...playground.views[0].network.kept]") == kept


def test_only_the_page_s_own_scripts_may_run_and_a_worker_made_of_them():
    page = play()
    assert len(page.html.encode()) < 2_000_000
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page.html)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["worker-src"] == "blob:"
    assert "unsafe" not in policy[1]
    scripts = re.findall(r"<script>(.*?)</script>", page.html, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    # Those of the page itself, and of the films that it opens.
    film = re.findall(r"<script>(.*?)</script>", playground(pl.MLP((2, 1))).html, flags=re.DOTALL)
    digests.append(base64.b64encode(hashlib.sha256(film[1].encode()).digest()).decode())
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert play().html == page.html


def test_what_does_not_fit_is_refused():
    x, y = torch.randn(50, 2), torch.randint(3, (50,))
    with pytest.raises(TypeError, match=r"model must be an MLP, .* got 'net'"):
        play("net")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"model must have 2 inputs, .* got widths \(3, 4, 1\)"):
        play(pl.MLP((3, 4, 1)))
    with pytest.raises(ValueError, match=r"at most 16 units .* got widths \(2, 17, 1\)"):
        play(pl.MLP((2, 17, 1)))
    with pytest.raises(ValueError, match="masks are given without a model"):
        play(None, {})
    with pytest.raises(ValueError, match="data is needed for a model of 3 outputs"):
        play(pl.MLP((2, 4, 3)))
    with pytest.raises(ValueError, match="as many classes as the model has outputs: 4, got 3"):
        play(pl.MLP((2, 4, 4)), None, (x, y))
    with pytest.raises(TypeError, match=r"data must be a pair of tensors \(x, y\), got int"):
        play(data=3)  # type: ignore[arg-type]


@pytest.mark.slow
def test_one_s_own_table_is_trained_on(open_page: Callable[..., Tab], rest, tmp_path: Path):
    tab = open_page(play(), fragment="#epochs=5&hidden=4&batch=16")
    table = tmp_path / "own.csv"
    rows = [f"{i % 7},{i // 7},{'<b>yes</b>' if i % 7 > 3 else 'no'}" for i in range(70)]
    table.write_text("\n".join(["a,b,label", *rows]))
    tab.set_input_files("#table", table)
    tab.wait_for_function(
        "() => document.getElementById('message').textContent.includes('own.csv')"
    )
    assert '70 points, columns standardised; classes 0: "<b>yes</b>", 1: "no"' in tab.inner_text(
        "#message"
    )
    assert tab.input_value("[name=data]") == "given"
    rest(tab)  # the message comes before the first picture
    assert tab.locator(".scale span:not(.bar)").all_inner_texts() == ["<b>yes</b>", "no"]
    tab.click("#run")
    wait_for_epoch(tab, 5)
    rest(tab)
    assert value(tab, "accuracy") > 60
    table.write_text("1,2\n")
    tab.set_input_files("#table", table)
    tab.wait_for_function(
        "() => document.getElementById('message').textContent.includes('line 1 has 2')"
    )
    # What was there goes on.
    tab.click("#run")
    wait_for_epoch(tab, 10)


def drop(tab: Tab, name: str, text: str) -> None:
    """Drops a file on the page."""
    tab.evaluate(
        """([name, text]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([text], name));
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
        }""",
        [name, text],
    )


def test_hostile_files_that_are_dropped_are_refused_as_text(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment="#epochs=5&hidden=4&samples=100&batch=16")
    name = "<img src=x onerror=alert(1)>.csv"
    cell = "<script>alert(1)</script>"
    for text, reason in (
        (f"1,2,a\n{cell},4,b\n", f"line 2 must begin with two numbers, got {cell} and 4."),
        ("1,2,a\n" + "9" * 100_000 + "x,4,b\n", "got " + "9" * 40 + " and 4."),
        ("x" * 5_000_001, "it has more than 5,000,000 bytes."),
        ("\x00\x01\ufffd\x7f", "line 1 has 1 columns; two numbers and a label are needed."),
        ("{" * 100_000, "this file is not JSON."),
        ('{"format": "prunelimits network", "version": 1, "widths": [1e9, 1]}', "must have"),
        ("", "it must have 2 to 8 labels in its last column, got 0."),
    ):
        tab.evaluate("document.getElementById('message').textContent = ''")
        drop(tab, name, text)
        tab.wait_for_function("() => document.getElementById('message').textContent !== ''")
        message = tab.inner_text("#message")
        assert message.startswith(f"{name}: ")
        assert reason in message
        assert len(message) < 200
    assert tab.locator("#message *").count() == 0
    tab.click("#run")  # what was there goes on
    wait_for_epoch(tab, 5)
    drop(tab, name, "".join(f"{i},{i * i},{cell}{i % 2}\n" for i in range(40)))
    tab.wait_for_function(
        "() => document.getElementById('message').textContent.includes('40 points')"
    )
    rest(tab)  # the message comes before the first picture
    assert tab.locator(".scale span:not(.bar)").all_inner_texts() == [f"{cell}0", f"{cell}1"]


def test_a_table_stands_beside_the_records(open_page: Callable[..., Tab], rest):
    known = records()
    folder = Path(__file__).parents[2] / "examples/networks"
    for best, kind, untied in ((BEST_KNOWN, "with", False), (BEST_UNTIED, "margin-with", True)):
        for place, target in enumerate(("95", "995")):
            files = folder.glob(f"cubist-spiral-{target}-*-{kind}-biases-*.pt")
            assert min(pl.masks.count(pl.load(file)[1]) for file in files) == best[place]
            row = next(row for row in reversed(known) if row["untied"] == untied)
            assert row["nonzeros"][place] == best[place]
            assert best[place] == min(
                size
                for row in known
                if row["untied"] >= untied and (size := row["nonzeros"][place])
            )
    # The networks of the records, brought along, are at the records and no better.
    for name, own, passed in (
        ("95-18-margin", ("18", "18"), "fewer than the paper's search, from the best start known"),
        ("95-17-with", ("17", "\N{EN DASH}"), "fewer than the paper's search, from the best start"),
    ):
        model, masks = pl.load(next(folder.glob(f"cubist-spiral-{name}-*.pt")))
        tab = open_page(play(model, masks), fragment="#test=0&lr=0.00001&l2=0&epochs=1")
        rest(tab)
        rows = tab.locator("#records tbody tr")
        assert rows.count() == len(known) + 2
        for row, size in zip(("You, in this visit", "You, where no tie decides"), own, strict=True):
            shown = tab.locator("#records tbody tr", has_text=row)
            assert shown.locator("td").first.inner_text() == size
        assert passed in tab.inner_text("#standing")


def test_a_decision_is_shown_without_its_certainty(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment=SMALL)
    rest(tab)
    colours = """() => {
      const canvas = document.querySelector(".shade");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    }"""
    assert tab.evaluate(colours) > 10
    tab.check("#hard")
    rest(tab)
    assert tab.evaluate(colours) <= 2


@pytest.mark.slow
def test_in_a_notebook_s_frame_it_trains(browser, tmp_path: Path):
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html><body>{play()._repr_html_()}</body>")
    tab = browser.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(notebook.as_uri())
    frame = tab.frame_locator("iframe")
    frame.locator("#story-skip").click()
    frame.locator("#shallower").click()
    frame.locator("#epoch").click()
    frame.locator("#play[data-epoch='1']").wait_for()
    frame.locator("#share").click()
    # Neither an address of its own nor the clipboard: it says so instead of failing.
    frame.locator("#message", has_text="This frame has no address").wait_for()
    tab.close()
    assert all("Clipboard API has been blocked" in text for text in complaints)


def test_small_weights_can_be_hidden(open_page: Callable[..., Tab], rest):
    tab = open_page(play(), fragment="#hidden=8-8&samples=200&seed=3")
    weights = [
        abs(v)
        for v in tab.evaluate(
            "() => { const { network } = playground.views[0]; const found = [];"
            " network.eachWeight((i) => found.push(network.values[i])); return found; }"
        )
    ]
    assert tab.inner_text(".note") == ""
    tab.focus("[data-hide]")
    tab.locator("[data-hide]").fill("40")
    rest(tab)
    small = sum(w < 0.4 * max(weights) for w in weights)
    assert 0 < small < len(weights)
    assert tab.inner_text(".note") == f"{small} small weights are hidden."
    shown = tab.evaluate(
        "[...document.querySelectorAll('g.edge')]"
        ".filter((edge) => getComputedStyle(edge).display !== 'none').length"
    )
    assert shown == len(weights) - small
    assert tab.get_attribute("[data-hide]", "aria-valuetext") == "below 40 % of the largest"
    assert value(tab, "nonzeros") == 8 * 3 + 8 * 9 + 9  # hidden is not pruned
