"""What the readers of images share: finding files, and normalised tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.arguments import checked_flag, checked_path

Pixels = NDArray[np.uint8]


def normalised(
    pixels: Pixels, mean: Sequence[float], deviation: Sequence[float], *, white: int = 255
) -> Tensor:
    """`(pixels / white - mean) / deviation` for each channel, float32 `(n, channels, *size)`.

    Examples:
        >>> images = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1)
        >>> normalised(images, [0.5], [0.25]).flatten().tolist()
        [-2.0, 2.0]
    """
    x = torch.from_numpy(pixels.astype(np.float32))
    mean_column, deviation_column = (
        torch.tensor(v, dtype=torch.float32, device="cpu").view(-1, 1, 1) for v in (mean, deviation)
    )
    # In place: large sets fit into memory once.
    return x.div_(white).sub_(mean_column).div_(deviation_column)


def checked_set(folder: object, train: object) -> Path:
    """The folder of a data set, if both arguments are of their kinds.

    Raises:
        TypeError: If one is not.
        ValueError: If the path is none.
    """
    checked_flag("train", train)
    return checked_path("folder", folder)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no UTF-8; the message names the file.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8: {error}") from error


def read_bounded(path: Path, most: int) -> bytes:
    """The bytes of a file, if there are at most so many.

    Raises:
        OSError: If it cannot be read.
        ValueError: If there are more; the message names the file.
    """
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path} must hold at most {most} bytes, got more")
    return data


def find(folder: str | Path, *choices: str) -> Path:
    """The first of `choices`, paths inside `folder`, that exists.

    Raises:
        FileNotFoundError: If none does.
    """
    for choice in choices:
        if (path := Path(folder, choice)).exists():
            return path
    raise FileNotFoundError(f"folder {str(folder)!r} must hold one of {', '.join(choices)}")


def check_labels(labels: NDArray[np.uint8], classes: int, path: Path) -> Tensor:
    """Labels as int64.

    Raises:
        ValueError: If one is `classes` or more.
    """
    if labels.size and labels.max() >= classes:
        raise ValueError(f"{path} must hold labels below {classes}, got {labels.max()}")
    return torch.from_numpy(labels.astype(np.int64))
