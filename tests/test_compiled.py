"""Compiled libraries, found and opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunelimits.compiled import found, opened
from prunelimits.training import native


def test_what_was_not_built_is_told(tmp_path: Path):
    assert found("_none", tmp_path, Path) == "it was not built"


def test_either_ending_is_found(tmp_path: Path):
    (tmp_path / "_one.dll").touch()
    assert found("_one", tmp_path, Path) == tmp_path / "_one.dll"


def test_a_file_that_is_no_library_is_told(tmp_path: Path):
    (tmp_path / "_one.so").write_text("text")
    why = found("_one", tmp_path, lambda path: opened(path, "a library", "number", 1))
    assert isinstance(why, str)
    assert "_one.so" in why


def test_another_library_is_no_such_library():
    paths = list(Path(native.__file__).parent.glob("_engine.*"))
    if not paths:
        pytest.skip("installed without the native engine")
    with pytest.raises(OSError, match=r"_engine\.\w+ is not the library of numbers"):
        opened(paths[0], "the library of numbers", "no_such_function", 1)
