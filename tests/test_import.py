"""Importing the library is cheap and needs none of the extras."""

from __future__ import annotations

import pydoc
import re
import subprocess
import sys
from pathlib import Path

import prunelimits

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


def test_help_lists_every_public_name():
    source = Path(prunelimits.__file__).read_text()
    imported = re.findall(r"^from .* import \w+ as (\w+)$", source, re.MULTILINE)
    assert set(prunelimits.__all__) == {*imported, "__version__"}
    told = pydoc.render_doc(prunelimits, renderer=pydoc.plaintext)
    for name in ("prune(", "attach(", "fit(", "class MLP(", "effective_sparsity("):
        assert name in told


def test_a_star_brings_every_public_name():
    scope: dict[str, object] = {}
    exec("from prunelimits import *", scope)
    assert scope.keys() >= set(prunelimits.__all__)
