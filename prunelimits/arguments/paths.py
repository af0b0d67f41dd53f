"""Checks of paths: of any file, of one that is written, of one that a run goes on from."""

from __future__ import annotations

import os
from pathlib import Path

from prunelimits.arguments.shown import shown


def checked_path(name: str, value: object) -> Path:
    """`value` as a path, if it is a text or a path that a file can have.

    Raises:
        TypeError: If it is neither: a number is no path, though files can be opened by one.
        ValueError: If it is empty or has a null character.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a path, got {shown(value)}")
    path = os.fspath(value)  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(path, str):
        raise TypeError(f"{name} must be a path, got {shown(path)}")
    if not path or "\0" in path:
        raise ValueError(f"{name} must be a path, got {shown(path)}")
    return Path(path)


def checked_file(name: str, value: object) -> Path:
    """`value` as the path of a file, which need not exist.

    Raises:
        TypeError: If it is no path, see `checked_path`.
        ValueError: Likewise, or if it is a folder.
    """
    path = checked_path(name, value)
    if path.is_dir():
        raise ValueError(f"{name} must be a file, got the folder {path}")
    return path


def checked_kept_file(name: str, value: object) -> Path:
    """`value` as the path of a file that a run is kept in and goes on from; it need not exist.

    Raises:
        TypeError: If it is no path, see `checked_path`.
        ValueError: Likewise, or if it is a folder, a device or a pipe: reading one may never end.
    """
    path = checked_file(name, value)
    if path.exists() and not path.is_file():
        raise ValueError(f"{name} must be a file to go on from, got the device or pipe {path}")
    return path
