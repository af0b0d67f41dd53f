"""The sparse networks kept beside the examples are what their names say, in plain PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from prunelimits.connectivity import effective_masks
from prunelimits.datasets import cubist_spiral

FILES = sorted((Path(__file__).parent.parent / "examples" / "networks").glob("*.pt"))


def test_there_are_networks():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_kept_network_is_what_its_name_says(path: Path):
    """Such as `cubist-spiral-995-27-with-biases-31.pt`: accuracy, nonzeros, by the paper's rule."""
    percent, nonzeros, *_, with_biases = path.stem.removeprefix("cubist-spiral-").split("-")
    loaded = torch.load(path, weights_only=True)
    state = loaded["state_dict"]
    x, y = cubist_spiral(dtype=torch.float64)
    h = x
    for layer in range(len(state) // 2):
        h = torch.relu(h) if layer else h
        weight, bias = (state[f"layers.{layer}.{part}"].double() for part in ("weight", "bias"))
        h = h @ weight.T + bias
    accuracy = float(((h[:, 0] > 0) == (y == 1)).double().mean())
    assert accuracy >= float(f"0.{percent}")
    assert sum(int((value != 0).sum()) for value in state.values()) == int(nonzeros)
    # Every parameter counts, and by the paper's rule each unit in use and the output have a bias.
    masks = {name: value != 0 for name, value in state.items()}
    effective = effective_masks(masks)
    assert all(bool((effective[name] == mask).all()) for name, mask in masks.items())
    weights = [mask for name, mask in masks.items() if name.endswith("weight")]
    units = sum(int(mask.any(0).sum()) for mask in weights[1:])
    assert sum(int(mask.sum()) for mask in weights) + units + 1 == int(with_biases)
