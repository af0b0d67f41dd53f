"""Every argument of every public name, one wrong value at a time; see `misuse.py`.

A value of another kind is refused by the argument's name, whatever else is wrong is refused by a
`TypeError` or `ValueError` that names it, or accepted; nothing takes ten seconds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .misuse import misuses, names, outcome
from .public_calls import NEEDS

# Calls that may end otherwise, by argument and value, and why.
EXCEPTIONS = {
    # What the network or the loss itself says of what does not fit it passes through as it is.
    ("params", "another shape"),
    ("params", "no axes"),
    ("problem", "loss gives None"),
    ("params", "meta"),
    ("params", "lazy"),
    ("model", "another"),
    ("model", "lazy"),
    ("model", "complex"),
    ("model", "meta"),
    ("model", "with NaN"),
    ("batches", "texts"),
    ("batches", "nothing"),
    ("batches", "complex"),
    ("batches", "another shape"),
    ("batches", "sparse"),
    ("batches", "meta"),
    ("batches", "NaN entries"),
    ("batches", "arrays"),
    ("test", "texts"),
    ("test", "nothing"),
    ("test", "complex"),
    ("test", "another shape"),
    ("test", "sparse"),
    ("test", "meta"),
    ("test", "arrays"),
    ("loss", "one that gives None"),
    # Numbers that fit, but not together with the other arguments, which the message names.
    ("kept_next", "10**30"),
    ("kept_next", "10**5000"),
    ("widths", "an array"),
    ("widths", "a list"),
    # What the system or a reader says, which names the file.
    ("path", "a folder"),
    ("content", "bytes"),
    ("content", "empty"),
    # What a statistic of the user's own says of values that it does not take, or gives.
    ("values", "a list of objects"),
    ("statistic", "one that gives None"),
    ("parts", "a dict"),
    ("text", "bytes"),
    ("text", "a text"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_whatever_is_wrong_with_an_argument_is_told_by_its_name(name: str, tmp_path: Path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    wrong: list[str] = []
    for misuse in misuses(name, tmp_path):
        kind, error = outcome(misuse)
        if kind == "named" or (kind == "accepted" and not misuse.refused):
            continue
        if (misuse.argument, misuse.what) not in EXCEPTIONS:
            wrong.append(f"{kind} {misuse.argument}={misuse.what} {error}")
    assert not wrong
