"""Makes the virtual environment of the project, or brings it up to date.

Usage: python .ci/install.py FOLDER EXTRA, EXTRA being one of the extras in pyproject.toml.

Versions are those of constraints.txt, with one exception: where the Python that runs this script
already has a torch that the project can use, the environment shares it instead of fetching
another, because some builds of torch weigh gigabytes.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)


def main() -> None:
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"prunelimits needs Python {'.'.join(map(str, OLDEST_PYTHON))} or newer, this is "
            f"{sys.version.split()[0]}: try make PYTHON=python3.12"
        )
    folder, extra = Path(sys.argv[1]).resolve(), sys.argv[2]
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        print(f"Making {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    shared = suitable_torch()
    if shared is not None:
        print(f"Sharing the installed torch {importlib.metadata.version('torch')}", flush=True)
        code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
        packages = subprocess.check_output([python, "-c", code], text=True).strip()
        Path(packages, "shared-torch.pth").write_text(f"{shared}\n")
        constraints = [line for line in constraints if not line.startswith("torch==")]
    with tempfile.TemporaryDirectory() as temporary:
        pins = Path(temporary, "constraints.txt")
        pins.write_text("\n".join(constraints) + "\n")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        print(f"Installing prunelimits[{extra}] with its dependencies", flush=True)
        subprocess.run([*pip, "-c", pins, "-e", f"{ROOT}[{extra}]"], check=True)


def suitable_torch() -> Path | None:
    """The folder that holds a torch which pyproject.toml allows, for the running Python."""
    required = re.search(r'"torch>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    spec = importlib.util.find_spec("torch")
    if required is None or spec is None or spec.origin is None:
        return None
    installed = re.match(r"[\d.]+", importlib.metadata.version("torch"))
    if installed is None or numbers(installed[0]) < numbers(required[1]):
        return None
    return Path(spec.origin).parent.parent


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.strip(".").split("."))


if __name__ == "__main__":
    main()
