"""Files of numbers from strangers: .npz, .npy and text, read without trusting what they say.

Nothing in a file is executed, nothing is larger in memory than the file says and may say, and
whatever is wrong with it is a `ValueError`.
"""

from __future__ import annotations

import array
import csv
import io
import itertools
import math
import re
import shlex
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from prunelimits.cli.report import say

# An archive that unpacks to more than this, and to so many times its size, is taken for a bomb.
_LARGE = 64 * 2**20
_MOST_EXPANSION = 100
# How programs write that there is no value.
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-", ".", "#n/a"))
_LABEL_NAMES = ("label", "labels", "class", "target", "y")


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name, or that of an .npy file under an empty name.

    Raises:
        ValueError: If the file is damaged, holds something else than numbers or text, or unpacks
            to far more than its size.
    """
    try:
        if not zipfile.is_zipfile(path):
            with open(path, "rb") as file:
                return {"": _array("the file", file, path.stat().st_size)}
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            if not members and archive.infolist():
                inside = archive.infolist()[0].filename[:40]
                raise _ContentError(f"is an archive without arrays, but with {inside!r}")
            _check_size(sum(member.file_size for member in members), path.stat().st_size)
            result: dict[str, NDArray[Any]] = {}
            for member in members:
                with archive.open(member) as file:
                    name = member.filename.removesuffix(".npy")
                    result[name] = _array(name, file, member.file_size)
            return result
    except (_ContentError, MemoryError, PermissionError):
        raise
    # What a damaged archive or header can raise has no end: BadZipFile, zlib.error, struct.error,
    # NotImplementedError, RuntimeError, TokenError, SyntaxError, RecursionError, KeyError, ...
    except Exception as error:
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise ValueError(f"is damaged or no file of NumPy arrays ({reason})") from error


class ColumnChoice(NamedTuple):
    """Which columns of a table are meant.

    Attributes:
        label: The name of the labels'; None: one with a usual name, or else the last.
        drop: Names of those to leave out.
    """

    label: str | None = None
    drop: tuple[str, ...] = ()

    def places(self, names: Sequence[str]) -> tuple[int, list[int]]:
        """Where the labels are, and the inputs that are left.

        Raises:
            ValueError: If there is no such column, or no input is left.
        """
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        for flag, wanted in (("--label", self.label), *(("--drop", name) for name in self.drop)):
            if wanted is not None and wanted not in names:
                raise ValueError(f"{flag} must name a column, {shown}, got {wanted!r}")
        folded = [name.lower() for name in names]
        usual = [folded.index(name) for name in _LABEL_NAMES if name in folded]
        at = names.index(self.label) if self.label is not None else [*usual, len(names) - 1][0]
        inputs = [n for n, name in enumerate(names) if n != at and name not in self.drop]
        if names[at] in self.drop:
            raise ValueError(f"--drop must leave the labels, got {names[at]!r}")
        if not inputs:
            raise ValueError(f"--drop must leave an input, got all of {shown}")
        return at, inputs


def read_text(
    path: Path, choice: ColumnChoice | None = None
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Inputs and labels of a text file, a sample a line.

    Args:
        path: The file.
        choice: Which columns; those without names are called by their numbers, from 1.

    Returns:
        Inputs, float64 `(samples, inputs)`; labels as float64, or as text.

    Raises:
        ValueError: If it is no table of numbers; the message names the line and the column.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _table(file, choice or ColumnChoice())
    except UnicodeDecodeError as error:
        raise ValueError(f"is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise ValueError(f"is no table of numbers ({error})") from error


def input_names(path: Path, choice: ColumnChoice) -> list[str] | None:
    """The columns of a text file that are inputs, by name; None where a table has no names."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        delimiter = _delimiter(file)
        _, head = next(_rows(csv.reader(file, delimiter=delimiter)))
    if not _is_header(head):
        return None
    names, chosen = _names(head), choice
    if _numbers_rows(head, choice):
        chosen = choice._replace(drop=(*choice.drop, "1"))
    return [names[place] for place in chosen.places(names)[1]]


class _ContentError(ValueError):
    """What is wrong with a file, in words for its user."""


def _check_size(unpacked: int, packed: int) -> None:
    if unpacked > _LARGE and unpacked > _MOST_EXPANSION * packed:
        raise _ContentError(
            f"unpacks to {unpacked:,} bytes, more than {_MOST_EXPANSION} times its size: save it "
            "uncompressed (numpy.savez) if that is meant"
        )


