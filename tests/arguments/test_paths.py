"""Paths of files: what is none, and what a run cannot go on from."""

from __future__ import annotations

import os

import pytest

from prunelimits.arguments import checked_file, checked_kept_file


def test_a_file_is_told_from_a_folder(tmp_path):
    assert checked_file("store", str(tmp_path / "new")) == tmp_path / "new"
    with pytest.raises(ValueError, match="store must be a file, got the folder "):
        checked_file("store", tmp_path)
    for value in ("", "a\0b"):
        with pytest.raises(ValueError, match="store must be a path, got "):
            checked_file("store", value)
    for value in (3, b"text", None):
        with pytest.raises(TypeError, match="store must be a path, got "):
            checked_file("store", value)


def test_what_is_gone_on_from_is_no_device(tmp_path):
    assert checked_kept_file("table", tmp_path / "new") == tmp_path / "new"
    (tmp_path / "old").touch()
    assert checked_kept_file("table", tmp_path / "old") == tmp_path / "old"
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(ValueError, match="table must be a file to go on from, got the device"):
            checked_kept_file("table", path)
