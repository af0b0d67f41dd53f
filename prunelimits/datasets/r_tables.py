"""Tables that R keeps in .rda files."""

from __future__ import annotations

import bz2
import gzip
import lzma
import warnings
import zlib
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.arguments import checked_file, checked_sequence, checked_text

# The largest table of the packages that people fetch tasks from has 60 million.
_MOST_BYTES = 1 << 30
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))


def r_table(
    file: str | Path,
    *,
    label: str | None = None,
    drop: Sequence[str] = (),
    table: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Inputs and labels of a data frame in one of R's `.rda` files.

    Read by `rdata`: `pip install "prunelimits[data]"`. Nothing that a file might bring is run.

    Numbers are taken as they are, an ordered factor as its level's place. A factor of two levels,
    or a column of truth values, is 0 or 1; a factor of more levels becomes a column a level, in
    the order of the levels, 1 where the row has it.

    Args:
        file: Such as `Satellite.rda` of the package mlbench.
        label: The column to predict; None: the last. A factor gives labels 0, 1, ... in the order
            of the levels that occur; numbers are taken as they are.
        drop: Columns to leave out.
        table: Which data frame, where the file holds several.

    Returns:
        Inputs `(n, inputs)`, float32, and labels `(n,)`, int64 (float32 where they are not whole).

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is damaged, holds no such table or column, or values are missing.
        TypeError: If an argument is of another kind.
        ImportError: If rdata is not installed.
    """
    x, y, _ = r_table_with_classes(file, label=label, drop=drop, table=table)
    return x, y


def r_table_with_classes(
    file: str | Path,
    *,
    label: str | None = None,
    drop: Sequence[str] = (),
    table: str | None = None,
) -> tuple[Tensor, Tensor, tuple[str, ...] | None]:
    """`r_table`, and the levels that are its labels 0, 1, ..., where these are a factor's."""
    file = checked_file("file", file)
    label, table = checked_text("label", label), checked_text("table", table)
    drop = checked_sequence("drop", drop, "names of columns")
    columns = _columns(file, table)
    for argument, wanted in [("label", label), *(("drop", name) for name in drop)]:
        if wanted is not None and wanted not in columns:
            raise ValueError(
                f"{argument} must be a column of {file}, {_some(columns)}, got {wanted!r}"
            )
    label = list(columns)[-1] if label is None else label
    inputs = [name for name in columns if name != label and name not in drop]
    if not inputs or label in drop:
        raise ValueError(f"drop must leave the label {label!r} and an input, got {list(drop)}")
    _check_complete(file, {name: columns[name] for name in (*inputs, label)})
    spread = [part for name in inputs for part in columns[name].spread()]
    x = torch.from_numpy(np.stack(spread, axis=1).astype(np.float32))
    return x, columns[label].labels(), columns[label].classes()


class _Column(NamedTuple):
    """A column as numbers: NaN where a value is missing.

    A factor's numbers are the places of its levels; `levels` is empty where it is none.
    """

    numbers: NDArray[np.float64]
    levels: tuple[str, ...]
    ordered: bool

    def spread(self) -> list[NDArray[np.float64]]:
        """It as inputs: itself, or a column a level."""
        if len(self.levels) <= 2 or self.ordered:
            return [self.numbers]
        return [(self.numbers == level).astype(np.float64) for level in range(len(self.levels))]

    def classes(self) -> tuple[str, ...] | None:
        """The levels that occur, if it is a factor."""
        if not self.levels:
            return None
        return tuple(self.levels[int(place)] for place in np.unique(self.numbers))

    def labels(self) -> Tensor:
        """It as labels."""
        if self.levels:
            # Levels that no row has are no classes.
            return torch.from_numpy(
                np.unique(self.numbers, return_inverse=True)[1].astype(np.int64)
            )
        whole = bool((self.numbers == np.round(self.numbers)).all())
        return torch.from_numpy(self.numbers.astype(np.int64 if whole else np.float32))


def _columns(file: Path, table: str | None) -> dict[str, _Column]:
    """The columns of a file's data frame."""
    if find_spec("rdata") is None:
        raise ImportError('tables of R are read by rdata: pip install "prunelimits[data]"')
    import rdata
    from pandas import CategoricalDtype, DataFrame

    content = _unpacked(file)
    try:
        with warnings.catch_warnings():
            # Told below, where the file then is nothing of R's.
            warnings.filterwarnings("ignore", message="Unknown file type")
            parsed = rdata.parser.parse_data(content)
        objects = rdata.conversion.convert(parsed, default_encoding="utf-8")
    # A damaged file can make the parser raise nearly anything.
    except Exception as error:
        raise ValueError(f"{file} must be an .rda file of R: {error}") from error
    found = objects if isinstance(objects, dict) else {}
    frames = {str(name): value for name, value in found.items() if isinstance(value, DataFrame)}
    if table is None and len(frames) == 1:
        (table,) = frames
    if table not in frames:
        which = _some(frames) if frames else "which holds none"
        raise ValueError(f"table must be a data frame of {file}, {which}, got {table!r}")
    columns: dict[str, _Column] = {}
    for name, column in frames[table].items():
        kind = column.dtype
        if isinstance(kind, CategoricalDtype):
            codes = np.asarray(column.cat.codes, dtype=np.float64)
            codes[codes < 0] = np.nan
            levels = tuple(map(str, kind.categories))
            columns[str(name)] = _Column(codes, levels, bool(kind.ordered))
            continue
        try:
            numbers = np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
        except (TypeError, ValueError):
            raise ValueError(
                f"{file}'s column {str(name)!r} must be numbers or a factor, "
                f"got {str(column.iloc[0])[:40]!r}"
            ) from None
        columns[str(name)] = _Column(numbers, (), ordered=False)
    return columns


def _check_complete(file: Path, columns: dict[str, _Column]) -> None:
    """Raises if a value is missing or infinite, or there are no rows."""
    numbers = np.stack([column.numbers for column in columns.values()])
    if not numbers.shape[1]:
        raise ValueError(f"{file} must have rows, got none")
    missing = np.isnan(numbers)
    if missing.any():
        names = [name for name, column in columns.items() if np.isnan(column.numbers).any()]
        raise ValueError(
            f"{file} must have a value in every place, but {int(missing.any(0).sum())} of "
            f"{numbers.shape[1]} rows miss some in {_some(names)}: drop these columns, or fill "
            "them in"
        )
    names = [name for name, column in columns.items() if np.isinf(column.numbers).any()]
    if names:
        raise ValueError(f"{file} must hold finite numbers, got infinite ones in {_some(names)}")


def _unpacked(file: Path) -> bytes:
    """What the file holds, unpacked, however far a packed file would expand."""
    with open(file, "rb") as raw:
        start = raw.read(6)
    opened = next((opener for magic, opener in _OPENERS if start.startswith(magic)), open)
    try:
        with opened(file, "rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(f"{file} is damaged: {error}") from error
    except OSError as error:
        # How bz2 tells of damage; what the system refuses has a number.
        if error.errno is not None:
            raise
        raise ValueError(f"{file} is damaged: {error}") from error
    if len(data) > _MOST_BYTES:
        raise ValueError(f"{file} must hold at most {_MOST_BYTES} bytes, got more")
    return data


def _some(names: Iterable[str]) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:12] + ["..."] * (len(shown) > 12))
