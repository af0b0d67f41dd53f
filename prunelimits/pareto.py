"""The Pareto front of accuracy against nonzero parameters."""

from __future__ import annotations

import operator
from collections.abc import Iterable


def check_points(points: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """`points` as a list of (nonzeros, accuracy) pairs of plain numbers.

    Raises:
        TypeError: If a number of nonzeros is not an integer.
        ValueError: If a number of nonzeros is negative or an accuracy is not in [0, 1].
    """
    result: list[tuple[int, float]] = []
    for nonzeros, accuracy in points:
        size, value = operator.index(nonzeros), float(accuracy)
        if size < 0:
            raise ValueError(f"nonzeros must be at least 0, got {size}")
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"accuracy must be a fraction in [0, 1], got {value} at {size}")
        result.append((size, value))
    return result


def pareto_front(points: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """The points that no other point beats, by increasing size.

    A point (nonzeros, accuracy) is on the front when no other is at least as small and at least as
    accurate, and better in one of the two. Both columns of the front strictly increase.

    Raises:
        TypeError: If a number of nonzeros is not an integer.
        ValueError: If a number of nonzeros is negative or an accuracy is not in [0, 1].

    Examples:
        >>> pareto_front([(30, 0.96), (33, 0.94), (45, 0.99), (30, 0.90), (26, 0.94)])
        [(26, 0.94), (30, 0.96), (45, 0.99)]
    """
    front: list[tuple[int, float]] = []
    for nonzeros, accuracy in sorted(check_points(points), key=lambda p: (p[0], -p[1])):
        if not front or accuracy > front[-1][1]:
            front.append((nonzeros, accuracy))
    return front
