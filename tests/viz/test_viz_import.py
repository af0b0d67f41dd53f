from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_library_does_not_import_matplotlib():
    assert run("import prunelimits, sys; assert 'matplotlib' not in sys.modules").returncode == 0


@pytest.mark.slow
def test_without_matplotlib_the_error_names_the_extra():
    without = "import sys; sys.modules['matplotlib'] = None; "
    assert run(f"{without}from prunelimits.viz import playground").returncode == 0
    result = run(f"{without}from prunelimits.viz import network_figure")
    assert result.returncode == 1
    message = 'figures are drawn with matplotlib: pip install "prunelimits[plot]"'
    assert f"ImportError: {message}" in result.stderr


@pytest.mark.slow
def test_drawing_leaves_pyplot_and_settings_alone():
    code = """
import sys, io, matplotlib
# Through dict: rcParams itself looks for a backend, and imports pyplot, when its items are read.
before = list(dict.items(matplotlib.rcParams))
import prunelimits, torch
from prunelimits.viz import accuracy_figure, network_figure
network_figure(prunelimits.MLP((2, 3, 1)), resolution=8).savefig(io.BytesIO(), format="svg")
accuracy_figure([(3, 0.5)], target=0.4).savefig(io.BytesIO(), format="png")
assert "matplotlib.pyplot" not in sys.modules
assert len(before) > 100
assert list(dict.items(matplotlib.rcParams)) == before
"""
    result = run(code)
    assert result.returncode == 0, result.stderr
