"""The compiled library behind the native engine, loaded with ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_char_p, c_double, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

from torch import Tensor

from prunelimits.training.engine import Loss

# Counts the changes of the C interface: a library built before the last one is left alone.
_INTERFACE = 3
_LOSSES: dict[Loss, int] = {"binary_cross_entropy": 0, "cross_entropy": 1, "mse": 2}


class Library:
    """The C interface of `engine.cpp`, for contiguous CPU tensors.

    Parameters, velocities, masks and gradients are `(groups, parameters, lanes)`, one group for
    each vector of models; a layer's parameters are rows of weights that end in the row's bias.
    Numbers per model are `(groups, lanes)`; `x` is `(samples, inputs)`, `y` `(samples,)` or
    `(samples, outputs)`, labels included float32. Calls release the GIL and may run at once.

    Raises:
        OSError: If the library cannot be loaded or is not of this version of the package.
    """

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        try:
            interface = int(library.prunelimits_interface())
        except AttributeError as error:
            raise OSError(f"{path} is not the native engine") from error
        if interface != _INTERFACE:
            raise OSError(f"{path} was built from other sources: install the package again")
        # kernel, threads, widths, layers, loss, groups, x, y
        problem = [c_char_p, c_int, c_void_p, c_int, c_int, c_int64, c_void_p, c_void_p]
        self._kernel = library.prunelimits_kernel
        self._kernel.argtypes, self._kernel.restype = [c_int], c_char_p
        self._lanes = library.prunelimits_lanes
        self._lanes.argtypes = [c_char_p]
        self._train = library.prunelimits_train
        self._train.argtypes = [*problem, *[c_int64] * 4, *[c_void_p] * 8]
        self._gradients = library.prunelimits_gradients
        self._gradients.argtypes = [*problem, c_int64, *[c_void_p] * 2]
        self._evaluate = library.prunelimits_evaluate
        self._evaluate.argtypes = [*problem, c_int64, *[c_void_p] * 3]
        self._peak = library.prunelimits_peak
        self._peak.argtypes, self._peak.restype = [c_char_p, c_int, c_int64], c_double

    def kernels(self) -> list[str]:
        """The instruction sets of this machine that the library has kernels for, fastest first."""
        names: list[str] = []
        while name := self._kernel(len(names)):
            names.append(name.decode())
        return names

    def lanes(self, kernel: str) -> int:
        """How many models a group holds."""
        return int(self._lanes(kernel.encode()))

    def train(
        self,
        kernel: str,
        threads: int,
        widths: Sequence[int],
        loss: Loss,
        x: Tensor,
        y: Tensor,
        batch_size: int,
        steps: range,
        steps_per_epoch: int,
        orders: Sequence[Tensor],
        numbers: tuple[Tensor, Tensor, Tensor],
        masks: Tensor,
        kept: Tensor,
        params: Tensor,
        velocity: Tensor,
    ) -> None:
        """Steps of SGD; changes `params` and `velocity`.

        `steps` counts from the start of the first epoch. `orders` are the int64 orders of the
        samples in that epoch and the following ones; `numbers` are the learning rates
        `(epochs, groups, lanes)`, the momenta and the weight decays; `masks` is int32, -1 where a
        parameter is kept and 0 elsewhere; `kept` is bool `(groups, parameters)`, whether any model
        of the group keeps it.
        """
        problem = _problem(kernel, threads, widths, loss, x, y, params)
        batches = (batch_size, steps.start, len(steps), steps_per_epoch)
        order = (c_void_p * len(orders))(*(tensor.data_ptr() for tensor in orders))
        pointers = (tensor.data_ptr() for tensor in (*numbers, masks, kept, params, velocity))
        _check(self._train(*problem, *batches, order, *pointers))

    def gradients(
        self,
        kernel: str,
        threads: int,
        widths: Sequence[int],
        loss: Loss,
        x: Tensor,
        y: Tensor,
        params: Tensor,
        result: Tensor,
    ) -> None:
        """Writes the gradients of the mean loss by all parameters to `result`."""
        problem = _problem(kernel, threads, widths, loss, x, y, params)
        _check(self._gradients(*problem, len(x), params.data_ptr(), result.data_ptr()))

    def evaluate(
        self,
        kernel: str,
        threads: int,
        widths: Sequence[int],
        loss: Loss,
        x: Tensor,
        y: Tensor,
        params: Tensor,
        losses: Tensor,
        right: Tensor,
    ) -> None:
        """Writes sums over the samples to `losses`, float64, and `right`, int64."""
        problem = _problem(kernel, threads, widths, loss, x, y, params)
        pointers = (tensor.data_ptr() for tensor in (params, losses, right))
        _check(self._evaluate(*problem, len(x), *pointers))

    def peak(self, kernel: str, threads: int, rounds: int = 10_000_000) -> float:
        """Multiply-adds a second of threads that do nothing else: what a benchmark compares to."""
        return float(self._peak(kernel.encode(), threads, rounds))


@cache
def load() -> Library | None:
    """The library, or None where the package was installed without it."""
    for name in ("_engine.so", "_engine.dll"):
        path = Path(__file__).with_name(name)
        if path.exists():
            try:
                return Library(path)
            except OSError:
                return None
    return None


def _problem(
    kernel: str,
    threads: int,
    widths: Sequence[int],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    params: Tensor,
) -> tuple[object, ...]:
    array = (c_int * len(widths))(*widths)
    pointers = (x.data_ptr(), y.data_ptr())
    return (kernel.encode(), threads, array, len(widths) - 1, _LOSSES[loss], len(params), *pointers)


def _check(status: int) -> None:
    if status:
        raise MemoryError("the native engine ran out of memory")
