from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.models import MLP
from prunelimits.models.mlp import check_widths, leading_block, parameter_shapes
from prunelimits.types import Params

widths_of_any_depth = st.lists(st.integers(1, 5), min_size=2, max_size=6).map(tuple)


def params_of(widths: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Params:
    generator = torch.Generator().manual_seed(sum(widths))
    return {
        name: torch.randn(shape, generator=generator, dtype=dtype)
        for name, shape in parameter_shapes(widths).items()
    }


def plain_activations(params: Params, sample: list[float]) -> list[list[float]]:
    """Every layer's values, unit by unit."""
    result, layers = [sample], len(params) // 2
    for layer in range(layers):
        weight = params[f"layers.{layer}.weight"].tolist()
        bias = params[f"layers.{layer}.bias"].tolist()
        values = [
            b + sum(w * v for w, v in zip(row, result[-1], strict=True))
            for row, b in zip(weight, bias, strict=True)
        ]
        result.append([max(v, 0.0) for v in values] if layer < layers - 1 else values)
    return result


@given(widths_of_any_depth)
def test_outputs_and_activations_equal_plain_loops(widths: tuple[int, ...]) -> None:
    params = params_of(widths)
    model = MLP.from_params(widths, params)
    x = torch.linspace(-2, 2, 3 * widths[0], dtype=torch.float64).reshape(3, widths[0])
    activations = model.activations(x)
    assert len(activations) == len(widths)
    assert torch.equal(activations[0], x)
    assert torch.equal(activations[-1], model(x))
    for sample in range(3):
        expected = plain_activations(params, x[sample].tolist())
        for layer, values in enumerate(expected):
            assert activations[layer][sample].tolist() == pytest.approx(
                values, rel=1e-12, abs=1e-12
            )


@given(widths_of_any_depth)
def test_names_and_shapes_are_those_of_the_state_dict(widths: tuple[int, ...]) -> None:
    shapes = [(n, tuple(p.shape)) for n, p in MLP(widths).state_dict().items()]
    assert list(parameter_shapes(widths).items()) == shapes
    assert shapes == [
        entry
        for i, (d_in, d_out) in enumerate(pairwise(widths))
        for entry in ((f"layers.{i}.weight", (d_out, d_in)), (f"layers.{i}.bias", (d_out,)))
    ]


def test_the_papers_network() -> None:
    model = MLP([2, 16, 16, 16, 1])
    assert model.widths == (2, 16, 16, 16, 1)
    assert sum(p.numel() for n, p in model.named_parameters() if n.endswith("weight")) == 560
    assert sum(p.numel() for n, p in model.named_parameters() if n.endswith("bias")) == 49
    assert "widths=(2, 16, 16, 16, 1)" in repr(model)


def test_the_constructor_initialises_as_linear_layers_do() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = MLP((2, 9, 4))
        torch.manual_seed(3)
        layers = [torch.nn.Linear(2, 9), torch.nn.Linear(9, 4)]
    for ours, theirs in zip(model.layers, layers, strict=True):
        assert torch.equal(ours.weight, theirs.weight)
        assert torch.equal(ours.bias, theirs.bias)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_from_params_copies_and_draws_nothing(dtype: torch.dtype) -> None:
    params = params_of((2, 3, 1), dtype)
    params["layers.0.bias"][0] = math.nan
    state = torch.get_rng_state()
    model = MLP.from_params((2, 3, 1), params)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    for name, parameter in model.named_parameters():
        assert isinstance(parameter, torch.nn.Parameter)
        assert parameter.requires_grad
        assert parameter.dtype == dtype
        assert parameter.device.type == "cpu"
        assert torch.allclose(parameter, params[name], rtol=0, atol=0, equal_nan=True)
    with torch.no_grad():
        model.layers[0].weight.fill_(7.0)
    assert not (params["layers.0.weight"] == 7.0).any()


def test_from_params_of_a_trained_model_is_detached_from_it() -> None:
    model = MLP((2, 3, 1))
    copy = MLP.from_params(model.widths, dict(model.named_parameters()))
    copy(torch.ones(1, 2)).sum().backward()
    assert all(p.grad is None for p in model.parameters())
    assert all(p.is_leaf and p.grad is not None for p in copy.parameters())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"layers.0.bias": None}, ValueError, r"params must name .*layers\.0\.bias"),
        ({"more": torch.zeros(1)}, ValueError, "got .*'more'"),
        ({"layers.0.bias": torch.zeros(4)}, ValueError, r"shape \(3,\) for .*got \(4,\)"),
        ({"layers.0.bias": torch.zeros(3).long()}, TypeError, r"layers\.0\.bias.*torch.int64"),
        ({"layers.0.bias": [0.0] * 3}, TypeError, r"layers\.0\.bias.*got list"),
    ],
)
def test_from_params_refuses(
    changes: dict[str, object], error: type[Exception], message: str
) -> None:
    params = {**params_of((2, 3, 1)), **changes}
    params = {name: value for name, value in params.items() if value is not None}
    with pytest.raises(error, match=message):
        MLP.from_params((2, 3, 1), params)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("widths", "error", "message"),
    [
        ((), ValueError, r"widths needs .*got \(\)"),
        ((2,), ValueError, r"widths needs .*got \(2,\)"),
        ((2, 0, 1), ValueError, r"widths\[1\] must be at least 1, got 0"),
        ((2, -1), ValueError, r"widths\[1\] must be at least 1, got -1"),
        ((2, 3.0, 1), TypeError, r"widths\[1\] must be an integer, got 3\.0"),
        ((2, True, 1), TypeError, r"widths\[1\] must be an integer, got True"),
        ("231", TypeError, "widths must be a sequence of integers, got '231'"),
        (3, TypeError, "widths must be a sequence of integers, got 3"),
        (("2", 1), TypeError, r"widths\[0\] must be an integer, got '2'"),
    ],
)
def test_wrong_widths_are_refused(
    widths: tuple[int, ...], error: type[Exception], message: str
) -> None:
    for function in (MLP, check_widths, parameter_shapes):
        with pytest.raises(error, match=message):
            function(widths)


def test_the_leading_block_computes_what_the_first_units_compute() -> None:
    wide, widths = params_of((2, 6, 5, 1)), (2, 4, 3, 1)
    block = leading_block(wide, widths)
    cut = {name: value.clone() for name, value in wide.items()}
    cut["layers.1.weight"][:, 4:] = 0
    cut["layers.2.weight"][:, 3:] = 0
    x = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2)
    narrow = MLP.from_params(widths, block)
    torch.testing.assert_close(narrow(x), MLP.from_params((2, 6, 5, 1), cut)(x))


def test_the_leading_block_of_stacked_parameters() -> None:
    wide = {name: torch.stack([p, 2 * p]) for name, p in params_of((2, 6, 5, 1)).items()}
    block = leading_block(wide, (2, 4, 3, 1))
    assert block["layers.1.weight"].shape == (2, 3, 4)
    assert torch.equal(block["layers.1.weight"][1], wide["layers.1.weight"][1, :3, :4])
    assert torch.equal(block["layers.1.bias"], wide["layers.1.bias"][:, :3])


@pytest.mark.parametrize("widths", [(2, 7, 3, 1), (2, 4, 1), (3, 4, 3, 1), (2, 4, 3, 2)])
def test_no_leading_block_where_the_network_is_too_small(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="layers"):
        leading_block(params_of((2, 6, 5, 1)), widths)
