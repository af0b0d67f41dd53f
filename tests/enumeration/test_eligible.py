"""EligibleMasks against the list written out by brute force."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunelimits.enumeration import EligibleMasks, ModelMasks

Rows = tuple[tuple[int, ...], ...]


def row_key(row: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return sum(row), row


def list_order(mask: Rows) -> tuple[int, tuple[int, ...], Rows]:
    return sum(map(sum, mask)), tuple(map(sum, mask)), mask


def eligible_by_brute_force(d_in: int, d_out: int) -> list[Rows]:
    """One sorted mask for each class of binary matrices under row permutations."""
    rows = list(itertools.product((0, 1), repeat=d_in))
    every_matrix = itertools.product(rows, repeat=d_out)
    sorted_rows = {tuple(sorted(matrix, key=row_key, reverse=True)) for matrix in every_matrix}
    eligible = [
        mask
        for mask in sorted_rows
        if all(map(any, mask)) and all(map(any, zip(*mask, strict=True)))
    ]
    return sorted(eligible, key=list_order)


def as_rows(mask: Tensor) -> Rows:
    return tuple(tuple(row) for row in mask.int().tolist())


SMALL = [(a, b) for a in range(1, 5) for b in range(1, 5) if (a, b) != (4, 4)]


@pytest.mark.parametrize(("d_in", "d_out"), SMALL)
def test_list_is_the_brute_force_list(d_in: int, d_out: int) -> None:
    expected = eligible_by_brute_force(d_in, d_out)
    space = EligibleMasks(d_in, d_out)
    assert len(space) == space.count == len(expected)
    assert [as_rows(mask) for mask in space] == expected
    assert [space.index(mask) for mask in space] == list(range(len(space)))
    assert space.counts_by_nonzeros() == Counter(sum(map(sum, mask)) for mask in expected)
    assert all(mask.dtype == torch.bool and mask.shape == (d_out, d_in) for mask in space)


@pytest.mark.parametrize(("d_in", "d_out"), SMALL)
def test_exact_unranking_gives_the_same_list_without_tables(
    d_in: int, d_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prunelimits.enumeration.eligible.TABLE_ROWS", 0)
    expected = eligible_by_brute_force(d_in, d_out)
    assert [as_rows(mask) for mask in EligibleMasks(d_in, d_out)] == expected


@pytest.mark.parametrize(
    ("d_in", "d_out", "count"),
    [
        (2, 3, 8),
        (3, 3, 57),
        (2, 7, 34),
        (7, 3, 137_257),
        (3, 1, 1),
        (64, 1, 1),
        (1, 64, 1),
        (2, 300, 45_449),
    ],
)
def test_published_counts(d_in: int, d_out: int, count: int) -> None:
    space = EligibleMasks(d_in, d_out)
    assert len(space) == count
    assert space.index(space[-1]) == count - 1
    assert sum(space.counts_by_nonzeros().values()) == count


@settings(max_examples=60)
@given(d_in=st.integers(1, 12), d_out=st.integers(1, 12), data=st.data())
def test_round_trip_and_order(d_in: int, d_out: int, data: st.DataObject) -> None:
    space = EligibleMasks(d_in, d_out)
    draw = st.integers(0, space.count - 1)
    ranks = sorted(set(data.draw(st.lists(draw, min_size=1, max_size=3))))
    ranks += [ranks[-1] + 1] if ranks[-1] + 1 < space.count else []
    masks = [space[rank] for rank in ranks]
    assert [space.index(mask) for mask in masks] == ranks
    keys = [list_order(as_rows(mask)) for mask in masks]
    assert all(first < second for first, second in itertools.pairwise(keys))
    for mask in masks:
        rows = as_rows(mask)
        assert list(rows) == sorted(rows, key=row_key, reverse=True)
        assert mask.any(0).all()
        assert mask.any(1).all()
    assert torch.equal(space.take(ranks), torch.stack(masks))


@settings(max_examples=25)
@given(data=st.data())
def test_tables_and_exact_unranking_agree(data: st.DataObject) -> None:
    space = EligibleMasks(7, 3)
    ranks = data.draw(st.lists(st.integers(0, space.count - 1), max_size=20))
    tabulated = space.take(ranks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prunelimits.enumeration.eligible.TABLE_ROWS", 0)
        assert torch.equal(EligibleMasks(7, 3).take(ranks), tabulated)


def test_every_neighbour_of_a_middling_space_ascends() -> None:
    space = EligibleMasks(5, 4)
    keys = [list_order(as_rows(mask)) for mask in space]
    assert len(keys) == len(space)
    assert all(first < second for first, second in itertools.pairwise(keys))


def test_ranks_beyond_int64() -> None:
    space = EligibleMasks(16, 16)
    assert space.index(space[10**40]) == 10**40
    assert space.index(space[-1]) == space.count - 1
    assert space[-1].all()
    assert torch.equal(space[0], torch.eye(16, dtype=torch.bool))
    assert sum(space.counts_by_nonzeros().values()) == space.count
    with pytest.raises(OverflowError, match=r"use \.count"):
        len(space)
    view = space[10**40 :: 10**50]
    assert view.count == len(range(10**40, space.count, 10**50))
    assert view.index(view[3]) == 3
    assert torch.equal(space.take([10**40])[0], space[10**40])


def test_tables_are_dropped_beyond_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = EligibleMasks(4, 3).take(range(400))
    monkeypatch.setattr("prunelimits.enumeration.eligible.TABLE_BYTES", 1000)
    space = EligibleMasks(4, 3)
    assert torch.equal(space.take(range(400)), expected)
    assert torch.equal(space.take(range(400)), expected)


def test_slices_are_lazy_views() -> None:
    space = EligibleMasks(3, 3)
    masks = list(space)
    for ranks in (slice(3, 9), slice(None, None, -2), slice(-5, None), slice(9, 3)):
        view = space[ranks]
        assert len(view) == len(masks[ranks])
        assert [as_rows(mask) for mask in view] == [as_rows(mask) for mask in masks[ranks]]
        assert [as_rows(m) for m in view[1:][::2]] == [as_rows(m) for m in masks[ranks][1:][::2]]
    view = space[10:20:3]
    assert view.ranks == range(10, 20, 3)
    assert view.index(masks[16]) == 2
    assert masks[16] in view
    assert masks[11] not in view
    assert view == EligibleMasks(3, 3)[10:20:3]
    assert hash(view) == hash(EligibleMasks(3, 3)[10:20:3])
    assert view != space[10:20:2]
    assert repr(view) == "SequenceSlice(EligibleMasks(3, 3), range(10, 20, 3))"
    with pytest.raises(IndexError, match="4 elements"):
        view[4]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[1, 1], [1, 0]], r"shape \(3, 2\), got \(2, 2\)"),
        ([[1, 1], [1, 1], [0, 0]], "row 2 is zero"),
        ([[1, 0], [1, 0], [1, 0]], "column 1 is zero"),
        ([[1, 1], [0, 1], [1, 0]], "rows 1 and 2 are out of order"),
        ([[1, 0], [1, 1], [1, 0]], "rows 0 and 1 are out of order"),
    ],
)
def test_index_says_why_a_mask_is_not_eligible(rows: list[list[int]], reason: str) -> None:
    mask = torch.tensor(rows, dtype=torch.bool)
    space = EligibleMasks(2, 3)
    assert mask not in space
    with pytest.raises(ValueError, match=reason):
        space.index(mask)


def test_index_wants_a_bool_tensor() -> None:
    space = EligibleMasks(2, 3)
    for value in (torch.ones(3, 2), [[True]], None):
        assert value not in space
        with pytest.raises(TypeError, match="bool tensor"):
            space.index(value)


def test_index_respects_start_and_stop() -> None:
    space = EligibleMasks(2, 3)
    assert space.index(space[5], 3, 6) == 5
    with pytest.raises(ValueError, match="value has rank 5, not from start 6 to stop None"):
        space.index(space[5], 6)


@pytest.mark.parametrize("index", [8, -9, 10**30])
def test_position_out_of_range(index: int) -> None:
    space = EligibleMasks(2, 3)
    assert torch.equal(space[-8], space[0])
    with pytest.raises(IndexError, match=str(index)):
        space[index]


@pytest.mark.parametrize("ranks", [[0, 8], [-1], range(5, 9), range(-1, 2), torch.tensor([8])])
def test_rank_out_of_range(ranks: object) -> None:
    with pytest.raises(IndexError, match="0 to 7"):
        EligibleMasks(2, 3).take(ranks)


@pytest.mark.parametrize("ranks", [[0.5], ["a"], torch.tensor([0.0]), torch.tensor([[1]])])
def test_ranks_must_be_integers(ranks: object) -> None:
    with pytest.raises(TypeError, match=r"ranks(\[0\])? must be"):
        EligibleMasks(2, 3).take(ranks)


@pytest.mark.parametrize("ranks", [[], range(0), range(3, 3), torch.tensor([], dtype=torch.long)])
def test_no_ranks(ranks: object) -> None:
    assert EligibleMasks(2, 3).take(ranks).shape == (0, 3, 2)


def test_ranks_in_any_form_and_order() -> None:
    space = EligibleMasks(3, 2)
    expected = torch.stack([space[7], space[5], space[3]])
    for ranks in ([7, 5, 3], range(7, 2, -2), torch.tensor([7, 5, 3], dtype=torch.int16)):
        assert torch.equal(space.take(ranks), expected)


@pytest.mark.parametrize(
    ("d_in", "d_out", "error", "message"),
    [
        (0, 3, ValueError, "d_in must be at least 1, got 0"),
        (3, -1, ValueError, "d_out must be at least 1, got -1"),
        (2.0, 3, TypeError, "d_in must be an integer, got 2.0"),
        (2, True, TypeError, "d_out must be an integer, got True"),
    ],
)
def test_bad_widths(d_in: object, d_out: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        EligibleMasks(d_in, d_out)


def test_equal_by_value() -> None:
    space = EligibleMasks(2, 3)
    assert space == EligibleMasks(2, 3) != EligibleMasks(3, 2)
    assert space != 3
    assert hash(space) == hash(EligibleMasks(2, 3))
    assert repr(space) == "EligibleMasks(2, 3)"
    space.take(range(8))
    assert pickle.loads(pickle.dumps(space)) == space
    assert len(pickle.dumps(space)) < 200


def test_masks_too_large_to_list_are_still_counted() -> None:
    space = EligibleMasks(64, 64)
    assert space.count > 2**3000
    for use in (
        lambda: space[0],
        space.counts_by_nonzeros,
    ):
        with pytest.raises(ValueError, match=r"at most 1024 .* got 64 x 64; .count works"):
            use()
    with pytest.raises(ValueError, match=r"at most 1024 weights in a layer.* got \(2, 64, 64, 1\)"):
        _ = ModelMasks((2, 64, 64, 1)).count
