from __future__ import annotations

import pytest
import torch

from prunelimits.limits import flat_fraction, magnitude_percentiles, row_l1_norms
from prunelimits.types import Problem
from tests.limits.conftest import Case


def test_row_norms_are_the_dense_matrix_s(case: Case, monkeypatch):
    rows = torch.tensor([0, 3, 1, 3])
    expected = case.dense().abs().sum(1)[rows]
    torch.testing.assert_close(row_l1_norms(case.hessian(), rows), expected)
    monkeypatch.setattr("prunelimits.limits.rows._ENTRIES", 1)
    torch.testing.assert_close(row_l1_norms(case.hessian(), rows), expected)


def test_gershgorin(mlp: Case):
    """Every eigenvalue lies within some row's L1 norm of zero."""
    norms = row_l1_norms(mlp.hessian(), torch.arange(57))
    assert torch.linalg.eigvalsh(mlp.dense()).abs().max() <= norms.max()


def test_percentiles_by_counting():
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(250, generator=generator)
    for number, index in enumerate(magnitude_percentiles(weights)):
        below = int((weights.abs() < weights[index].abs()).sum())
        assert below == 250 * number // 100
    assert magnitude_percentiles(torch.tensor([5.0])).tolist() == [0] * 100


def test_the_published_statistic_by_a_plain_loop(mlp: Case):
    problem, params = mlp.problem()
    names = tuple(mlp.names())
    weights = {name: params[name] for name in ("0.weight", "2.weight")}
    _, statistic = flat_fraction(problem, params, names, weights)
    flat = torch.cat([w.flatten() for w in weights.values()]).abs()
    # 48 weights in the vector at places 0 to 29 and 36 to 53.
    places = torch.cat([torch.arange(30), torch.arange(36, 54)])
    expected = torch.zeros(100).double()
    for x, y in mlp.batches:
        dense = Case(mlp.model, mlp.loss, [(x, y)]).dense()
        expected += dense.abs().sum(1)[places[flat.argsort()[torch.arange(100) * 48 // 100]]]
    expected /= 37
    torch.testing.assert_close(statistic, expected)
    middle = float(expected.median())
    fraction, _ = flat_fraction(problem, params, names, weights, threshold=middle)
    assert fraction == pytest.approx(float((expected < middle).double().mean()))
    assert 0.3 < fraction < 0.6


def test_weights_without_effect_are_flat():
    x = torch.ones(4, 3)
    live = torch.tensor([1.0, 1.0, 0.0])
    problem = Problem(lambda p, x: x @ (p["w"] * live), lambda o, _: o.square().mean(), [(x, x)])
    params = {"w": torch.tensor([2.0, 3.0, 1.0])}
    fraction, _ = flat_fraction(problem, params, ("w",), params)
    assert fraction == pytest.approx(0.34)


def test_bad_arguments(mlp: Case):
    with pytest.raises(ValueError, match=r"rows must be below the size 57, got \[57\]"):
        row_l1_norms(mlp.hessian(), torch.tensor([57]))
    with pytest.raises(ValueError, match=r"weights must be a vector of at least one"):
        magnitude_percentiles(torch.zeros(0))


def test_no_rows_have_no_norms(mlp: Case):
    norms = row_l1_norms(mlp.hessian(), torch.tensor([], dtype=torch.int64))
    assert norms.shape == (0,)
    assert norms.dtype == torch.float64
