"""The user's own data: `--data` of every command, and the Cubist Spiral where there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tyro.conf import FlagCreatePairsOff, arg

from prunelimits.arguments import checked_number
from prunelimits.cli.advice import (
    advise,
    check_finite,
    tell_constant_in_training,
    tell_rare_classes,
)
from prunelimits.cli.archives import FileTable, inputs_and_labels, only_for_archives
from prunelimits.cli.labels import numbered_labels, numbers_to_predict, told_classes
from prunelimits.cli.parquet import parquet_names, read_parquet
from prunelimits.cli.tables import ColumnChoice, input_names, read_arrays, read_text
from prunelimits.datasets import cubist_spiral, standardised, three_parts
from prunelimits.datasets.r_tables import r_table_with_classes
from prunelimits.training import Loss

Pair = tuple[Tensor, Tensor]
# How files of other kinds begin, and what to do with them.
_OTHERS = {
    b"\x1f\x8b": "is compressed: unpack it first",
    b"\xff\xfe": "is text in UTF-16: save it in UTF-8",
    b"\xfe\xff": "is text in UTF-16: save it in UTF-8",
}
_R_FILES = (".rda", ".rdata")


class ClassData(NamedTuple):
    """Samples and their classes.

    Attributes:
        x: Inputs, `(samples, ...)`, float32.
        y: Labels, `(samples,)`.
        classes: What labels 0, 1, ... are called in the file; None where they are these numbers.
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...] | None


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
    """With --data: give every input mean 0 and standard deviation 1 over all rows, but for those
    that a command sets aside by --test."""

    def read(self, *, numbers: bool = False) -> ClassData:
        """Inputs and labels, or the Cubist Spiral where no file is named; not standardised yet.

        With `numbers`, labels are numbers to predict.

        Raises:
            ValueError: If options do not fit the file, or as `read_data`.
            OSError: If the file cannot be read.
        """
        if self.data is None:
            self.check_options()
            return ClassData(*cubist_spiral(), None)
        found = read_data(
            self.data, label=self.label, drop=self.drop, input_array=self.input_array,
            numbers=numbers,
        )  # fmt: skip
        if found.x.dim() == 2 and len(found.x) > 1:
            if not numbers:
                tell_rare_classes(found.y, found.classes)
            advise(found.x, standardised=self.standardise, names=self.input_names())
        return found

    def check_options(self) -> None:
        """Raises if there is an option about a file, and no file.

        Raises:
            ValueError: Naming the option.
        """
        for flag, given in (
            ("--label", self.label),
            ("--drop", self.drop),
            ("--input-array", self.input_array),
            ("--standardise", self.standardise),
        ):
            if given and self.data is None:
                raise ValueError(f"{flag} needs --data, got {flag} alone")

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

    def read_standardised(self, *, numbers: bool = False) -> ClassData:
        """`read`, with the inputs standardised by all rows if that was asked for."""
        found = self.read(numbers=numbers)
        if not self.standardise:
            return found
        x = found.x
        constant = (x == x[:1]).all(0)
        mean, deviation = x.double().mean(0), x.double().std(0, correction=0)
        mean, deviation = x[0].where(constant, mean), deviation.masked_fill(constant, 1.0)
        return found._replace(x=((x - mean) / deviation).float())

    def to_draw(self, *, numbers: bool = False) -> tuple[Pair | None, tuple[str, ...] | None]:
        """The data to draw, and what its classes are called; without --data there is neither.

        With `numbers`, labels are numbers to predict.

        Raises:
            ValueError: As `check_options` and `read` do.
            OSError: If the file cannot be read.
        """
        self.check_options()
        if self.data is None:
            return None, None
        x, y, classes = self.read_standardised(numbers=numbers)
        return (x, y), classes

    def loss(self, *, regression: bool) -> Loss | None:
        """Squared error where labels are numbers to predict; otherwise what fits the classes.

        Raises:
            ValueError: If there is no file of numbers to predict.
        """
        if regression and self.data is None:
            raise ValueError("--regression needs --data, got --regression alone")
        return "mse" if regression else None

    def set_aside(
        self, share: float, seed: int, *, numbers: bool = False
    ) -> tuple[ClassData, Pair | None]:
        """The rows to work with, and a share of all that nothing is computed from until the end.

        Every class is in both, but with `numbers` there are none. Inputs are standardised by the
        rows to work with, if at all.

        Raises:
            ValueError: If the share is out of its range or a class has too few rows, or as `read`.
            OSError: If the file cannot be read.
        """
        if not share:
            return self.read_standardised(numbers=numbers), None
        share = checked_number("--test", share, above=0, below=1)
        x, y, classes = self.read(numbers=numbers)
        try:
            parts = three_parts(
                x, y, choose=(1 - share) / 2, test=share, seed=seed, by_class=not numbers
            )
        except ValueError as error:
            raise self.told(error, classes) from error
        (first_x, first_y), (more_x, more_y), _ = parts
        parts = parts._replace(train=(torch.cat([first_x, more_x]), torch.cat([first_y, more_y])))
        train, _, test = standardised(parts) if self.standardise else parts
        tell_constant_in_training(train[0], self.input_names())
        return ClassData(*train, classes), test

    def told(self, error: ValueError, classes: tuple[str, ...] | None) -> ValueError:
        """What `three_parts` says of the data, with their name and the classes' names in the file.

        What it says of a share or the seed is left as it is.
        """
        text = str(error).replace("by_class=False takes", "--regression takes")
        if not text.startswith(("x ", "y ", "class ")):
            return error
        if classes is not None:
            text = re.sub(r"^class (\d+)", lambda m: f"class {classes[int(m[1])]!r}", text)
        return ValueError(f"{self.named}: {text}")

    @property
    def named(self) -> str:
        """The data, in an error."""
        return "the Cubist Spiral" if self.data is None else f"--data {self.data}"


