from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from prunelimits.viz import save_figure

OPENINGS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF", "PNG": b"\x89PNG"}


@pytest.mark.parametrize("suffix", OPENINGS)
def test_the_suffix_chooses_the_format(tmp_path: Path, suffix: str):
    path = tmp_path / f"figure.{suffix}"
    save_figure(Figure((2, 1)), path)
    assert path.read_bytes().startswith(OPENINGS[suffix])
    assert list(tmp_path.iterdir()) == [path]


def test_png_has_200_dots_an_inch(tmp_path: Path):
    save_figure(Figure((2, 1)), str(tmp_path / "figure.png"))
    header = (tmp_path / "figure.png").read_bytes()[16:24]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:])) == (400, 200)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_no_date_is_written(tmp_path: Path, suffix: str):
    path = tmp_path / f"figure.{suffix}"
    save_figure(Figure((2, 1)), path)
    content = path.read_bytes().lower()
    assert b"<dc:date>" not in content
    assert b"creationdate" not in content
    assert b"creation time" not in content


@pytest.mark.parametrize("name", ["figure.jpg", "figure", "figure.svg.txt"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match=r"path must end in \.png, \.svg or \.pdf"):
        save_figure(Figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_failure_keeps_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "figure.png"
    path.write_bytes(b"before")

    def refuse(source: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("prunelimits.resuming.whole.os.replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        save_figure(Figure((2, 1)), path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
