"""A portion of a run for each job of a job array: machines that share nothing divide the work."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TypeVar

from prunelimits.arguments import checked_file, checked_integer, checked_integers, shown
from prunelimits.resuming.errors import StoreError

Item = TypeVar("Item")


def checked_part(part: object) -> tuple[int, int] | None:
    """`part` as two integers `(number, of)`, the number from 1 to the other one; None stays None.

    Raises:
        TypeError: If it is no pair of integers.
        ValueError: If the number is out of its range.

    Examples:
        >>> checked_part([2, 8])
        (2, 8)
        >>> checked_part((9, 8))
        Traceback (most recent call last):
        ValueError: part must be (number, of) with 1 <= number <= of, got (9, 8)
    """
    if part is None:
        return None
    numbers = checked_integers("part", part)
    if len(numbers) != 2 or not 1 <= numbers[0] <= numbers[1]:
        raise ValueError(f"part must be (number, of) with 1 <= number <= of, got {shown(part)}")
    checked_integer("part[1]", numbers[1], most=sys.maxsize)
    return numbers[0], numbers[1]


def checked_kept(parts: object) -> list[Path]:
    """`parts` as the paths of the files that the parts of a run wrote, at least one.

    Raises:
        TypeError: If they are no paths.
        ValueError: If there is none, or one is a folder.
        StoreError: If one does not exist.
    """
    if isinstance(parts, str | bytes | PathLike) or not isinstance(parts, Iterable):
        raise TypeError(f"parts must be paths of files, got {shown(parts)}")
    places = enumerate(parts)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    paths = [checked_file(f"parts[{place}]", path) for place, path in places]
    if not paths:
        raise ValueError("parts must hold a file at least, got none")
    for path in paths:
        if not path.exists():
            raise StoreError(f"{path} does not exist")
    return paths


def portion(items: Iterable[Item], part: tuple[int, int] | None) -> Iterator[Item]:
    """The items of part `(number, of)`: every `of`-th one, from item `number` on.

    Long and short items are so spread over all parts.

    Examples:
        >>> list(portion("abcdefg", (2, 3)))
        ['b', 'e']
    """
    number, of = part or (1, 1)
    return islice(items, number - 1, None, of)
