"""What an elimination is to reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prunelimits.arguments import checked_number, checked_size


@dataclass(frozen=True)
class Goal:
    """A score, a number of parameters, or both.

    Attributes:
        target: Score to reach, above 0 and at most 1, or None.
        nonzeros: Weights and biases to get down to, or None.

    Raises:
        ValueError: If neither is given, or one is out of its range.
        TypeError: If one is of the wrong kind.

    Examples:
        >>> Goal(0.95, None)
        Goal(target=0.95, nonzeros=None)
    """

    target: float | None
    nonzeros: int | None

    def __post_init__(self) -> None:
        if self.target is None and self.nonzeros is None:
            raise ValueError("target or nonzeros must be given, got neither")
        if self.target is not None:
            object.__setattr__(
                self, "target", checked_number("target", self.target, above=0, most=1)
            )
        if self.nonzeros is not None:
            object.__setattr__(self, "nonzeros", checked_size("nonzeros", self.nonzeros))


def check_a_path_fits(name: str, value: int, widths: Sequence[int]) -> None:
    """Raises for a budget that only constant networks fit: a path has a weight in every layer.

    Raises:
        ValueError: Naming the argument.

    Examples:
        >>> check_a_path_fits("keep", 2, (2, 6, 4, 1))
        Traceback (most recent call last):
        ValueError: keep must be at least 3, a weight in every layer of widths (2, 6, 4, 1), got 2
    """
    least = len(widths) - 1
    if value < least:
        raise ValueError(
            f"{name} must be at least {least}, a weight in every layer of widths {tuple(widths)}, "
            f"got {value}"
        )
