"""Zeros written bit by bit are those of `masked_fill`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from prunelimits.masks import apply
from prunelimits.masks.zeroing import ruled_out, zeroed

TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.complex64]


def pair(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(6, 4, 3, generator=generator).mul(9).to(dtype)
    if dtype.is_floating_point:
        value[0, 0] = torch.tensor([torch.nan, torch.inf, -torch.inf])
        value[1, 0] = torch.tensor([-0.0, 0.0, 1e-41]).to(dtype)
    return value, torch.rand(value.shape, generator=generator) < 0.5


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("form", ["plain", "transposed", "both transposed", "part"])
def test_zeros_are_written_whatever_is_there(dtype: torch.dtype, form: str):
    value, mask = pair(dtype)
    if form == "transposed":
        value, mask = value.mT, mask.mT.contiguous()
    elif form == "both transposed":
        value, mask = value.mT, mask.mT
    elif form == "part":
        value, mask = value[1:, ::2], mask[1:, ::2]
    before, expected = value.clone(), value.masked_fill(~mask, 0)
    result = zeroed(value, mask)
    assert result.stride() == expected.stride()
    assert torch.allclose(result, expected, rtol=0, atol=0, equal_nan=True)
    assert not result[~mask].any()
    assert torch.allclose(value, before, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_is_ruled_out_is_below_all_numbers(dtype: torch.dtype):
    value, mask = pair(dtype)
    value = value.nan_to_num(posinf=3.0, neginf=-3.0)
    assert torch.equal(ruled_out(value, mask), value.masked_fill(~mask, -torch.inf))
    assert torch.equal(ruled_out(value.mT, mask.mT), value.mT.masked_fill(~mask.mT, -torch.inf))
    nothing = torch.zeros_like(mask)
    assert torch.equal(ruled_out(value, nothing), torch.full_like(value, -torch.inf))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # forward mode's first use
def test_masked_parameters_are_differentiated_in_every_mode():
    value, mask = pair(torch.float64)
    value = value.nan_to_num(posinf=3.0, neginf=-3.0)

    def loss(value: Tensor) -> Tensor:
        return apply({"a": value}, {"a": mask})["a"].square().sum()

    expected = 2 * value * mask
    leaf = value.clone().requires_grad_()
    assert torch.equal(torch.autograd.grad(loss(leaf), leaf)[0], expected)
    assert torch.equal(torch.func.grad(loss)(value), expected)
    stacked = torch.func.vmap(torch.func.grad(loss))(torch.stack([value, value]))
    assert torch.equal(stacked[1], expected)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(value, torch.ones_like(value))
        assert torch.allclose(forward_ad.unpack_dual(loss(dual)).tangent, expected.sum())
