"""Slow, plain counterparts for the tests of elimination: one network at a time, in loops."""

from __future__ import annotations

from itertools import permutations, product

import torch
from torch import Tensor

from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.models import parameter_shapes
from prunelimits.training import MLPEnsemble
from prunelimits.types import Masks, Params


def random_networks(widths, models: int, seed: int, density: float = 0.6) -> NetworkStack:
    generator = torch.Generator().manual_seed(seed)
    masks = {
        name: torch.rand((models, *shape), generator=generator) < density
        for name, shape in parameter_shapes(widths).items()
    }
    ensemble = MLPEnsemble(widths, models, seed=seed, masks=masks)
    # Larger than at an initialisation, so that no two outputs are close by chance.
    params = {name: 3 * value for name, value in ensemble.params.items()}
    return NetworkStack.unmeasured(ensemble.replace(params=params))


def outputs(params: Params, x: Tensor) -> Tensor:
    """Of one network, `(n, outputs)`, in float64."""
    h = x.double()
    layers = len(params) // 2
    for layer in range(layers):
        weight, bias = params[f"layers.{layer}.weight"], params[f"layers.{layer}.bias"]
        h = h @ weight.double().T + bias.double()
        h = h.relu() if layer < layers - 1 else h
    return h


def one(named: Params, index: int) -> Params:
    return {name: value[index] for name, value in named.items()}


def pruned(networks: NetworkStack, index: int) -> Params:
    params, masks = one(networks.params, index), one(networks.masks, index)
    return {name: value * masks[name] for name, value in params.items()}


def same_up_to_order(first: Masks, second: Masks) -> bool:
    """Whether some order of each hidden layer's units takes one to the other, by trying all."""
    layers = len(first) // 2
    if any(first[name].shape != second[name].shape for name in first):
        return False
    sizes = [len(first[f"layers.{layer}.bias"]) for layer in range(layers - 1)]
    for orders in product(*(permutations(range(size)) for size in sizes)):
        changed = dict(first)
        for layer, order in enumerate(orders):
            rows = list(order)
            for part in ("weight", "bias"):
                name = f"layers.{layer}.{part}"
                changed[name] = changed[name][rows]
            above = f"layers.{layer + 1}.weight"
            changed[above] = changed[above][:, rows]
        if all(bool((changed[name] == second[name]).all()) for name in second):
            return True
    return False
