"""The user's own data: `--data` of every command, and the Cubist Spiral where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tyro.conf import FlagCreatePairsOff, arg

from prunelimits.arguments import checked_number
from prunelimits.cli.advice import (
    advise,
    check_finite,
    tell_constant_in_training,
    tell_rare_classes,
)
from prunelimits.cli.labels import numbered_labels
from prunelimits.cli.parquet import parquet_names, read_parquet
from prunelimits.cli.tables import ColumnChoice, input_names, read_arrays, read_text
from prunelimits.datasets import (
    cubist_spiral,
    r_table,
    standardised,
    three_parts,
)

Pair = tuple[Tensor, Tensor]
# Names under which arrays of an .npz file are taken, in this order.
_PAIRS = (("x", "y"), ("x_train", "y_train"), ("data", "target"), ("inputs", "labels"))
# How files of other kinds begin, and what to do with them.
_OTHERS = {
    b"\x1f\x8b": "is compressed: unpack it first",
    b"\xff\xfe": "is text in UTF-16: save it in UTF-8",
    b"\xfe\xff": "is text in UTF-16: save it in UTF-8",
}
_R_FILES = (".rda", ".rdata")


@dataclass(frozen=True, kw_only=True)
class OwnData:
    """The options about data that commands share."""

    data: Annotated[Path | None, arg(metavar="FILE")] = None
    """A .csv, .npy, .npz, .parquet or .rda file of inputs and labels."""
    label: Annotated[str | None, arg(metavar="NAME")] = None
    """With --data: the column of the labels, or the array in an .npz file; a number where columns
    have no names, from 1."""
    drop: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """With --data: columns to leave out, by name, or by number where they have none."""
    input_array: Annotated[str | None, arg(metavar="NAME")] = None
    """With --data: the array of the inputs in an .npz file."""
    standardise: FlagCreatePairsOff[bool] = False
    """With --data: give every input mean 0 and standard deviation 1 over all rows, or over
    those to train on with --choose and --test."""

    def read(self) -> tuple[Tensor, Tensor]:
        """Inputs and labels, or the Cubist Spiral where no file is named; not standardised yet.

        Raises:
            ValueError: If options do not fit the file, or as `read_data`.
            OSError: If the file cannot be read.
        """
        if self.data is None:
            for flag, given in (
                ("--label", self.label),
                ("--drop", self.drop),
                ("--input-array", self.input_array),
                ("--standardise", self.standardise),
            ):
                if given:
                    raise ValueError(f"{flag} needs --data, got {flag} alone")
            return cubist_spiral()
        x, y = read_data(self.data, label=self.label, drop=self.drop, input_array=self.input_array)
        if x.dim() == 2 and len(x) > 1:
            tell_rare_classes(y)
            advise(x, standardised=self.standardise)
        return x, y

    def input_names(self) -> list[str] | None:
        """The columns that are inputs, by name, in the order of `read`; None where there are none.

        Raises:
            OSError: If the file cannot be read.
        """
        if self.data is None or self.data.suffix.lower() in (*_R_FILES, ".npz", ".npy"):
            return None
        choice = ColumnChoice(self.label, tuple(self.drop))
        with open(self.data, "rb") as file:
            start = file.read(6)
        if start.startswith(b"PAR1"):
            return parquet_names(self.data, choice)
        return None if start[:2] == b"PK" else input_names(self.data, choice)

    def read_standardised(self) -> tuple[Tensor, Tensor]:
        """`read`, with the inputs standardised by all rows if that was asked for."""
        x, y = self.read()
        if not self.standardise:
            return x, y
        constant = (x == x[:1]).all(0)
        mean, deviation = x.double().mean(0), x.double().std(0, correction=0)
        mean, deviation = x[0].where(constant, mean), deviation.masked_fill(constant, 1.0)
        return ((x - mean) / deviation).float(), y

    def set_aside(self, share: float, seed: int) -> tuple[Pair, Pair | None]:
        """The rows to work with, and a share of all that nothing is computed from until the end.

        Every class is in both. Inputs are standardised by the rows to work with, if at all.

        Raises:
            ValueError: If the share is out of its range or a class has too few rows, or as `read`.
            OSError: If the file cannot be read.
        """
        if not share:
            return self.read_standardised(), None
        share = checked_number("--test", share, above=0, below=1)
        x, y = self.read()
        try:
            parts = three_parts(x, y, choose=(1 - share) / 2, test=share, seed=seed)
        except ValueError as error:
            raise ValueError(f"{self.named}: {error}") from error
        (first_x, first_y), (more_x, more_y), _ = parts
        parts = parts._replace(train=(torch.cat([first_x, more_x]), torch.cat([first_y, more_y])))
        train, _, test = standardised(parts) if self.standardise else parts
        tell_constant_in_training(train[0])
        return train, test

    @property
    def named(self) -> str:
        """The data, in an error."""
        return "the Cubist Spiral" if self.data is None else f"--data {self.data}"


class _Table(NamedTuple):
    """What a file holds, before labels are numbered."""

    x: NDArray[Any]
    y: NDArray[Any]


def read_data(
    path: Path,
    *,
    label: str | None = None,
    drop: Sequence[str] = (),
    input_array: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Inputs and labels from an .npz, .npy, .csv, .parquet or .rda file.

    - .npz: arrays `x` `(samples, inputs)` and `y` `(samples)`; names that are common elsewhere are
      taken too, and any names where one array alone can be each of them.
    - .npy: a matrix whose last column holds the labels.
    - .csv or other text, separated by commas, semicolons or tabs: a sample a line; the labels are
      in the column named label, class, target or y, otherwise in the last. A first line without
      numbers names the columns; one without a name that numbers the rows is left out.
    - .parquet: likewise, with the extra parquet.
    - .rda: a data frame of R, see `datasets.r_table`.

    Labels that are text become numbers in alphabetical order, and whole numbers that are not 0, 1
    and so on become these in their order, which is told.

    Args:
        path: The file.
        label: The column of the labels, or the array; None: as said above.
        drop: Columns to leave out; in .npz and .npy files their numbers, from 1.
        input_array: The array of the inputs in an .npz file.

    Returns:
        x as float32 `(samples, ...)`; y as int64, or float32 where labels are not whole.

    Raises:
        ValueError: If the file is none of these or damaged, or has no such column or array; the
            message names option and file.
        ImportError: If a package is needed to read it.
        OSError: If the file cannot be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"--data {path}: no such file")
    if not path.is_file():
        raise ValueError(f"--data {path}: is a folder or a device, no file")
    choice = ColumnChoice(label, tuple(drop))
    try:
        if path.suffix.lower() in _R_FILES:
            _only_for_archives(input_array)
            return _checked(*r_table(path, label=label, drop=drop))
        table = _read(path, choice, input_array)
        if table.x.dtype.kind not in "fiub":
            raise ValueError(f"inputs must be numbers, got {table.x.dtype}")
        # What is no float32 becomes infinite.
        with np.errstate(all="ignore"):
            return _checked(
                torch.from_numpy(table.x.astype(np.float32)), numbered_labels(path, table.y)
            )
    except ValueError as error:
        raise ValueError(f"--data {path}: {error}") from error
    except MemoryError as error:
        raise ValueError(f"--data {path}: is larger than this machine's memory") from error


def _read(path: Path, choice: ColumnChoice, input_array: str | None) -> _Table:
    """What a file holds, by how it begins."""
    with open(path, "rb") as file:
        start = file.read(6)
    if start.startswith(b"PK") or start == b"\x93NUMPY":
        return _inputs_and_labels(read_arrays(path), choice, input_array)
    if path.suffix.lower() in (".npz", ".npy"):
        raise ValueError(f"is damaged or no {path.suffix.lower()} file")
    if start[:2] in _OTHERS:
        raise ValueError(_OTHERS[start[:2]])
    _only_for_archives(input_array)
    return _Table(*(read_parquet if start.startswith(b"PAR1") else read_text)(path, choice))


def _checked(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    check_finite(x, y)
    return x, y


def _only_for_archives(input_array: str | None) -> None:
    if input_array is not None:
        raise ValueError(f"--input-array is for .npz files, got {input_array!r}")


def _inputs_and_labels(
    arrays: dict[str, NDArray[Any]], choice: ColumnChoice, input_array: str | None
) -> _Table:
    """Which array is x and which y, with the columns that are left of x."""
    if list(arrays) == [""]:
        _only_for_archives(input_array)
        (matrix,) = arrays.values()
        if matrix.ndim != 2 or matrix.shape[1] < 2:
            raise ValueError(
                f"must hold a matrix with the labels in its last column, got {matrix.shape}"
            )
        at, inputs = choice.places([str(n + 1) for n in range(matrix.shape[1])])
        return _Table(matrix[:, inputs], matrix[:, at])
    x, y = _two_arrays(arrays, choice.label, input_array)
    if not choice.drop:
        return _Table(x, y)
    # The labels are in an array of their own.
    columns = ColumnChoice(None, choice.drop)
    _, left = columns.places([*(str(n + 1) for n in range(x.shape[1])), "labels"])
    return _Table(x[:, left], y)


def _two_arrays(
    arrays: dict[str, NDArray[Any]], label: str | None, input_array: str | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
    for flag, name in (("--label", label), ("--input-array", input_array)):
        if name is not None and name not in arrays:
            raise ValueError(f"{flag} must name an array of the file, {shapes}, got {name!r}")
    folded = {name.lower(): array for name, array in arrays.items()}
    pair = next((p for p in _PAIRS if all(name in folded for name in p)), None)
    several = [a for n, a in arrays.items() if a.ndim >= 2 and a.shape[1] > 1 and n != label]
    single = [a for n, a in arrays.items() if a.ndim >= 1 and _is_column(a) and n != input_array]
    if pair is not None and label is None and input_array is None:
        several, single = [folded[pair[0]]], [folded[pair[1]]]
    if input_array is not None:
        several = [arrays[input_array]]
    elif pair is not None and label is not None and folded[pair[0]] is not arrays[label]:
        several = [folded[pair[0]]]
    if label is not None:
        single = [arrays[label]]
    elif pair is not None and input_array is not None:
        single = [folded[pair[1]]]
    if len(several) != 1 or len(single) != 1:
        raise ValueError(
            f"must hold arrays x (samples, inputs) and y (samples), got {shapes}: "
            "--input-array and --label tell which they are"
        )
    (x,), (y,) = several, single
    if x.ndim < 2 or not _is_column(y) or len(x) != len(y):
        raise ValueError(
            f"must hold as many rows of inputs as labels: x (samples, inputs) and y (samples), "
            f"got {shapes}"
        )
    return x, y.reshape(len(y))


def _is_column(array: NDArray[Any]) -> bool:
    return array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)
