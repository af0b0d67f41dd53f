"""Errors in the words of the command line: flags for arguments, files by how they were given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prunelimits.cli.help import options_of

# Arguments of the library that a command takes by another name.
_OTHER_NAMES = {
    "time_limit": "minutes", "lr": "learning_rates", "keep": "budgets", "start": "initial",
}  # fmt: skip


def in_flags(command: Any, error: Exception) -> str:  # noqa: ANN401
    """What to print of an error that a command raised.

    `target must be ...` becomes `--target must be ...`, what is wrong with the data or with another
    file names it, and a file that cannot be opened is named with its flag.

    Args:
        command: The command, a dataclass whose fields are its options; or its class, where what
            it was given is not known.
        error: What it raised.
    """
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{_given(command, str(error.filename))}: {error.strerror}"
    text = str(error)
    found = re.match(r"(\w+)(?=[ :\[']|$)", text)
    if found is None:
        return text
    name = _OTHER_NAMES.get(found[1], found[1])
    if name in ("x", "y"):
        data = getattr(command, "data", None)
        if data is None:
            return text
        hint = "; --label tells which column they are in" if name == "y" else ""
        return f"--data {data}: {'inputs x' if name == 'x' else 'labels y'}{text[1:]}{hint}"
    kind = command if isinstance(command, type) else type(command)
    options = options_of(kind).items()
    named = [o.flags[-1] for field, o in options if field.rpartition(".")[2] == name and o.flags]
    if len(named) != 1:
        return text  # of no option, or of one of several groups
    given = None if command is kind else getattr(command, name, None)
    file = f" {given}" if isinstance(given, Path) and text[found.end() :].startswith(" ") else ""
    return named[0] + file + text[found.end() :]


def _given(command: Any, filename: str) -> str:  # noqa: ANN401
    """A file with the flag that named it, if one did."""
    if isinstance(command, type):
        return filename
    options = options_of(type(command))
    for field, value in vars(command).items():
        paths = value if isinstance(value, tuple) else (value,)
        if any(isinstance(path, Path) and str(path) == filename for path in paths):
            return f"{options[field].flags[-1]} {filename}" if options[field].flags else filename
    return filename


def check_outputs(command: Any) -> None:  # noqa: ANN401
    """Raises if what a command will leave at its end has nowhere to go: before it begins.

    Raises:
        ValueError: If `--pictures` is a file, a file's folder does not exist, or a file is another
            one of the command: what it reads would be lost, or what it writes.
    """
    options, files = options_of(type(command)), _files(command)
    for field in command.groups.get("What it leaves", ()):
        path, flag = getattr(command, field, None), options[field].flags[-1]
        if not isinstance(path, Path):
            continue
        if field == "pictures":
            if path.exists() and not path.is_dir():
                raise ValueError(f"{flag} {path}: must be a folder, or not be there yet")
        elif not path.parent.is_dir():
            raise ValueError(f"{flag} {path}: the folder {path.parent} does not exist")
        elif path.is_dir():
            raise ValueError(f"{flag} {path}: must be a file, got a folder")
        for other, name in files:
            if other != field and _is_same(path, getattr(command, other)):
                raise ValueError(f"{flag} {path}: must be another file than {name}")


def _files(command: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    """The files that a command is given, and what it calls them."""
    options = options_of(type(command))
    named = [(f, options[f].flags) for f, value in vars(command).items() if isinstance(value, Path)]
    return [(field, flags[-1] if flags else field.upper()) for field, flags in named]


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, which need not be there yet."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()
