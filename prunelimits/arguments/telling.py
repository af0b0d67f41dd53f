"""Warnings that point at the user's own line."""

from __future__ import annotations

import contextlib
import inspect
import warnings
import weakref
from pathlib import Path

import torch

# What a user's call passes through on its way: this package, torch's decorators and hooks, and what
# is told when an object ends.
_INSIDE = (
    str(Path(__file__).parents[1]),
    str(Path(torch.__file__).parent),
    str(Path(contextlib.__file__)),
    str(Path(weakref.__file__)),
)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns as of the line, outside of this library and torch, that led here.

    Examples:
        >>> with warnings.catch_warnings(record=True) as found:
        ...     warnings.simplefilter("always")
        ...     warn("a layer is left empty")
        >>> found[0].category, found[0].filename == __file__
        (<class 'UserWarning'>, False)
    """
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_code.co_filename.startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
