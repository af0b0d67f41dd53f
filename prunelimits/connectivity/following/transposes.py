"""Layers as maps on numbers of paths, and their transposes, without automatic differentiation.

Few rows of what comes into a linear layer differ: behind a normalisation all positions are reached
alike. Each is multiplied once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Transposed: TypeAlias = Callable[[Sequence[Tensor], Tensor, Sequence[bool]], list[Tensor | None]]
"""What a layer reads, the paths that go on, which inputs are asked for -> the paths of each."""

# Below, it costs more to look for equal rows than to multiply them.
_FEWEST_ROWS = 8


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """`x W^T`, `(..., d_in)` and `(d_out, d_in)`."""
    rows = x.reshape(x.shape[:-1].numel(), x.shape[-1])
    found = _distinct(rows)
    result = rows @ weight.T if found is None else (rows[found[0]] @ weight.T)[found[1]]
    return result.reshape(*x.shape[:-1], len(weight))


def linear_transposed(
    at: Sequence[Tensor], paths: Tensor, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The transpose of `linear` in either input."""
    x, weight = at
    result: list[Tensor | None] = [None, None]
    if wanted[0]:
        result[0] = linear(paths, weight.T)
    if wanted[1]:
        after, before = (v.reshape(v.shape[:-1].numel(), v.shape[-1]) for v in (paths, x))
        found = _distinct(torch.cat([after, before], 1))
        if found is not None:
            times = torch.bincount(found[1], minlength=len(found[0])).to(after.dtype)
            after, before = after[found[0]] * times[:, None], before[found[0]]
        result[1] = after.T @ before
    return result


def product(x: Tensor, weight: Tensor) -> Tensor:
    """`x W`, `(..., d_in)` and `(d_in, d_out)`."""
    return linear(x, weight.T)


def product_transposed(
    at: Sequence[Tensor], paths: Tensor, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The transpose of `product` in either input."""
    before, of_weight = linear_transposed([at[0], at[1].T], paths, wanted)
    return [before, None if of_weight is None else of_weight.T]


def convolution(x: Tensor, weight: Tensor, settings: Sequence[Any]) -> Tensor:
    """`torch.ops.aten.convolution` with these settings; channels that are all alike only once."""
    if _channels_alike(x, settings):
        x, weight = x[:, :1], weight.sum(1, keepdim=True)
    return torch.ops.aten.convolution.default(x, weight, None, *settings)


def convolution_transposed(*settings: Any) -> Transposed:  # noqa: ANN401 - torch's own settings
    """The transpose of `torch.ops.aten.convolution` with these settings, in either input."""

    def transposed(
        at: Sequence[Tensor], paths: Tensor, wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        x, weight = at
        backward: Any = torch.ops.aten.convolution_backward.default
        asked = [bool(wanted[0]), bool(wanted[1]), False]
        alike = not wanted[0] and _channels_alike(x, settings)
        if alike:
            x, weight = x[:, :1].contiguous(), weight[:, :1].contiguous()
        found = backward(paths.contiguous(), x, weight, None, *settings, asked)
        result = [part if asked[place] else None for place, part in enumerate(found[:2])]
        if alike and result[1] is not None:
            result[1] = result[1].expand(at[1].shape)
        return result

    return transposed


def _channels_alike(x: Tensor, settings: Sequence[Any]) -> bool:
    """Whether a convolution reads the same in all channels: they are expanded from one."""
    transposed, groups = settings[3], settings[5]
    return x.dim() > 2 and x.shape[1] > 1 and x.stride(1) == 0 and groups == 1 and not transposed


def _distinct(rows: Tensor) -> tuple[Tensor, Tensor] | None:
    """Which rows differ, and for each row which of them it is. None: most do."""
    count, width = rows.shape
    if count < _FEWEST_ROWS:
        return None
    generator = torch.Generator().manual_seed(0)
    marks = torch.rand(width, generator=generator, dtype=torch.float32, device="cpu").to(rows.dtype)
    values, of_row = torch.unique(rows @ marks, return_inverse=True)
    if 2 * len(values) > count:
        return None
    first = torch.zeros(len(values), dtype=torch.int64, device="cpu")
    first[of_row] = torch.arange(count, device="cpu")
    # Rows that differ may have the same mark.
    return (first, of_row) if torch.equal(rows[first][of_row], rows) else None
