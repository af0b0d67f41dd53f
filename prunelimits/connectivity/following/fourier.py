# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Fourier transforms, axis by axis: sums by cosines and sines, of which some are zero."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.complex_numbers import Complex, complex_rule, halves
from prunelimits.connectivity.following.recording import Followed
from prunelimits.connectivity.following.values import Argument

# A matrix of all pairs of positions is held: longer axes are not known.
_LONGEST = 4096


@complex_rule("_fft_c2c", "_fft_r2c", "_fft_c2r")
def transformed(call: Call) -> Argument:
    """Forward or backward, of real numbers to half of the complex ones or the other way."""
    z, axes, scaling, last = call.args[:4]
    kind = str(getattr(call.operation, "overloadpacket", ""))[-3:]
    shape = call.shapes[0][0]
    axes = [axis % len(z.shape) for axis in axes]
    if any(max(z.shape[axis], shape[axis]) > _LONGEST for axis in axes) or not axes:
        return None
    parts = halves(z)
    forward = kind != "c2r" and (kind == "r2c" or bool(last))
    if kind == "r2c":
        parts = _along(call, parts, axes.pop(), shape, scaling, forward=True)
    real_axis = axes.pop() if kind == "c2r" else None
    for axis in reversed(axes):
        parts = _along(call, parts, axis, None, scaling, forward=forward)
    if real_axis is not None:
        return _to_real(call, parts, real_axis, shape[real_axis], scaling)
    return _pair(parts)


Parts = tuple[Any, Any]


def _along(
    call: Call, parts: Parts, axis: int, shape: torch.Size | None, scaling: int, *, forward: bool
) -> Parts:
    """One axis; of a real tensor only as much as the shape has."""
    size = _shape(parts)[axis]
    cosines, sines = _waves(size if shape is None else shape[axis], size, size, scaling)
    sines = -sines if forward else sines
    real = _combined(call, [(parts[0], cosines), (parts[1], -sines)], axis)
    return real, _combined(call, [(parts[0], sines), (parts[1], cosines)], axis)


def _to_real(call: Call, parts: Parts, axis: int, size: int, scaling: int) -> Argument:
    """Backward to real numbers; what is not given is the conjugate of what is."""
    count = _shape(parts)[axis]
    cosines, sines = _waves(size, count, size, scaling)
    twice = torch.full((count,), 2.0, dtype=torch.float64, device="cpu")
    twice[0] = 1
    if size % 2 == 0 and count > size // 2:
        twice[size // 2] = 1
    return _combined(call, [(parts[0], cosines * twice), (parts[1], -sines * twice)], axis)


def _waves(rows: int, columns: int, size: int, scaling: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines `(rows, columns)`, exactly zero where they are."""
    turns = torch.outer(torch.arange(rows, device="cpu"), torch.arange(columns, device="cpu"))
    angle = 2 * math.pi / size * (turns % size).double()
    factor = (1.0, size**-0.5, 1 / size)[scaling]
    waves = [torch.where(wave.abs() > 1e-9, wave, 0) for wave in (angle.cos(), angle.sin())]
    return waves[0] * factor, waves[1] * factor


def _combined(call: Call, terms: list[tuple[Argument, Tensor]], axis: int) -> Argument:
    """The sum of matrices times tensors, along an axis."""
    there = [(x, matrix) for x, matrix in terms if x is not None]
    followed = [(x, matrix) for x, matrix in there if isinstance(x, Followed)]
    fixed = sum(_applied(matrix, x, axis) for x, matrix in there if isinstance(x, Tensor))
    if not followed:
        return fixed if isinstance(fixed, Tensor) else None
    shape = list(followed[0][0].shape)
    shape[axis] = len(followed[0][1])
    marks = [(matrix != 0).float() for _, matrix in followed]

    def paths(*values: Tensor) -> Tensor:
        found = [_applied(m.to(v.dtype), v, axis) for m, v in zip(marks, values, strict=True)]
        return found[0] if len(found) == 1 else found[0] + found[1]

    def function(*values: Tensor) -> Tensor:
        found = [_applied(m, v, axis) for (_, m), v in zip(followed, values, strict=True)]
        return torch.stack(found).sum(0) + fixed

    nothing = not isinstance(fixed, Tensor)
    inputs = [x for x, _ in followed]
    return call.step(inputs, paths, function, keeps_zero=nothing, shape=torch.Size(shape))


def _applied(matrix: Tensor, x: Tensor, axis: int) -> Tensor:
    if matrix.is_floating_point() and x.dtype != matrix.dtype:
        x = x.to(matrix.dtype)
    return (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)


def _shape(parts: Parts) -> torch.Size:
    return (parts[1] if parts[0] is None else parts[0]).shape


def _pair(parts: Parts) -> Argument:
    shape = _shape(parts)
    real, imag = (
        torch.zeros(shape, dtype=torch.float64, device="cpu") if part is None else part
        for part in parts
    )
    if isinstance(real, Tensor) and isinstance(imag, Tensor):
        return torch.complex(real, imag)
    return Complex(real, imag)
