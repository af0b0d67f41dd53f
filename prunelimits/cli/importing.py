"""Objects of the user's own modules, by name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from torch import nn

from prunelimits.arguments import shown
from prunelimits.pruners import Part


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


def named_parts(flag: str, parts: tuple[str, ...]) -> list[Part]:
    """Parts of a model as words: names and patterns as they are, MODULE:NAME what it stands for.

    Raises:
        ValueError: If it is not found, or is no class of modules and no function.
    """
    found: list[Part] = []
    for part in parts:
        if ":" not in part:
            found.append(part)
            continue
        with current_folder_importable():
            named = imported(flag, part, "a name, or MODULE:NAME such as torch.nn:Embedding")
        if not callable(named) or (isinstance(named, type) and not issubclass(named, nn.Module)):
            raise ValueError(
                f"{flag} {part} must be a class of modules, or a function of a parameter's name "
                f"and the parameter, got {shown(named)}"
            )
        found.append(cast("Part", named))
    return found
