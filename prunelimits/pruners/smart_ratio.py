"""The layer quotas of Smart-Ratio random tickets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_LINEAR_DENSITY = 0.3


def smart_ratio(shapes: Mapping[str, Sequence[int]], keep: int) -> dict[str, int]:
    """Quotas that fall with depth: layer l of L has density in proportion to `(L-l+1)^2 + (L-l+1)`.

    The rule for residual networks of
    [Sanity-Checking Pruning Methods](https://arxiv.org/abs/2009.11094). Linear layers keep
    30 %, or all of the budget if that is less; in a network of linear layers alone, that is the
    last one only. What a layer cannot take goes on to the next ones; whole numbers by largest
    remainder.

    Args:
        shapes: The shape of each layer's weights by name, first layer first.
        keep: How many weights survive in all, at most as many as there are.

    Example:
        >>> smart_ratio({"a": (8, 8), "b": (8, 8), "c": (1, 8)}, keep=20)
        {'a': 12, 'b': 6, 'c': 2}
    """
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    linear = {name for name, shape in shapes.items() if len(shape) == 2}
    if len(linear) == len(shapes):
        linear = {list(shapes)[-1]} if len(shapes) > 1 else set[str]()
    fixed = min(1.0, keep / max(1e-9, _LINEAR_DENSITY * sum(sizes[name] for name in linear)))
    shares = {name: fixed * _LINEAR_DENSITY * sizes[name] for name in linear}
    falling = [name for name in shapes if name not in linear]
    weights = {
        name: (place**2 + place) * sizes[name]
        for place, name in zip(range(len(shapes), 0, -1), shapes, strict=True)
        if name in falling
    }
    scale = (keep - sum(shares.values())) / max(1, sum(weights.values()))
    excess = 0.0
    for name in (*falling, *linear):
        wanted = (shares[name] if name in linear else scale * weights[name]) + excess
        shares[name] = min(wanted, float(sizes[name]))
        excess = wanted - shares[name]
    return _rounded({name: shares[name] for name in shapes}, keep)


def _rounded(shares: Mapping[str, float], keep: int) -> dict[str, int]:
    # A share that rounding errors put just below a whole number is that number.
    quotas = {name: math.floor(share + 1e-9) for name, share in shares.items()}
    remainders = {name: shares[name] - quotas[name] for name in shares}
    for name in sorted(quotas, key=lambda name: -remainders[name])[: keep - sum(quotas.values())]:
        quotas[name] += 1
    return quotas
