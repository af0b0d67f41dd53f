"""ModelMasks with symmetry="layer" against the product of the layers' lists, sorted."""

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
from prunelimits.models import parameter_shapes
from prunelimits.types import Masks


def product_by_brute_force(
    widths: tuple[int, ...], first_per_count: dict[int, int] | None = None
) -> list[Tensor]:
    """Flattened masks of every combination, sorted by (nonzeros, nonzeros by layer, ranks)."""
    layers: list[list[tuple[int, int, Tensor]]] = []
    for layer, (d_in, d_out) in enumerate(itertools.pairwise(widths)):
        seen: Counter[int] = Counter()
        kept = []
        for rank, mask in enumerate(EligibleMasks(d_in, d_out)):
            ones = int(mask.sum())
            seen[ones] += 1
            if seen[ones] <= (first_per_count or {}).get(layer, 10**9):
                kept.append((ones + d_out, rank, mask))
        layers.append(kept)
    networks = sorted(
        itertools.product(*layers),
        key=lambda parts: (
            sum(part[0] for part in parts),
            [part[0] for part in parts],
            [part[1] for part in parts],
        ),
    )
    return [
        torch.cat(
            [torch.cat([mask.flatten(), torch.ones(len(mask)).bool()]) for _, _, mask in parts]
        )
        for parts in networks
    ]


SMALL = [(3, 2), (1, 1), (2, 2, 1), (2, 3, 2, 1), (3, 2, 2), (2, 3, 2, 2, 1), (1, 2, 2, 2, 2, 1)]


@pytest.mark.parametrize("widths", SMALL)
def test_list_is_the_sorted_product(widths: tuple[int, ...]) -> None:
    expected = torch.stack(product_by_brute_force(widths))
    nets = ModelMasks(widths)
    assert len(nets) == nets.count == len(expected)
    assert torch.equal(nets.take(range(len(nets))), expected)
    assert torch.equal(nets.nonzeros(range(len(nets))), expected.sum(1))
    assert nets.counts_by_nonzeros() == Counter(expected.sum(1).tolist())
    assert [nets.index(masks) for masks in nets] == list(range(len(nets)))


@pytest.mark.parametrize("widths", SMALL)
def test_filters_are_intervals_of_the_whole_list(widths: tuple[int, ...]) -> None:
    everything = ModelMasks(widths).take(range(len(ModelMasks(widths))))
    nonzeros = everything.sum(1)
    for least in (None, 0, 9, 12, 15):
        for most in (None, 8, 12, 16, 100):
            if least is not None and most is not None and least > most:
                continue
            nets = ModelMasks(widths, min_nonzeros=least, max_nonzeros=most)
            inside = (nonzeros >= (least or 0)) & (nonzeros <= (1000 if most is None else most))
            assert nets.count == int(inside.sum())
            assert torch.equal(nets.take(range(nets.count)), everything[inside])
            some = range(0, nets.count, 17)
            assert [nets.index(nets[rank]) for rank in some] == list(some)


@pytest.mark.slow
@pytest.mark.parametrize("first", [{1: 1}, {1: 3}, {0: 1, 1: 2}, {2: 5}])
def test_first_masks_of_each_count(first: dict[int, int]) -> None:
    widths = (2, 3, 3, 2)
    expected = torch.stack(product_by_brute_force(widths, first))
    nets = ModelMasks(widths, first_per_count=first)
    assert torch.equal(nets.take(range(len(nets))), expected)
    whole = ModelMasks(widths)
    ranks = {tuple(row): rank for rank, row in enumerate(expected.tolist())}
    left_out = 0
    for rank in range(0, len(whole), 17):
        place = ranks.get(tuple(whole.take([rank])[0].tolist()))
        if place is not None:
            assert nets.index(whole[rank]) == place
            continue
        left_out += 1
        assert whole[rank] not in nets
        with pytest.raises(ValueError, match="beyond the first"):
            nets.index(whole[rank])
    assert (left_out > 0) == (len(nets) < len(whole))


