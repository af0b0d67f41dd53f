"""Everything on a GPU gives what it gives on the CPU. Run by `python benchmarks/gpu.py`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import prunelimits as pl
from prunelimits import pruners
from prunelimits.training import TorchEngine

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
X = torch.randn(48, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(48) % 3
METHODS = [
    pruners.Magnitude(), pruners.SNIP(), pruners.GraSP(), pruners.SynFlow(),
    pruners.IterSNIP(rounds=3), pruners.FORCE(rounds=3), pruners.Random(),
]  # fmt: skip


def network(device: str) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(54, 10), nn.ReLU(), nn.Linear(10, 3),
    ).to(device, torch.float64)  # fmt: skip


def batches(device: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(X[:32].to(device), Y[:32].to(device)), (X[32:].to(device), Y[32:].to(device))]


def on_both(work: Any) -> tuple[Any, Any]:
    return work("cpu"), work("cuda")


def assert_equal_masks(cpu: dict[str, torch.Tensor], gpu: dict[str, torch.Tensor]) -> None:
    assert cpu.keys() == gpu.keys()
    for name, mask in gpu.items():
        assert mask.device.type == "cuda"
        assert torch.equal(mask.cpu(), cpu[name]), name


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_masks_are_the_same(method: Any):
    def masks(device: str) -> pl.types.Masks:
        return pl.prune(
            network(device),
            method,
            keep=100,
            loss=functional.cross_entropy,
            batches=batches(device),
            generator=torch.Generator().manual_seed(0),
        )

    assert_equal_masks(*on_both(masks))


@pytest.mark.parametrize("method", [pruners.GMP(rounds=4), pruners.RigL(rounds=4)])
def test_sessions_prune_the_same(method: Any):
    def trained(device: str) -> tuple[pl.types.Masks, dict[str, torch.Tensor]]:
        model = network(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        with pl.attach(method, model, optimizer, keep=120, steps=12) as session:
            for step in range(12):
                x, y = batches(device)[step % 2]
                optimizer.zero_grad()
                functional.cross_entropy(model(x), y).backward()
                optimizer.step()
        return session.masks, model.state_dict()

    (masks, state), (gpu_masks, gpu_state) = on_both(trained)
    assert_equal_masks(masks, gpu_masks)
    for name, value in state.items():
        torch.testing.assert_close(gpu_state[name].cpu(), value, rtol=1e-7, atol=1e-9)


def test_what_is_effective_is_the_same():
    def report(device: str) -> tuple[pl.types.Masks, float]:
        model = network(device)
        masks = pl.prune(model, pruners.Magnitude(floor=1), keep=60)
        inputs = X.to(device)
        effective = pl.effective_masks(model, masks, inputs=inputs)
        small = pl.connectivity.compact(model, masks, inputs=inputs)
        with torch.no_grad():
            return effective, float(small(inputs).sum())

    (masks, total), (gpu_masks, gpu_total) = on_both(report)
    assert_equal_masks(masks, gpu_masks)
    assert gpu_total == pytest.approx(total, rel=1e-9)


def test_a_limit_is_the_same():
    def limit(device: str) -> float:
        found = pl.limits.pruning_limit(
            network(device).eval(), functional.cross_entropy, batches(device), epsilon=0.1
        )
        return found.predicted.remaining

    cpu, gpu = on_both(limit)
    assert gpu == pytest.approx(cpu, abs=0.01)


@pytest.mark.parametrize("samples", [33, 400])
@pytest.mark.parametrize("steps", [{}, {"start": 0, "stop": 3}])
def test_an_ensemble_trains_the_same(samples: int, steps: dict[str, int]):
    x = torch.randn(samples, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = (x[:, 0] > 0).double()
    recipes = [pl.Recipe(epochs=4, batch_size=32, lr=0.02 * (n + 1)) for n in range(5)]

    def trained(device: str) -> pl.FitResult:
        ensemble = pl.MLPEnsemble((2, 4, 3, 1), 5, dtype=torch.float64, device=device)
        return pl.fit(ensemble, x, y, recipes, engine=TorchEngine(), **steps)

    cpu, gpu = on_both(trained)
    for name, value in cpu.ensemble.params.items():
        torch.testing.assert_close(gpu.ensemble.params[name].cpu(), value, rtol=1e-9, atol=1e-9)
    assert torch.equal(gpu.accuracy.cpu(), cpu.accuracy)
