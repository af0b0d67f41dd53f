from __future__ import annotations

import math
from fractions import Fraction

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunelimits.pruners import Curve, cosine, cubic, geometric, linear
from prunelimits.pruners.schedules.curves import half_cosine, survivors


def left(curve: Curve, start: Tensor, budget: Tensor, progress: Tensor | float) -> int:
    return int(survivors(curve, start, budget, progress))


SIZES = st.integers(0, 10**7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


def test_lottery_tickets_of_the_paper_by_hand():
    # 560 (55 / 560)^(i / 4): 313.50 below the half, 175.50 below the half, 98.25, 55
    n, k = torch.tensor([560]), torch.tensor([55])
    assert [left(geometric, n, k, i / 4) for i in range(5)] == [560, 313, 175, 98, 55]


def test_gradual_pruning_of_the_paper_by_hand():
    # 55 + 505 (1 - t)^3 at t = 1/199, 1/2, 198/199, 1: 552.43, 118.13, 55.00006, 55
    n, k = torch.tensor([560]), torch.tensor([55])
    kept = [left(cubic, n, k, t) for t in (0.0, 1 / 199, 0.5, 198 / 199, 1.0)]
    assert kept == [560, 552, 118, 55, 55]


def test_cosine_by_hand():
    # cos(pi / 3) = 1/2
    values = [float(half_cosine(t)) for t in (0.0, 1 / 3, 0.5, 2 / 3, 1.0)]
    for value, expected in zip(values, (1.0, 0.75, 0.5, 0.25, 0.0), strict=True):
        assert math.isclose(value, expected, abs_tol=1e-15)
    assert values[-1] == 0.0


@given(SIZES, st.integers(1, 200))
def test_schedules_start_whole_never_rise_and_end_exactly(sizes: tuple[int, int], rounds: int):
    n, k = (torch.tensor([size]) for size in sizes)
    for curve in (geometric, cubic, linear, cosine):
        kept = [left(curve, n, k, r / rounds) for r in range(rounds + 1)]
        assert kept[0] == sizes[0]
        assert kept[-1] == sizes[1]
        assert kept == sorted(kept, reverse=True)


@given(SIZES, st.integers(1, 200), st.data())
def test_schedules_equal_exact_arithmetic(sizes: tuple[int, int], rounds: int, data: st.DataObject):
    (n, k), r = sizes, data.draw(st.integers(0, rounds))
    exact = k + (n - k) * (1 - Fraction(r, rounds)) ** 3
    kept = left(cubic, torch.tensor([n]), torch.tensor([k]), torch.tensor(r).double() / rounds)
    assert abs(kept - exact) <= Fraction(1, 2) + Fraction(1, 10**6)


def test_layers_have_schedules_of_their_own():
    n, k = torch.tensor([100, 10, 0]), torch.tensor([25, 10, 0])
    assert survivors(geometric, n, k, 0.5).tolist() == [50, 10, 0]
    assert survivors(cubic, n, k, 0.5).tolist() == [34, 10, 0]
