"""How many networks there are, counted by Burnside's lemma without listing any.

The hidden units' permutations act on the masks of all layers together: a permutation of a hidden
layer's units moves the rows of the matrix below and the columns of the matrix above. The number of
orbits is the mean, over the group, of the number of masks that an element leaves as they are. That
number depends only on the cycle types of its permutations of the hidden layers, and it is a product
over the matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from typing import get_args

from prunelimits.arguments import checked_choice, checked_integer
from prunelimits.enumeration.counting_work import check_work
from prunelimits.enumeration.eligible_counts import Used
from prunelimits.models import check_widths

CycleType = tuple[tuple[int, int], ...]
"""(length, number of cycles of that length), lengths ascending."""


def identity_cycles(units: int) -> CycleType:
    """The cycle type of the permutation that moves nothing."""
    return ((1, units),)


@cache
def cycle_classes(units: int) -> tuple[tuple[CycleType, int], ...]:
    """The cycle types of permutations of `units` things, and how many permutations have each.

    Examples:
        >>> cycle_classes(3)
        ((((3, 1),), 2), (((1, 1), (2, 1)), 3), (((1, 3),), 1))
    """
    classes: list[tuple[CycleType, int]] = []
    for cycles in _partitions(units, units):
        centraliser = math.prod(
            length**number * math.factorial(number) for length, number in cycles
        )
        classes.append((cycles, math.factorial(units) // centraliser))
    return tuple(classes)


def _partitions(total: int, largest: int) -> Iterator[CycleType]:
    """The partitions of `total` into parts of at most `largest`."""
    if total == 0:
        yield ()
    for part in range(min(total, largest), 0, -1):
        for copies in range(total // part, 0, -1):
            for rest in _partitions(total - part * copies, part - 1):
                yield (*rest, (part, copies))


@dataclass(frozen=True)
class FixedMasks:
    """Counts of masks without zero rows or columns that permutations of rows and columns fix.

    Where a cycle of r rows meets one of c columns, there are gcd(r, c) sets of lcm(r, c) entries
    that must be equal: a factor (1 + x^lcm)^gcd, where the exponent of x counts ones. It is
    evaluated at one integer `x`: at 1 for the number of masks; for their distribution over the
    numbers of ones, at a power of two so large that the coefficients can be read off the result.

    Args:
        x: Where the polynomials are evaluated.
        modulus: Values are kept modulo this, if given: with x = 2^w and modulus 2^(w (n+1)), the
            terms beyond x^n are dropped.
    """

    x: int = 1
    modulus: int | None = None

    def between(self, columns: CycleType, rows: CycleType, used: Used = "all") -> int:
        """The number of masks that a permutation with these cycle types fixes, weighted by x^ones.

        Args:
            columns: The cycle type of the columns' permutation.
            rows: The cycle type of the rows' permutation.
            used: `"all"`: no column is zero. `"any"`: columns may be zero.
        """
        if used == "any":
            return self._with_nonzero_rows(list(columns), rows)
        # The count is symmetric; inclusion-exclusion runs over the side with fewer subsets.
        subsets = [math.prod(number + 1 for _, number in side) for side in (columns, rows)]
        if subsets[0] > subsets[1]:
            columns, rows = rows, columns
        total = 0
        for kept in product(*(range(number + 1) for _, number in columns)):
            sign = (-1) ** sum(n - k for (_, n), k in zip(columns, kept, strict=True))
            ways = math.prod(math.comb(n, k) for (_, n), k in zip(columns, kept, strict=True))
            lengths = [(length, k) for (length, _), k in zip(columns, kept, strict=True) if k]
            total += sign * ways * self._with_nonzero_rows(lengths, rows)
        return self._reduced(total)

    def _with_nonzero_rows(self, columns: Sequence[tuple[int, int]], rows: CycleType) -> int:
        """The same for masks without zero rows whose columns may be zero."""
        masks = 1
        for row_length, number in rows:
            free = 1
            for length, k in columns:
                base = 1 + self.x ** math.lcm(length, row_length)
                free = self._reduced(free * base ** (math.gcd(length, row_length) * k))
            if self.modulus is None:
                masks *= (free - 1) ** number
                continue
            for _ in range(number):
                masks = self._reduced(masks * (free - 1))
        return masks

    def sum_over_permutations(self, widths: Sequence[int], inputs: Used = "all") -> int:
        """The number of networks that a permutation of hidden units fixes, summed over them all."""
        sums = {identity_cycles(widths[0]): 1}
        used = inputs
        for units in widths[1:-1]:
            sums = {
                rows: self._reduced(
                    size
                    * sum(
                        value * self.between(cycles, rows, used) for cycles, value in sums.items()
                    )
                )
                for rows, size in cycle_classes(units)
            }
            used = "all"
        last = identity_cycles(widths[-1])
        return self._reduced(
            sum(value * self.between(cycles, last, used) for cycles, value in sums.items())
        )

    def _reduced(self, value: int) -> int:
        return value if self.modulus is None else value % self.modulus


def group_order(widths: Sequence[int]) -> int:
    """The number of permutations of the hidden units, layer by layer."""
    return math.prod(math.factorial(units) for units in widths[1:-1])


def count_networks(widths: Sequence[int], *, inputs: Used = "all") -> int:
    """The number of networks of these widths that use every unit, up to hidden-unit permutation.

    Networks are masks without zero rows or columns; the count is that of the orbits of
    S_d1 x ... x S_d(L-1), by Burnside's lemma: exact, and quick however many there are. The time
    grows with the partitions of the hidden widths: up to 45 units in one hidden layer, 15 in each
    of two.

    Args:
        widths: Inputs, hidden units of each layer, outputs.
        inputs: `"all"`: every input is used, as every hidden unit is. `"any"`: inputs may be
            unused.

    Raises:
        TypeError: If a width is not an integer.
        ValueError: If there are fewer than two widths, one is below 1, `inputs` is unknown, or
            counting would take much longer than ten seconds.

    Examples:
        >>> count_networks((2, 3, 3, 3, 1)), count_networks((2, 7, 3, 3, 1))
        (12400, 8338343)
        >>> count_networks((2, 3, 3, 3, 1), inputs="any")
        13658
    """
    widths = check_widths(widths)
    checked_choice("inputs", inputs, get_args(Used))
    check_work(widths, by_nonzeros=False)
    return FixedMasks().sum_over_permutations(widths, inputs) // group_order(widths)


def count_networks_by_nonzeros(
    widths: Sequence[int], *, max_nonzeros: int | None = None, inputs: Used = "all"
) -> dict[int, int]:
    """The number of networks of these widths for each number of nonzeros, ascending and exact.

    Nonzeros are weights and biases, with all biases kept. See `count_networks`.

    Args:
        widths: Inputs, hidden units of each layer, outputs.
        max_nonzeros: Only up to this many, which saves work.
        inputs: `"all"`: every input is used. `"any"`: inputs may be unused.

    Raises:
        TypeError: If a width or `max_nonzeros` is not an integer.
        ValueError: If there are fewer than two widths, one is below 1, `max_nonzeros` is negative,
            `inputs` is unknown, or counting would take much longer than ten seconds.

    Examples:
        >>> count_networks_by_nonzeros((2, 3, 3, 3, 1), max_nonzeros=24)
        {22: 2, 23: 23, 24: 158}
    """
    widths = check_widths(widths)
    checked_choice("inputs", inputs, get_args(Used))
    if max_nonzeros is not None:
        max_nonzeros = checked_integer("max_nonzeros", max_nonzeros, 0)
    weights = sum(d_in * d_out for d_in, d_out in pairwise(widths))
    biases = sum(widths[1:])
    most = weights if max_nonzeros is None else min(weights, max_nonzeros - biases)
    if most < 0:
        return {}
    check_work(widths, by_nonzeros=True)
    order = group_order(widths)
    width = weights + order.bit_length() + 1
    packed = FixedMasks(2**width, 2 ** (width * (most + 1))).sum_over_permutations(widths, inputs)
    counts: dict[int, int] = {}
    for ones in range(most + 1):
        count = ((packed >> (ones * width)) & (2**width - 1)) // order
        if count:
            counts[ones + biases] = count
    return counts
