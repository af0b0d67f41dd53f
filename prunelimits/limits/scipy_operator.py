"""A symmetric linear map for SciPy's solvers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator
from torch import Tensor


class SymmetricOperator(LinearOperator):
    """A symmetric linear map, given by its products with rows of vectors, for numpy arrays.

    Args:
        product: `(vectors, size)` -> the map of each, `(vectors, size)`.
        size: Rows, and columns.
        dtype: What it computes in.
    """

    def __init__(self, product: Callable[[Tensor], Tensor], size: int, dtype: torch.dtype) -> None:
        super().__init__(np.dtype(str(dtype).removeprefix("torch.")), (size, size))
        self._product = product

    def _matmat(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        rows = torch.from_numpy(np.ascontiguousarray(X.T))
        return self._product(rows).cpu().numpy().T

    def _adjoint(self) -> Any:  # noqa: ANN401  (SciPy names a private class)
        return self
