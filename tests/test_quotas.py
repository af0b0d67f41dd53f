from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelimits import quotas

Shapes = Mapping[str, Sequence[int]]
MLP = {"a": (16, 2), "b": (16, 16), "c": (16, 16), "d": (1, 16)}


@st.composite
def layers(draw: st.DrawFn) -> tuple[Shapes, int]:
    dims = st.lists(st.integers(1, 12), min_size=1, max_size=4)
    shapes = {f"{i}.weight": tuple(s) for i, s in enumerate(draw(st.lists(dims, min_size=1)))}
    total = sum(math.prod(shape) for shape in shapes.values())
    return shapes, draw(st.integers(0, total))


def densities_uniform(shapes: Shapes, keep: int) -> dict[str, float]:
    total = sum(math.prod(shape) for shape in shapes.values())
    return dict.fromkeys(shapes, keep / total)


def densities_erk(shapes: Shapes, keep: int) -> dict[str, float]:
    """The oracle: the factor by bisection, densities cut at 1."""
    low, high = 0.0, float(max(map(math.prod, shapes.values())))
    for _ in range(200):
        factor = (low + high) / 2
        density = {n: min(1.0, factor * sum(s) / math.prod(s)) for n, s in shapes.items()}
        total = sum(density[name] * math.prod(shape) for name, shape in shapes.items())
        low, high = (factor, high) if total < keep else (low, factor)
    return density


def densities_igq(shapes: Shapes, keep: int) -> dict[str, float]:
    """The oracle: bisection over [0, 1e20] on a logarithmic scale."""
    low, high = -40.0, 20.0
    for _ in range(200):
        force = 10 ** ((low + high) / 2)
        density = {n: 1 / (force * math.prod(s) + 1) for n, s in shapes.items()}
        total = sum(density[name] * math.prod(shape) for name, shape in shapes.items())
        low, high = ((low + high) / 2, high) if total > keep else (low, (low + high) / 2)
    return density


CASES = [
    (quotas.uniform, densities_uniform),
    (quotas.erk, densities_erk),
    (quotas.igq, densities_igq),
]
Quota = Callable[[Shapes, int], dict[str, int]]
Density = Callable[[Shapes, int], dict[str, float]]


@pytest.mark.parametrize(("quota", "density"), CASES)
@given(layers())
def test_quotas_add_up_and_round_the_densities(
    quota: Quota, density: Density, given_layers: tuple[Shapes, int]
):
    shapes, keep = given_layers
    found = quota(shapes, keep)
    assert list(found) == list(shapes)
    assert sum(found.values()) == keep
    for name, share in density(shapes, keep).items():
        size = math.prod(shapes[name])
        assert 0 <= found[name] <= size
        assert abs(found[name] - share * size) < 1 + 1e-6


@pytest.mark.parametrize(("quota", "density"), CASES)
@pytest.mark.parametrize("keep", [1, 20, 29, 55, 144, 300, 559, 560])
def test_the_largest_remainders_are_rounded_up(quota: Quota, density: Density, keep: int):
    found = quota(MLP, keep)
    shares = {n: d * math.prod(MLP[n]) for n, d in density(MLP, keep).items()}
    # To nine digits, so that equal shares are equal here too.
    shares = {name: round(share, 9) for name, share in shares.items()}
    down = {name: math.floor(share) for name, share in shares.items()}
    order = sorted(shares, key=lambda name: (down[name] - shares[name], list(MLP).index(name)))
    for name in order[: keep - sum(down.values())]:
        down[name] += 1
    assert found == down


def test_by_hand():
    # Equal remainders: the earlier layer.
    assert quotas.uniform({"a": (2,), "b": (2,), "c": (2,)}, 4) == {"a": 2, "b": 1, "c": 1}
    assert quotas.igq({"a": (2, 1), "b": (2,)}, 3) == {"a": 2, "b": 1}
    # ERK: sums 18, 32, 17 share 67 x f = 20; nothing is full.
    shapes = {"a": (16, 2), "b": (16, 16), "c": (1, 16)}
    assert quotas.erk(shapes, 20) == {"a": 5, "b": 10, "c": 5}
    # The last layer is full at 16 of its 17 x f; the others share the rest, 18 to 32.
    assert quotas.erk(shapes, 116) == {"a": 32, "b": 68, "c": 16}
    # A convolution's kernel counts: sums 3 + 8 + 3 + 3 = 17 and 8 + 10 = 18.
    assert quotas.erk({"conv": (8, 3, 3, 3), "fc": (10, 8)}, 35) == {"conv": 17, "fc": 18}


def test_equal_layers_get_equal_quotas_and_large_ones_lower_density():
    found = quotas.igq({"a": (10, 10), "b": (100, 100), "c": (10, 10)}, 150)
    assert found["a"] == found["c"]
    assert found["a"] / 100 > found["b"] / 10_000


def shares_smart_ratio(shapes: Shapes, keep: int) -> dict[str, Fraction]:
    """The oracle: what layers want and hold, summed up from the first one served to the last.

    After each, the most that can have been placed is the least over all earlier layers j of what
    is wanted up to j and held from there on: no spill-over is followed layer by layer.
    """
    names = list(shapes)
    size = {name: Fraction(math.prod(shape)) for name, shape in shapes.items()}
    linear = [name for name in names if len(shapes[name]) == 2]
    if len(linear) == len(names):
        linear = names[-1:] if len(names) > 1 else []
    served = [name for name in names if name not in linear] + linear
    all_linear = sum(size[name] for name in linear)
    fixed = min(Fraction(3, 10) * all_linear, Fraction(keep))
    factor = {
        name: Fraction((len(names) - i) * (len(names) - i + 1)) for i, name in enumerate(names)
    }
    total = sum(factor[name] * size[name] for name in served if name not in linear)
    wanted = [
        fixed * size[name] / all_linear
        if name in linear
        else (keep - fixed) * factor[name] * size[name] / total
        for name in served
    ]
    want = [Fraction(0), *accumulate(wanted)]
    hold = [Fraction(0), *accumulate(size[name] for name in served)]
    placed = [
        min(want[j] + hold[i] - hold[j] for j in range(i + 1)) for i in range(len(served) + 1)
    ]
    parts = {
        name: after - before for name, (before, after) in zip(served, pairwise(placed), strict=True)
    }
    return {name: parts[name] for name in names}


