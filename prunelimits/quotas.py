"""Layer quotas: how many weights of a budget each layer keeps.

Each function returns whole numbers that add up to the budget exactly. A layer's real-valued share
is rounded down, and what is left goes to the layers with the largest remainders, ties to the
earlier layer; no layer is given more than it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from prunelimits.arguments import checked_integer, checked_integers, shown

_SMART_LINEAR_DENSITY = Fraction(3, 10)


def uniform(shapes: Mapping[str, Sequence[int]], keep: int) -> dict[str, int]:
    """The same density in every layer: `keep` times the layer's share of all weights.

    Args:
        shapes: The shape of each layer's weights by name, first layer first.
        keep: How many weights survive in all.

    Raises:
        ValueError: If there is no layer, a shape is empty or not positive, or `keep` is not
            between 0 and the number of weights.
        TypeError: If `shapes` is not a dict of shapes, or `keep` or a size is not an integer.

    Examples:
        >>> uniform({"a": (3, 2), "b": (1, 3)}, keep=5)
        {'a': 3, 'b': 2}
    """
    sizes, keep = _checked_sizes(shapes, keep)
    total = sum(sizes.values())
    return _rounded({name: Fraction(keep * size, total) for name, size in sizes.items()}, keep)


def erk(shapes: Mapping[str, Sequence[int]], keep: int) -> dict[str, int]:
    """Erdős-Rényi-Kernel: density in proportion to the sum of a shape over its product.

    For a matrix that is `(d_in + d_out) / (d_in d_out)`; a convolution's kernel sizes count among
    the dimensions. Layers whose density would exceed 1 become dense, and the factor of the others
    is computed again. From [Rigging the Lottery](https://arxiv.org/abs/1911.11134); for matrices,
    [SET](https://arxiv.org/abs/1707.04780).

    Args:
        shapes: As for `uniform`.
        keep: As for `uniform`.

    Raises:
        ValueError: As for `uniform`.
        TypeError: As for `uniform`.

    Examples:
        >>> erk({"a": (16, 2), "b": (16, 16), "c": (1, 16)}, keep=55)
        {'a': 15, 'b': 26, 'c': 14}
    """
    sizes, keep = _checked_sizes(shapes, keep)
    # density x size is the sum of the dimensions, up to the common factor.
    sums = {name: sum(shape) for name, shape in shapes.items()}
    dense: set[str] = set()
    while True:
        others = sizes.keys() - dense
        left = keep - sum(sizes[name] for name in dense)
        factor = Fraction(left, sum(sums[name] for name in others) or 1)
        # Giving a layer less leaves more for the others, so a layer never comes back from here.
        over = {name for name in others if factor * sums[name] > sizes[name]}
        if not over:
            break
        dense |= over
    shares = {
        name: Fraction(size) if name in dense else factor * sums[name]
        for name, size in sizes.items()
    }
    return _rounded(shares, keep)


def igq(shapes: Mapping[str, Sequence[int]], keep: int) -> dict[str, int]:
    """Ideal Gas Quotas: density `1 / (F n + 1)` in a layer of n weights.

    F is the same for all layers, and such that the budget is met: large layers lose a greater
    fraction of their weights than small ones. From
    [Connectivity Matters](https://arxiv.org/abs/2107.02306).

    Args:
        shapes: As for `uniform`.
        keep: As for `uniform`.

    Raises:
        ValueError: As for `uniform`.
        TypeError: As for `uniform`.

    Examples:
        >>> igq({"a": (16, 2), "b": (16, 16), "c": (1, 16)}, keep=55)
        {'a': 16, 'b': 28, 'c': 11}
    """
    sizes, keep = _checked_sizes(shapes, keep)
    if keep == 0:
        return dict.fromkeys(sizes, 0)

    def shares(force: float) -> dict[str, float]:
        return {name: size / (force * size + 1) for name, size in sizes.items()}

    # Every share is below 1 / F, so at F = layers they add up to less than 1.
    low, high = 0.0, float(len(sizes))
    if keep == sum(sizes.values()):
        return sizes
    while low < (middle := (low + high) / 2) < high:
        if math.fsum(shares(middle).values()) > keep:
            low = middle
        else:
            high = middle
    return _rounded(shares(high), keep)


def smart_ratio(shapes: Mapping[str, Sequence[int]], keep: int) -> dict[str, int]:
    """Quotas that fall with depth: layer l of L has density in proportion to `(L-l+1)^2 + (L-l+1)`.

    The rule for residual networks of
    [Sanity-Checking Pruning Methods](https://arxiv.org/abs/2009.11094). Linear layers keep
    30 %, or all of the budget if that is less; in a network of linear layers alone, the last one
    alone is treated so. What exceeds a layer's size goes on to the layers after it, those of the
    falling rule first, then the linear ones; whole numbers by largest remainder.

    Args:
        shapes: As for `uniform`.
        keep: As for `uniform`.

    Raises:
        ValueError: As for `uniform`.
        TypeError: As for `uniform`.

    Examples:
        >>> smart_ratio({"a": (8, 8), "b": (8, 8), "c": (1, 8)}, keep=20)
        {'a': 12, 'b': 6, 'c': 2}
    """
    sizes, keep = _checked_sizes(shapes, keep)
    # Lists, not sets: names in a set come in another order in every process.
    linear = [name for name, shape in shapes.items() if len(shape) == 2]
    if len(linear) == len(sizes):
        linear = linear[-1:] if len(sizes) > 1 else []
    falling = [name for name in sizes if name not in linear]
    dense = sum(sizes[name] for name in linear)
    fixed = min(_SMART_LINEAR_DENSITY, Fraction(keep, max(1, dense)))
    factors = {
        name: place**2 + place for place, name in zip(range(len(sizes), 0, -1), sizes, strict=True)
    }
    weighted = sum(factors[name] * sizes[name] for name in falling)
    scale = (keep - fixed * dense) / max(1, weighted)
    densities = {name: fixed if name in linear else scale * factors[name] for name in sizes}
    shares: dict[str, Fraction] = {}
    excess = Fraction(0)
    for name in (*falling, *linear):
        wanted = densities[name] * sizes[name] + excess
        shares[name] = min(wanted, Fraction(sizes[name]))
        excess = wanted - shares[name]
    return _rounded({name: shares[name] for name in sizes}, keep)


def _rounded(shares: Mapping[str, Fraction] | Mapping[str, float], keep: int) -> dict[str, int]:
    """Whole numbers by largest remainder; the shares add up to `keep`, or slightly less."""
    quotas = {name: math.floor(share) for name, share in shares.items()}
    remainders = {name: share - quotas[name] for name, share in shares.items()}
    # The sort is stable: the earlier layer comes first among equals.
    by_remainder = sorted(quotas, key=lambda name: remainders[name], reverse=True)
    for name in by_remainder[: keep - sum(quotas.values())]:
        quotas[name] += 1
    return quotas


def _checked_sizes(shapes: object, keep: object) -> tuple[dict[str, int], int]:
    """The number of weights of each layer, and the budget."""
    if not isinstance(shapes, Mapping):
        raise TypeError(f"shapes must be a dict of shapes by name, got {shown(shapes)}")
    if not shapes:
        raise ValueError("shapes must name at least one layer, got none")
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        dimensions = checked_integers(f"shapes[{name!r}]", shape, 1)
        if not dimensions:
            raise ValueError(f"shapes[{name!r}] must have at least one dimension, got {shape!r}")
        sizes[name] = math.prod(dimensions)
    number = checked_integer("keep", keep, 0)
    if number > sum(sizes.values()):
        raise ValueError(
            f"keep must be between 0 and the {sum(sizes.values())} weights, got {shown(number)}"
        )
    return sizes, number
