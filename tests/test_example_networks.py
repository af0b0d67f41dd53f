"""The sparse networks kept beside the examples are what their names say, in plain PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from prunelimits.connectivity import effective_masks
from prunelimits.datasets import cubist_spiral

FILES = sorted((Path(__file__).parent.parent / "examples" / "networks").glob("*.pt"))
ROBUST = [path for path in FILES if "-margin-" in path.stem]
MARGIN = 0.01
NOISE = 1e-4


def state_of(path: Path) -> dict[str, Tensor]:
    content = torch.load(path, weights_only=True)["state_dict"]
    return {name: value.double() for name, value in content.items()}


def logits(state: dict[str, Tensor], x: Tensor) -> Tensor:
    h = x
    for layer in range(len(state) // 2):
        h = torch.relu(h) if layer else h
        h = h @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
    return h[:, 0]


def accuracy_as_published(z: Tensor, y: Tensor) -> float:
    """A logit of exactly zero is class 0."""
    return float(((z > 0) == (y == 1)).double().mean())


def logit_bounds(state: dict[str, Tensor], x: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """No input that differs by at most `noise` in each coordinate has a logit beyond these."""
    low, high = x - noise, x + noise
    for layer in range(len(state) // 2):
        if layer:
            low, high = low.clamp(min=0), high.clamp(min=0)
        weight, bias = state[f"layers.{layer}.weight"], state[f"layers.{layer}.bias"]
        up, down = weight.clamp(min=0).T, weight.clamp(max=0).T
        low, high = low @ up + high @ down + bias, high @ up + low @ down + bias
    return low[:, 0], high[:, 0]


def test_there_are_networks():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_kept_network_is_what_its_name_says(path: Path):
    """Such as `cubist-spiral-995-27-with-biases-31.pt`: accuracy, nonzeros, by the paper's rule."""
    percent, nonzeros, *_, with_biases = path.stem.removeprefix("cubist-spiral-").split("-")
    state = state_of(path)
    x, y = cubist_spiral(dtype=torch.float64)
    assert accuracy_as_published(logits(state, x), y) >= float(f"0.{percent}")
    assert sum(int((value != 0).sum()) for value in state.values()) == int(nonzeros)
    # Every parameter counts, and by the paper's rule each unit in use and the output have a bias.
    masks = {name: value != 0 for name, value in state.items()}
    effective = effective_masks(masks)
    assert all(bool((effective[name] == mask).all()) for name, mask in masks.items())
    weights = [mask for name, mask in masks.items() if name.endswith("weight")]
    units = sum(int(mask.any(0).sum()) for mask in weights[1:])
    assert sum(int(mask.sum()) for mask in weights) + units + 1 == int(with_biases)


@pytest.mark.parametrize("path", ROBUST, ids=lambda path: path.stem)
def test_no_tie_and_no_rounding_decides_the_accuracy_of_a_robust_network(path: Path):
    target = float(f"0.{path.stem.split('-')[2]}")
    state = state_of(path)
    x, y = cubist_spiral(dtype=torch.float64)
    z = logits(state, x)
    threshold = MARGIN * float(z.std(correction=0))
    beyond = torch.where(y == 1, z > threshold, z < -threshold)
    assert float(beyond.double().mean()) >= target
    # Whatever an adversary does to every input within the noise, all of these stay right.
    low, high = logit_bounds(state, x, NOISE)
    kept = torch.where(y == 1, low > 0, high < 0)
    assert float(kept.double().mean()) >= target
    # As the README counts: beyond the margin, and right whatever the noise, the same samples.
    assert float((beyond & kept).double().mean()) >= target
    # The bounds hold for noise that is drawn, and so does the target, in float32 as well.
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        moved = x + NOISE * (2 * torch.rand(x.shape, generator=generator, dtype=x.dtype) - 1)
        noisy = logits(state, moved)
        assert bool(((low - 1e-9 <= noisy) & (noisy <= high + 1e-9)).all())
        single = {name: value.float() for name, value in state.items()}
        for z in (noisy, logits(single, moved.float())):
            assert accuracy_as_published(z, y) >= target


def test_the_smallest_networks_live_on_ties_and_the_robust_ones_have_none():
    """What the pages say of them: ties, and the accuracy that is left if these count as class 1."""
    x, y = cubist_spiral(dtype=torch.float64)
    told = {
        "cubist-spiral-95-17-with-biases-22": (14_228, 0.667),
        "cubist-spiral-95-18-with-biases-22": (9_367, 0.791),
        "cubist-spiral-995-23-with-biases-28": (9_713, 0.804),
        "cubist-spiral-995-23-with-biases-26": (0, 0.995),
    }
    for path in FILES:
        z = logits(state_of(path), x)
        ties = int((z == 0).sum())
        other = float(((z >= 0) == (y == 1)).double().mean())
        if path.stem in told:
            assert (ties, round(other, 3)) == told[path.stem]
        if path in ROBUST:
            assert ties == 0
