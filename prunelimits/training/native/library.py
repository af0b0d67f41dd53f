"""The compiled library behind the native engine, loaded with ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from ctypes import c_char_p, c_double, c_int, c_int32, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor

from prunelimits.compiled import MOST_THREADS, found, kernel_names, opened, other_sources
from prunelimits.training.engine import Loss

# `INTERFACE` of interface.hpp: a library built from other sources is left alone.
_INTERFACE = 4
_LOSSES: dict[Loss, int] = {"binary_cross_entropy": 0, "cross_entropy": 1, "mse": 2}


@dataclass(frozen=True)
class Problem:
    """Networks and data: what every call takes. Tensors are contiguous, on the CPU.

    Attributes:
        kernel: The name of an instruction set.
        threads: How many may work.
        widths: Of the networks.
        loss: Of one sample.
        x: float32 `(samples, inputs)`.
        y: float32 `(samples,)` or `(samples, outputs)`, labels included.
        parameters: float32 `(groups, parameters, lanes)`, one group for each vector of networks; a
            layer's parameters are rows of weights that end in the row's bias.
    """

    kernel: str
    threads: int
    widths: Sequence[int]
    loss: Loss
    x: Tensor
    y: Tensor
    parameters: Tensor


@dataclass(frozen=True)
class Training:
    """Steps of SGD on a problem. Tensors are contiguous, on the CPU.

    Attributes:
        problem: Its `parameters` are changed.
        batch_size: Samples a step.
        steps: Which steps, counted from the start of the first epoch.
        steps_per_epoch: Whole batches in the data.
        orders: The int64 orders of the samples in that epoch and the following ones.
        rates: Learning rates, float32 `(epochs, groups * lanes)`.
        momentum: float32 `(groups * lanes,)`.
        decay: float32 `(groups * lanes,)`.
        masks: Like the parameters, int32: -1 where one is kept, 0 elsewhere.
        kept: bool `(groups, parameters)`: whether any network of the group keeps it.
        velocity: Like the parameters; changed.
    """

    problem: Problem
    batch_size: int
    steps: range
    steps_per_epoch: int
    orders: Sequence[Tensor]
    rates: Tensor
    momentum: Tensor
    decay: Tensor
    masks: Tensor
    kept: Tensor
    velocity: Tensor


class _Problem(ctypes.Structure):
    """`Problem` of interface.hpp, field by field."""

    _fields_ = (
        ("kernel", c_char_p),
        ("widths", c_void_p),
        ("x", c_void_p),
        ("y", c_void_p),
        ("parameters", c_void_p),
        ("samples", c_int64),
        ("groups", c_int64),
        ("layers", c_int32),
        ("loss", c_int32),
        ("threads", c_int32),
        ("unused", c_int32),
    )


class _Training(ctypes.Structure):
    """`Training` of interface.hpp, field by field."""

    _fields_ = (
        ("problem", _Problem),
        ("batch_size", c_int64),
        ("first", c_int64),
        ("steps", c_int64),
        ("steps_per_epoch", c_int64),
        ("orders", c_void_p),
        ("rates", c_void_p),
        ("momentum", c_void_p),
        ("decay", c_void_p),
        ("masks", c_void_p),
        ("kept", c_void_p),
        ("velocity", c_void_p),
    )


class Library:
    """The C interface of `engine.cpp`. Calls release the GIL and may run at once.

    Raises:
        OSError: If the library cannot be loaded or is not of this version of the package.
    """

    def __init__(self, path: Path) -> None:
        library = opened(path, "the native engine", "prunelimits_interface", _INTERFACE)
        if _layout_there(library) != list(_layout()):
            raise other_sources(path)
        self._kernel = library.prunelimits_kernel
        self._lanes = library.prunelimits_lanes
        self._lanes.argtypes = [c_char_p]
        self._train = library.prunelimits_train
        self._train.argtypes = [c_void_p]
        self._gradients = library.prunelimits_gradients
        self._gradients.argtypes = [c_void_p, c_void_p]
        self._evaluate = library.prunelimits_evaluate
        self._evaluate.argtypes = [c_void_p, c_void_p, c_void_p]
        self._peak = library.prunelimits_peak
        self._peak.argtypes, self._peak.restype = [c_char_p, c_int, c_int64], c_double

    def kernels(self) -> list[str]:
        """The instruction sets of this machine that the library has kernels for, fastest first."""
        return kernel_names(self._kernel)

    def lanes(self, kernel: str) -> int:
        """How many networks a group holds."""
        return int(self._lanes(kernel.encode()))

    def train(self, training: Training) -> None:
        """Takes the steps; changes the parameters and the velocity."""
        t, widths = training, _integers(training.problem.widths)
        orders = (c_void_p * len(t.orders))(*(order.data_ptr() for order in t.orders))
        call = _Training(
            problem=_problem(t.problem, widths),
            batch_size=t.batch_size,
            first=t.steps.start,
            steps=len(t.steps),
            steps_per_epoch=t.steps_per_epoch,
            orders=ctypes.addressof(orders),
            rates=t.rates.data_ptr(),
            momentum=t.momentum.data_ptr(),
            decay=t.decay.data_ptr(),
            masks=t.masks.data_ptr(),
            kept=t.kept.data_ptr(),
            velocity=t.velocity.data_ptr(),
        )
        _check(self._train(ctypes.addressof(call)))

    def gradients(self, problem: Problem, result: Tensor) -> None:
        """Writes the gradients of the mean loss by all parameters to `result`."""
        widths = _integers(problem.widths)
        call = _problem(problem, widths)
        _check(self._gradients(ctypes.addressof(call), result.data_ptr()))

    def evaluate(self, problem: Problem, losses: Tensor, right: Tensor) -> None:
        """Writes sums over the samples to `losses`, float64, and `right`, int64."""
        widths = _integers(problem.widths)
        call = _problem(problem, widths)
        _check(self._evaluate(ctypes.addressof(call), losses.data_ptr(), right.data_ptr()))

    def peak(self, kernel: str, threads: int, rounds: int = 10_000_000) -> float:
        """Multiply-adds a second of threads that do nothing else: what a benchmark compares to."""
        return float(self._peak(kernel.encode(), threads, rounds))


def load() -> Library | None:
    """The library, or None where there is none to use; `why_absent` tells why."""
    there = _found()
    return there if isinstance(there, Library) else None


def why_absent() -> str:
    """Why there is no library to use."""
    there = _found()
    return there if isinstance(there, str) else ""


@cache
def _found() -> Library | str:
    return found("_engine", Path(__file__).parent, Library)


def _layout() -> Iterator[int]:
    """Where each field of a training begins, those of its problem first, and last its size."""
    for name, *_ in _Problem._fields_:
        yield getattr(_Problem, name).offset
    for name, *_ in _Training._fields_[1:]:
        yield getattr(_Training, name).offset
    yield ctypes.sizeof(_Training)


def _layout_there(library: ctypes.CDLL) -> list[int]:
    """The same numbers, as the library was compiled with them."""
    place = library.prunelimits_layout
    place.argtypes, place.restype = [c_int], c_int64
    places: list[int] = []
    while (number := int(place(len(places)))) >= 0:
        places.append(number)
    return places


def _integers(widths: Sequence[int]) -> ctypes.Array[c_int32]:
    return (c_int32 * len(widths))(*widths)


def _problem(problem: Problem, widths: ctypes.Array[c_int32]) -> _Problem:
    """The structure, which is valid for as long as `problem` and `widths` are alive."""
    return _Problem(
        kernel=problem.kernel.encode(),
        widths=ctypes.addressof(widths),
        x=problem.x.data_ptr(),
        y=problem.y.data_ptr(),
        parameters=problem.parameters.data_ptr(),
        samples=len(problem.x),
        groups=len(problem.parameters),
        layers=len(widths) - 1,
        loss=_LOSSES[problem.loss],
        threads=min(problem.threads, MOST_THREADS),
    )


def _check(status: int) -> None:
    if status:
        raise MemoryError("the native engine ran out of memory")