@pytest.mark.parametrize(
    ("widths", "count"),
    [
        ((2, 3, 3, 3, 1), 25_992),
        ((2, 7, 3, 3, 1), 266_004_066),
        ((2, 6, 3, 2, 1), 6_627_504),
        ((2, 3, 2, 2, 1), 416),
        ((2, 7, 3, 2, 1), 60_667_594),
    ],
)
def test_published_counts(widths: tuple[int, ...], count: int) -> None:
    nets = ModelMasks(widths)
    assert len(nets) == sum(nets.counts_by_nonzeros().values()) == count


def test_published_subsets() -> None:
    """Appendix D of https://arxiv.org/abs/2407.04075."""
    assert ModelMasks((2, 7, 3, 3, 1), max_nonzeros=49, first_per_count={1: 3}).count == 63_208
    assert ModelMasks((2, 6, 3, 2, 1), max_nonzeros=44, first_per_count={1: 6}).count == 23_528


@settings(max_examples=40)
@given(widths=st.lists(st.integers(1, 6), min_size=2, max_size=6), data=st.data())
def test_round_trip_and_order(widths: list[int], data: st.DataObject) -> None:
    nets = ModelMasks(widths)
    draw = st.integers(0, nets.count - 1)
    ranks = sorted(set(data.draw(st.lists(draw, min_size=1, max_size=4))))
    flat = nets.take(ranks)
    nonzeros = flat.sum(1)
    assert torch.equal(nonzeros, nets.nonzeros(ranks))
    assert (nonzeros.diff() >= 0).all()
    shapes = parameter_shapes(widths)
    for rank, row in zip(ranks, flat, strict=True):
        masks = nets[rank]
        assert {name: tuple(mask.shape) for name, mask in masks.items()} == shapes
        assert list(masks) == list(shapes)
        assert torch.equal(torch.cat([mask.flatten() for mask in masks.values()]), row)
        assert nets.index(masks) == rank
        for name, mask in masks.items():
            if name.endswith("weight"):
                d_out, d_in = mask.shape
                assert mask in EligibleMasks(d_in, d_out)


def test_filtered_ranks_start_at_the_first_network_inside() -> None:
    whole, part = ModelMasks((2, 7, 3, 3, 1)), ModelMasks((2, 7, 3, 3, 1), min_nonzeros=40)
    below = sum(count for n, count in whole.counts_by_nonzeros().items() if n < 40)
    ranks = torch.arange(0, part.count, 9_999_991)
    assert torch.equal(part.take(ranks), whole.take(ranks + below))
    assert part.counts_by_nonzeros() == {
        n: count for n, count in whole.counts_by_nonzeros().items() if n >= 40
    }
    assert whole[0] not in part
    with pytest.raises(ValueError, match="outside the space's 40 to 61"):
        part.index(whole[0])


