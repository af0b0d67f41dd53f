"""What `other_device_calls.py` tests, in a process of its own.

A backend that is registered once is there for every test that follows, and torch takes much of what
it does for each of them through it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_public_functions_give_on_another_device_what_they_give_on_the_cpu():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(
        [*command, "-r", "f", str(HERE / "other_device_calls.py")],
        cwd=HERE.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"\d+ (passed|skipped)", done.stdout)
