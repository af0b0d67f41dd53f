"""Weights that grow back, against plain loops."""

from __future__ import annotations

import pytest
import torch

from prunelimits.elimination.growing import growable, grown
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.settling import settle
from prunelimits.training import MLPEnsemble
from prunelimits.types import Masks

WIDTHS = (3, 5, 4, 2)


def stack(seed: int, models: int = 3, share: float = 0.4) -> NetworkStack:
    """Networks with random masks, settled as elimination has them."""
    dense = MLPEnsemble(WIDTHS, models, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    masks = {
        name: torch.rand(mask.shape, generator=generator) < share if name.endswith("weight")
        else torch.ones_like(mask)
        for name, mask in dense.masks.items()
    }  # fmt: skip
    return settle(NetworkStack.unmeasured(dense.replace(masks=masks)), "outgoing")


def can_grow(masks: Masks, member: int) -> set[tuple[int, int, int]]:
    """Layer, row and column of every weight that may grow, by looking at each."""
    weights = [masks[f"layers.{layer}.weight"][member] for layer in range(len(masks) // 2)]
    found: set[tuple[int, int, int]] = set()
    for layer, weight in enumerate(weights):
        for row in range(weight.shape[0]):
            for column in range(weight.shape[1]):
                source = layer == 0 or any(bool(v) for v in weights[layer - 1][column])
                target = layer == len(weights) - 1 or any(
                    bool(above[row]) for above in weights[layer + 1]
                )
                if not weight[row, column] and source and target:
                    found.add((layer, row, column))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_weights_between_units_in_use_can_grow(seed: int):
    networks = stack(seed)
    found = growable(networks.masks)
    for member in range(len(networks)):
        mine = {
            (layer, row, column)
            for layer in range(len(found) // 2)
            for row, column in found[f"layers.{layer}.weight"][member].nonzero().tolist()
        }
        assert mine == can_grow(networks.masks, member)
    assert not any(found[name].any() for name in found if name.endswith("bias"))


@pytest.mark.parametrize("count", [1, 3, 1000])
def test_so_many_grow_and_nothing_is_lost(count: int):
    networks = stack(1)
    gradients = {
        name: torch.randn(v.shape, generator=torch.Generator().manual_seed(2))
        for name, v in networks.params.items()
    }
    larger = grown(networks, gradients, count, torch.Generator().manual_seed(3))
    for member in range(len(networks)):
        free = len(can_grow(networks.masks, member))
        more = int(larger.nonzeros()[member] - networks.nonzeros()[member])
        assert more == min(count, free)
    for name, mask in networks.masks.items():
        assert bool((larger.masks[name] | ~mask).all())
        assert torch.equal(larger.params[name], networks.params[name])


def test_the_strongest_by_far_grows_first_whatever_the_noise():
    networks = stack(2, models=1)
    (layer, row, column), *_ = sorted(can_grow(networks.masks, 0))
    gradients = {name: torch.full_like(v, 1e-9) for name, v in networks.params.items()}
    gradients[f"layers.{layer}.weight"][0, row, column] = -1.0
    for seed in range(5):
        larger = grown(networks, gradients, 1, torch.Generator().manual_seed(seed))
        assert bool(larger.masks[f"layers.{layer}.weight"][0, row, column])


def test_where_the_loss_does_not_change_nothing_grows():
    networks = stack(3)
    flat = {name: torch.zeros_like(v) for name, v in networks.params.items()}
    same = grown(networks, flat, 4, torch.Generator().manual_seed(0))
    assert torch.equal(same.nonzeros(), networks.nonzeros())
