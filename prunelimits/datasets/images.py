"""What the readers of images share: finding files, and normalised tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
