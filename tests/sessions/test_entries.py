"""What is pruned is overwritten: by the library as by torch's operations, and nothing else is."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from prunelimits.pruners import Random, prune
from prunelimits.sessions import attach
from prunelimits.sessions.entries import PrunedEntries
from prunelimits.sessions.native import library

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int8, torch.int64]
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda v: v.contiguous(),
    "channels last": lambda v: v.contiguous(memory_format=torch.channels_last),
    "transposed": lambda v: v.transpose(0, 1).contiguous().transpose(0, 1),
    "with gaps": lambda v: torch.stack([v, v], -1)[..., 0],
    "within another": lambda v: torch.cat([v, v])[len(v) :],
}


@pytest.fixture(params=["library", "torch"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the compiled library, and without."""
    if request.param == "torch":
        monkeypatch.setattr("prunelimits.sessions.native.library.load", lambda: None)
    elif library.load() is None:
        pytest.skip("installed without the native libraries")
    return request.param


def numbers(dtype: torch.dtype, *shape: int) -> Tensor:
    values = torch.randint(1, 100, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    if dtype.is_floating_point:
        values.view(-1)[::7] = torch.nan
        values.view(-1)[1::7] = -torch.inf
    return values


def mask_of(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.3


def same(one: Tensor, other: Tensor) -> bool:
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_zeros_are_written_where_the_mask_prunes(dtype: torch.dtype, layout: str):
    mask = mask_of(9, 5, 7, 3)
    values = LAYOUTS[layout](numbers(dtype, 9, 5, 7, 3))
    want = torch.where(mask, values, torch.zeros_like(values))
    entries = PrunedEntries(mask)
    assert not entries.are_zero(values.clone(memory_format=torch.preserve_format))
    entries.zero(values)
    assert same(values, want)
    assert entries.are_zero(values)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_entry_that_is_not_zero_is_found_in_its_part(layout: str):
    mask = mask_of(11, 4, 3, 2)
    entries = PrunedEntries(mask)
    for place in (~mask).nonzero().tolist()[::5]:
        values = LAYOUTS[layout](torch.zeros(11, 4, 3, 2))
        values[tuple(place)] = torch.nan
        values[mask] = 3.0
        found = [
            part for part in range(4)
            if not entries.are_zero(values.clone(memory_format=torch.preserve_format), (part, 4))
        ]  # fmt: skip
        assert 1 <= len(found) <= 2  # parts of rows may share one


def test_the_negative_zero_is_a_zero_and_the_least_integer_is_none():
    entries = PrunedEntries(torch.tensor([False, True]))
    assert entries.are_zero(torch.tensor([-0.0, 1.0]))
    assert not entries.are_zero(torch.tensor([-128, 1], dtype=torch.int8))


def test_small_numbers_are_put_in_place_of_zeros():
    entries = PrunedEntries(torch.tensor([False, True, False, True]))
    values = torch.tensor([0.0, 0.0, 0.0, 5.0])
    entries.fill(values, 67 << 23)
    assert values.tolist() == [2.0**-60, 0.0, 2.0**-60, 5.0]


def test_a_tensor_of_one_number_or_none():
    for kept in (True, False):
        number = torch.tensor(3.0)
        PrunedEntries(torch.tensor(kept)).zero(number)
        assert float(number) == 3.0 * kept
        assert PrunedEntries(torch.tensor(kept)).are_zero(number)
    empty = PrunedEntries(torch.ones(0, 3, dtype=torch.bool))
    empty.zero(torch.ones(0, 3))
    assert empty.are_zero(torch.ones(0, 3), (1, 4))


def test_what_is_written_has_a_new_version_as_autograd_needs_it():
    weight = torch.ones(3, requires_grad=True)
    product = (weight * weight).sum()
    PrunedEntries(torch.tensor([True, False, True])).zero(weight.detach())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def test_every_kernel_and_any_number_of_threads_gives_the_same(way: str):
    compiled = library.load()
    if compiled is None:
        return
    for size in (0, 1, 255, 256, 257, 2**20 + 3):
        values, mask = numbers(torch.float32, size), mask_of(size)
        want = torch.where(mask, values, torch.zeros(()))
        differing = int(values.view(torch.int32)[~mask].any()) if size else 0
        for kernel in range(len(compiled.kernels())):
            for threads in (1, 3):
                mine = values.clone()
                found = compiled.overwrite(mine, mask, threads=threads, kernel=kernel)
                assert same(mine, want)
                assert bool(found) == bool(differing)
                version = mine._version  # pyright: ignore[reportPrivateUsage]
                assert compiled.overwrite(mine, mask, threads=threads, kernel=kernel) == 0
                assert mine._version == version  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
def test_a_session_is_a_plain_loop_that_masks_by_hand(last: bool):
    """A convolution large enough to be looked at in parts, and batch norm beside it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 96, 3), nn.BatchNorm2d(96), nn.ReLU(), nn.Conv2d(96, 96, 3))
    net = net.to(memory_format=torch.channels_last) if last else net  # pyright: ignore
    masks = prune(net, Random(), sparsity=0.9)
    plain = copy.deepcopy(net)
    ours, theirs = (torch.optim.AdamW(m.parameters(), lr=0.01) for m in (net, plain))

    def masked(values: dict[str, Tensor]) -> None:
        for name, mask in masks.items():
            values[name].masked_fill_(~mask, 0)

    with torch.no_grad():
        masked(dict(plain.named_parameters()))
    with attach(masks, net, ours):
        for step in range(6):
            x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
            for model, optimizer in ((net, ours), (plain, theirs)):
                optimizer.zero_grad()
                model(x).square().mean().backward()
                if model is plain:
                    masked({n: p.grad for n, p in plain.named_parameters() if p.grad is not None})
                optimizer.step()
            with torch.no_grad():
                masked(dict(plain.named_parameters()))
            for p, q in zip(net.parameters(), plain.parameters(), strict=True):
                assert torch.equal(p, q)
            for name, mask in masks.items():
                assert not net.get_parameter(name).detach()[~mask].any()
