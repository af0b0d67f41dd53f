"""A page as a file: what is in it, what is not, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import webbrowser
from pathlib import Path

import numpy as np
import pytest
import torch

import prunelimits as pl
from prunelimits.viz.pages import Page, comparison, film, playground

RESULTS = Path(__file__).parents[2] / "docs" / "results"
HOSTILE = "</script><img src=x onerror=alert(1)><!-- ]]> &amp; \u2028 ' \" PROGRAM STYLE"


def content(page: Page) -> dict:
    found = re.findall(r'<script id="content" type="application/json">(.*?)</script>', page.html)
    assert len(found) == 1
    assert not set("<>&\u2028\u2029") & set(found[0])
    return json.loads(found[0])


def numbers(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_a_page_holds_networks_and_data_to_the_bit():
    model, masks = pl.load(RESULTS / "appendix-d-at-995.pt")
    x, y = pl.datasets.cubist_spiral()
    page = playground(model, masks, (x, y), title=HOSTILE)
    assert len(page.html.encode()) < 2_000_000
    held = content(page)
    assert held["title"] == HOSTILE
    assert (numbers(held["data"]["x"], "<f4").reshape(-1, 2) == x.numpy()).all()
    assert (numbers(held["data"]["y"], "<u2") == y.numpy()).all()
    (network,) = held["networks"]
    flat = pl.masks.flatten({n: p.detach() for n, p in model.named_parameters()})
    assert (numbers(network["values"], "<f4") == flat.numpy()).all()
    bits = np.unpackbits(numbers(network["kept"], np.uint8), bitorder="little")
    assert (bits[: len(flat)] == pl.masks.flatten(masks).numpy()).all()
    assert network["nonzeros"] == 46
    assert network["accuracy"] == pytest.approx(0.9982, abs=1e-4)


def test_only_the_page_s_own_scripts_may_run_and_nothing_is_fetched():
    page = playground(pl.MLP((2, 3, 1)))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page.html)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy[1]
    for kind, pattern in (
        ("script-src", r"<script>(.*?)</script>"),
        ("style-src", "<style>(.*?)</style>"),
    ):
        parts = re.findall(pattern, page.html, flags=re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(part.encode()).digest()) for part in parts]
        assert rules[kind].split() == [f"'sha256-{digest.decode()}'" for digest in digests]
    markup = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page.html, flags=re.DOTALL)
    assert not re.findall(r"(?:src|href)=\"(?!data:,\")", markup)
    assert not re.findall(r"\son\w+=", markup)


def test_the_library_comes_with_its_licence():
    page = playground(pl.MLP((2, 1)))
    assert "Copyright 2010-2023 Mike Bostock" in page.html
    assert "Permission to use, copy, modify, and/or distribute this software" in page.html


def test_the_same_network_gives_the_same_page_and_stays_as_it_is():
    model = pl.MLP((2, 4, 1)).double().train()
    masks = {"layers.0.weight": torch.rand(4, 2) < 0.5}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    first = playground(model, masks)
    assert playground(model, masks).html == first.html
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_in_a_notebook_the_page_stands_in_a_frame_of_its_own():
    page = playground(pl.MLP((2, 3, 1)), title=HOSTILE)
    frame = page._repr_html_()
    source = re.fullmatch(r'<iframe srcdoc="([^"]*)" ([^<>]*)></iframe>', frame)
    assert source is not None
    assert html.unescape(source[1]) == page.html
    assert "allow-scripts" in source[2]
    assert "allow-same-origin" not in source[2]


def test_open_shows_a_file_in_the_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    shown: list[str] = []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(webbrowser, "open", lambda address: shown.append(address) or True)
    page = playground(pl.MLP((2, 3, 1)))
    path = page.open()
    assert shown == [path.as_uri()]
    assert path.read_text() == page.html
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    with pytest.raises(OSError, match=r"there is no browser to open .*playground\.html with"):
        page.open()


def test_a_failed_save_keeps_what_was_there(tmp_path: Path):
    page = playground(pl.MLP((2, 3, 1)))
    with pytest.raises(OSError, match="missing"):
        page.save(tmp_path / "missing" / "page.html")
    page.save(tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def with_value(value: float, dtype: torch.dtype = torch.float32) -> pl.MLP:
    model = pl.MLP((2, 3, 1)).to(dtype)
    with torch.no_grad():
        model.get_parameter("layers.0.weight")[1, 0] = value
    return model


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_parameters_that_are_not_finite_are_refused_unless_pruned(value: float):
    model = with_value(value)
    with pytest.raises(ValueError, match=r"must be finite, 'layers\.0\.weight' is not"):
        playground(model)
    masks = {"layers.0.weight": torch.tensor([[1, 1], [0, 1], [1, 1]], dtype=torch.bool)}
    (network,) = content(playground(model, masks))["networks"]
    assert numbers(network["values"], "<f4")[2] == 0


def test_parameters_beyond_float32_are_refused():
    with pytest.raises(ValueError, match="must be finite"):
        playground(with_value(1e300, torch.float64))


def test_what_does_not_fit_is_refused():
    model = pl.MLP((2, 3, 1))
    x, y = pl.datasets.cubist_spiral(100)
    with pytest.raises(TypeError, match=r"model must be an MLP, .* got Sequential"):
        playground(torch.nn.Sequential(torch.nn.Linear(2, 1)))
    with pytest.raises(TypeError, match=r"the model of frames\[1\] must be an MLP, got 'net\.pt'"):
        film([("a", model, None), ("b", "net.pt", None)])
    with pytest.raises(ValueError, match=r"masks\['layers\.0\.weight'\] must have shape \(3, 2\)"):
        playground(model, {"layers.0.weight": torch.ones(2, 3, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"masks names 'weight'"):
        playground(model, {"weight": torch.ones(3, 2, dtype=torch.bool)})
    with pytest.raises(TypeError, match="must be a bool tensor"):
        playground(model, {"layers.0.weight": torch.ones(3, 2)})
    with pytest.raises(ValueError, match="x must"):
        playground(model, None, (x[:, :1], y))
    with pytest.raises(ValueError, match="y must"):
        playground(model, None, (x, y + 1))
    with pytest.raises(TypeError, match=r"data must be a pair of tensors \(x, y\), got Tensor"):
        playground(model, None, x)
    with pytest.raises(ValueError, match="data is needed for a model of 5 inputs"):
        playground(pl.MLP((5, 3, 1)))
    with pytest.raises(ValueError, match="frames must hold at least one network"):
        film([])
    with pytest.raises(ValueError, match=r"same widths, got \[\(2, 3, 1\), \(2, 4, 1\)\]"):
        film([("a", model, None), ("b", pl.MLP((2, 4, 1)), None)])
    with pytest.raises(ValueError, match=r"same inputs and outputs, got widths .* \(2, 3, 2\)"):
        comparison(("a", model, None), ("b", pl.MLP((2, 3, 2)), None))


def test_what_is_too_large_is_refused_with_advice():
    with pytest.raises(ValueError, match=r"201,801 parameters.*make a narrower model"):
        playground(pl.MLP((2, 400, 400, 100, 1)))
    model = pl.MLP((20, 4, 1))
    x, y = torch.rand(20_000, 20), torch.zeros(20_000)
    with pytest.raises(ValueError, match=r"more than 2,000,000: pass fewer .*x\[::10\]"):
        playground(model, None, (x, y))
    assert len(playground(model, None, (x[::10], y[::10])).html) < 1_000_000


def test_the_plane_grows_with_the_points():
    model = pl.MLP((2, 3, 1))
    x, y = pl.datasets.cubist_spiral(100)
    assert content(playground(model, None, (x, y)))["extent"] == 2.25
    assert content(playground(model))["extent"] == 2.25
    largest = float(x.abs().max())
    assert content(playground(model, None, (10 * x, y)))["extent"] == pytest.approx(11 * largest)
    assert content(playground(model, None, (0.1 * x, y)))["extent"] == pytest.approx(0.11 * largest)
    assert content(playground(model, None, (0 * x, y)))["extent"] == 2.25
