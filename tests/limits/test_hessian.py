from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator
from torch import nn

from prunelimits.limits import Hessian
from prunelimits.types import Problem
from tests.limits.conftest import Case, perceptron


def vectors(hessian: Hessian, *lead: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(*lead, hessian.size, generator=generator, dtype=torch.float64)


def test_products_are_those_of_the_dense_matrix(case: Case):
    hessian, dense = case.hessian(), case.dense()
    assert hessian.shape == dense.shape
    v = vectors(hessian, 3, 2)
    torch.testing.assert_close(hessian.product(v), v @ dense, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(hessian @ v[0, 0], v[0, 0] @ dense, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(hessian.dense(), dense, rtol=1e-10, atol=1e-12)
    assert torch.equal(hessian.dense(), hessian.dense().T)


def test_the_gradient_is_that_of_the_whole_data(case: Case):
    expected = torch.autograd.functional.jacobian(case.mean_loss(), case.flat())
    torch.testing.assert_close(case.hessian().gradient(), expected, rtol=1e-10, atol=1e-12)


def test_products_are_differences_of_gradients(mlp: Case):
    v = vectors(mlp.hessian())
    step = 1e-5
    value = mlp.mean_loss()
    ahead, behind = (
        torch.autograd.functional.jacobian(value, mlp.flat() + sign * step * v) for sign in (1, -1)
    )
    difference = (ahead - behind) / (2 * step)
    torch.testing.assert_close(mlp.hessian().product(v), difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("keep_graphs", [True, False])
def test_kept_graphs_change_nothing(case: Case, keep_graphs: bool):
    usual, other = case.hessian(), case.hessian(keep_graphs=keep_graphs)
    v = vectors(usual, 4)
    assert torch.equal(usual.product(v), other.product(v))
    assert torch.equal(other.product(v), other.product(v))
    assert torch.equal(usual.gradient(), other.gradient())


def test_many_vectors_at_once_are_as_one_after_the_other(case: Case, monkeypatch):
    hessian = case.hessian()
    v = vectors(hessian, 7)
    together = hessian.product(v)
    single = torch.stack([hessian.product(row) for row in v])
    torch.testing.assert_close(together, single, rtol=1e-12, atol=1e-13)
    monkeypatch.setattr(hessian, "_at_once", 3)
    torch.testing.assert_close(hessian.product(v), together, rtol=1e-12, atol=1e-13)


def test_named_parameters_only(mlp: Case):
    problem, params = mlp.problem()
    # The dense matrix has 0.weight (30), 0.bias (6), 2.weight (18), 2.bias (3).
    places = torch.cat([torch.arange(54, 57), torch.arange(30)])
    hessian = Hessian(problem, params, ["2.bias", "0.weight"])
    assert hessian.names == ("2.bias", "0.weight")
    expected = mlp.dense()[places][:, places]
    torch.testing.assert_close(hessian.dense(), expected, rtol=1e-10, atol=1e-12)


def test_what_the_masks_prune_is_no_variable(mlp: Case):
    generator = torch.Generator().manual_seed(6)
    problem, params = mlp.problem()
    masks = {"0.weight": torch.rand(6, 5, generator=generator) < 0.5}
    hessian = Hessian(problem, params, mlp.names(), masks=masks)
    kept = torch.cat([masks["0.weight"].flatten(), torch.ones(27, dtype=torch.bool)])
    assert hessian.size == int(kept.sum())
    expected = mlp.dense()[kept][:, kept]
    torch.testing.assert_close(hessian.dense(), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(hessian.vector(params), mlp.flat()[kept])


def test_a_vector_is_zero_where_a_name_is_absent(mlp: Case):
    _, params = mlp.problem()
    flat = mlp.hessian().vector({"2.bias": params["2.bias"]})
    assert torch.equal(flat[54:], params["2.bias"])
    assert not flat[:54].any()


def test_float64_on_request(case: Case):
    single = Case(
        deepcopy(case.model).float(),
        case.loss,
        [(x.float(), y.float() if y.is_floating_point() else y) for x, y in case.batches],
    )
    assert single.hessian().dtype == torch.float32
    # The parameters were rounded, so the oracle must be of the rounded ones.
    rounded = Case(
        deepcopy(single.model).double(),
        case.loss,
        [(x.double(), y.double() if y.is_floating_point() else y) for x, y in single.batches],
    )
    assert single.hessian(dtype=torch.float64).dtype == torch.float64
    dense = single.hessian(dtype=torch.float64).dense()
    torch.testing.assert_close(dense, rounded.dense(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(single.hessian().dense().double(), dense, rtol=1e-3, atol=1e-5)


def test_scipys_view(case: Case):
    hessian, dense = case.hessian(), case.dense().numpy()
    operator = aslinearoperator(hessian.to_scipy())
    v = vectors(hessian, 3).numpy()
    assert operator.shape == dense.shape
    assert operator.dtype == np.float64
    np.testing.assert_allclose(operator.matvec(v[0]), dense @ v[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(operator.matmat(v.T), dense @ v.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(operator.rmatvec(v[0]), dense @ v[0], rtol=1e-9, atol=1e-12)


def test_a_linear_function_has_no_curvature():
    x = torch.ones(3, 2)
    problem = Problem(lambda p, x: x @ p["w"], lambda out, _: out.mean(), [(x, x[:, 0])])
    hessian = Hessian(problem, {"w": torch.ones(2)})
    assert not hessian.dense().any()
    assert hessian.gradient().tolist() == [1.0, 1.0]


def test_a_parameter_without_effect_has_a_zero_row():
    x = torch.ones(3, 2)
    problem = Problem(lambda p, x: x @ p["w"], lambda out, _: out.square().mean(), [(x, x[:, 0])])
    hessian = Hessian(problem, {"w": torch.ones(2), "idle": torch.ones(1)})
    assert hessian.dense().tolist() == [[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]]


def test_the_world_stays_as_it_is(case: Case):
    case.model.train()
    next(case.model.parameters()).requires_grad_(False)
    before = deepcopy(case.model.state_dict())
    state = torch.get_rng_state()
    with torch.no_grad():
        hessian = case.hessian()
        hessian.product(vectors(hessian))
    assert case.model.training
    assert all(module.training for module in case.model.modules())
    assert [p.grad for p in case.model.parameters()] == [None for _ in case.names()]
    assert not next(case.model.parameters()).requires_grad
    assert all(torch.equal(v, before[n]) for n, v in case.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_later_changes_of_the_model_do_not_reach_it(mlp: Case):
    hessian = mlp.hessian(keep_graphs=False)
    v = vectors(hessian)
    before = hessian.product(v)
    with torch.no_grad():
        for parameter in mlp.model.parameters():
            parameter.zero_()
    assert torch.equal(hessian.product(v), before)


def nan_loss(outputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return outputs.sum() * float("nan")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"batches": []}, ValueError, "batches must hold at least one pair .*, got none"),
        ({"batches": [(torch.zeros(0, 5), torch.zeros(0))]}, ValueError, r"\(0, 5\) in batch 0"),
        ({"loss": nan_loss}, ValueError, "loss must be finite, got nan for batch 0"),
        (
            {"loss": lambda out, _: out},
            ValueError,
            r"loss must give one number.*\(16, 3\)",
        ),
        ({"loss": lambda *_: 1.0}, TypeError, "loss must give a tensor of one number, got 1.0"),
        ({"loss": lambda out, _: out.sum() * 1j}, TypeError, "loss must give a real number"),
        (
            {"loss": lambda out, y: (out.argmax(1) != y).double().mean()},
            ValueError,
            "loss must be a differentiable function",
        ),
    ],
)
def test_bad_problems(change: dict, error: type[Exception], message: str):
    problem, params = perceptron().problem()
    with pytest.raises(error, match=message):
        Hessian(problem._replace(**change), params).gradient()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"names": ["weight"]}, ValueError, r"names must be among .*got \['weight'\]"),
        ({"names": []}, ValueError, r"names must be among .*got \[\]"),
        ({"dtype": torch.float16}, TypeError, r"dtype must be .*got torch\.float16"),
        ({"masks": {"2.bias": torch.ones(4).bool()}}, ValueError, r"masks\['2.bias'\] must have"),
        ({"masks": {"bias": torch.ones(4).bool()}}, ValueError, "masks names 'bias'"),
        ({"masks": {"2.bias": torch.ones(3)}}, TypeError, "must be a bool tensor"),
        (
            {"names": ["2.bias"], "masks": {"2.bias": torch.zeros(3).bool()}},
            ValueError,
            "masks must keep at least one entry",
        ),
    ],
)
def test_bad_arguments(arguments: dict, error: type[Exception], message: str):
    problem, params = perceptron().problem()
    with pytest.raises(error, match=message):
        Hessian(problem, params, **arguments)


def test_integer_parameters_are_refused():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    case = Case(model, nn.functional.mse_loss, [(torch.zeros(1, 2), torch.zeros(1, 2))])
    with pytest.raises(TypeError, match=r"num_batches_tracked.*floating-point tensor"):
        Hessian(*case.problem())


def test_vectors_of_another_length_are_refused(mlp: Case):
    with pytest.raises(ValueError, match=r"vectors must be \(\.\.\., 57\), got \(3, 56\)"):
        mlp.hessian().product(torch.zeros(3, 56))


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_products_are_the_same_where_torch_looks_for_anomalies():
    problem, params = perceptron().problem()
    hessian = Hessian(problem, params)
    vectors = torch.randn(5, hessian.size, dtype=hessian.dtype)
    expected = hessian.product(vectors)
    with torch.autograd.detect_anomaly():
        found = hessian.product(vectors)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
