"""How many units of each group are kept, from what a caller asks for."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from prunelimits.arguments import warn
from prunelimits.pruners.shapes.unit_layout import Layout

_MOST_UNTOLD = 0.1


def at_one_share(layout: Layout, left: list[int], least: list[int], keep: int) -> list[int]:
    """The units of each group at the largest share that leaves at most `keep` weights."""

    def kept(share: Fraction) -> list[int]:
        # The nearest number, halves up.
        near = [int(share * size + Fraction(1, 2)) for size in left]
        return [min(max(n, low), size) for n, low, size in zip(near, least, left, strict=True)]

    shares = sorted({Fraction(2 * n - 1, 2 * size) for size in left for n in range(1, size + 1)})
    low, high = -1, len(shares)
    while high - low > 1:
        middle = (low + high) // 2
        if layout.weights(kept(shares[middle])) <= keep:
            low = middle
        else:
            high = middle
    return kept(shares[low]) if low >= 0 else list(least)


def warn_of_rest(rest: Mapping[str, int], total: int) -> None:
    """Tells of units that no key of `keep` names, where they are more than a tenth of all."""
    if sum(rest.values()) > _MOST_UNTOLD * total:
        more = f" and {len(rest) - 3} more" if len(rest) > 3 else ""
        warn(
            f"keep names no units of {', '.join(list(rest)[:3])}{more}: {sum(rest.values()):,} of "
            f'the {total:,} units stay whole; a last key "*" says how many of them are kept, 1.0 '
            "for all",
        )


def as_units(label: str, number: int | Fraction, here: list[int], low: list[int]) -> int:
    """A number or a share of units as a number."""
    most, fewest = sum(here), sum(low)
    if isinstance(number, Fraction):
        return max(fewest, int(number * most + Fraction(1, 2)))
    if not fewest <= number <= most:
        raise ValueError(
            f"keep[{label!r}] must be from {fewest} to {most} units, as each of its {len(here)} "
            f"groups keeps one or what floor needs, got {number}"
        )
    return number


def at_least(shares: list[int], low: list[int], high: list[int]) -> list[int]:
    """Shares raised to what must be, at the cost of the largest that can give."""
    raised = [min(max(s, a), b) for s, a, b in zip(shares, low, high, strict=True)]
    while sum(raised) > sum(shares):
        place = max(range(len(raised)), key=lambda p: raised[p] - low[p])
        raised[place] -= 1
    return raised
