from __future__ import annotations

import itertools
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunelimits import MLP
from prunelimits.problem import problem_of
from prunelimits.pruners import SynFlow, prune
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


def test_the_scores_are_all_that_is_held_at_the_end_of_the_pass() -> None:
    """Weights in float64 go as the scores come: at the peak half as much as both together."""
    code = """
from pathlib import Path
import torch
from torch import nn
from prunelimits.problem import problem_of
from prunelimits.scores import synflow

def memory(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))

torch.set_num_threads(1)
def run(width):
    model = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(20)))
    problem, params = problem_of(model, batches=[(torch.ones(1, width), torch.ones(1))])
    masks = {name: torch.ones_like(value).bool() for name, value in params.items()}
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    scores = synflow(problem, params, masks)
    return (memory("VmHWM") - before) / (8 * sum(score.numel() for score in scores.values()))

run(8)
print(run(700))
"""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory is read as on Linux")
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    held = float(subprocess.check_output([sys.executable, "-c", code], text=True, env=environment))
    assert 0.9 < held < 1.3  # the scores, and a few layers of twenty


def test_a_weight_that_is_used_twice_is_freed_after_the_second() -> None:
    """In either order, and beside a use that autograd does not follow."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(self.second(self.first(x)))
            return self.first(h) * self.second.weight.detach().sum()

    torch.manual_seed(0)
    problem, params = problem_of(Twice().double(), batches=[(torch.ones(1, 3), torch.ones(1))])
    masks = {name: torch.rand_like(value) < 0.7 for name, value in params.items()}
    weights = {n: (v.abs() * masks[n]).requires_grad_() for n, v in params.items()}
    flow = problem.apply(weights, torch.ones(1, 3).double()).sum()
    slopes = torch.autograd.grad(flow, list(weights.values()))
    expected = {n: w.detach() * g for (n, w), g in zip(weights.items(), slopes, strict=True)}
    found = synflow(problem, params, masks)
    assert all(torch.equal(found[name], expected[name]) for name in masks)


def test_a_weight_that_is_read_behind_the_back_of_autograd_is_no_number_and_told() -> None:
    """Its memory has gone by then: no other number may take its place."""

    class Reads(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, layer: nn.Linear) -> Tensor:
            ctx.layer = layer
            return x * layer.weight.sum()

        @staticmethod
        def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
            return slopes[0] * ctx.layer.weight.sum(), None

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(Reads.apply(self.first(x), self.last))

    with pytest.raises(ValueError, match="scores of SynFlow must be numbers"):
        prune(Model(), SynFlow(), keep=3, batches=[(torch.ones(1, 2), torch.ones(1))])
