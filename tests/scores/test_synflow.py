from __future__ import annotations

import itertools
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunelimits import MLP
from prunelimits.problem import problem_of
from prunelimits.scores import synflow
from prunelimits.types import Masks, Params

from .cases import CASES, finite_differences, flat, some_masks


def path_scores(
    widths: tuple[int, ...], params: Params, masks: Masks, biases: bool
) -> tuple[Params, float]:
    """Every path, one after another: what each of its weights gets, and the sum of all."""
    weights = [
        (params[f"layers.{i}.weight"].abs() * masks[f"layers.{i}.weight"]).tolist()
        for i in range(len(widths) - 1)
    ]
    offsets = [params[f"layers.{i}.bias"].abs().tolist() for i in range(len(widths) - 1)]
    found = {name: torch.zeros(mask.shape, dtype=torch.float64) for name, mask in masks.items()}
    total = 0.0
    # A path begins at an input or, with biases, at a unit of any later layer.
    for begin in range(len(widths) if biases else 1):
        for units in itertools.product(*(range(width) for width in widths[begin:])):
            product = offsets[begin - 1][units[0]] if begin else 1.0
            for layer, (source, target) in enumerate(pairwise(units), begin):
                product *= weights[layer][target][source]
            total += product
            for layer, (source, target) in enumerate(pairwise(units), begin):
                found[f"layers.{layer}.weight"][target, source] += product
    return found, total


def network(widths: tuple[int, ...], seed: int) -> tuple[MLP, Masks]:
    generator = torch.Generator().manual_seed(seed)
    model = MLP(widths).double()
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return model, some_masks(model, generator, 0.6)


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 3), min_size=2, max_size=5).map(tuple),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_synflow_is_the_sum_over_the_paths_through_a_weight(
    widths: tuple[int, ...], seed: int, biases: bool
) -> None:
    model, masks = network(widths, seed)
    problem, params = problem_of(model, batches=[(torch.zeros(2, widths[0]), torch.zeros(2))])
    found = synflow(problem, params, masks, biases=biases)
    expected, total = path_scores(widths, params, masks, biases)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    if not biases:  # the conservation law of the paper: every path crosses every layer once
        for value in found.values():
            assert float(value.sum()) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("biases", [True, False])
def test_convolutions_and_normalisation(biases: bool) -> None:
    case = CASES["convolution"]()
    found = synflow(case.problem, case.params, case.masks, biases=biases)
    positive = {name: value.abs() for name, value in case.params.items()}
    positive["1.running_mean"] = torch.zeros(2, dtype=torch.float64)
    if not biases:
        positive |= {n: torch.zeros_like(v) for n, v in positive.items() if n.endswith("bias")}

    def flow(weights: Params) -> Tensor:
        model = case.model.eval()
        state = {**positive, **{n: w.abs() * case.masks[n] for n, w in weights.items()}}
        return torch.func.functional_call(model, state, torch.ones(1, 1, 4, 4).double()).sum()

    slopes = finite_differences(flow, {name: case.params[name].abs() for name in case.masks})
    expected = {n: slope * case.params[n].abs() for n, slope in slopes.items()}
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_products_beyond_float32_stay_apart() -> None:
    """100 layers of width 2: paths of weight 1e-80 and 1e80."""
    for scale in (0.1, 10.0):
        model = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(80)))
        with torch.no_grad():
            for layer in model:
                layer.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.5]]) * scale)
        problem, params = problem_of(model, batches=[(torch.ones(1, 2), torch.ones(1))])
        masks = {name: torch.ones(2, 2, dtype=torch.bool) for name in params}
        found = synflow(problem, params, masks)
        for value in found.values():
            assert float(value[0, 0]) == pytest.approx(scale**80, rel=1e-4)
            assert float(value[1, 1]) == pytest.approx((0.5 * scale) ** 80, rel=1e-4)


def test_a_bias_begins_paths_only_where_asked() -> None:
    model = MLP((1, 1, 1))
    masks = {"layers.0.weight": torch.tensor([[False]]), "layers.1.weight": torch.tensor([[True]])}
    with torch.no_grad():
        model.layers[0].bias.fill_(-2.0)
        model.layers[1].weight.fill_(3.0)
    problem, params = problem_of(model, batches=[(torch.zeros(1, 1), torch.zeros(1))])
    assert flat(synflow(problem, params, masks)).tolist() == [0.0, 6.0]
    assert flat(synflow(problem, params, masks, biases=False)).tolist() == [0.0, 0.0]


def test_inputs_matter_by_their_shape_alone() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(12, 1, bias=False))
    problem, params = problem_of(model, batches=[(torch.tensor([[0, 1, 2, 3]]), torch.zeros(1))])
    masks = {name: torch.ones_like(value).bool() for name, value in params.items()}
    found = synflow(problem, params, masks)
    expected = params["0.weight"][1].repeat(4).abs() * params["2.weight"].abs()[0]
    torch.testing.assert_close(found["2.weight"][0], expected.double())
    assert found["0.weight"].sum(1).count_nonzero() == 1  # the token 1 is what ones mean
