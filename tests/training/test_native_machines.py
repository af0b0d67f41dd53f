"""The native engine on machines of another kind, imitated where that can be done."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from prunelimits.training import native

SOURCES = Path(native.__file__).parent
DRIVER = Path(__file__).parent / "native/driver.cpp"
OPTIONS = ["-std=c++17", "-fPIC", "-O2", "-fno-math-errno", "-fno-trapping-math", "-pthread"]
ARM, IMITATED = "aarch64-linux-gnu-g++", ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]


def trained(compiler: str, folder: Path, run: list[str]) -> np.ndarray:
    """The parameters that the driver prints, of the baseline kernel built by a compiler."""
    folder.mkdir()
    library, driver = folder / "_engine.so", folder / "driver"
    sources = [SOURCES / "engine.cpp", SOURCES / "kernel.cpp"]
    kernel = ["-DPRUNELIMITS_KERNEL=baseline", "-ffp-contract=fast"]
    subprocess.run([compiler, *OPTIONS, *kernel, "-shared", *sources, "-o", library], check=True)
    subprocess.run([compiler, "-std=c++17", DRIVER, "-ldl", "-o", driver], check=True)
    printed = subprocess.check_output([*run, driver, library, "baseline"], text=True)
    return np.array(printed.split(), dtype=float)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no compiler")
@pytest.mark.skipif(
    shutil.which(ARM) is None or shutil.which(IMITATED[0]) is None,
    reason="neither an Arm machine nor a compiler and an emulator of one",
)
def test_an_arm_machine_trains_as_this_one_does(tmp_path: Path):
    here = trained("g++", tmp_path / "here", [])
    there = trained(ARM, tmp_path / "there", IMITATED)
    assert len(here) == len(there) == 16 * (3 * 8 + 9 * 8 + 9)
    # One of them rounds once where the other multiplies, rounds, adds and rounds.
    np.testing.assert_allclose(there, here, rtol=0, atol=1e-6)
    assert np.count_nonzero(here == 0) > 400  # the pruned ones
