"""Sums over the windows of pooling layers: the paths through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

Sizes = int | Sequence[int]

_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {
    1: functional.conv1d,
    2: functional.conv2d,
    3: functional.conv3d,
}


def window_sums(
    x: Tensor,
    output: Sequence[int],
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
) -> Tensor:
    """The sums over the windows of a max or average pooling.

    Args:
        x: `(samples, channels, *spatial)`.
        output: The sizes of the pooled axes, which say how far the last windows reach out.
        kernel_size: As of the pooling, and so are the others.
        stride: None: the kernel's size.
        padding: On both sides.
        dilation: Between the elements of a window.
    """
    axes = len(output)
    kernel = _each(kernel_size, axes)
    steps = kernel if stride is None or stride == [] else _each(stride, axes)
    pad, dilate = _each(padding, axes), _each(dilation, axes)
    around: list[int] = []
    for i in reversed(range(axes)):
        reach = (output[i] - 1) * steps[i] + dilate[i] * (kernel[i] - 1) + 1
        # Negative where the last windows do not reach the end.
        around += [pad[i], reach - x.shape[i + 2] - pad[i]]
    ones = x.new_ones(1, 1, *kernel)
    # Every channel of every sample by itself.
    alone = x.reshape(-1, 1, *x.shape[2:])
    padded = functional.pad(alone, around)
    sums = _CONVOLUTIONS[axes](padded, ones, stride=steps, dilation=dilate)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


def adaptive_sums(x: Tensor, output: Sequence[int]) -> Tensor:
    """The sums over the windows of an adaptive pooling: `(samples, channels, *spatial)`."""
    for axis, size in enumerate(output, start=2):
        place = torch.arange(x.shape[axis], device=x.device)
        window = torch.arange(size, device=x.device)[:, None]
        # Window i goes from floor(i n / size) to ceil((i + 1) n / size).
        first = window * x.shape[axis] // size
        last = -((-(window + 1) * x.shape[axis]) // size)
        inside = ((place >= first) & (place < last)).to(x.dtype)
        x = (x.movedim(axis, -1) @ inside.T).movedim(-1, axis)
    return x


def _each(sizes: Sizes, axes: int) -> list[int]:
    if isinstance(sizes, int):
        return [sizes] * axes
    return list(sizes) * axes if len(sizes) == 1 else list(sizes)
