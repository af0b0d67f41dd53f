"""The notebooks run from the top, offline, print what they promise, and become pages."""

from __future__ import annotations

import importlib.util
import json
import re
import types
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient", reason="the extra docs is not installed")
pytest.importorskip("mkdocs", reason="the extra docs is not installed")
pytest.importorskip("ipykernel", reason="the extra docs is not installed")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def pages() -> types.ModuleType:
    path = ROOT / "docs" / "extensions" / "notebook_pages.py"
    spec = importlib.util.spec_from_file_location("notebook_pages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ran(pages: types.ModuleType, name: str) -> tuple[Any, str, dict[str, bytes]]:
    """The notebook after its run, its page and pictures."""
    notebook = pages.executed(FOLDER / f"{name}.ipynb")
    return notebook, *pages.as_markdown(notebook, name)


def kinds(notebook: Any) -> list[str]:
    """What the last values of cells are shown as."""
    outputs = [o for c in notebook.cells for o in c.get("outputs", []) if "data" in o]
    return ["png" if "image/png" in o.data else "html" for o in outputs if len(o.data) > 1]


@pytest.mark.slow
def test_prune_in_your_own_loop(pages: types.ModuleType):
    notebook, page, _ = ran(pages, "prune_in_your_own_loop")
    assert "kept 90 of 1,864 weights" in page
    first, last = re.findall(r"accuracy (?:on images it has not seen: )?([\d.]+)%", page)
    assert float(first) > 40  # of ten classes
    assert first == last
    assert "the same outputs: True" in page
    before, after = re.search(r"compacted from ([\d,]+) to ([\d,]+)", page).groups()
    assert int(after.replace(",", "")) < int(before.replace(",", ""))
    assert "exported to cnn.pt2" in page
    assert "<table>" in page
    assert kinds(notebook) == ["html"]


@pytest.mark.slow
def test_what_really_counts(pages: types.ModuleType):
    notebook, page, pictures = ran(pages, "what_really_counts")
    rows = re.findall(r"^ *([\d.]+)% +([\d.]+)% +(\d+) +(\d+)%(?:$|<)", page, re.MULTILINE)
    assert [int(row[2]) for row in rows] == [6500, 1300, 260, 130, 65]
    idle = [int(row[3]) for row in rows]
    assert idle[0] == 0
    assert idle == sorted(idle)
    assert idle[-1] > 80
    assert all(float(row[1]) >= float(row[0]) for row in rows)
    lost = dict(re.findall(r"(\w+): (\d+) of 16 weights are on no path", page))
    assert int(lost["SynFlow"]) < int(lost["Magnitude"])
    assert kinds(notebook) == ["html", "png"]
    assert len(pictures["what_really_counts-1.png"]) > 20_000


@pytest.mark.slow
def test_sparsest_network_of_a_table(pages: types.ModuleType):
    notebook, page, _ = ran(pages, "sparsest_network_of_a_table")
    found = re.findall(r"(\w+): (\d+) nonzeros, reads \[(.*)\]", page.replace("&#x27;", "'"))
    assert [(how, columns) for how, _, columns in found] == [
        ("search", "'height', 'weight'"),
        ("elimination", "'height', 'weight'"),
    ]
    assert int(found[1][1]) <= int(found[0][1]) == 7
    shares = re.findall(r"on rows that chose nothing: ([\d.]+)%", page)
    assert all(float(share) > 90 for share in shares)
    assert len(shares) == 2
    assert kinds(notebook) == ["html"]


@pytest.mark.slow
def test_look_and_predict(pages: types.ModuleType):
    notebook, page, pictures = ran(pages, "look_and_predict")
    dense, sparse = re.search(r"eight: ([\d.]+)%.*24 weights: ([\d.]+)%", page, re.S).groups()
    assert float(dense) > 90
    assert float(sparse) > 60
    shares = re.findall(r"^  .*: +([\d.]+)%(?:$|<)", page, re.MULTILINE)
    assert len(shares) == 4
    assert all(0 < float(share) < 100 for share in shares)
    assert kinds(notebook) == ["png", "html", "png"]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    assert len(pictures) == 2
    # A page within the page has its rules about scripts, which go by every letter.
    assert page.count("<iframe") == 1
    assert "\n\n" not in page.split("<iframe")[1].split("</iframe>")[0]
    whole = next(
        o.data["text/html"]
        for c in notebook.cells
        for o in c.get("outputs", [])
        if "<iframe" in o.get("data", {}).get("text/html", "")
    )
    assert whole.replace("\n", "&#10;") in page


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_without_outputs_and_tested_and_listed(name: str):
    content = json.loads((FOLDER / f"{name}.ipynb").read_text())
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in content["cells"])
    assert content["cells"][0]["source"][0].startswith("# ")
    assert f"def test_{name}(" in Path(__file__).read_text()
    assert f"notebooks/{name}.md" in (ROOT / "mkdocs.yml").read_text()
    assert f"`examples/notebooks/{name}.ipynb`" in (ROOT / "docs" / "examples.md").read_text()


def test_what_is_printed_piece_by_piece_is_one_output(pages: types.ModuleType):
    import nbformat

    pieces = [
        nbformat.v4.new_output("stream", text="a\n"),
        nbformat.v4.new_output("stream", text="<b>\n"),
        nbformat.v4.new_output("execute_result", data={"text/plain": "7"}),
    ]
    cell = nbformat.v4.new_code_cell("f()", outputs=pieces)
    page, pictures = pages.as_markdown(nbformat.v4.new_notebook(cells=[cell]), "x")
    assert '```python\nf()\n```\n\n<pre class="output">a\n&lt;b&gt;</pre>\n\n' in page
    assert '<pre class="output">7</pre>' in page
    assert not pictures