def read_data(
    path: Path,
    *,
    label: str | None = None,
    drop: Sequence[str] = (),
    input_array: str | None = None,
    numbers: bool = False,
) -> ClassData:
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
        numbers: Whether labels are numbers to predict, which stay as they are, float32.

    Returns:
        x as float32 `(samples, ...)`; y as int64, or float32 where labels are not whole; and what
        its classes are called.

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
            only_for_archives(input_array)
            x, y, levels = r_table_with_classes(path, label=label, drop=drop)
            check_finite(x, y)
            if numbers:
                return ClassData(x, _numbers_of_r(y, levels), None)
            return ClassData(x, y, levels and told_classes(path, levels))
        table = _read(path, choice, input_array)
        if table.x.dtype.kind not in "fiub":
            raise ValueError(f"inputs must be numbers, got {table.x.dtype}")
        # What is no float32 becomes infinite.
        with np.errstate(all="ignore"):
            x = torch.from_numpy(table.x.astype(np.float32))
            y, classes = (
                (numbers_to_predict(table.y), None) if numbers else numbered_labels(path, table.y)
            )
            check_finite(x, y)
            return ClassData(x, y, classes)
    except ValueError as error:
        raise ValueError(f"--data {path}: {error}") from error
    except MemoryError as error:
        raise ValueError(f"--data {path}: is larger than this machine's memory") from error


def _numbers_of_r(y: Tensor, levels: tuple[str, ...] | None) -> Tensor:
    if levels is not None:
        raise ValueError(
            f"labels must be numbers for a regression, got a factor of levels {', '.join(levels)}"
        )
    return y.float()


def _read(path: Path, choice: ColumnChoice, input_array: str | None) -> FileTable:
    """What a file holds, by how it begins."""
    with open(path, "rb") as file:
        start = file.read(6)
    if start.startswith(b"PK") or start == b"\x93NUMPY":
        return inputs_and_labels(read_arrays(path), choice, input_array)
    if path.suffix.lower() in (".npz", ".npy"):
        raise ValueError(f"is damaged or no {path.suffix.lower()} file")
    if start[:2] in _OTHERS:
        raise ValueError(_OTHERS[start[:2]])
    only_for_archives(input_array)
    return FileTable(*(read_parquet if start.startswith(b"PAR1") else read_text)(path, choice))
