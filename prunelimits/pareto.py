"""The Pareto front of accuracy against nonzero parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prunelimits.arguments import checked_integer, checked_number, checked_sequence, shown


def check_points(
    points: Iterable[tuple[int, float]], name: str = "points"
) -> list[tuple[int, float]]:
    """`points` as a list of (nonzeros, accuracy) pairs of plain numbers; `name` is for errors.

    Raises:
        TypeError: If a number of nonzeros is not an integer.
        ValueError: If a number of nonzeros is negative or an accuracy is not in [0, 1].
    """
    result: list[tuple[int, float]] = []
    if isinstance(points, str | bytes | Mapping) or not isinstance(points, Iterable):
        raise TypeError(f"{name} must be pairs (nonzeros, accuracy), got {shown(points)}")
    for point in points:
        pair = checked_sequence(f"{name}[...]", point, "nonzeros and accuracy")
        if len(pair) != 2:
            raise ValueError(f"{name} must be pairs (nonzeros, accuracy), got {shown(point)}")
        size = checked_integer("nonzeros", pair[0], 0)
        try:
            value = checked_number("accuracy", pair[1], least=0, most=1)
        except ValueError:
            accuracy = shown(pair[1])
            raise ValueError(
                f"accuracy must be a fraction in [0, 1], got {accuracy} at {size}"
            ) from None
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
