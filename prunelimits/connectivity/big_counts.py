"""Exact integers of any size in float64 tensors: digits in base 2^16, on the first axis.

Sums of digits stay exact below 2^53, so a linear map of up to 2^37 terms can be applied to each
digit by itself by ordinary floating-point kernels; `carried` then makes them digits again.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BASE = 1 << 16


def carried(digits: Tensor) -> Tensor:
    """The same integers with every digit below the base, as few digits as there need be."""
    result: list[Tensor] = []
    carry = torch.zeros_like(digits[0])
    for digit in digits:
        total = digit + carry
        carry = torch.floor(total / _BASE)
        result.append(total - carry * _BASE)
    while carry.any():
        more = torch.floor(carry / _BASE)
        result.append(carry - more * _BASE)
        carry = more
    while len(result) > 1 and not result[-1].any():
        result.pop()
    return torch.stack(result)


def added(left: Tensor, right: Tensor) -> Tensor:
    """The sums of two tensors of integers."""
    digits = max(len(left), len(right))
    total = left.new_zeros(digits, *left.shape[1:])
    total[: len(left)] += left
    total[: len(right)] += right
    return carried(total)


def inner_products(left: Tensor, right: Tensor) -> list[int]:
    """The sums over positions of left x right: `(digits, units, positions)` to one int a unit."""
    # Digit products are below 2^32, so 2^21 positions add up exactly.
    totals = [0] * left.shape[1]
    for start in range(0, left.shape[2], 1 << 20):
        block = slice(start, start + (1 << 20))
        products = left[:, :, block].movedim(0, 1) @ right[:, :, block].permute(1, 2, 0)
        for unit, table in enumerate(products.to(torch.int64).tolist()):
            totals[unit] += sum(
                value * _BASE ** (i + j)
                for i, row in enumerate(table)
                for j, value in enumerate(row)
            )
    return totals
