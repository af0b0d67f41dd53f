"""Objects of the user's own modules, by name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def current_folder_importable() -> Generator[None]:
    """As with `python -m`: modules in the current folder are found, by workers too."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def imported(flag: str, name: str, what: str) -> object:
    """What `MODULE:NAME` stands for; the module is imported, and so run.

    Args:
        flag: That `name` was given with.
        name: Of a module and of something in it.
        what: The form of `name` and an example of it, for messages.

    Raises:
        ValueError: If it is not found; the message names the flag.
    """
    module, _, path = name.partition(":")
    if not module or not path:
        raise ValueError(f"{flag} must be {what}, got {name!r}")
    try:
        found: object = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{flag} {name}: {error}") from error
    return found
