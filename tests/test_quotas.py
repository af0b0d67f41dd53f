from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pytest
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


@pytest.mark.parametrize("quota", [quotas.uniform, quotas.erk, quotas.igq])
@pytest.mark.parametrize(
    ("shapes", "keep", "error", "message"),
    [
        ({}, 0, ValueError, "shapes must name at least one layer"),
        ({"a": ()}, 0, ValueError, r"shapes\['a'\] must have at least one dimension"),
        ({"a": (2, 0)}, 0, ValueError, r"a size in shapes\['a'\] must be at least 1, got 0"),
        ({"a": (2.0,)}, 0, TypeError, r"a size in shapes\['a'\] must be an integer, got 2.0"),
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
