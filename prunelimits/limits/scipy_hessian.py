"""A Hessian for SciPy's solvers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from prunelimits.limits.hessian import Hessian


class ScipyHessian(LinearOperator):
    """A Hessian for numpy arrays."""

    def __init__(self, hessian: Hessian) -> None:
        kind = np.dtype(str(hessian.dtype).removeprefix("torch."))
        super().__init__(kind, (hessian.size, hessian.size))
        self._hessian = hessian

    def _matmat(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        rows = torch.from_numpy(np.ascontiguousarray(X.T))
        return self._hessian.product(rows).cpu().numpy().T

    def _rmatmat(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        return self._matmat(X)
