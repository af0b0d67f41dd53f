"""The reference's pages: every name stands for what Python finds there, every example is code."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

griffe = pytest.importorskip("griffe", reason="the extra docs is not installed")

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
ENTRIES = [
    entry
    for page in PAGES
    for entry in re.findall(r"^::: (\S+)$", page.read_text(), flags=re.MULTILINE)
]


@pytest.fixture(scope="module")
def package():
    extensions = griffe.load_extensions(str(ROOT / "docs" / "extensions" / "functions_first.py"))
    loader = griffe.GriffeLoader(extensions=extensions, search_paths=[str(ROOT)])
    return loader.load("prunelimits")


def really(entry: str) -> object:
    """What Python has under a dotted name."""
    try:
        return importlib.import_module(entry)
    except ModuleNotFoundError:
        module, _, name = entry.rpartition(".")
        return getattr(really(module), name)


def kind(value: object) -> str:
    if inspect.ismodule(value):
        return "module"
    if inspect.isclass(value):
        return "class"
    return "function" if inspect.isroutine(value) else "attribute"


def object_of(package, entry: str):
    found = package[entry.removeprefix("prunelimits.")]
    return found.final_target if found.is_alias else found


def test_every_page_has_entries():
    for page in PAGES:
        assert re.search(r"^::: ", page.read_text(), flags=re.MULTILINE), page.name


def test_every_entry_is_what_python_finds_there(package):
    named = {}
    for entry in ENTRIES:
        module, _, name = entry.rpartition(".")
        # A package's attribute wins over its module of the same name, as in a program.
        value = vars(importlib.import_module(module)).get(name) if module else None
        named[entry] = kind(really(entry) if value is None else value)
    seen = {entry: str(object_of(package, entry).kind.value) for entry in ENTRIES}
    aliases = {entry for entry, what in seen.items() if what == "type alias"}
    assert {e: k for e, k in seen.items() if e not in aliases} == {
        e: k for e, k in named.items() if e not in aliases
    }


def test_every_entry_says_something(package):
    silent = [entry for entry in ENTRIES if object_of(package, entry).docstring is None]
    assert not silent


def test_examples_are_read_as_code(package):
    unreadable = [
        f"{entry}: {section.value}"
        for entry in ENTRIES
        for part in (object_of(package, entry), *object_of(package, entry).members.values())
        if not part.is_alias and part.docstring is not None
        for section in part.docstring.parse("google")
        # Prompts at the left edge of running text become nested quotations.
        if section.kind.value == "text" and re.search(r"^>>>", section.value, re.MULTILINE)
    ]
    assert not unreadable
