"""The Python blocks of the README and the guides run, one after the other, as they stand."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "methods").glob("*.md")),
]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    for number, block in enumerate(blocks(page)):
        exec(compile(block, f"{page.name}, block {number}", "exec"), scope)


def _is_made(target: str) -> bool:
    """Whether the site makes what a link leads to: a notebook's page, the page that trains."""
    folder = ROOT / "examples" / "notebooks"
    notebook = folder / f"{Path(target).stem}.ipynb"
    return target == "play.html" or (target.startswith("notebooks/") and notebook.exists())


def test_links_lead_somewhere():
    missing = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists() and not _is_made(target)
    ]
    assert not missing


ROOMS = [
    "connectivity",
    "datasets",
    "elimination",
    "enumeration",
    "experiments",
    "limits",
    "models",
    "pruners",
    "scores",
    "search",
    "training",
    "viz",
]


@pytest.mark.parametrize("room", ROOMS)
def test_the_reference_has_every_public_name(room: str):
    module = importlib.import_module(f"prunelimits.{room}")
    source = Path(module.__file__ or "").read_text()
    # What a package re-exports as itself is public; elimination is told on a page of its own.
    if room != "elimination":
        source = re.sub(
            r"^from prunelimits\.elimination import .*$", "", source, flags=re.MULTILINE
        )
    public = set(re.findall(r"\b(\w+) as \1\b", source))
    page = (ROOT / "docs" / "reference" / f"{room}.md").read_text()
    listed = set(re.findall(rf"^::: prunelimits\.{room}\.(\w+)$", page, flags=re.MULTILINE))
    assert listed == public


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.*)"$', project, re.MULTILINE)
    assert version is not None
    assert f"\nversion: {version.group(1)}\n" in citation
