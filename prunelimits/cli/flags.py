"""Errors in the words of the command line: flags for arguments, files by how they were given."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prunelimits.cli.help import options_of

# Arguments of the library that a command takes by another name.
_OTHER_NAMES = {
    "time_limit": "minutes", "lr": "learning_rates", "keep": "budgets", "start": "initial",
    "model": "network",
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
    for flag, path in _given_paths(command):
        if re.match(rf"{re.escape(str(path))}[ :,]", text):
            return f"{flag} {text}"
    found = re.match(r"(\w+)(?=[ :\[']|$)", text)
    if found is None:
        return text
    kind = command if isinstance(command, type) else type(command)
    options = options_of(kind).items()
    own = {field.rpartition(".")[2] for field, _ in options}
    name = found[1] if found[1] in own else _OTHER_NAMES.get(found[1], found[1])
    if name in ("x", "y"):
        data = getattr(command, "data", None)
        if data is None:
            return text
        hint = "; --label tells which column they are in" if name == "y" else ""
        if (
            hint
            and not getattr(command, "regression", True)
            and re.search("labels|every label", text)
        ):
            hint += ", --regression takes them for numbers to predict"
        return f"--data {data}: {'inputs x' if name == 'x' else 'labels y'}{text[1:]}{hint}"
    if found[1] == "time_limit" and getattr(command, "minutes", None) is not None:
        # The library has seconds.
        text = re.sub(r"got \S+$", f"got {command.minutes:g}", text)
    named = [o.flags[-1] for field, o in options if field.rpartition(".")[2] == name and o.flags]
    if len(named) != 1:
        return text  # of no option, or of one of several groups
    given = None if command is kind else getattr(command, name, None)
    rest = _others_in_flags(kind, text[found.end() :])
    file = f" {given}" if isinstance(given, Path) and rest.startswith(" ") else ""
    return named[0] + file + rest


def _others_in_flags(kind: type[Any], text: str) -> str:
    """A message in which other arguments are options, too, up to what it got.

    A word is an argument where it cannot be one of the sentence: with an underscore in it, after
    "combined with", or beside the first.
    """
    flags = {field: option.flags[-1] for field, option in options_of(kind).items() if option.flags}

    def flag(word: re.Match[str]) -> str:
        return flags.get(word[0], word[0])

    said, got, values = text.partition(", got ")
    said = re.sub(r"(?<![-./\w])[a-z]+(?:_[a-z]+)+(?![-./\w])", flag, said)
    return re.sub(r"(?<=combined with )\w+|(?<=^ and )\w+", flag, said) + got + values


def _given(command: Any, filename: str) -> str:  # noqa: ANN401
    """A file with the flag that named it, if one did."""
    flags = [flag for flag, path in _given_paths(command) if str(path) == filename]
    return f"{flags[0]} {filename}" if flags else filename


def _given_paths(command: Any) -> Iterator[tuple[str, Path]]:  # noqa: ANN401
    """The files that a command is given by flags, those of a list one by one."""
    if isinstance(command, type):
        return
    options = options_of(type(command))
    for field, value in vars(command).items():
        for path in value if isinstance(value, tuple) else (value,):  # pyright: ignore[reportUnknownVariableType]
            if isinstance(path, Path) and options[field].flags:
                yield options[field].flags[-1], path


def checked_different(flag: str, values: Sequence[object]) -> None:
    """Raises if a value is there twice: it would only be done again.

    Raises:
        ValueError: Naming the flag.
    """
    if len(set(values)) < len(values):
        raise ValueError(f"{flag} must be different, got {', '.join(map(str, values))}")


def check_outputs(command: Any) -> None:  # noqa: ANN401
    """Raises if what a command will leave at its end has nowhere to go: before it begins.

    Raises:
        ValueError: If `--pictures` is a file, a file's folder does not exist, nothing can be
            written there, or a file is another one of the command: what it reads would be lost, or
            what it writes.
    """
    options, files = options_of(type(command)), _files(command)
    for field in command.groups.get("What it leaves", ()):
        path, flag = getattr(command, field, None), options[field].flags[-1]
        if not isinstance(path, Path):
            continue
        if field == "pictures":
            if path.exists() and not path.is_dir():
                raise ValueError(f"{flag} {path}: must be a folder, or not be there yet")
            _check_writable(f"{flag} {path}", path)
        elif not path.parent.is_dir():
            raise ValueError(f"{flag} {path}: the folder {path.parent} does not exist")
        elif path.is_dir():
            raise ValueError(f"{flag} {path}: must be a file, got a folder")
        elif not path.exists():
            _check_writable(f"{flag} {path}", path.parent)
        for other, name in files:
            if other != field and _is_same(path, getattr(command, other)):
                raise ValueError(f"{flag} {path}: must be another file than {name}")


def _check_writable(told: str, folder: Path) -> None:
    """Raises if no file can be made in a folder, which need not be there; leaves nothing."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"{told}: nothing can be written there ({reason})") from error
    finally:
        for path in missing:
            with suppress(OSError):
                os.rmdir(path)


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
