"""Makes the virtual environment of the project, or brings it up to date.

Usage: python .ci/install.py FOLDER EXTRA [VERSIONS], EXTRA being one of those in pyproject.toml, or
a file of requirements that stand beside the library.

VERSIONS is "pinned", the default, for those of constraints.txt; "oldest" for the least that
pyproject.toml allows of all that the library imports; or "newest". With pinned versions there is
one exception: where the Python that runs this script already has a torch that the project can use,
the environment shares it instead of fetching another, because some builds of torch weigh gigabytes.
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
    folder, extra, versions = Path(sys.argv[1]).resolve(), *[*sys.argv[2:], "pinned"][:2]
    if versions not in ("pinned", "oldest", "newest"):
        sys.exit(f"versions must be pinned, oldest or newest, got {versions!r}")
    if Path(extra).suffix == ".txt":
        install(folder, ["-e", str(ROOT), "-r", extra], versions)
    else:
        install(folder, ["-e", f"{ROOT}[{extra}]"], versions)


def install(folder: Path, what: list[str], versions: str = "pinned") -> Path:
    """Installs what pip is told to into an environment, made where needed; its Python."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        print(f"Making {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    constraints: list[str] = []
    if versions == "pinned":
        constraints = (ROOT / "constraints.txt").read_text().splitlines()
    elif versions == "oldest":
        constraints = oldest((ROOT / "pyproject.toml").read_bytes())
    shared = suitable_torch() if versions == "pinned" else None
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
        if not sys.dont_write_bytecode:
            # Python compiles what is imported when it is; of torch that is little.
            pip.append("--no-compile")
        print(f"Installing {Path(what[-1]).name} with its dependencies", flush=True)
        subprocess.run([*pip, "-c", pins, *what], check=True)
    return python


def oldest(pyproject: bytes) -> list[str]:
    """Constraints to the least version of all that the library itself imports, extras included."""
    import tomllib  # here, so that an older Python gets as far as being told

    project = tomllib.loads(pyproject.decode())["project"]
    extras = [
        lines
        for name, lines in project["optional-dependencies"].items()
        if name not in ("test", "test-integrations", "docs", "dev")
    ]
    required = [*project["dependencies"], *(line for extra in extras for line in extra)]
    bounds = (re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)", line) for line in required)
    return sorted({f"{bound[1]}=={bound[2]}" for bound in bounds if bound is not None})


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
