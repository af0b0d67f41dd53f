"""Levenberg-Marquardt for many copies of one small masked network at once.

A network of thirty parameters has thirty derivatives: a damped Gauss-Newton step over all points
costs twenty times a gradient, and it follows the narrow valleys in which two units' lines are
almost the same and their weights almost cancel, where gradient descent hardly moves.

The work is done by `damped_newton.cpp`, a vector lane a copy. It is compiled when it is first used,
by the compiler that the environment variable CXX names, else `c++`, for this machine.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
from collections.abc import Sequence
from ctypes import c_int, c_void_p
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math"),
    *("-ffp-contract=fast", "-shared", "-fPIC", "-Wno-psabi"),
)


@dataclass(frozen=True)
class Method:
    """The constants, in the order of the library's `Constants`.

    Attributes:
        first: Damping of the first step.
        least: Damping never gets smaller,
        most: nor larger.
        lower: What a step that lowers the objective divides the damping by,
        raising: and what another, which is not taken, multiplies it by.
        share: Damping of a parameter is relative to its own curvature and this much of the mean
            one: a parameter that changes nothing has none of its own.
        decay: Of the parameters, as half their squared size in the objective.
        least_curvature: Of a sample's cross-entropy: none is so sure that it does not count.
    """

    first: float = 1e-2
    least: float = 1e-8
    most: float = 1e8
    lower: float = 3.0
    raising: float = 4.0
    share: float = 0.1
    decay: float = 1e-7
    least_curvature: float = 1e-4

    def numbers(self) -> Numbers:
        """All of them, as the library takes them."""
        own = (self.first, self.least, self.most, self.lower, self.raising)
        others = (self.share, self.decay, self.least_curvature)
        return np.array([*own, *others], np.float32)


@dataclass(frozen=True, eq=False)
class Network:
    """A masked ReLU network with one output, a row of numbers a copy.

    Attributes:
        widths: Inputs, hidden units, one output.
        kept: Which parameters there are, `(parameters,)`: each layer's weights, row by row, then
            its biases.
    """

    widths: tuple[int, ...]
    kept: Mask

    def sizes(self) -> list[int]:
        """The number of parameters of each layer."""
        return [rows * (columns + 1) for columns, rows in pairwise(self.widths)]


@dataclass(frozen=True, eq=False)
class SquaredError:
    """Half the weighted squared distance of each copy's outputs to its targets.

    Attributes:
        targets: `(copies, samples)`.
        weights: Likewise; only their proportions within a copy count.
    """

    targets: Numbers
    weights: Numbers


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Mean binary cross-entropy with logits; labels `(samples,)` are 0 or 1."""

    labels: Numbers


@dataclass(frozen=True, eq=False)
class SmoothErrors:
    """Half the mean squared distance of the sigmoid to the label.

    For large logits that is half the error rate. It is bounded, so that points that cannot be had
    do not spoil the others.
    """

    labels: Numbers


Objective: TypeAlias = SquaredError | CrossEntropy | SmoothErrors
_NUMBERS = {SquaredError: 0, CrossEntropy: 1, SmoothErrors: 2}


def minimise(
    network: Network,
    copies: Numbers,
    points: Numbers,
    objective: Objective,
    steps: int,
    *,
    free: Mask | None = None,
    method: Method = Method(),
) -> tuple[Numbers, Numbers]:
    """Every copy's parameters after so many steps, and the objective there.

    A step solves (J'CJ + damping) step = gradient, where J are the derivatives of the outputs and C
    their curvatures in the objective. It is taken if it lowers the copy's objective. Each copy's
    way depends on no other's.

    Args:
        network: Whose copies.
        copies: `(copies, parameters)`, zero where there is none; stays as it is.
        points: `(samples, inputs)`.
        objective: What is minimised.
        steps: How many.
        free: The parameters that may change; None: all that are kept.
        method: Constants.

    Returns:
        Parameters `(copies, parameters)` and objectives `(copies,)`.
    """
    library = loaded()
    lanes = library.lanes()
    packed = _packed(copies, lanes)
    labels = targets = weights = None
    if isinstance(objective, SquaredError):
        shares = objective.weights / objective.weights.sum(1, keepdims=True)
        targets, weights = (_packed(each, lanes) for each in (objective.targets, shares))
    else:
        labels = np.ascontiguousarray(objective.labels, np.float32)
    free = network.kept if free is None else free
    values = np.empty((len(packed), lanes), np.float32)
    x = np.ascontiguousarray(points.T, np.float32)
    library.minimise(
        *_described(network),
        _address(np.ascontiguousarray(free, np.uint8)),
        len(packed),
        _address(packed),
        _address(x),
        len(points),
        _address(labels),
        _address(targets),
        _address(weights),
        _NUMBERS[type(objective)],
        steps,
        _address(method.numbers()),
        _address(values),
    )
    return _unpacked(packed, len(copies)), values.reshape(-1)[: len(copies)]


def outputs(network: Network, copies: Numbers, points: Numbers) -> Numbers:
    """Every copy's output for every point, `(copies, samples)`."""
    library = loaded()
    packed = _packed(copies, library.lanes())
    result = np.empty((len(packed), len(points), library.lanes()), np.float32)
    x = np.ascontiguousarray(points.T, np.float32)
    described = _described(network)
    library.outputs(
        *described, len(packed), _address(packed), _address(x), len(points), _address(result)
    )
    return _unpacked(result, len(copies))


@cache
def loaded() -> ctypes.CDLL:
    """The library, compiled if it was not yet.

    Raises:
        FileNotFoundError: If there is no compiler.
        subprocess.CalledProcessError: If it fails; it has told why.
    """
    compiler = os.environ.get("CXX", "c++")
    text = SOURCE.read_bytes() + " ".join((compiler, *FLAGS)).encode()
    name = f"damped_newton-{hashlib.sha256(text).hexdigest()[:16]}.so"
    path = SOURCE.parent / "__pycache__" / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        own = path.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, *FLAGS, "-o", str(own), str(SOURCE)], check=True)
        own.replace(path)
    library = ctypes.CDLL(str(path))
    numbers, address = c_int, c_void_p
    network = [address, numbers, address]
    library.minimise.argtypes = [
        *(*network, address, numbers, address, address, numbers, address, address, address),
        *(numbers, numbers, address, address),
    ]
    library.outputs.argtypes = [*network, numbers, address, address, numbers, address]
    library.minimise.restype = library.outputs.restype = None
    return library


def _described(network: Network) -> tuple[c_void_p, int, c_void_p]:
    widths = np.array(network.widths, np.int32)
    return _address(widths), len(widths), _address(np.ascontiguousarray(network.kept, np.uint8))


class _Address(c_void_p):
    """Of an array's numbers, which it keeps."""

    array: NDArray[np.generic]


def _address(array: NDArray[np.generic] | None) -> c_void_p:
    if array is None:
        return c_void_p(None)
    result = _Address(array.ctypes.data)
    result.array = array
    return result


def _packed(rows: Numbers, lanes: int) -> Numbers:
    """`(copies, n)` as `(groups, n, lanes)`; lanes without a copy get zero."""
    padded = np.zeros((-(-len(rows) // lanes) * lanes, rows.shape[1]), np.float32)
    padded[: len(rows)] = rows
    groups = padded.reshape(-1, lanes, rows.shape[1])
    return np.ascontiguousarray(groups.transpose(0, 2, 1))


def _unpacked(groups: Numbers, copies: int) -> Numbers:
    rows: Sequence[int] = (-1, groups.shape[1])
    return groups.transpose(0, 2, 1).reshape(rows)[:copies].copy()
