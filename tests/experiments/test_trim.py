"""Pruning after training, against a plain loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import trim
from prunelimits.masks import with_biases
from prunelimits.training import MLPEnsemble, Recipe, TorchEngine, fit
from prunelimits.types import Masks, Params


def accuracy(params: Params, masks: Masks, x: Tensor, y: Tensor) -> float:
    """In plain PyTorch."""
    for layer in range(len(params) // 2):
        x = torch.relu(x) if layer else x
        weight, bias = (
            params[f"layers.{layer}.{part}"] * masks[f"layers.{layer}.{part}"]
            for part in ("weight", "bias")
        )
        x = x @ weight.T + bias
    return float(((x[:, 0] > 0) == (y == 1)).double().mean())


def trimmed(params: Params, masks: Masks, x: Tensor, y: Tensor) -> Masks:
    """One network, one weight after the other."""
    first = accuracy(params, masks, x, y)
    while True:
        # Of equals the last one goes.
        places: list[tuple[float, int, int, str]] = [
            (float(params[name].flatten()[place].abs()), -order, -place, name)
            for order, (name, mask) in enumerate(masks.items())
            if name.endswith("weight")
            for place in mask.flatten().nonzero().flatten().tolist()
        ]
        if not places:
            return masks
        _, _, place, name = min(places)
        fewer = {n: m.clone() for n, m in masks.items() if n.endswith("weight")}
        fewer[name].view(-1)[-place] = False
        fewer = with_biases(fewer)
        if accuracy(params, fewer, x, y) < first:
            return masks
        masks = fewer


@pytest.mark.parametrize("keep", [4, 12, 25])
def test_against_a_loop(keep: int):
    x, y = (tensor.double() for tensor in cubist_spiral(200))
    start = MLPEnsemble((2, 6, 5, 1), models=8, seed=1, dtype=torch.float64)
    weights = {n: m for n, m in start.masks.items() if n.endswith("weight")}
    generator = torch.Generator().manual_seed(keep)
    noise = torch.rand(8, 47, generator=generator).argsort(1).argsort(1) < keep
    sizes = [mask[0].numel() for mask in weights.values()]
    parts = zip(weights.items(), noise.split(sizes, dim=1), strict=True)
    masks = with_biases({name: part.view(mask.shape) for (name, mask), part in parts})
    trained = fit(
        start.replace(masks=masks), x, y, Recipe(epochs=4, batch_size=20), engine=TorchEngine()
    ).ensemble
    result = trim(trained, x, y)
    smaller = 0
    for member in range(8):
        params = {name: value[member] for name, value in trained.params.items()}
        own = {name: mask[member] for name, mask in trained.masks.items()}
        expected = trimmed(params, own, x, y)
        for name, mask in result.masks.items():
            assert torch.equal(mask[member], expected[name])
            assert torch.equal(result.params[name][member], params[name] * mask[member])
        smaller += sum(int(m.sum()) for m in expected.values()) < sum(
            int(m.sum()) for m in own.values()
        )
    assert smaller
    # What it was given stays as it was.
    assert all(torch.equal(trained.masks[name], masks[name]) for name in masks)


def squared_error(params: Params, masks: Masks, x: Tensor, y: Tensor) -> float:
    for layer in range(len(params) // 2):
        x = torch.relu(x) if layer else x
        weight, bias = (
            params[f"layers.{layer}.{part}"] * masks[f"layers.{layer}.{part}"]
            for part in ("weight", "bias")
        )
        x = x @ weight.T + bias
    return float((x[:, 0] - y).square().mean())


def test_with_squared_error_the_loss_does_not_rise():
    """Weights that overfit: without the smallest the loss is lower on other data."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    y = (x[:, 0] - 0.5 * x[:, 1]).tanh()
    start = MLPEnsemble((2, 6, 5, 1), models=12, seed=1, dtype=torch.float64)
    trained = fit(
        start, x, y, Recipe(epochs=30, batch_size=20), loss="mse", engine=TorchEngine()
    ).ensemble
    # Small weights that only do harm.
    noise = {
        name: value + 1e-3 * torch.randn(value.shape, generator=generator, dtype=torch.float64)
        if name == "layers.2.weight"
        else value
        for name, value in trained.params.items()
    }
    noisy = trained.replace(params=noise)
    result = trim(noisy, x, y, loss="mse", engine=TorchEngine())
    removed = 0
    for member in range(len(noisy)):
        params = {name: value[member] for name, value in noisy.params.items()}
        own = {name: mask[member] for name, mask in noisy.masks.items()}
        left = {name: mask[member] for name, mask in result.masks.items()}
        before, after = (squared_error(params, masks, x, y) for masks in (own, left))
        assert after <= before
        removed += sum(int(own[name].sum()) - int(left[name].sum()) for name in own)
    assert removed
