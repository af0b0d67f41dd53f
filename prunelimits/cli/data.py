"""The user's own data: `--data` of every command, and the Cubist Spiral where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.cli.report import say
from prunelimits.cli.tables import read_arrays, read_text
from prunelimits.datasets import cubist_spiral

# Names under which arrays of an .npz file are taken, in this order.
_PAIRS = (("x", "y"), ("x_train", "y_train"), ("data", "target"), ("inputs", "labels"))


def data_or_spiral(path: Path | None) -> tuple[Tensor, Tensor]:
    """`read_data`, or the Cubist Spiral where no file is named."""
    return cubist_spiral() if path is None else read_data(path)


def read_data(path: Path) -> tuple[Tensor, Tensor]:
    """Inputs and labels from an .npz, .npy or .csv file.

    - .npz: arrays `x` `(samples, inputs)` and `y` `(samples)`; names that are common elsewhere are
      taken too, and any names where one array alone can be each of them.
    - .npy: a matrix whose last column holds the labels.
    - .csv or other text, separated by commas, semicolons or tabs: a sample a line; the labels are
      in the column named label, class, target or y, otherwise in the last. A first line without
      numbers names the columns.

    Labels that are text become numbers in alphabetical order, which is told.

    Returns:
        x as float32 `(samples, ...)`; y as int64, or float32 where labels are not whole.

    Raises:
        ValueError: If the file is none of these or damaged; the message names option and file.
        OSError: If the file cannot be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"--data {path}: no such file")
    if not path.is_file():
        raise ValueError(f"--data {path}: is a folder or a device, no file")
    try:
        with open(path, "rb") as file:
            start = file.read(6)
        if start.startswith(b"PK") or start == b"\x93NUMPY":
            x, y = _inputs_and_labels(read_arrays(path))
        elif path.suffix.lower() in (".npz", ".npy"):
            raise ValueError(f"is damaged or no {path.suffix.lower()} file")
        else:
            x, y = read_text(path)
        if x.dtype.kind not in "fiub":
            raise ValueError(f"inputs must be numbers, got {x.dtype}")
        # What is no float32 becomes infinite, which whoever takes the data refuses.
        with np.errstate(all="ignore"):
            return torch.from_numpy(x.astype(np.float32)), _labels(path, y)
    except ValueError as error:
        raise ValueError(f"--data {path}: {error}") from error
    except MemoryError as error:
        raise ValueError(f"--data {path}: is larger than this machine's memory") from error


def _inputs_and_labels(arrays: dict[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Which array is x and which y."""
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
    if list(arrays) == [""]:
        (matrix,) = arrays.values()
        if matrix.ndim != 2 or matrix.shape[1] < 2:
            raise ValueError(
                f"must hold a matrix with the labels in its last column, got {matrix.shape}"
            )
        return matrix[:, :-1], matrix[:, -1]
    folded = {name.lower(): array for name, array in arrays.items()}
    for pair in _PAIRS:
        if all(name in folded for name in pair):
            x, y = (folded[name] for name in pair)
            break
    else:
        several = [array for array in arrays.values() if array.ndim >= 2 and array.shape[1] > 1]
        single = [array for array in arrays.values() if array.ndim >= 1 and _is_column(array)]
        if len(several) != 1 or len(single) != 1:
            raise ValueError(f"must hold arrays x (samples, inputs) and y (samples), got {shapes}")
        (x,), (y,) = several, single
    if x.ndim < 2 or not _is_column(y) or len(x) != len(y):
        raise ValueError(
            f"must hold as many rows of inputs as labels: x (samples, inputs) and y (samples), "
            f"got {shapes}"
        )
    return x, y.reshape(len(y))


def _is_column(array: NDArray[Any]) -> bool:
    return array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)


def _labels(path: Path, y: NDArray[Any]) -> Tensor:
    if y.dtype.kind in "US":
        y = np.char.decode(y, "utf-8", "replace") if y.dtype.kind == "S" else y
        classes, numbers = np.unique(y, return_inverse=True)
        if len(classes) > max(2, len(y) // 2):
            raise ValueError(
                f"labels must be classes, got {len(classes)} different texts for {len(y)} samples, "
                f"such as {str(classes[0])[:40]!r}"
            )
        named = ", ".join(f"{name} = {n}" for n, name in enumerate(classes[:20].tolist()))
        say(f"Labels in {path}: {named}{', ...' if len(classes) > 20 else ''}")
        return torch.from_numpy(numbers.astype(np.int64).reshape(len(y)))
    if y.dtype.kind == "f" and not bool((y == np.round(y)).all() and (np.abs(y) < 2**53).all()):
        return torch.from_numpy(y.astype(np.float32))
    return torch.from_numpy(y.astype(np.int64))
