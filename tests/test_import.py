"""Importing the library is cheap and needs none of the extras."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import torch
before = set(sys.modules)
import prunelimits
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""


def test_importing_pulls_in_no_extra_and_nothing_unexpected():
    command = [sys.executable, "-c", SCRIPT]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    foreign = {name for name in printed if name not in sys.stdlib_module_names}
    assert foreign - {"torch", "numpy", "typing_extensions"} == {"prunelimits"}
