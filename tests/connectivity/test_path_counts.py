"""Path counts against sums of whole numbers of any size; layers' transposes against autograd."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.connectivity import analyze
from prunelimits.connectivity.flow import find_flow
from prunelimits.connectivity.following import transposes
from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.following.steps import Source
from prunelimits.connectivity.path_counts import PathCounts
from prunelimits.connectivity.trace import trace

from .random_models import random_model


def paths_one_by_one(network: Network, carries: list[Tensor]) -> int:
    """Paths in all, with Python's integers: each step's map found entry by entry."""
    steps = network.steps
    found: list[np.ndarray | None] = []
    for step in steps:
        if isinstance(step, Source):
            found.append(np.full(step.shape.numel(), 1, dtype=object))
            continue
        if not step.varies:
            found.append(None)
            continue
        at = [carries[i].double() for i in step.inputs]
        total = np.full(step.shape.numel(), 0, dtype=object)
        for place, i in enumerate(step.inputs):
            coming = found[i]
            if coming is None:
                continue
            for entry in np.flatnonzero(coming):
                one = torch.zeros(steps[i].shape.numel(), dtype=torch.float64)
                one[entry] = 1
                given = [one.view(steps[i].shape) if p == place else None for p in range(len(at))]
                column = step.spread(at, given).expand(step.shape).reshape(-1)
                for out in column.nonzero().flatten().tolist():
                    total[out] += int(column[out]) * coming[entry]
        found.append(total)
    return sum(int(part) for n in network.outputs if (of := found[n]) is not None for part in of)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_paths_against_whole_numbers_of_any_size(seed: int):
    model, x = random_model(seed)
    traced = trace(model, None, x)
    flow = find_flow(traced.network, traced.parameters.masks)
    counts = PathCounts(traced.network, flow.carries)
    expected = paths_one_by_one(traced.network, flow.carries)
    assert counts.in_all() * traced.network.samples == expected


@pytest.mark.slow
def test_paths_beyond_floating_point_are_exact():
    layers = [nn.Linear(40, 40) for _ in range(250)]
    model = nn.Sequential(nn.Flatten(), *layers).eval()
    report = analyze(model, inputs=torch.zeros(1, 40))
    assert report.paths == 40**251
    assert report.layers[100].paths == (40**250,) * 40


def test_paths_are_of_the_masks_as_they_were():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.Linear(4, 2))
    masks = {"1.weight": torch.ones(4, 3).bool(), "2.weight": torch.ones(2, 4).bool()}
    report = analyze(model, masks, inputs=torch.zeros(1, 3))
    masks["1.weight"].zero_()
    assert report.paths == 24


def test_a_report_is_copied_and_saved_with_its_paths():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.Linear(4, 2))
    report = analyze(model, inputs=torch.zeros(1, 3))
    assert pickle.loads(pickle.dumps(report)) == copy.deepcopy(report) == report
    assert pickle.loads(pickle.dumps(report)).layers[0].paths == (6,) * 4


def by_autograd(function: object, at: list[Tensor], paths: Tensor) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in at]
    return list(torch.autograd.grad(function(*leaves), leaves, paths))  # pyright: ignore


def some(*shape: int) -> Tensor:
    return torch.randint(0, 3, shape).double()


@pytest.mark.parametrize("rows", ["all differ", "three differ", "all the same", "few"])
@pytest.mark.parametrize("seed", range(3))
def test_linear_layers_of_rows_that_are_alike(rows: str, seed: int):
    torch.manual_seed(seed)
    count = 2 if rows == "few" else 30
    x, paths = some(1, count, 5), some(1, count, 4)
    kinds = {"three differ": 3, "all the same": 1}.get(rows)
    if kinds is not None:
        chosen = torch.randint(kinds, (count,))
        x, paths = x[:, chosen], paths[:, chosen]
    weight = some(4, 5)
    assert torch.equal(transposes.linear(x, weight), functional.linear(x, weight))
    found = transposes.linear_transposed([x, weight], paths, [True, True])
    expected = by_autograd(functional.linear, [x, weight], paths)
    for part, other in zip(found, expected, strict=True):
        assert part is not None
        assert torch.equal(part, other)
    assert torch.equal(transposes.product(x, weight.T), x @ weight.T)
    found = transposes.product_transposed([x, weight.T], paths, [False, True])
    assert found[0] is None
    assert torch.equal(found[1], expected[1].T)  # pyright: ignore


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_transposes_of_convolutions(axes: int, groups: int, transposed: bool):
    torch.manual_seed(axes)
    settings = ([2] * axes, [1] * axes, [1] * axes, transposed, [0] * axes, groups)
    x, weight = some(2, 4, *[5] * axes), some(4, 4 // groups, *[3] * axes)

    def function(a: Tensor, w: Tensor) -> Tensor:
        return torch.ops.aten.convolution.default(a, w, None, *settings)

    paths = some(*function(x, weight).shape)
    found = transposes.convolution_transposed(*settings)([x, weight], paths, [True, True])
    for part, other in zip(found, by_autograd(function, [x, weight], paths), strict=True):
        assert part is not None
        assert torch.equal(part, other)