def _array(name: str, file: IO[bytes], size: int) -> NDArray[Any]:
    """One array in NumPy's format, of which the header may promise no more than there is."""
    version = np.lib.format.read_magic(file)
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    if version[0] not in read:
        raise _ContentError(f"{name} is in version {version} of NumPy's format, which is not read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about files that Python 2 wrote
        shape, by_columns, dtype = read[version[0]](file)
    if dtype.hasobject or dtype.kind not in "fiubUS" or not dtype.itemsize:
        why = ": Python objects are never loaded" if dtype.hasobject else ""
        raise _ContentError(f"{name} must hold numbers or text, got {dtype}{why}")
    needed = math.prod(shape) * dtype.itemsize
    # Not all at once: a size that is promised and not there must not cost its memory.
    content = bytearray()
    while len(content) < needed <= size and (
        part := file.read(min(1 << 24, needed - len(content)))
    ):
        content += part
    if len(content) != needed:
        raise _ContentError(f"{name} is cut off: {shape} of {dtype} do not fit into the file")
    flat = np.frombuffer(content, dtype=dtype) if content else np.empty(0, dtype=dtype)
    return flat.reshape(shape, order="F" if by_columns else "C")


def _delimiter(file: io.TextIOBase | IO[str]) -> str:
    """What separates the columns: what is there most often in the first line, outside of quotes."""
    outside = re.sub(r'"[^"]*"', "", file.readline(1 << 17))
    file.seek(0)
    return max(",;\t", key=outside.count)


def _table(
    file: io.TextIOBase | IO[str], choice: ColumnChoice
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    delimiter = _delimiter(file)
    rows = _rows(csv.reader(cast("IO[str]", file), delimiter=delimiter))
    begin, head = next(rows, (0, []))
    if len(head) < 2:
        raise ValueError(
            "must be a table of at least one column of inputs and one of labels, separated by "
            f"commas, semicolons or tabs, got {_first_line(begin, head)}"
        )
    named = _is_header(head)
    names = _names(head) if named else [str(column + 1) for column in range(len(head))]
    # Programs that number the rows leave the name of that column empty.
    numbering = _numbers_rows(head, choice)
    at, kept = (choice._replace(drop=(*choice.drop, "1")) if numbering else choice).places(names)
    numbers, labels, missing = array.array("d"), list[str](), Counter[int]()
    for line, row in rows if named else itertools.chain([(begin, head)], rows):
        if len(row) != len(head):
            raise ValueError(f"line {line} has {len(row)} columns, the first has {len(head)}")
        if numbering and row[0] not in (str(len(labels)), str(len(labels) + 1)):
            raise ValueError(
                f"column 1 has no name, and does not only number the rows ({row[0][:40]!r} in line "
                f"{line}): name it, or leave it out by --drop 1"
            )
        if "\0" in row[at]:
            raise ValueError(f"line {line}, column {names[at]}: a zero byte is no text")
        labels.append(row[at])
        for column in kept:
            value = _number(row[column])
            if value is None and row[column].lower() not in _MISSING:
                raise ValueError(_no_number(row[column], line, names[column]))
            if value is None or math.isnan(value):
                missing[column] += 1
            numbers.append(math.nan if value is None else value)
    if not labels:
        raise ValueError("holds no samples")
    if missing:
        raise ValueError(told_missing(dict(sorted(missing.items())), names, len(labels)))
    inputs = np.frombuffer(numbers, dtype=np.float64).reshape(len(labels), len(kept))
    values = [_number(label) for label in labels]
    unlabelled = _unlabelled(labels, values)
    if numbering:
        say("The first column has no name and numbers the rows: it is left out")
    if unlabelled:
        raise ValueError(
            f"{len(unlabelled)} of {len(labels)} samples have no label, the first is sample "
            f"{unlabelled[0] + 1}: remove these rows"
        )
    if any(value is None for value in values):
        return inputs, np.array(labels)
    return inputs, np.array(values, dtype=np.float64)


def _unlabelled(labels: Sequence[str], values: Sequence[float | None]) -> list[int]:
    """Which samples have no label.

    A word such as "none" may be a class, but not where all other labels are numbers.
    """
    words = {label.lower() for label, value in zip(labels, values, strict=True) if value is None}
    only = words <= _MISSING and any(value == value for value in values if value is not None)
    return [
        n
        for n, value in enumerate(values)
        if not labels[n] or (only if value is None else value != value)
    ]


def _numbers_rows(head: list[str], choice: ColumnChoice) -> bool:
    return head[0] == "" and "1" not in (*choice.drop, choice.label) and len(head) > 2


def _first_line(line: int, cells: list[str]) -> str:
    if not cells:
        return "an empty file"
    return f"one column in line {line}: {cells[0][:40]!r}"


def _names(head: list[str]) -> list[str]:
    """The names of columns; those that have none are called by their numbers, from 1.

    Raises:
        ValueError: If two have the same.
    """
    names = [cell or str(column + 1) for column, cell in enumerate(head)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        places = [str(column + 1) for column, name in enumerate(names) if name == twice]
        raise ValueError(
            f"columns must have names of their own, got {twice!r} for columns {', '.join(places)}"
        )
    return names


def _no_number(cell: str, line: int, name: str) -> str:
    """What is wrong with a cell, and what can be done."""
    said = f"line {line}, column {name}: {cell[:40]!r} is no number"
    if _number(cell.replace(",", "").replace(".", "")) is not None:
        return f"{said}: decimals are written with a point, and thousands without a mark"
    typed = shlex.quote(name)
    return f"{said}; --drop {typed} leaves the column out, --label {typed} makes it the labels"


def told_missing(missing: Mapping[int, int], names: Sequence[str], rows: int) -> str:
    """Which columns lack values in how many rows, and what can be done."""
    told = [f"{names[column]} in {count} of {rows} rows" for column, count in missing.items()]
    more = ", ..." if len(told) > 5 else ""
    dropped = shlex.join(names[column] for column in list(missing)[:5])
    return (
        f"values are missing: {', '.join(told[:5])}{more}. Fill them in, remove these rows, or "
        f"leave columns out: --drop {dropped}"
    )


def _rows(lines: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not blank, with their numbers, counted from 1."""
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line]
        if any(cells):
            yield number, cells


def _is_header(cells: list[str]) -> bool:
    """Whether a line names columns: nothing in it is a number, or the inputs are only counted."""
    counted = [str(column) for column in range(len(cells) - 1)]
    if cells[:-1] == counted and cells[-1].lower() in _LABEL_NAMES:
        return True
    return all(_number(cell) is None for cell in cells)


def _number(cell: str) -> float | None:
    """What a cell says, None if that is no number; Python's own 1_000 is none."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None
