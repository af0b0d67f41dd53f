from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """A folder that holds `file` and may not be written to, although the file may."""
    # Not below pytest's folder, which only its user may enter.
    folder = Path(tempfile.mkdtemp())
    (folder / "file").write_bytes(b"old")
    (folder / "file").chmod(0o666)
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:  # whom no permission stops
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)
