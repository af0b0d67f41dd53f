from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from prunelimits import MLP, pruners
from prunelimits.masks import count
from prunelimits.problem import problem_of
from prunelimits.pruners import prune
from prunelimits.scores.balance import balanced_mask
from prunelimits.scores.npb import npb

GENERATOR = torch.Generator()


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    GENERATOR.manual_seed(0)


def objective(paths: Tensor, mask: Tensor, alpha: float, beta: float) -> float:
    """The paper's, of a mask `(outputs, inputs, kernel)`; inputs without a path are no nodes."""
    outputs, inputs, size = mask.shape
    keep = int(mask.sum())
    best = paths.repeat_interleave(outputs * size).sort(descending=True).values[:keep].sum()
    nodes = mask.any(2).any(1).sum() + (mask.any(2).any(0) & (paths > 0)).sum()
    through = (mask.sum((0, 2)) * paths).sum() / (best if best > 0 else 1)
    kernels = mask.any(2).sum() / keep
    return float(alpha * nodes / (outputs + inputs) + (1 - alpha) * through + beta * kernels)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 3, 1), (2, 4, 1), (4, 2, 1), (2, 2, 3), (1, 3, 3)])
@pytest.mark.parametrize(("alpha", "beta"), [(0.01, 1.0), (0.5, 0.0), (0.9, 0.1), (1.0, 2.0)])
def test_no_mask_of_its_size_is_better(
    shape: tuple[int, int, int], alpha: float, beta: float
) -> None:
    allowed = torch.ones(shape, dtype=torch.bool)
    paths = torch.tensor([2.0, 5.0, 0.0, 4.9])[: shape[1]]
    cells = allowed.numel()
    for keep in range(1, cells + 1):
        noise = torch.rand(shape, generator=GENERATOR)
        found = balanced_mask(paths, allowed, torch.tensor(keep), noise, alpha=alpha, beta=beta)
        assert int(found.sum()) == keep
        best = 0.0
        for places in combinations(range(cells), keep):
            mask = torch.zeros(cells, dtype=torch.bool)
            mask[list(places)] = True
            best = max(best, objective(paths, mask.view(shape), alpha, beta))
        assert objective(paths, found, alpha, beta) == pytest.approx(best, abs=1e-6)


def test_outputs_are_loaded_evenly_and_the_noise_says_which() -> None:
    allowed, keep = torch.ones(6, 9, 1, dtype=torch.bool), torch.tensor(20)
    masks = [
        balanced_mask(torch.ones(9), allowed, keep, torch.rand(6, 9, 1, generator=GENERATOR))
        for _ in range(2)
    ]
    for mask in masks:
        rows, columns = mask.sum((1, 2)), mask.sum((0, 2))
        assert rows.max() - rows.min() <= 1
        assert columns.max() - columns.min() <= 1
    assert not torch.equal(*masks)


def test_what_is_not_allowed_is_not_kept() -> None:
    for _ in range(20):
        allowed = torch.rand(4, 5, 2, generator=GENERATOR) < 0.5
        for keep in range(int(allowed.sum()) + 1):
            noise = torch.rand(4, 5, 2, generator=GENERATOR)
            paths = torch.rand(5, generator=GENERATOR)
            found = balanced_mask(paths, allowed, torch.tensor(keep), noise)
            assert int(found.sum()) == keep
            assert not (found & ~allowed).any()


class Residual(nn.Module):
    """A convolution beside a shortcut, with what hides paths from sums: norms and tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)
        self.second, self.head = nn.Conv2d(3, 3, 1, bias=False), nn.Linear(3, 2)
        self.scale = nn.LayerNorm(3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm(self.first(x)))
        x = x + self.second(x)
        return self.head(self.scale(x.mean((2, 3))))


def test_each_layer_counts_the_paths_that_arrive_through_the_masks_before_it() -> None:
    model = Residual().double()
    x = torch.randn(2, 2, 3, 3, generator=GENERATOR, dtype=torch.float64)
    problem, params = problem_of(model, batches=[(x, torch.zeros(2))])
    allowed = pruners.prunable(model)
    noise = {n: torch.rand(m.shape, generator=GENERATOR) for n, m in allowed.items()}
    budget = torch.tensor([4, 5, 4])
    found = npb(problem, params, allowed, budget, noise)
    paths = torch.ones(2, dtype=torch.float64)
    for name, keep in zip(allowed, budget, strict=True):
        shape = (*allowed[name].shape[:2], 1)
        expected = balanced_mask(
            paths, allowed[name].reshape(shape), keep, noise[name].reshape(shape)
        )
        assert torch.equal(found[name].reshape(shape), expected)
        through = expected[..., 0].double() @ paths
        paths = through + paths if name == "second.weight" else through


def test_the_method_keeps_the_quotas_and_connects_what_it_can() -> None:
    model = MLP((8, 16, 16, 3))
    x = torch.zeros(1, 8)
    found = prune(model, pruners.NPB(), keep=60, batches=[(x, x)])
    assert count(found) == 60
    quotas = pruners.plan(model, pruners.NPB(), keep=60).quotas
    assert quotas == {name: int(mask.sum()) for name, mask in found.items()}
    assert found["layers.0.weight"].any(0).all()
    assert found["layers.2.weight"].any(1).all()
    with pytest.raises(ValueError, match=r"scope must be a quota for each layer.*got 'global'"):
        pruners.NPB(scope="global")


def test_bad_input() -> None:
    model = nn.Linear(3, 2)
    problem, params = problem_of(model, batches=[(torch.zeros(1, 3), torch.zeros(1))])
    masks = {"weight": torch.ones(2, 3, dtype=torch.bool)}
    noise = {"weight": torch.rand(2, 3)}
    budget = torch.tensor([2])
    with pytest.raises(ValueError, match=r"alpha must be at least 0 and at most 1, got 2\.0"):
        npb(problem, params, masks, budget, noise, alpha=2.0)
    with pytest.raises(ValueError, match=r"budget must have shape \(1,\), got \(2,\)"):
        npb(problem, params, masks, torch.tensor([2, 2]), noise)
    with pytest.raises(ValueError, match=r"budget must be between 0 and \[6\], got \[7\]"):
        npb(problem, params, masks, torch.tensor([7]), noise)
    with pytest.raises(ValueError, match="noise is needed by this score"):
        npb(problem, params, masks, budget)
    deep = nn.Sequential(*(nn.Linear(10, 10) for _ in range(400)))
    with pytest.raises(ValueError, match="to which there are more paths than numbers"):
        prune(deep, pruners.NPB(), sparsity=0.0, batches=[(torch.zeros(1, 10), torch.zeros(1))])
