"""`prunelimits play`: the page that trains, from nothing or from one's own files."""

from __future__ import annotations

import json
import re
import webbrowser
from pathlib import Path

import pytest

import prunelimits as pl
from prunelimits.cli import main


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
    assert "model must have 2 inputs" in capsys.readouterr().err
    assert not (folder / "page.html").exists()
