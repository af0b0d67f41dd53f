"""The command, as a shell starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import prunelimits as pl

COMMAND = [sys.executable, "-m", "prunelimits"]


def test_it_tells_its_version():
    printed = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert printed.stdout == f"prunelimits {pl.__version__}\n"


def test_without_its_packages_it_says_what_to_install(tmp_path: Path):
    # As if tyro were not there.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'tyro' else"
        " found(name, *rest)\n"
    )
    path = f"{tmp_path}:{Path(pl.__file__).parent.parent}"
    ended = subprocess.run(
        [*COMMAND, "search"], capture_output=True, text=True, env={"PYTHONPATH": path}
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        'prunelimits: the command line needs more packages: pip install "prunelimits[cli]"\n'
    )


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "| true"])
def test_help_that_nobody_reads_ends_quietly(closed: str):
    command = f"'{sys.executable}' -m prunelimits search --help {closed}"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in ended.stderr
    assert "Error" not in ended.stderr
