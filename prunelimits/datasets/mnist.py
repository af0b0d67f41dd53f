"""MNIST from a local folder."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from torch import Tensor

from prunelimits.datasets.images import Pixels, check_labels, checked_set, find, normalised

MEAN, DEVIATION = (0.1307,), (0.3081,)
"""The published pixel statistics of the training images."""

_UINT8 = 8
# EMNIST, the largest set of this form, has 547 million.
_MOST_BYTES = 1 << 30


def mnist(folder: str | Path, *, train: bool = True) -> tuple[Tensor, Tensor]:
    """[MNIST](https://doi.org/10.1109/5.726791), or another set in files of its form.

    Args:
        folder: Where `train-images-idx3-ubyte` and its like are, as they were published: with
            `.gz` or unpacked, in the folder itself or in `MNIST/raw` or `raw` of it.
        train: The 60,000 images for training instead of the 10,000 for testing.

    Returns:
        Images `(n, 1, 28, 28)`, float32, normalised by the training images' mean 0.1307 and
        standard deviation 0.3081, and labels 0 to 9, int64.

    Raises:
        FileNotFoundError: If the folder has no such files.
        ValueError: If a file is damaged, or images and labels are not as many.
    """
    folder = checked_set(folder, train)
    kind = "train" if train else "t10k"
    images = _found(folder, f"{kind}-images", "idx3-ubyte")
    labels = _found(folder, f"{kind}-labels", "idx1-ubyte")
    pixels, classes = _read(images, 3), _read(labels, 1)
    if len(pixels) != len(classes):
        raise ValueError(f"{images} holds {len(pixels)} images, but {labels} {len(classes)} labels")
    return normalised(pixels[:, None], MEAN, DEVIATION), check_labels(classes, 10, labels)


def _found(folder: str | Path, name: str, kind: str) -> Path:
    # Unpacking writes a dot where the archive has a hyphen.
    names = [f"{name}{dash}{kind}{end}" for dash in "-." for end in ("", ".gz")]
    return find(
        folder, *(f"{place}{name}" for place in ("", "MNIST/raw/", "raw/") for name in names)
    )


def _read(path: Path, axes: int) -> Pixels:
    """A file in the IDX format: two zeros, the type, the number of axes; sizes; the numbers.

    No more is read than the sizes say and is reasonable, however far a packed file would expand.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            start = 4 + 4 * axes
            head = file.read(start)
            if head[:4] != bytes([0, 0, _UINT8, axes]) or len(head) < start:
                raise ValueError(f"{path} must be an IDX file of bytes with {axes} axes")
            shape = struct.unpack(f">{axes}I", head[4:])
            size = math.prod(shape)
            if size > _MOST_BYTES:
                raise ValueError(f"{path} must hold at most {_MOST_BYTES} bytes, got {size}")
            data = file.read(size)
            more = file.read(1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if len(data) != size or more:
        got = f"more than {size}" if more else len(data)
        raise ValueError(f"{path} must hold {' x '.join(map(str, shape))} bytes, got {got}")
    if size == 0:
        raise ValueError(f"{path} must hold at least one byte, got {shape}")
    return np.frombuffer(data, np.uint8).reshape(shape)
