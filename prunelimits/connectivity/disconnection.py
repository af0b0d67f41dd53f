"""How likely random pruning is to leave no path: Theorem L.1, exactly and as bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import comb

from prunelimits.arguments import checked_integer, shown
from prunelimits.models.mlp import check_widths


def disconnection_probability(widths: Sequence[int], kept: Iterable[int]) -> Fraction:
    """The probability that a randomly pruned MLP has no path from an input to an output, exactly.

    In layer l, `kept[l]` of its weights are drawn uniformly without replacement, each layer by
    itself. Then the number of units that an input reaches, layer by layer, is a Markov chain: from
    r reached inputs of a layer with N = d_in d_out weights, n of them kept, k of its units are
    reached with probability

        C(d_out, k) sum_s (-1)^(k - s) C(k, s) C(N - (d_out - s) r, n) / C(N, n).

    Two consecutive layers share no path with the probability of the network that they make alone:
    `disconnection_probability((w, w, w), (n, m))`.

    Args:
        widths: Inputs, hidden units of each layer, outputs.
        kept: Weights that stay in each layer, such as `quotas.erk(...).values()`.

    Raises:
        ValueError: If a width is below 1, or a layer's number is missing or not among 0 to the
            number of its weights.
        TypeError: If a number is not an integer.

    Examples:
        One weight into one of two hidden units, one weight out of one of them.

        >>> disconnection_probability((1, 2, 1), (1, 1))
        Fraction(1, 2)
    """
    widths = check_widths(widths)
    numbers = checked_kept(widths, kept)
    reached = {widths[0]: Fraction(1)}
    for (d_in, d_out), number in zip(pairwise(widths), numbers, strict=True):
        after: dict[int, Fraction] = {}
        for before, probability in reached.items():
            for units, share in _reached_units(d_in, d_out, number, before).items():
                after[units] = after.get(units, Fraction(0)) + probability * share
        reached = after
    return reached.get(0, Fraction(0))


@dataclass(frozen=True)
class DisconnectionBounds:
    """Two numbers for two consecutive layers of Theorem L.1.

    Attributes:
        corrected: A lower bound of the probability that they share no path,
            `((w - n + 1 - m) / w)^n`.
        printed: What the paper prints, with the exponent n - 1. It is not a lower bound.
    """

    corrected: float
    printed: float


def disconnection_bounds(width: int, kept: int, kept_next: int) -> DisconnectionBounds:
    """Theorem L.1's bound for two layers of `width x width`, corrected and as printed.

    From [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075). With m weights the next
    layer reads at most m units, so each of the n weights of the first in turn, `i` being drawn,
    ends elsewhere with probability at least `(w (w - m) - i) / (w^2 - i) >= (w - n + 1 - m) / w`:
    n factors. The paper's proof has one too few.

    Args:
        width: w.
        kept: n, the weights that stay in the first of the two layers.
        kept_next: m, those that stay in the second.

    Raises:
        ValueError: If a number is below 1, or `width` is not above `kept + kept_next`.
        TypeError: If a number is not an integer.

    Examples:
        The exact probability lies between: the printed number is no bound.

        >>> disconnection_bounds(50, 1, 5)
        DisconnectionBounds(corrected=0.9, printed=1.0)
        >>> round(float(disconnection_probability((50, 50, 50), (1, 5))), 3)
        0.904
    """
    kept = checked_integer("kept", kept, 1)
    kept_next = checked_integer("kept_next", kept_next, 1)
    width = checked_integer("width", width, 1)
    if width <= kept + kept_next:
        raise ValueError(
            f"width must be above kept + kept_next = {shown(kept + kept_next)}, got {shown(width)}"
        )
    base = (width - kept + 1 - kept_next) / width
    return DisconnectionBounds(corrected=base**kept, printed=base ** (kept - 1))


def _reached_units(d_in: int, d_out: int, kept: int, reached: int) -> dict[int, Fraction]:
    """Number of units reached -> its probability, from `reached` inputs of one layer."""
    entries = d_in * d_out
    most = min(kept, d_out) if reached else 0
    # Masks whose entries in the reached columns all lie in the first `rows` rows.
    within = [comb(entries - (d_out - rows) * reached, kept) for rows in range(most + 1)]
    total = comb(entries, kept)
    result: dict[int, Fraction] = {}
    for units in range(most + 1):
        exactly = sum(
            (-1) ** (units - rows) * comb(units, rows) * within[rows] for rows in range(units + 1)
        )
        if exactly:
            result[units] = Fraction(comb(d_out, units) * exactly, total)
    return result


def checked_kept(widths: tuple[int, ...], kept: Iterable[int]) -> list[int]:
    """`kept` as a list, if it fits the widths; raises as `disconnection_probability`."""
    if isinstance(kept, str | bytes) or not isinstance(kept, Iterable):
        raise TypeError(f"kept must be integers, one a layer, got {shown(kept)}")
    numbers = list(kept)
    if len(numbers) != len(widths) - 1:
        raise ValueError(
            f"kept must have one number for each of the {len(widths) - 1} layers of widths, "
            f"got {shown(numbers)}"
        )
    for layer, ((d_in, d_out), number) in enumerate(zip(pairwise(widths), numbers, strict=True)):
        checked_integer(f"kept[{layer}]", number, 0)
        if number > d_in * d_out:
            raise ValueError(
                f"kept[{layer}] must be between 0 and {d_in * d_out}, got {shown(number)}"
            )
    return numbers