@given(layers())
def test_smart_ratio_serves_layers_in_order_and_passes_on_what_they_cannot_take(
    given_layers: tuple[Shapes, int],
):
    shapes, keep = given_layers
    shares = shares_smart_ratio(shapes, keep)
    assert sum(shares.values()) == keep
    expected = {name: math.floor(share) for name, share in shares.items()}
    order = sorted(shares, key=lambda name: expected[name] - shares[name])
    for name in order[: keep - sum(expected.values())]:
        expected[name] += 1
    found = quotas.smart_ratio(shapes, keep)
    assert list(found.items()) == list(expected.items())


def test_smart_ratio_by_hand():
    # Linear layers alone: the last keeps 30 % of 8, the others share 17.6 in 12 x 64 to 6 x 64.
    assert quotas.smart_ratio({"a": (8, 8), "b": (8, 8), "c": (1, 8)}, 20) == {
        "a": 12, "b": 6, "c": 2
    }  # fmt: skip
    # 12 x 4 to 6 x 40 share 26 - 3: the first would take 3.8 of its 4, the head 3 of its 10.
    shapes = {"a": (1, 1, 2, 2), "b": (1, 1, 5, 8), "c": (5, 2)}
    assert quotas.smart_ratio(shapes, 26) == {"a": 4, "b": 19, "c": 3}
    # Of 43 - 3 it would take 6.7: 2.7 go on to the second, which is not full.
    assert quotas.smart_ratio(shapes, 43) == {"a": 4, "b": 36, "c": 3}
    # Both are full: the head takes 7 of 10, its own 3 and what is left over.
    assert quotas.smart_ratio(shapes, 51) == {"a": 4, "b": 40, "c": 7}
    # Two heads: the first one is filled before the second takes any more than its 30 %.
    heads = {"a": (1, 1, 2, 2), "b": (5, 2), "c": (10, 2)}
    assert quotas.smart_ratio(heads, 24) == {"a": 4, "b": 10, "c": 10}


@pytest.mark.slow
def test_quotas_are_the_same_in_every_process():
    """Names in a set come in another order in every process."""
    program = (
        "from prunelimits import quotas\n"
        "shapes = {'conv': (4, 3, 3, 3), 'fc1': (10, 40), 'fc2': (20, 10), 'head': (5, 20)}\n"
        "for quota in (quotas.uniform, quotas.erk, quotas.igq, quotas.smart_ratio):\n"
        "    print([quota(shapes, keep) for keep in (50, 300, 500, 700)])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(3)
    }
    assert len(outputs) == 1
    # The convolution would take 290 and holds 108: 182 go on to the first linear layer.
    shapes = {"conv": (4, 3, 3, 3), "fc1": (10, 40), "fc2": (20, 10), "head": (5, 20)}
    assert quotas.smart_ratio(shapes, 500) == {"conv": 108, "fc1": 302, "fc2": 60, "head": 30}


def test_numpy_integers_and_lists_are_shapes_too():
    expected = quotas.erk({"a": (16, 2), "b": (1, 16)}, 20)
    shapes = {"a": np.array([16, 2]), "b": [np.int32(1), 16]}
    assert quotas.erk(shapes, np.int64(20)) == expected
    assert quotas.erk({"a": torch.Size([16, 2]), "b": torch.Size([1, 16])}, 20) == expected


QUOTAS = [quotas.uniform, quotas.erk, quotas.igq, quotas.smart_ratio]


@pytest.mark.parametrize("quota", QUOTAS)
@pytest.mark.parametrize(
    ("shapes", "keep", "error", "message"),
    [
        ({}, 0, ValueError, "shapes must name at least one layer"),
        ({"a": ()}, 0, ValueError, r"shapes\['a'\] must have at least one dimension"),
        ({"a": (2, 0)}, 0, ValueError, r"shapes\['a'\]\[1\] must be at least 1, got 0"),
        ({"a": (2.0,)}, 0, TypeError, r"shapes\['a'\]\[0\] must be an integer, got 2.0"),
        ({"a": 3}, 0, TypeError, r"shapes\['a'\] must be a sequence of integers, got 3"),
        ({"a": "12"}, 0, TypeError, r"shapes\['a'\] must be a sequence of integers, got '12'"),
        ([(2, 3)], 0, TypeError, r"shapes must be a dict of shapes by name, got \[\(2, 3\)\]"),
        (None, 0, TypeError, "shapes must be a dict of shapes by name, got None"),
        ({"a": (2,)}, True, TypeError, "keep must be an integer, got True"),
        ({"a": (2,)}, "1", TypeError, "keep must be an integer, got '1'"),
        ({"a": (2,)}, 3, ValueError, "keep must be between 0 and the 2 weights, got 3"),
        ({"a": (2,)}, -1, ValueError, "keep must be at least 0, got -1"),
        ({"a": (2,)}, 0.5, TypeError, "keep must be an integer, got 0.5"),
    ],
)
def test_bad_arguments(
    quota: Quota, shapes: Shapes, keep: int, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        quota(shapes, keep)
