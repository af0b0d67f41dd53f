"""Portions of a run: together they are all of it, and none overlaps another."""

from __future__ import annotations

import re

import numpy as np
import pytest

from prunelimits.resuming import StoreError
from prunelimits.resuming.portion import checked_kept, checked_part, portion


@pytest.mark.parametrize("count", [0, 1, 7, 100])
@pytest.mark.parametrize("of", [1, 2, 3, 11])
def test_portions_share_everything_out(count: int, of: int):
    items = list(range(count))
    portions = [list(portion(items, (number, of))) for number in range(1, of + 1)]
    assert sorted(item for some in portions for item in some) == items
    sizes = [len(some) for some in portions]
    assert max(sizes) - min(sizes) <= 1
    assert list(portion(items, None)) == items


def test_a_part_is_a_pair_of_integers():
    assert checked_part(None) is None
    assert checked_part([np.int64(2), 3]) == (2, 3)
    for wrong in ((0, 3), (4, 3), (1,), (1, 2, 3), ()):
        with pytest.raises(ValueError, match="part"):
            checked_part(wrong)
    for wrong in ("1/2", 1, (1.0, 2), (True, 2)):
        with pytest.raises(TypeError, match="part"):
            checked_part(wrong)


def test_what_parts_left_are_files_that_exist(tmp_path):
    there = tmp_path / "there"
    there.touch()
    assert checked_kept([there, str(there)]) == [there, there]
    for wrong, kind in ((there, TypeError), ([1], TypeError), ([], ValueError)):
        with pytest.raises(kind, match="parts"):
            checked_kept(wrong)
    with pytest.raises(StoreError, match=re.escape(f"{tmp_path / 'no'} does not exist")):
        checked_kept([there, tmp_path / "no"])
