"""The versions that are promised, named and tried are the same ones."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_bytes()
PROJECT = tomllib.loads(PYPROJECT.decode())["project"]
PAGE = (ROOT / "docs/installing.md").read_text()


def bounds(lines: list[str]) -> dict[str, str]:
    return dict(tuple(line.split(">=", 1)) for line in lines)


def test_the_oldest_environment_has_the_least_of_all_that_the_library_imports():
    specification = importlib.util.spec_from_file_location("install", ROOT / ".ci/install.py")
    assert specification is not None
    assert specification.loader is not None
    install = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(install)
    pinned = dict(line.split("==") for line in install.oldest(PYPROJECT))
    required = bounds(PROJECT["dependencies"])
    assert required.items() <= pinned.items()
    for extra in ("cli", "plot", "dask", "data"):
        assert bounds(PROJECT["optional-dependencies"][extra]).items() <= pinned.items()
    # What only tests, builds and checks need may be newer.
    assert not pinned.keys() & {"pytest", "hypothesis", "ruff", "pyright", "prunelimits"}


def test_the_page_names_the_bounds():
    rows = dict(re.findall(r"^\| (\S+) \| ([\d.]+) \|", PAGE, re.MULTILINE))
    assert rows == {"Python": PROJECT["requires-python"][2:], **bounds(PROJECT["dependencies"])}
    torch = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert torch is not None
    assert f"| torch | {rows['torch']} | {torch[1]} |" in PAGE


def test_every_promised_python_is_classified():
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert versions[0] == PROJECT["requires-python"][2:]
    assert versions == [f"3.{minor}" for minor in range(11, 11 + len(versions))]
    assert f"any of {versions[0]} to {versions[-1]}" in PAGE


def test_every_promise_of_the_make_targets_is_there():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([\w-]+)`", PAGE):
        assert re.search(rf"^[\w .-]*\b{target}\b[\w .-]*:", makefile, re.MULTILINE), target
