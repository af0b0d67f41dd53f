"""Libraries that are compiled with the package, found and opened with ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_char_p, c_int
from pathlib import Path
from typing import Any, TypeVar

Library = TypeVar("Library")

MOST_THREADS = 2**31 - 1
"""What an int32 holds, in which the libraries are told how many threads may work."""


def found(name: str, folder: Path, library: Callable[[Path], Library]) -> Library | str:
    """What `library` makes of the file of this name in a folder, or why there is none to use."""
    for ending in (".so", ".dll"):
        path = folder / (name + ending)
        if path.exists():
            try:
                return library(path)
            except OSError as error:
                return str(error)
    return "it was not built"


def opened(path: Path, what: str, function: str, interface: int) -> ctypes.CDLL:
    """The library in a file, if a function of it tells the number of this interface.

    Raises:
        OSError: If it cannot be loaded, is not `what` it should be, or of another version.
    """
    library = ctypes.CDLL(str(path))
    try:
        number = int(getattr(library, function)())
    except AttributeError as error:
        raise OSError(f"{path} is not {what}") from error
    if number != interface:
        raise other_sources(path)
    return library


def other_sources(path: Path) -> OSError:
    """What to raise of a library that does not fit the Python code beside it."""
    return OSError(f"{path} was built from other sources: install the package again")


def kernel_names(function: Any) -> list[str]:  # noqa: ANN401 - ctypes tells no type of functions
    """The instruction sets of this machine that a library has kernels for, fastest first.

    Args:
        function: The library's, which gives the name of each by its number, and null past the last.
    """
    function.argtypes, function.restype = [c_int], c_char_p
    names: list[str] = []
    while name := function(len(names)):
        names.append(name.decode())
    return names
