"""`prunelimits play`: the page that trains, from nothing or from one's own files."""

from __future__ import annotations

import json
import re
import webbrowser
from pathlib import Path

import pytest

import prunelimits as pl
from prunelimits.cli import main
from prunelimits.exchange import to_json


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(path: str) -> dict:
    page = Path(path).read_text()
    assert len(page.encode()) < 2_000_000
    found = re.search(r'<script id="content" type="application/json">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def test_a_page_is_written_without_a_file_to_begin_with(capsys: pytest.CaptureFixture[str]):
    assert main(["play", "-o", "page.html"]) == 0
    assert "Wrote page.html" in capsys.readouterr().out
    held = content("page.html")
    assert (held["mode"], held["settings"], held["network"], held["data"]) == (
        "play",
        {},
        None,
        None,
    )


def test_a_page_is_opened_in_the_browser(monkeypatch: pytest.MonkeyPatch):
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: shown.append(address) or True)
    assert main(["play"]) == 0
    assert shown[0].startswith("file:")


def test_one_s_own_network_and_data_are_where_it_begins():
    pl.save(pl.MLP((2, 4, 3, 1)), None, "net.pt")
    Path("mine.csv").write_text("a,b,label\n" + "\n".join(f"{i},{-i},{i % 2}" for i in range(40)))
    command = ["play", "--network", "net.pt", "--data", "mine.csv", "-o", "page.html"]
    assert main(command) == 0
    held = content("page.html")
    assert held["network"]["widths"] == [2, 4, 3, 1]
    assert held["settings"]["data"] == "given"
    assert held["settings"]["hidden"] == [4, 3]


def test_a_network_that_does_not_fit_is_refused_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], folder: Path
):
    pl.save(pl.MLP((3, 4, 1)), None, "net.pt")
    assert main(["play", "--network", "net.pt", "-o", "page.html"]) == 1
    assert "--network net.pt must have 2 inputs" in capsys.readouterr().err
    assert not (folder / "page.html").exists()


def table(labels: tuple[str, str] = ("no", "yes"), name: str = "mine.csv") -> None:
    rows = (f"{i % 7},{-(i // 7)},{labels[i % 2]}" for i in range(40))
    Path(name).write_text("\n".join(["a,b,label", *rows]))


def test_the_labels_of_a_file_name_the_classes():
    table(("<script>alert(1)</script>", "y" * 10_000))
    assert main(["play", "--data", "mine.csv", "--standardise", "-o", "page.html"]) == 0
    assert "<script>alert(1)" not in Path("page.html").read_text()
    assert content("page.html")["classes"] == ["<script>alert(1)</script>", "y" * 39 + "…"]
    assert main(["play", "-o", "page.html"]) == 0
    assert content("page.html")["classes"] is None


def test_options_about_a_file_need_one(capsys: pytest.CaptureFixture[str]):
    assert main(["play", "--label", "kind", "-o", "page.html"]) == 1
    assert "--label needs --data" in capsys.readouterr().err


def test_a_network_is_given_other_functions_of_the_plane(capsys: pytest.CaptureFixture[str]):
    pl.save(pl.MLP((4, 3, 1)), None, "net.pt")
    inputs = ["x1", "x2", "x1x1", "sinx2"]
    command = ["play", "--network", "net.pt", "-o", "page.html", "--inputs"]
    assert main([*command, *inputs]) == 0
    held = content("page.html")
    assert held["settings"]["inputs"] == inputs
    assert held["network"]["widths"] == [4, 3, 1]
    assert main(["play", "--inputs", "x1x2", "-o", "page.html"]) == 0
    assert content("page.html")["settings"] == {"inputs": ["x1x2"]}
    for wrong in (["x1", "x2", "x3", "x4"], ["x1", "x1", "x2", "x1x2"]):
        assert main([*command, *wrong]) == 1
        assert "inputs must be different ones of x1, x2, x1x1" in capsys.readouterr().err
    assert main([*command, "x1", "x2"]) == 1
    assert "--network net.pt must have 2 inputs" in " ".join(capsys.readouterr().err.split())


def downloaded(inputs: object, width: int = 2) -> None:
    network = json.loads(to_json(pl.MLP((width, 3, 1)), None))
    Path("net.json").write_text(json.dumps(network | {"inputs": inputs}))


def test_a_downloaded_network_brings_its_inputs(capsys: pytest.CaptureFixture[str]):
    downloaded(["x1x1", "x2x2"])
    command = ["play", "--network", "net.json", "-o", "page.html"]
    assert main(command) == 0
    assert content("page.html")["settings"]["inputs"] == ["x1x1", "x2x2"]
    assert main([*command, "--inputs", "x1x1", "x2x2"]) == 0
    assert main([*command, "--inputs", "x2x2", "x1x1"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "--inputs must be those of --network net.json, x1x1 x2x2, got x2x2 x1x1" in told
    # Over the plane of the coordinates it would be another network.
    assert main(["view", "net.json", "-o", "other.html"]) == 1
    assert "prunelimits play --network net.json" in " ".join(capsys.readouterr().err.split())
    assert main(["view", "-o", "other.html", "--beside", "net.json"]) == 1
    downloaded(["x1", "x2"])
    assert main(["view", "net.json", "-o", "other.html"]) == 0


@pytest.mark.parametrize("inputs", [["x1", "cosx1"], [], 5, "x1", [1, 2], ["x1", "x1"]])
def test_inputs_that_no_page_has_are_refused(inputs: object, capsys: pytest.CaptureFixture[str]):
    downloaded(inputs)
    assert main(["play", "--network", "net.json", "-o", "page.html"]) == 1
    assert "the inputs in net.json" in " ".join(capsys.readouterr().err.split())