def test_ranks_beyond_int64() -> None:
    nets = ModelMasks((2, 16, 16, 16, 1))
    assert nets.count > 2**400
    for rank in (0, nets.count // 3, nets.count - 1):
        assert nets.index(nets[rank]) == rank
    middle = nets.count // 2
    nonzeros = nets.nonzeros([middle, middle + 1]).tolist()
    assert nonzeros == nets.take(range(middle, middle + 2)).sum(1).tolist()
    with pytest.raises(OverflowError):
        len(nets)
    view = nets[middle : middle + 3]
    assert len(list(view)) == 3
    few = ModelMasks((2, 16, 16, 16, 1), max_nonzeros=116)
    assert few.count < 2**63
    assert few.index(few[few.count // 2]) == few.count // 2


def test_slices_are_lazy_views() -> None:
    nets = ModelMasks((2, 7, 3, 3, 1))
    view = nets[100_000_000:200_000_000:7]
    assert len(view) == 14_285_715
    flat = torch.cat([mask.flatten() for mask in view[5].values()])
    assert torch.equal(flat, nets.take([100_000_035])[0])
    assert view.index(view[-1]) == len(view) - 1
    assert torch.equal(nets.take(view[3:6].ranks), nets.take(range(100_000_021, 100_000_042, 7)))


def test_an_empty_filter() -> None:
    nets = ModelMasks((2, 3, 3, 1), max_nonzeros=3)
    assert nets.count == len(nets) == 0
    assert not nets
    assert list(nets) == []
    assert nets.take([]).shape == (0, sum(p.numel() for p in ModelMasks((2, 3, 3, 1))[0].values()))
    assert ModelMasks((2, 3, 3, 1))[0] not in nets
    with pytest.raises(IndexError):
        nets[0]


def changed(masks: Masks, name: str, mask: Tensor) -> Masks:
    return {**masks, name: mask}


def test_index_says_why() -> None:
    nets = ModelMasks((2, 3, 1))
    masks = nets[0]
    some_bias = torch.tensor([True, False, True])
    cases: list[tuple[object, type[Exception], str]] = [
        (changed(masks, "layers.0.bias", some_bias), ValueError, "layers.0.bias must keep"),
        (changed(masks, "layers.0.weight", masks["layers.0.weight"].flip(0)), ValueError,
         r"layers\.0\.weight: mask is not eligible: rows 1 and 2 are out of order"),
        (changed(masks, "layers.0.weight", torch.ones(2, 2).bool()), ValueError, "shape"),
        (changed(masks, "layers.0.weight", torch.ones(3, 2)), TypeError, "bool tensor"),
        (changed(masks, "layers.9.weight", some_bias), ValueError, "must have the names"),
        ({}, ValueError, "must have the names"),
        (torch.ones(3), TypeError, "dict of bool tensors"),
    ]  # fmt: skip
    for value, error, message in cases:
        assert value not in nets
        with pytest.raises(error, match=message):
            nets.index(value)


@pytest.mark.parametrize(
    ("widths", "options", "error", "message"),
    [
        ((2, 0, 1), {}, ValueError, r"widths\[1\] must be at least 1"),
        ((2,), {}, ValueError, "an input and an output"),
        ((2, 3.0, 1), {}, TypeError, r"widths\[1\] must be an integer"),
        ((2, 3, 1), {"symmetry": "none"}, ValueError, "symmetry must be one of .*got 'none'"),
        ((2, 3, 1), {"min_nonzeros": 9, "max_nonzeros": 8}, ValueError, "9 > 8"),
        ((2, 3, 1), {"min_nonzeros": -1}, ValueError, "min_nonzeros must be at least 0"),
        ((2, 3, 1), {"max_nonzeros": 8.5}, TypeError, "max_nonzeros must be an integer"),
        (
            (2, 3, 1),
            {"first_per_count": {2: 1}},
            ValueError,
            "first_per_count's layer must be from 0 to 1, got 2",
        ),
        ((2, 3, 1), {"first_per_count": {-1: 1}}, ValueError, "must be from 0 to 1, got -1"),
        ((2, 3, 1), {"first_per_count": {1: 0}}, ValueError, r"\[1\] must be at least 1"),
        ((2, 3, 1), {"first_per_count": {1: 2.0}}, TypeError, "must be an integer, got 2.0"),
    ],
)
def test_bad_arguments(
    widths: object, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ModelMasks(widths, **options)


@pytest.mark.parametrize("ranks", [[416], [-1], range(400, 417), torch.tensor([0, 416])])
def test_rank_out_of_range(ranks: object) -> None:
    nets = ModelMasks((2, 3, 2, 2, 1))
    with pytest.raises(IndexError, match="0 to 415"):
        nets.take(ranks)
    with pytest.raises(IndexError, match="0 to 415"):
        nets.nonzeros(ranks)


def test_equal_by_value() -> None:
    nets = ModelMasks((2, 3, 1), max_nonzeros=12, first_per_count={0: 2})
    same = ModelMasks([2, 3, 1], "layer", max_nonzeros=12, first_per_count={0: 2})
    assert nets == same
    assert hash(nets) == hash(same)
    assert nets != ModelMasks((2, 3, 1), max_nonzeros=12)
    assert nets != ModelMasks((2, 3, 1), first_per_count={0: 2})
    assert nets != "nets"
    assert repr(nets) == (
        "ModelMasks((2, 3, 1), symmetry='layer', max_nonzeros=12, first_per_count={0: 2})"
    )
    assert pickle.loads(pickle.dumps(nets)) == nets
