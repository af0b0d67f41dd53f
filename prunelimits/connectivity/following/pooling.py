# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Operations on windows and positions: pooling and interpolation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.recording import Followed
from prunelimits.connectivity.following.table import aten, rule
from prunelimits.connectivity.following.values import Argument
from prunelimits.connectivity.following.windows import adaptive_sums, window_sums


@rule(*aten("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool1d", "max_pool2d",
            "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"))  # fmt: skip
def pool(call: Call) -> Argument:
    """The elements of each window."""
    (x,) = call.followed
    output = call.shapes[0][0]
    averages = "avg" in str(call.operation)
    axes = int(str(call.operation).split("_pool")[1][0])
    settings: dict[str, Any] = {
        "kernel_size": call.argument(1, "kernel_size"),
        "stride": call.argument(2, "stride", []),
        "padding": call.argument(3, "padding", 0),
        "dilation": 1 if averages else call.argument(4, "dilation", 1),
    }
    batched = len(x.shape) == axes + 2

    def paths(v: Tensor) -> Tensor:
        whole = v if batched else v[None]
        found = window_sums(whole, output[-axes:], **settings)
        return found if batched else found[0]

    return call._each(paths, keeps_zero=True)  # pyright: ignore[reportPrivateUsage]


@rule(*aten("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d",
            "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
            "adaptive_max_pool2d", "adaptive_max_pool3d"))  # fmt: skip
def adaptive_pool(call: Call) -> Argument:
    """Windows that divide the positions."""
    (x,) = call.followed
    output = call.shapes[0][0]
    axes = int(str(call.operation).split("_pool")[1][0])
    batched = len(x.shape) == axes + 2

    def paths(v: Tensor) -> Tensor:
        found = adaptive_sums(v if batched else v[None], output[-axes:])
        return found if batched else found[0]

    return call._each(paths, keeps_zero=True)  # pyright: ignore[reportPrivateUsage]


@rule(*aten("max_unpool2d", "max_unpool3d"))
def unpooled(call: Call) -> Argument:
    """Any position of the same channel, as the indices say."""
    if not all(isinstance(x, Followed) for x in call.args[:2]):
        return call.unknown()
    shape = call.shapes[0][0]
    axes = list(range(-3 if "3d" in str(call.operation) else -2, 0))

    def paths(x: Tensor, index: Tensor) -> Tensor:
        return (x + index).sum(axes, keepdim=True).expand(shape)

    return call.linear(paths, keeps_zero=True)


@rule(*aten("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d",
            "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"))  # fmt: skip
def interpolate(call: Call) -> Argument:
    """Weighted sums, one axis after the other: which elements have a weight."""
    (x,) = call.followed
    before, after = x.shape[2:], call.shapes[0][0][2:]
    matrices = [_weights(call, axis, before, after) for axis in range(len(before))]

    def paths(v: Tensor) -> Tensor:
        for axis, matrix in enumerate(matrices, start=2):
            v = (v.movedim(axis, -1) @ matrix.T.to(v.dtype)).movedim(-1, axis)
        return v

    return call.linear(paths, keeps_zero=True)


@rule(*aten("grid_sampler_2d", "grid_sampler_3d"))
def sampled(call: Call) -> Argument:
    """Any position of a channel, as the grid says."""
    image, grid = call.args[:2]
    shape = call.shapes[0][0]

    def of_image(v: Tensor) -> Tensor:
        return v.sum(list(range(2, v.dim())), keepdim=True).expand(shape)

    def of_grid(v: Tensor) -> Tensor:
        return v.sum(-1).unsqueeze(1).expand(shape)

    maps = [m for x, m in ((image, of_image), (grid, of_grid)) if isinstance(x, Followed)]

    def paths(*inputs: Tensor) -> Tensor:
        parts = [m(v) for m, v in zip(maps, inputs, strict=True)]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    return call.linear(paths)


def _weights(call: Call, axis: int, before: torch.Size, after: torch.Size) -> Tensor:
    """Which elements along an axis each element of the output there is made of."""
    n = before[axis]
    shape = [1] * len(before)
    shape[axis] = n
    # One-hot along the axis, the same along the others.
    hot = (
        torch.eye(n, dtype=torch.float64, device="cpu").reshape(n, 1, *shape).expand(n, 1, *before)
    )
    found: Tensor = call.operation(hot.contiguous(), *call.args[1:], **call.kwargs)
    rows = found[:, 0:1].movedim(axis + 2, 1)
    return (rows.reshape(n, after[axis], -1).abs() > 1e-12).any(-1).T.double()
