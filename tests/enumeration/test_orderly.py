"""Blocks and their tables against all multisets, permuted by all permutations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.enumeration import orderly
from prunelimits.enumeration.abstract_block import AbstractBlock
from prunelimits.enumeration.binary_digits import sorted_columns
from prunelimits.enumeration.orbit_blocks import MatrixBlock, PairBlock
from prunelimits.enumeration.orderly import least_multisets

from .orbit_oracle import weight_masks

BLOCKS = [
    PairBlock(0, 2, 3, 2),
    PairBlock(0, 3, 2, 3),
    PairBlock(0, 1, 4, 3),
    PairBlock(0, 3, 1, 1),
    MatrixBlock(0, 2, 3, 3),
    MatrixBlock(0, 3, 3, 3),
    MatrixBlock(0, 3, 1, 1),
    MatrixBlock(0, 1, 1, 1),
]


@given(st.integers(1, 17), st.integers(0, 40), st.integers(0, 2**32))
def test_sorting_network_sorts(rows: int, columns: int, seed: int) -> None:
    types = np.random.default_rng(seed).integers(0, 50, (rows, columns), dtype=np.uint8)
    assert (sorted_columns(types) == np.sort(types, axis=0)).all()


def block_masks(block: AbstractBlock) -> Iterator[list[np.ndarray]]:
    """Every labelled mask of the block: its one or two matrices."""
    below = weight_masks(block.d_in, block.units)
    if isinstance(block, MatrixBlock):
        yield from ([mask] for mask in below)
    else:
        yield from map(list, itertools.product(below, weight_masks(block.units, block.d_out)))


def key_of(block: AbstractBlock, masks: list[np.ndarray]) -> int:
    types = block.types([mask.reshape(1, -1) for mask in masks])
    return int(block.key(types)[0])


def moved(
    block: AbstractBlock, masks: list[np.ndarray], below: tuple[int, ...], above: tuple[int, ...]
):
    """The masks after unit u of a node has become unit `below[u]`, or `above[u]`."""
    first, last = masks[0].copy(), masks[-1].copy()
    first[:, list(below)] = masks[0]
    if isinstance(block, MatrixBlock):
        result = first.copy()
        result[list(above)] = first
        return [result]
    last[list(above)] = masks[1]
    return [first, last]


@pytest.mark.parametrize("block", BLOCKS)
def test_action_is_that_of_the_units(block: AbstractBlock) -> None:
    for masks in itertools.islice(block_masks(block), 0, None, 7):
        types = block.types([mask.reshape(1, -1) for mask in masks])
        for below in itertools.permutations(range(block.d_in)):
            for above in itertools.permutations(range(block.d_out)):
                key = key_of(block, moved(block, masks, below, above))
                assert int(block.key(block.action(below, above)[types])[0]) == key


@pytest.mark.parametrize("block", BLOCKS)
def test_matrices_have_their_key(block: AbstractBlock) -> None:
    keys = np.array(sorted({key_of(block, masks) for masks in block_masks(block)}))
    matrices = block.matrices(keys)
    found = [[mask[index] for mask in matrices] for index in range(len(keys))]
    assert [key_of(block, masks) for masks in found] == keys.tolist()
    fewest = min(sum(int(mask.sum()) for mask in masks) for masks in found)
    assert block.least_ones == fewest


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [1, 5, 2**17])
@pytest.mark.parametrize("block", BLOCKS)
def test_least_multisets_are_those_found_by_brute_force(
    block: AbstractBlock, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orderly, "CHUNK", chunk)
    ones = {
        key_of(block, masks): sum(int(mask.sum()) for mask in masks) for masks in block_masks(block)
    }
    identity = tuple(range(block.d_in)), tuple(range(block.d_out))
    everything = list(
        itertools.product(
            itertools.permutations(range(block.d_in)), itertools.permutations(range(block.d_out))
        )
    )
    turns = [(np.roll(identity[0], k).tolist(), identity[1]) for k in range(block.d_in)]
    for group in ([identity], turns, everything):
        actions = np.unique(np.stack([block.action(*element) for element in group]), axis=0)
        images = {
            key: [
                int(block.key(action[np.stack(list(block.unpack(np.array([key]))))])[0])
                for action in actions
            ]
            for key in ones
        }
        for most in (3, 5, 7, 100):
            expected = sorted(key for key in ones if key == min(images[key]) and ones[key] <= most)
            chunks = list(least_multisets(block, actions, most))
            keys = [int(key) for part in chunks for key in part.keys]
            assert keys == expected
            assert [int(n) for part in chunks for n in part.ones] == [ones[key] for key in keys]
            fixed = [column.tolist() for part in chunks for column in part.fixed_by.T]
            assert fixed == [[image == key for image in images[key]] for key in keys]


@pytest.mark.parametrize("block", BLOCKS)
def test_candidates_within(block: AbstractBlock) -> None:
    if isinstance(block, MatrixBlock):
        rows = itertools.product(range(1, 2**block.d_in), repeat=block.units)
        ones = [sum(value.bit_count() for value in values) for values in rows]
    else:
        multisets = itertools.combinations_with_replacement(range(block.type_count), block.units)
        ones = [sum(int(block.ones[type_]) for type_ in multiset) for multiset in multisets]
    for most in range(-1, 14):
        assert block.candidates_within(most) == sum(n <= most for n in ones)
    assert block.candidates == len(ones)
