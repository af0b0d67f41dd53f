"""The user's own data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def read_data(path: Path) -> tuple[Tensor, Tensor]:
    """Arrays x and y of an .npz file, as float32 inputs and labels.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no .npz file with arrays of numbers x and y.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            x, y = np.asarray(arrays["x"]), np.asarray(arrays["y"])
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, OSError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} must be an .npz file with arrays x and y: {error}") from error
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{name} in {path} must hold numbers, got {array.dtype}")
    labels = torch.from_numpy(y.astype(np.float32 if y.dtype.kind == "f" else np.int64))
    return torch.from_numpy(x.astype(np.float32)), labels
