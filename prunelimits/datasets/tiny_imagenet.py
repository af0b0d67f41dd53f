"""Tiny ImageNet from a local folder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prunelimits.datasets.images import Pixels, checked_set, find, normalised, read_text

_SIZE = (64, 64)
# As in the code of https://arxiv.org/abs/2202.12002.
_MEAN, _DEVIATION = (0.4802, 0.4481, 0.3975), (0.2302, 0.2265, 0.2262)


def tiny_imagenet(folder: str | Path, *, train: bool = True) -> tuple[Tensor, Tensor]:
    """Tiny ImageNet: 200 classes of ImageNet, 64 by 64 pixels.

    Pillow reads its JPEGs: `pip install "prunelimits[data]"`.

    Args:
        folder: Where `wnids.txt`, `train` and `val` are: the folder itself, or
            `tiny-imagenet-200` in it.
        train: The 100,000 images for training instead of the 10,000 of `val`, the only other ones
            with labels.

    Returns:
        Images `(n, 3, 64, 64)`, float32 (4.9 GB for training; 1.2 GB more while they are read),
        and labels, int64: places in the sorted list of classes. Channels are normalised by the
        mean (0.4802, 0.4481, 0.3975) and the standard deviation (0.2302, 0.2265, 0.2262).

    Raises:
        FileNotFoundError: If the folder has no such files, or a class no images.
        ValueError: If an image is damaged or has another size, or an annotation is none.
        ImportError: If Pillow is not installed.
    """
    folder = checked_set(folder, train)
    root = find(folder, "wnids.txt", "tiny-imagenet-200/wnids.txt").parent
    names = sorted(read_text(root / "wnids.txt").split())
    labelled = _training_images(root, names) if train else _validation_images(root, names)
    pixels = np.empty((len(labelled), 3, *_SIZE), np.uint8)
    for row, (path, _) in zip(pixels, labelled, strict=True):
        row[:] = _read(path)
    return normalised(pixels, _MEAN, _DEVIATION), torch.tensor(
        [label for _, label in labelled], device="cpu"
    )


def _training_images(root: Path, names: Sequence[str]) -> list[tuple[Path, int]]:
    result: list[tuple[Path, int]] = []
    for label, name in enumerate(names):
        images = sorted(find(root, f"train/{name}/images").glob("*.JPEG"))
        if not images:
            raise FileNotFoundError(f"folder {str(root)!r} must hold train/{name}/images/*.JPEG")
        result += [(path, label) for path in images]
    return result


def _validation_images(root: Path, names: Sequence[str]) -> list[tuple[Path, int]]:
    """One image a line: its name, its class, and the corners of a box."""
    annotations = find(root, "val/val_annotations.txt")
    labels = {name: label for label, name in enumerate(names)}
    result: list[tuple[Path, int]] = []
    for line in read_text(annotations).splitlines():
        image, _, rest = line.partition("\t")
        name = rest.partition("\t")[0]
        # A name that leads elsewhere is no image of this folder.
        if name not in labels or Path(image).name != image:
            raise ValueError(f"{annotations} must hold an image and its class a line, got {line!r}")
        result.append((root / "val" / "images" / image, labels[name]))
    return result


def _read(path: Path) -> Pixels:
    """The image's channels, `(3, 64, 64)`; grey ones have three equal channels."""
    if find_spec("PIL") is None:
        raise ImportError('JPEGs are read by Pillow: pip install "prunelimits[data]"')
    from PIL import Image

    try:
        # Nothing but JPEG: Pillow's other formats would be tried on whatever the file holds.
        with Image.open(path, formats=["JPEG"]) as image:
            if image.size != _SIZE:
                raise ValueError(f"its size is {image.size}, not {_SIZE}")
            if image.mode not in ("L", "RGB", "CMYK"):
                raise ValueError(f"its colours are {image.mode}, not grey or RGB")
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except FileNotFoundError:
        raise
    # Damage surfaces as nearly anything, and a bomb as an error or a warning of Pillow's own.
    except Exception as error:
        raise ValueError(f"{path} must be a JPEG of 64 by 64 pixels: {error}") from error
