from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelimits import MLP, quotas
from prunelimits.pruners import prunable
from prunelimits.pruners.scopes import divide
from prunelimits.quotas import smart_ratio
from prunelimits.types import Masks

SCOPES = ["uniform", "erk", "igq", "smart_ratio"]


@st.composite
def layers(draw: st.DrawFn) -> Masks:
    shapes = draw(
        st.lists(
            st.one_of(
                st.tuples(st.integers(1, 6), st.integers(1, 6)),
                st.tuples(*[st.integers(1, 3)] * 4),
            ),
            min_size=1,
            max_size=5,
        )
    )
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    density = draw(st.sampled_from([0.0, 0.3, 0.8, 1.0]))
    return {
        f"l{i}": torch.rand(shape, generator=generator) < density for i, shape in enumerate(shapes)
    }


@given(layers(), st.integers(0, 3), st.sampled_from(SCOPES), st.data())
def test_quotas_add_up_within_what_is_there_and_above_the_floor(
    allowed: Masks, floor: int, scope: str, data: st.DataObject
):
    sizes = [int(mask.sum()) for mask in allowed.values()]
    floors = [min(floor, size) for size in sizes]
    keep = data.draw(st.integers(sum(floors), sum(sizes)))
    found = divide(allowed, keep, scope=scope, floor=floor).tolist()  # type: ignore[arg-type]
    assert sum(found) == keep
    assert all(lo <= n <= hi for lo, n, hi in zip(floors, found, sizes, strict=True))
    assert divide(allowed, keep, scope="global", floor=floor).tolist() == [keep]


@pytest.mark.parametrize("scope", ["uniform", "erk", "igq"])
@pytest.mark.parametrize("keep", [0, 7, 55, 300, 560])
def test_dense_layers_have_the_quotas_of_their_shapes(scope: str, keep: int):
    allowed = prunable(MLP((2, 16, 16, 16, 1)))
    expected = getattr(quotas, scope)({n: tuple(m.shape) for n, m in allowed.items()}, keep)
    assert divide(allowed, keep, scope=scope).tolist() == list(expected.values())  # type: ignore[arg-type]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_narrow_network_inside_a_wide_one_has_its_own_quotas(scope: str):
    narrow, wide = (prunable(MLP((2, w, w, w, 1))) for w in (6, 16))
    block = {
        name: torch.zeros_like(mask).index_put(
            tuple(torch.meshgrid(*(torch.arange(s) for s in narrow[name].shape), indexing="ij")),
            torch.tensor(True),
        )
        for name, mask in wide.items()
    }
    for keep in (0, 11, 40, 90):
        assert torch.equal(
            divide(block, keep, scope=scope),  # type: ignore[arg-type]
            divide(narrow, keep, scope=scope),  # type: ignore[arg-type]
        )


def test_a_floor_takes_from_what_others_have_above_it():
    allowed = {"a": torch.ones(10, 10).bool(), "b": torch.ones(1, 10).bool()}
    assert divide(allowed, 11, scope="uniform").tolist() == [10, 1]
    assert divide(allowed, 11, scope="uniform", floor=3).tolist() == [8, 3]
    assert divide(allowed, 6, scope="uniform", floor=3).tolist() == [3, 3]


def test_smart_ratio_by_hand():
    # Three convolutions of 100 and a linear layer of 100: L = 4, weights 20, 12, 6. Of 92 the
    # linear layer keeps 30, the others 62 / 38 times their weight: 32.63, 19.58, 9.79.
    shapes = {f"c{i}": (10, 10, 1, 1) for i in range(3)} | {"l": (10, 10)}
    assert smart_ratio(shapes, 92) == {"c0": 33, "c1": 19, "c2": 10, "l": 30}
    # Of 292: 262 / 38 times the weight is 137.9, 82.7, 41.4. What the first cannot take, 37.9,
    # goes on: the second is filled, the third has what is left, 62.
    assert smart_ratio(shapes, 292) == {"c0": 100, "c1": 100, "c2": 62, "l": 30}
    # With everything kept it all goes on to the linear layer.
    assert smart_ratio(shapes, 400) == dict.fromkeys(shapes, 100)
    # A budget below the linear layer's 30 is all its.
    assert smart_ratio(shapes, 20) == {"c0": 0, "c1": 0, "c2": 0, "l": 20}


@given(layers().filter(lambda m: all(v.all() for v in m.values())), st.data())
def test_smart_ratio_adds_up(allowed: Masks, data: st.DataObject):
    shapes = {name: tuple(mask.shape) for name, mask in allowed.items()}
    sizes = {name: mask.numel() for name, mask in allowed.items()}
    keep = data.draw(st.integers(0, sum(sizes.values())))
    found = smart_ratio(shapes, keep)
    assert sum(found.values()) == keep
    assert all(0 <= found[name] <= size for name, size in sizes.items())
