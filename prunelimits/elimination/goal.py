"""What an elimination is to reach."""

from __future__ import annotations

from prunelimits.arguments import checked_integer, checked_number


def check_goal(target: float | None, nonzeros: int | None) -> tuple[float | None, int | None]:
    """The goal as plain numbers.

    Args:
        target: Score to reach, or None.
        nonzeros: Weights and biases to get down to, or None.

    Raises:
        ValueError: If neither is given, or one is out of its range.
        TypeError: If one is of the wrong kind.

    Examples:
        >>> check_goal(0.95, None)
        (0.95, None)
    """
    if target is None and nonzeros is None:
        raise ValueError("target or nonzeros must be given, got neither")
    return (
        None if target is None else checked_number("target", target, most=1),
        None if nonzeros is None else checked_integer("nonzeros", nonzeros, 1),
    )
