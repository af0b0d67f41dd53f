from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.resuming import StoreError, check_same, digest


@dataclass
class Point:
    x: object
    y: object = 0


@dataclass
class Other:
    x: object
    y: object = 0


class Colour(enum.Enum):
    RED = 1
    BLUE = 1.5


class Pair(NamedTuple):
    x: int
    y: int


def test_values_of_different_kinds_never_collide():
    values: list[Any] = [
        None, True, False, 0, 1, -1, 255, 256, 2**64, -(2**64), 0.0, -0.0, 1.0, float("nan"),
        float("inf"), 1j, "", "0", "1", "None", "True", b"", b"1", "é", "\udcff", (), (1,), ((),),
        (None,), (0, 0), [[0], 0], [0, [0]], "00", {}, {0: 0}, {"0": 0}, {0: "0"}, {0: {}},
        set(), {1}, {1, 2}, Point(0), Point(1), Point(0, 1), Other(0), Point(None),
        {"x": 0, "y": 0}, Colour.RED, Colour.BLUE, Path("1"), Path("2"), int, float, len, digest,
        torch.float32, torch.float64, torch.device("cpu"), torch.device("cuda:0"),
        torch.tensor(1), torch.tensor(1.0), torch.tensor(True), torch.tensor([1]),
        torch.tensor([[1]]), torch.tensor([1], dtype=torch.int32), torch.tensor([]),
        torch.zeros(0, 2), torch.zeros(2, 0), torch.zeros(2, 3), torch.zeros(3, 2), torch.zeros(6),
        torch.zeros(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.float16),
        torch.zeros(2, dtype=torch.complex64), torch.eye(2), torch.eye(2).to_sparse(),
        np.zeros(2), np.zeros(2, dtype=">f8"), np.zeros((1, 2)), np.zeros(2, dtype=np.float32),
        np.array("1"), np.array(1), np.array([None]), np.array([0], dtype=object),
        np.zeros(1, dtype=[("a", "i4")]), np.zeros(1, dtype=[("b", "i4")]),
    ]  # fmt: skip
    digests = {digest(value): value for value in values}
    assert len(digests) == len(values)


def test_where_a_value_stands_matters():
    assert digest(1, 2) != digest(2, 1)
    assert digest("ab", "c") != digest("a", "bc")
    assert digest((1, 2), 3) != digest(1, (2, 3))
    assert digest() != digest(None)


def test_the_same_values_have_the_same_digest_however_they_are_held():
    generator = torch.Generator().manual_seed(0)
    tensor = torch.randn(4, 6, generator=generator)
    for other in (
        tensor.clone(),
        tensor.T.contiguous().T,
        torch.cat([tensor, tensor], 1)[:, :6],
        torch.nn.Parameter(tensor),
        tensor.expand(2, 4, 6)[1],
    ):
        assert digest(other) == digest(tensor)
    assert digest(torch.ones(1).expand(3)) == digest(torch.ones(3))
    assert digest(torch.ones(3, dtype=torch.complex64).conj()) == digest(
        torch.ones(3, dtype=torch.complex64).conj().resolve_conj()
    )
    assert digest([1, 2]) == digest((1, 2)) == digest(range(1, 3)) == digest(Pair(1, 2))
    assert digest(np.int32(3), np.float64(0.5), np.bool_(1)) == digest(3, 0.5, True)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({3, "a", 1.5}) == digest({1.5, "a", 3})
    array = np.arange(12.0).reshape(3, 4)
    assert digest(np.asfortranarray(array)) == digest(array)
    assert digest(bytearray(b"x")) == digest(b"x")


@given(st.integers(), st.integers())
def test_integers_are_told_apart_whatever_their_size(a: int, b: int):
    assert (digest(a) == digest(b)) == (a == b)


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8],
)
def test_one_bit_of_a_tensor_is_enough(dtype: torch.dtype):
    bits = torch.zeros(3, dtype=dtype).view(torch.uint8)
    seen = {digest(bits.view(dtype))}
    for place in range(len(bits)):
        for bit in range(8):
            other = bits.clone()
            other[place] ^= 1 << bit
            seen.add(digest(other.view(dtype)))
    assert len(seen) == 1 + 8 * len(bits)


@pytest.mark.parametrize(
    "value",
    [object(), torch.zeros(2, device="meta"), iter([1]), torch.Generator(), [object()]],
    ids=["object", "meta tensor", "iterator", "generator", "in a list"],
)
def test_what_has_no_content_is_refused(value: object):
    with pytest.raises(TypeError, match="a fingerprint"):
        digest(value)


def test_what_differs_is_named():
    recorded = {"seed": 0, "target": 0.95, "widths": [2, 3, 1], "old": 1}
    check_same("f", recorded, {**recorded, "widths": (2, 3, 1)}, "search")
    with pytest.raises(StoreError) as raised:
        check_same("f.pt", recorded, {"seed": 1, "target": 0.95, "widths": (2, 4, 1)}, "search")
    assert str(raised.value) == (
        "f.pt belongs to another search (seed is 0, asked for 1; widths is [2, 3, 1], asked for "
        "[2, 4, 1]; old is 1, asked for nothing of that name): ask for the same, or use another "
        "store"
    )
    with pytest.raises(StoreError, match="new is absent, asked for None"):
        check_same("f", {}, {"new": None}, "search")


def test_of_digests_the_beginning_is_shown():
    with pytest.raises(StoreError, match=r"\(data is another \(aaaaaaaaaaaa\.\.\., asked for bbbb"):
        check_same("f.pt", {"data": "a" * 64}, {"data": "b" * 64}, "search")


def test_what_differs_within_an_entry_is_named():
    recorded = {"dense": {"epochs": 10, "lr": 0.05, "more": {"a": 1}}, "plain": {"a": 1}}
    wanted = {"dense": {"epochs": 100, "lr": 0.05, "more": {"a": 2, "b": 3}}, "plain": [1]}
    with pytest.raises(StoreError) as raised:
        check_same("f.pt", recorded, wanted, "search")
    assert str(raised.value) == (
        "f.pt belongs to another search (dense.epochs is 10, asked for 100; dense.more.a is 1, "
        "asked for 2; dense.more.b is absent, asked for 3; plain is {'a': 1}, asked for [1]): ask "
        "for the same, or use another store"
    )


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
def test_long_values_are_shown_where_they_differ(head: str, left: str, right: str):
    left, right = f"{head}<{left}", f"{head}>{right}"
    with pytest.raises(StoreError) as raised:
        check_same("f", {"x": left}, {"x": right}, "search")
    message = str(raised.value)
    assert len(message) < 320
    assert "<" in message
    assert ">" in message
