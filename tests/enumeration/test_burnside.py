"""Burnside's counts against orbits listed by brute force."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest

from prunelimits.enumeration import count_networks, count_networks_by_nonzeros
from prunelimits.enumeration.burnside import CycleType, FixedMasks, cycle_classes

from .orbit_oracle import SMALL, labelled_networks, orbit_names, weight_masks


def cycle_type(permutation: tuple[int, ...]) -> CycleType:
    lengths: Counter[int] = Counter()
    seen: set[int] = set()
    for start in range(len(permutation)):
        length, unit = 0, start
        while unit not in seen:
            seen.add(unit)
            unit = permutation[unit]
            length += 1
        if length:
            lengths[length] += 1
    return tuple(sorted(lengths.items()))


@pytest.mark.parametrize("units", range(1, 8))
def test_cycle_classes_are_those_of_all_permutations(units: int) -> None:
    expected = Counter(map(cycle_type, itertools.permutations(range(units))))
    assert dict(cycle_classes(units)) == expected
    assert len(cycle_classes(units)) == len(expected)


@pytest.mark.slow
@pytest.mark.parametrize(("d_in", "d_out"), [(1, 3), (3, 2), (2, 4), (3, 3), (4, 3)])
def test_fixed_masks_are_those_found_by_permuting_each(d_in: int, d_out: int) -> None:
    masks = weight_masks(d_in, d_out)
    base = 2**20
    for columns in itertools.permutations(range(d_in)):
        for rows in itertools.permutations(range(d_out)):
            types = cycle_type(columns), cycle_type(rows)
            fixed = [mask for mask in masks if (mask[list(rows)][:, list(columns)] == mask).all()]
            assert FixedMasks().between(*types) == len(fixed)
            assert FixedMasks(base).between(*types) == sum(base ** int(m.sum()) for m in fixed)


@pytest.mark.parametrize("widths", SMALL)
def test_counts_are_those_of_orbits_listed(widths: tuple[int, ...]) -> None:
    rows = labelled_networks(widths)
    nonzeros = dict(zip(orbit_names(rows, widths).tolist(), rows.sum(1).tolist(), strict=True))
    assert count_networks(widths) == len(nonzeros)
    expected = dict(sorted(Counter(nonzeros.values()).items()))
    assert count_networks_by_nonzeros(widths) == expected
    for most in range(max(expected) + 2):
        part = {n: count for n, count in expected.items() if n <= most}
        assert count_networks_by_nonzeros(widths, max_nonzeros=most) == part


@pytest.mark.parametrize(
    ("widths", "count"),
    [
        ((2, 3, 3, 3, 1), 12_400),
        ((2, 7, 3, 3, 1), 8_338_343),
        ((2, 6, 3, 2, 1), 492_566),
        ((2, 3, 2, 2, 1), 273),
        ((2, 7, 3, 2, 1), 1_919_727),
        ((2, 16, 3, 3, 1), 69_469_942_672),
    ],
)
def test_known_counts(widths: tuple[int, ...], count: int) -> None:
    assert count_networks(widths) == count
    assert sum(count_networks_by_nonzeros(widths).values()) == count


def test_the_space_of_the_paper_by_nonzeros() -> None:
    counts = count_networks_by_nonzeros((2, 7, 3, 3, 1))
    assert counts[34] == 84
    assert counts[44] == max(counts.values()) == 1_189_886
    assert counts[61] == 1
    assert sum(count for nonzeros, count in counts.items() if nonzeros <= 44) == 4_806_266


def test_a_single_unit_everywhere_leaves_one_network() -> None:
    assert count_networks_by_nonzeros((1, 1, 1, 1)) == {6: 1}
    assert count_networks((1, 30, 1)) == 1
    assert count_networks((2, 30, 1)) == math.comb(32, 2) - 2


@pytest.mark.parametrize(("widths", "error"), [((2, 0, 1), ValueError), ((2, 1.5, 1), TypeError)])
def test_bad_widths(widths: object, error: type[Exception]) -> None:
    for count in (count_networks, count_networks_by_nonzeros):
        with pytest.raises(error, match="widths"):
            count(widths)
