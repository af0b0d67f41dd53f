"""Every name and argument on the page for users of other libraries is there."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import prunelimits as pl
from prunelimits import pruners
from prunelimits.limits import Hessian, Spectrum

PAGE = Path(__file__).parent.parent / "docs" / "coming-from.md"
KNOWN = {"pl": pl, "pruners": pruners}
# Of values that calls give.
METHODS = {"density": Spectrum.density, "trace": Spectrum.trace, "to_scipy": Hessian.to_scipy}
SPANS = [
    span
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| there", "| ---"))
    for span in re.findall(r"`([^`]+)`", line.split(" | ", 1)[1])
]


def found(node: ast.expr) -> object:
    """What a dotted name stands for; None for a local one."""
    if isinstance(node, ast.Name):
        return KNOWN.get(node.id)
    assert isinstance(node, ast.Attribute), ast.dump(node)
    if isinstance(node.value, ast.Call) or found(node.value) is None:
        return METHODS.get(node.attr)
    return getattr(found(node.value), node.attr)


@pytest.mark.parametrize("span", SPANS)
def test_names_and_arguments_are_there(span: str):
    if re.fullmatch(r"\w+=(\"\w+\")?", span):
        name = span.partition("=")[0]
        takes = [inspect.signature(pl.prune), inspect.signature(pruners.GMP)]
        assert any(name in one.parameters for one in takes)
        return
    for node in ast.walk(ast.parse(span)):
        if isinstance(node, ast.Attribute):
            found(node)
        if isinstance(node, ast.Call):
            target = found(node.func)
            if callable(target):
                parameters = inspect.signature(target).parameters
                assert {k.arg for k in node.keywords} <= set(parameters)


def test_the_page_has_what_it_is_tested_for():
    assert len(SPANS) > 25
    with pytest.raises(AttributeError):
        found(ast.parse("pl.prunes", mode="eval").body)
