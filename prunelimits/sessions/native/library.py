"""The compiled library behind `PrunedEntries`, loaded with ctypes."""

from __future__ import annotations

from ctypes import c_int, c_int64, c_uint64, c_void_p
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from prunelimits.compiled import MOST_THREADS, found, kernel_names, opened

# `INTERFACE` of overwriting.hpp: a library built from other sources is left alone.
_INTERFACE = 1


class Library:
    """The C interface of `overwriting.cpp`. Calls release the GIL and may run at once.

    Raises:
        OSError: If the library cannot be loaded or is not of this version of the package.
    """

    def __init__(self, path: Path) -> None:
        what = "the library that overwrites what is pruned"
        library = opened(path, what, "prunelimits_overwriting_interface", _INTERFACE)
        self._kernel = library.prunelimits_overwriting_kernel
        self._overwrite = library.prunelimits_overwrite
        self._overwrite.argtypes = [
            c_int, c_void_p, c_void_p, c_int64, c_int, c_uint64, c_int
        ]  # fmt: skip
        self._overwrite.restype = c_uint64

    def kernels(self) -> list[str]:
        """The instruction sets of this machine that the library has kernels for, fastest first."""
        return kernel_names(self._kernel)

    def overwrite(
        self,
        values: Tensor,
        kept: Tensor,
        number: int = 0,
        *,
        entries: slice | None = None,
        threads: int = 1,
        kernel: int = 0,
    ) -> int:
        """Puts a number where `kept` is false; its version tells others that a tensor was written.

        Args:
            values: On the CPU, its entries one after the other in memory, 1, 2, 4 or 8 bytes each.
            kept: Bools in the same order in memory.
            number: The bits to put.
            entries: Of which in memory; None: all.
            threads: How many may work.
            kernel: Which of the instruction sets.

        Returns:
            The bits in which pruned entries differed from the number, all together: 0 if nothing
            had to be written.
        """
        first, last = (0, values.numel()) if entries is None else (entries.start, entries.stop)
        size = values.element_size()
        place = values.data_ptr() + first * size
        differing = self._overwrite(
            kernel, place, kept.data_ptr() + first, last - first, size, number,
            min(threads, MOST_THREADS),
        )  # fmt: skip
        if differing:
            torch.autograd.graph.increment_version(values)
        return differing


@cache
def load() -> Library | None:
    """The library, or None where there is none to use."""
    there = found("_overwriting", Path(__file__).parent, Library)
    return there if isinstance(there, Library) else None
