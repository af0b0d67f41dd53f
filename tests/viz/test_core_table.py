"""A reader's own table, as the page that trains reads it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelimits.viz.class_names import class_labels

from . import node

BODY = "try { return readTable(input); } catch (error) { return { refused: error.message }; }"


def read(text: str) -> dict[str, Any]:
    return node.run(BODY, text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["", "height,weight,who"])
def test_columns_are_standardised_and_labels_become_classes(end: str, mark: str, header: str):
    rows = [(1.5, -2, "b"), (2.5, 0, "a"), (-1e1, 4, "b"), (0, 1, "c")]
    lines = [header] if header else []
    lines += [f"{x},{y},{label}" for x, y, label in rows]
    found = read("\ufeff" + end.join([*lines, ""]).replace(",", mark))
    assert found["labels"] == ["a", "b", "c"]
    assert [point["label"] for point in found["points"]] == [1, 0, 1, 2]
    columns = np.array([row[:2] for row in rows], dtype=float)
    expected = (columns - columns.mean(0)) / columns.std(0)
    np.testing.assert_allclose([point["x"] for point in found["points"]], expected, rtol=1e-12)


def test_labels_that_are_numbers_are_in_their_order():
    found = read("1,2,10\n3,4,9\n5,7,10\n")
    assert found["labels"] == ["9", "10"]
    assert [point["label"] for point in found["points"]] == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "2 to 8 labels in its last column, got 0"),
        ("a,b,c\n", "2 to 8 labels in its last column, got 0"),
        ("1,2,a\n3,4,a\n", "2 to 8 labels in its last column, got 1"),
        ("\n".join(f"{i},{i},{i}" for i in range(9)), "2 to 8 labels in its last column, got 9"),
        ("1,2\n3,4\n", "line 1 has 2 columns; two numbers and a label are needed"),
        ("1,2,a\n3,4,5,b\n", "line 2 has 4 columns"),
        ("1,2,a\nx,4,b\n", "line 2 must begin with two numbers, got x and 4"),
        ("1,2,a\n,4,b\n", "line 2 must begin with two numbers"),
        ("1,2,a\nInfinity,4,b\n", "line 2 must begin with two numbers, got Infinity and 4"),
        ("1,x,a\n3,4,b\n", "line 1 must begin with two numbers, got 1 and x"),
        ("1,2,a\n3,4,\n", "line 2 has no label"),
        ("1,2,a\n1,4,b\n", "column 1 has one value throughout"),
        ("1,2,a\n2,2,b\n", "column 2 has one value throughout"),
        ("1,2,a\n" * 50_001, "it has more than 50000 rows"),
    ],
)
def test_what_is_no_such_table_is_refused_with_the_line(text: str, reason: str):
    assert reason in read(text)["refused"]


@pytest.mark.slow
@given(st.text(alphabet='01.-e,;\t\n"<ax', max_size=60))
@settings(max_examples=25, deadline=None)
def test_any_text_is_read_or_refused(text: str):
    found = read(text)
    assert set(found) in ({"points", "labels"}, {"refused"})
    for point in found.get("points", []):
        assert np.isfinite(point["x"]).all()
        assert 0 <= point["label"] < len(found["labels"])


NAMES = ("", " ", "a", "a ", "<script>alert('&')</script>", '"', "x" * 10_000, "y" * 40, "z" * 41)
NAMES += (
    "\x1b[31m",
    "a\r\n\tb",
    "\u202eevil",
    "\ud800",
    "\u3000",
    "é",
    "猫" * 41,
    "🐈" * 50,
    "class 1",
)
# What is assigned differs by the version of Unicode.
ASSIGNED = st.characters(exclude_categories=["Cn", "Cs"])


@pytest.mark.slow
@given(st.lists(st.sampled_from(NAMES) | st.text(ASSIGNED, max_size=9), max_size=8))
@settings(max_examples=25, deadline=None)
def test_classes_are_called_as_the_library_calls_them(names: list[str]):
    labels = node.run("return classLabels(input);", names)
    assert labels == class_labels(names, len(names))
    assert len(set(labels)) == len(labels)
    assert all(label.isprintable() and 0 < len(label) <= 43 for label in labels)
