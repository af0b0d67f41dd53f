"""Labels as a user's file has them, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.cli.report import say
from prunelimits.viz.class_names import class_labels

_MOST_TOLD = 20


def numbered_labels(path: Path, y: NDArray[Any]) -> tuple[Tensor, tuple[str, ...] | None]:
    """Labels as int64 from 0 up, or as float32 where they are no whole numbers; what they were.

    Text becomes numbers in alphabetical order, and whole numbers that are not 0, 1 and so on become
    these in their order; both are told, and their names are the second of what is returned. It is
    None where nothing was numbered.

    Args:
        path: The file that they are from.
        y: Numbers or text, `(samples,)`.

    Raises:
        ValueError: If there are as many texts as samples, about.
    """
    if y.dtype.kind in "US":
        y = np.char.decode(y, "utf-8", "replace") if y.dtype.kind == "S" else y
        classes, numbers = np.unique(y, return_inverse=True)
        if len(classes) > max(2, len(y) // 2):
            raise ValueError(
                f"labels must be classes, got {len(classes)} different texts for {len(y)} samples, "
                f"such as {str(classes[0])[:40]!r}"
            )
        names = told_classes(path, classes.tolist())
        return torch.from_numpy(numbers.astype(np.int64).reshape(len(y))), names
    if y.dtype.kind == "f" and not bool((y == np.round(y)).all() and (np.abs(y) < 2**53).all()):
        return torch.from_numpy(y.astype(np.float32)), None
    names = None
    whole = y.astype(np.int64)
    classes, numbers = np.unique(whole, return_inverse=True)
    # More values than that are measurements rather than classes.
    if len(classes) <= max(2, len(y) // 2) and not np.array_equal(classes, np.arange(len(classes))):
        names = told_classes(path, classes.tolist())
        whole = numbers.astype(np.int64).reshape(len(y))
    if len(classes) > max(_MOST_TOLD, len(y) // 2):
        say(
            f"Labels in {path} are taken for {len(classes):,} classes of {len(y):,} rows; where "
            "they are numbers to predict, say --regression"
        )
    return torch.from_numpy(whole), names


def numbers_to_predict(y: NDArray[Any]) -> Tensor:
    """Labels that are numbers to predict, float32, as they are.

    Raises:
        ValueError: If they are no numbers.
    """
    if y.dtype.kind not in "fiub":
        raise ValueError(
            f"labels must be numbers for a regression, got texts such as {str(y[0])[:40]!r}"
        )
    return torch.from_numpy(y.astype(np.float32))


def told_classes(path: Path, classes: Sequence[object]) -> tuple[str, ...]:
    """The names of classes, in the order of their numbers, which is printed."""
    names = tuple(map(str, classes))
    shown = class_labels(names[:_MOST_TOLD], min(len(names), _MOST_TOLD))
    named = ", ".join(f"{name} = {n}" for n, name in enumerate(shown))
    say(f"Labels in {path}: {named}{', ...' if len(names) > _MOST_TOLD else ''}")
    return names
