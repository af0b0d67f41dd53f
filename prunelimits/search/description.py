"""The description in a store, by which it is told from those of other searches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from prunelimits.arguments import shown

# Options of a search that came later: its description leaves them out at these defaults, so a store
# of an earlier version is still one of the same search.
LATER_OPTIONS: dict[str, Any] = {
    "subset_order": "ascending",
    "first_phase_max_nonzeros": None,
    "margin": 0.0,
}

# The fingerprint of a task is that of its data and its start.
_SAID = {"sha256": "data or start"}


def check_description(description: object) -> None:
    """Raises if a description does not map names to JSON texts.

    Raises:
        TypeError: If it is another kind of value.
        ValueError: If a text is no JSON.
    """
    entries: Any = description
    if not isinstance(description, Mapping) or not all(
        isinstance(part, str) for entry in entries.items() for part in entry
    ):
        raise TypeError(f"description must be JSON texts by name, got {shown(description)}")
    for name, text in entries.items():
        try:
            json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"description[{name!r}] must be JSON, got {shown(text)}") from error


def unfolded(description: dict[str, str]) -> dict[str, str]:
    """The description with the fields of JSON objects as entries, so that errors can name them.

    Options that a search leaves out at their defaults are filled in.
    """
    result: dict[str, str] = {}
    for name, value in description.items():
        content = json.loads(value)
        if isinstance(content, dict):
            content = (LATER_OPTIONS if name == "search" else {}) | content
            result |= {_SAID.get(key, key): json.dumps(part) for key, part in content.items()}
        else:
            result[name] = value
    return result
