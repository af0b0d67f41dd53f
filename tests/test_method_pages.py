"""A page for every method: what it has to tell, and what of it is read from the class."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import types
from pathlib import Path

import pytest

from prunelimits import pruners

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "methods"
NAMES = [method.__name__ for method in pruners.all()]


def extension(name: str) -> types.ModuleType:
    for package in ("mkdocs", "griffe", "latex2mathml"):
        pytest.importorskip(package, reason="the extra docs is not installed")
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs/extensions" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text()


def test_every_method_has_a_page_in_the_navigation_and_every_page_a_method():
    assert sorted(path.stem for path in FOLDER.glob("*.md")) == sorted([*NAMES, "index"])
    listed = re.findall(r"- methods/(\w+)\.md$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_tells_all_that_a_method_has(name: str):
    text = page(name)
    assert f"\n---\n# {name}\n" in text
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Beside the authors' code",
        "Example",
        "Reference",
    ]
    idea = text.split(f"# {name}\n\n")[1].split("\n\n")[0]
    assert len(re.findall(r"[.?](?=\s|$)", idea)) == 2
    assert f"pruners.{name}(" in text
    assert "assert" in text
    row = re.search(rf"^\| \[`{name}`\]\((.*?)\)", (ROOT / "docs/pruners.md").read_text(), re.M)
    assert (row is None) == (name == "Dense")
    if row is not None:
        assert row[1] in text.split("## Reference")[1]


@pytest.mark.parametrize("name", NAMES)
def test_settings_have_every_field_with_its_default_and_a_meaning(name: str):
    made = extension("method_pages").settings({"method": name, "cost": "some"})
    rows = dict(re.findall(r"^\| `(\w+)` \| (`.*?` \| .*) \|$", made, re.MULTILINE))
    method = getattr(pruners, name)
    fields = [field.name for field in dataclasses.fields(method) if field.init]
    assert sorted(rows) == sorted(fields)
    for field in fields:
        default, _, meaning = rows[field].partition(" | ")
        assert default == f"`{getattr(method(), field)!r}`"
        assert len(meaning) > 5
        assert "As for" not in meaning


def test_the_index_has_every_method_once():
    made = extension("method_pages").index()
    assert sorted(re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| \w", made, re.MULTILINE)) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_formulas_become_mathml_without_anything_left_of_latex(name: str):
    typeset = extension("formulas").on_page_content
    block = page(name).split("$$")[1].strip().replace("<", "&lt;")
    made = typeset(f'<p>a</p><div class="arithmatex">\\[\n{block}\n\\]</div><p>b</p>')
    assert re.fullmatch(
        r'<p>a</p><div class="formula"><math .*display="block".*</math></div><p>b</p>',
        made,
        re.DOTALL,
    )
    assert "\\" not in made
    inline = typeset('<span class="arithmatex">\\(n^2 &lt; N\\)</span>')
    assert "<msup>" in inline
    assert "&lt;" in inline or "&#x0003C;" in inline
