"""What a file that a command kept is of, by how it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def kind_of(path: Path) -> Literal["search", "elimination", "other"]:
    """A search's store, an elimination's state, or something else, such as a network.

    Raises:
        OSError: If the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(32)
    if head.startswith(b"SQLite format 3\0"):
        return "search"
    return "elimination" if head.startswith(b"prunelimits elimination ") else "other"
