"""What the inputs of a saved network are, where its file says."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

from prunelimits.datasets.plane_features import checked_features


def saved_inputs(path: Path) -> tuple[str, ...] | None:
    """The functions of the plane that a network which a page wrote has for inputs.

    Args:
        path: A file for `prunelimits.load`, which takes them as its `inputs`.

    Returns:
        Their names in `prunelimits.datasets.plane_features`; None where the file names none, or is
        damaged.

    Raises:
        ValueError: If the file names others.
        TypeError: If it names no texts.
        OSError: If it cannot be read.
    """
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8).lstrip()
    if not content.startswith(b"{"):
        return None
    try:
        inputs = json.loads(content).get("inputs")
    except (ValueError, RecursionError):
        return None  # `load` says what is wrong
    return None if inputs is None else checked_features(f"the inputs in {path}", inputs)
