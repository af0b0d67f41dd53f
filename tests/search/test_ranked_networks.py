from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from prunelimits.enumeration import ModelMasks, every_widths
from prunelimits.masks import flatten, unflatten
from prunelimits.models import MLP, leading_block, parameter_shapes
from prunelimits.search.ranked_networks import FamilySpace, MaskSpace, WidthSpace


def parameters(widths: tuple[int, ...]) -> int:
    return sum(p.numel() for p in MLP(widths).parameters())


def test_phase_one_of_the_paper_has_4096_widths():
    space = WidthSpace(2, 1, hidden_layers=3, width=16)
    assert space.count == 4096
    assert space.widths(0) == (2, 1, 1, 1, 1)
    assert space.widths(4095) == (2, 16, 16, 16, 1)
    assert space.nonzeros([4095]).tolist() == [609]


@pytest.mark.parametrize(("layers", "width"), [(1, 5), (2, 3), (3, 3)])
def test_every_choice_of_widths_comes_once_and_by_size(layers: int, width: int):
    space = WidthSpace(2, 1, hidden_layers=layers, width=width)
    found = [space.widths(rank) for rank in range(space.count)]
    every = [(2, *units, 1) for units in itertools.product(range(1, width + 1), repeat=layers)]
    assert sorted(found) == sorted(every)
    sizes = [parameters(widths) for widths in found]
    assert sizes == sorted(sizes)
    assert space.nonzeros(range(space.count)).tolist() == sizes


@pytest.mark.parametrize("most", [8, 9, 13, 20, 1000])
def test_phase_one_may_end_at_a_size(most: int):
    every = WidthSpace(2, 1, hidden_layers=2, width=4)
    capped = WidthSpace(2, 1, hidden_layers=2, width=4, max_nonzeros=most)
    expected = [every.widths(rank) for rank in range(every.count)]
    expected = [widths for widths in expected if parameters(widths) <= most]
    assert [capped.widths(rank) for rank in range(capped.count)] == expected
    # What a network is trained from does not depend on the space.
    ranks = range(capped.count)
    assert capped.keys(ranks).tolist() == every.keys(ranks).tolist()


@pytest.mark.parametrize(("below", "count"), [(61, 339), (37, 93)])
def test_the_papers_first_phases_from_its_own_starts(below: int, count: int):
    assert WidthSpace(2, 1, hidden_layers=3, width=16, max_nonzeros=below - 1).count == count


def test_widths_are_leading_blocks_of_the_widest():
    space = WidthSpace(2, 1, hidden_layers=2, width=3)
    ranks = [1, 4, 7]
    widest, flat = space.batch(ranks)
    assert widest == tuple(max(column) for column in zip(*map(space.widths, ranks), strict=True))
    for rank, masks in zip(ranks, flat, strict=True):
        own = space.widths(rank)
        named = unflatten(masks, parameter_shapes(widest))
        for layer in range(3):
            for i in range(widest[layer + 1]):
                assert named[f"layers.{layer}.bias"][i] == (i < own[layer + 1])
                for j in range(widest[layer]):
                    kept = i < own[layer + 1] and j < own[layer]
                    assert named[f"layers.{layer}.weight"][i, j] == kept


def test_masks_are_those_of_the_enumeration():
    masks = ModelMasks((2, 3, 2, 1))
    space = MaskSpace(masks)
    widths, flat = space.batch(range(3, 9))
    assert space.count == masks.count
    assert widths == space.widths(0) == (2, 3, 2, 1)
    for row, rank in zip(flat, range(3, 9), strict=True):
        assert torch.equal(row, flatten(masks[rank]))
    assert torch.equal(space.nonzeros(range(3, 9)), flat.sum(1))


def test_keys_tell_networks_apart_whatever_the_filter():
    everything = MaskSpace(ModelMasks((2, 7, 3, 1)))
    keys = everything.keys(range(2000))
    assert len(np.unique(keys)) == 2000
    large = MaskSpace(ModelMasks((2, 7, 3, 1), min_nonzeros=33))
    assert large.count < everything.count
    start = everything.count - large.count
    assert np.array_equal(large.keys(range(5)), everything.keys(range(start, start + 5)))


@pytest.mark.parametrize(("most", "layers"), [(12, 1), (16, 2), (17, 3)])
def test_a_family_holds_every_network_of_its_spaces_once_by_size(most: int, layers: int):
    spaces = every_widths(most, hidden_layers=layers)
    family = FamilySpace(spaces)
    expected = {
        (space.widths, tuple(row.tolist()))
        for space in spaces
        for row in space.take(range(space.count))
    }
    sizes = family.nonzeros(range(family.count)).tolist()
    assert sizes == sorted(sizes)
    found: set[tuple[tuple[int, ...], tuple[bool, ...]]] = set()
    widest, flat = family.batch(range(family.count))
    for rank, row in enumerate(flat):
        widths = family.widths(rank)
        cut = leading_block(unflatten(row, parameter_shapes(widest)), widths)
        own = flatten(cut)
        assert int(own.sum()) == int(row.sum()) == sizes[rank]
        found.add((widths, tuple(own.tolist())))
    assert found == expected
    assert len(found) == family.count


def test_a_network_has_the_same_key_in_a_family_as_in_its_own_space():
    spaces = every_widths(20)
    family = FamilySpace(spaces)
    ranks = list(range(0, family.count, 7))
    keys = dict(zip(ranks, family.keys(ranks).tolist(), strict=True))
    assert len(set(keys.values())) == len(keys)
    for rank in ranks[::10]:
        widths, flat = family.batch([rank])
        own = ModelMasks(widths, symmetry="network", max_nonzeros=20)
        inside = own.index(unflatten(flat[0], own.shapes))
        assert MaskSpace(own).keys([inside])[0] == keys[rank]


def test_a_space_beyond_memory_is_refused():
    with pytest.raises(ValueError, match="width and hidden_layers must give at most 10,000,000"):
        WidthSpace(2, 1, hidden_layers=8, width=16)


def test_a_family_may_have_more_networks_than_fit_64_bits():
    spaces = [ModelMasks((2, 8, 8, 8, 1)), ModelMasks((2, 3, 3, 3, 1))]
    family = FamilySpace(spaces)
    assert family.count == sum(space.count for space in spaces) > 2**63
    assert family.nonzeros([0, family.count - 1]).tolist() == [22, 177]
    for rank in (0, 1, 2**64, family.count - 1):
        widths, flat = family.batch([rank])
        own = next(space for space in spaces if space.widths == widths)
        inside = own.index(unflatten(flat[0], own.shapes))
        assert family.keys([rank])[0] == MaskSpace(own).keys([inside])[0]
        assert int(flat.sum()) == int(family.nonzeros([rank]))


def test_a_family_may_be_empty():
    family = FamilySpace([])
    assert family.count == 0
    assert family.keys([]).tolist() == []
