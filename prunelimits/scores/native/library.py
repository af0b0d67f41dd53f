"""The compiled library behind `losses_of_removal`, loaded with ctypes."""

from __future__ import annotations

from ctypes import c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from prunelimits.compiled import MOST_THREADS, found, kernel_names, opened

# `INTERFACE` of removal.hpp: a library built from other sources is left alone.
_INTERFACE = 1


class Library:
    """The C interface of `removal.cpp`. Calls release the GIL and may run at once.

    Raises:
        OSError: If the library cannot be loaded or is not of this version of the package.
    """

    def __init__(self, path: Path) -> None:
        what = "the library of removals"
        library = opened(path, what, "prunelimits_removal_interface", _INTERFACE)
        self._kernel = library.prunelimits_removal_kernel
        self._removal = library.prunelimits_removal
        self._removal.argtypes = [
            c_int, c_int, c_void_p, c_void_p, c_int, c_int64, c_int64, c_void_p, c_int
        ]  # fmt: skip

    def kernels(self) -> list[str]:
        """The instruction sets of this machine that the library has kernels for, fastest first."""
        return kernel_names(self._kernel)

    def losses(self, weights: Tensor, inverse: Tensor, *, threads: int, kernel: int = 0) -> Tensor:
        """What `losses_of_removal` gives; not a number from where a pivot is none.

        Args:
            weights: `(rows, d)`, on the CPU, in float32 or float64.
            inverse: `(d, d)` or `(rows, d, d)`, of the same dtype, on the CPU.
            threads: How many may work.
            kernel: Which of the instruction sets.

        Raises:
            MemoryError: If there is too little memory.
        """
        weights, inverse = weights.contiguous(), inverse.contiguous()
        rows, size = weights.shape
        result = torch.empty(rows, size, dtype=torch.float64, device="cpu")
        in_double, each = weights.dtype == torch.float64, inverse.dim() == 3
        places = weights.data_ptr(), inverse.data_ptr(), result.data_ptr()
        status = self._removal(
            kernel, in_double, places[0], places[1], each, rows, size, places[2],
            min(threads, MOST_THREADS),
        )  # fmt: skip
        if status:
            raise MemoryError("there is too little memory for the order of removal")
        return result


@cache
def load() -> Library | None:
    """The library, or None where there is none to use."""
    there = found("_removal", Path(__file__).parent, Library)
    return there if isinstance(there, Library) else None
