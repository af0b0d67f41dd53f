"""CIFAR-10 and CIFAR-100 from a local folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.datasets.images import (
    Pixels,
    check_labels,
    checked_set,
    find,
    normalised,
    read_bounded,
)
from prunelimits.datasets.python_pickles import PickledArray, read_pickle

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
# A file of the largest set has 50,000.
_MOST_IMAGES = 1_000_000

# As in the code of https://arxiv.org/abs/2306.05857.
_MEAN_10, _DEVIATION_10 = (0.491, 0.482, 0.447), (0.247, 0.243, 0.262)
_MEAN_100, _DEVIATION_100 = (0.507, 0.487, 0.441), (0.267, 0.256, 0.276)


def cifar10(folder: str | Path, *, train: bool = True) -> tuple[Tensor, Tensor]:
    """[CIFAR-10](https://www.cs.toronto.edu/~kriz/cifar.html), its binary or its Python version.

    The Python version is read without running anything that a file might bring.

    Args:
        folder: Where `data_batch_1.bin` or `data_batch_1` and its like are: the folder itself, or
            `cifar-10-batches-bin` or `cifar-10-batches-py` in it.
        train: The 50,000 images for training instead of the 10,000 for testing.

    Returns:
        Images `(n, 3, 32, 32)`, float32 (0.6 GB for training), and labels 0 to 9, int64. Channels
        are normalised by the mean (0.491, 0.482, 0.447) and the standard deviation
        (0.247, 0.243, 0.262).

    Raises:
        FileNotFoundError: If the folder has no such files.
        ValueError: If a file is damaged.
    """
    folder = checked_set(folder, train)
    names = [f"data_batch_{part}" for part in range(1, 6)] if train else ["test_batch"]
    places = ("cifar-10-batches-bin", "cifar-10-batches-py")
    parts = [_batch(folder, name, places, ["labels"], 10) for name in names]
    return _joined(parts, _MEAN_10, _DEVIATION_10)


def cifar100(folder: str | Path, *, train: bool = True) -> tuple[Tensor, Tensor]:
    """[CIFAR-100](https://www.cs.toronto.edu/~kriz/cifar.html), its binary or its Python version.

    Args:
        folder: Where `train.bin` or `train` and its like are: the folder itself, or
            `cifar-100-binary` or `cifar-100-python` in it.
        train: The 50,000 images for training instead of the 10,000 for testing.

    Returns:
        As `cifar10`, with the 100 fine labels, 0 to 99, the mean (0.507, 0.487, 0.441) and the
        standard deviation (0.267, 0.256, 0.276).

    Raises:
        FileNotFoundError: If the folder has no such files.
        ValueError: If a file is damaged.
    """
    folder = checked_set(folder, train)
    name = "train" if train else "test"
    places = ("cifar-100-binary", "cifar-100-python")
    part = _batch(folder, name, places, ["coarse_labels", "fine_labels"], 100)
    return _joined([part], _MEAN_100, _DEVIATION_100)


def _batch(
    folder: str | Path, name: str, places: tuple[str, str], labels: Sequence[str], classes: int
) -> tuple[Pixels, Tensor]:
    """Pixels and labels of a file; of several kinds of `labels` a file has, the last."""
    binary, pickled = places
    path = find(folder, f"{name}.bin", f"{binary}/{name}.bin", name, f"{pickled}/{name}")
    read = _read_binary if path.suffix == ".bin" else _read_python
    pixels, numbers = read(path, labels)
    return pixels, check_labels(numbers, classes, path)


def _read_binary(path: Path, labels: Sequence[str]) -> tuple[Pixels, NDArray[np.uint8]]:
    """Records of the labels, a byte each, and the pixels."""
    record = len(labels) + _PIXELS
    data = np.frombuffer(read_bounded(path, record * _MOST_IMAGES), np.uint8)
    if not len(data) or len(data) % record:
        raise ValueError(f"{path} must hold records of {record} bytes, got {len(data)} bytes")
    table = data.reshape(-1, record)
    return table[:, len(labels) :], table[:, len(labels) - 1]


def _read_python(path: Path, labels: Sequence[str]) -> tuple[Pixels, NDArray[np.uint8]]:
    content = read_pickle(path)
    data, numbers = content.get(b"data"), content.get(labels[-1].encode())
    if not isinstance(data, PickledArray) or not isinstance(numbers, list):
        raise ValueError(f"{path} must hold an array 'data' and a list {labels[-1]!r}")
    try:
        pixels = data.pixels()
        classes = np.array(bytearray(numbers), dtype=np.uint8)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if pixels.shape != (len(classes), _PIXELS):
        raise ValueError(
            f"{path} must hold an image of {_PIXELS} bytes for each of {len(classes)} labels, "
            f"got {pixels.shape}"
        )
    return pixels, classes


def _joined(
    parts: Sequence[tuple[Pixels, Tensor]], mean: Sequence[float], deviation: Sequence[float]
) -> tuple[Tensor, Tensor]:
    pixels = np.concatenate([part for part, _ in parts]).reshape(-1, *_SHAPE)
    return normalised(pixels, mean, deviation), torch.cat([labels for _, labels in parts])
