"""Weights that grow back where the loss falls fastest along them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.masks import rows, unflatten
from prunelimits.models import parameter_shapes
from prunelimits.types import Masks, Params

# Standard deviation of the noise on log gradients that makes different networks of one.
_NOISE = 0.5


def grown(
    networks: NetworkStack, gradients: Params, count: int, generator: torch.Generator
) -> NetworkStack:
    """The networks with `count` more weights each, at zero, or with all that can grow.

    A weight can grow between units in use: its source has an input, its target an output that is
    kept. Those with the largest gradients grow, in magnitude and with noise on its logarithm.

    Args:
        networks: From which to grow.
        gradients: Of the loss by every parameter, pruned ones too, name -> `(models, *shape)`.
        count: How many weights.
        generator: Of the noise.
    """
    new = strongest(rows(growable(networks.masks)), rows(gradients), count, generator)
    return replace(
        networks, masks=unflatten(rows(networks.masks) | new, parameter_shapes(networks.widths))
    )


def strongest(
    can_grow: Tensor, gradients: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """Where the `count` largest gradients are among those that can grow, bool `(models, entries)`.

    In magnitude, with noise on the logarithm; a gradient of zero is none.

    Args:
        can_grow: Bool `(models, entries)`.
        gradients: Of the same shape.
        count: How many in each row, at most.
        generator: Of the noise.
    """
    strength = gradients.abs().double().log()
    noise = torch.randn(strength.shape, generator=generator, dtype=torch.float64, device="cpu")
    strength = (strength + _NOISE * noise).masked_fill(~can_grow, -torch.inf)
    largest = strength.topk(min(count, strength.shape[1]), dim=1).indices
    return torch.zeros_like(can_grow).scatter(1, largest, True) & (strength > -torch.inf)


def growable(masks: Masks) -> Masks:
    """Pruned weights between units in use, bool `(models, *shape)` by name; no bias is one."""
    last = len(masks) // 2 - 1
    result: Masks = {}
    for layer in range(last + 1):
        weight = masks[f"layers.{layer}.weight"]
        free = ~weight
        if layer > 0:
            free &= _reached(masks[f"layers.{layer - 1}.weight"]).unsqueeze(1)
        if layer < last:
            free &= masks[f"layers.{layer + 1}.weight"].any(1).unsqueeze(2)
        result[f"layers.{layer}.weight"] = free
        result[f"layers.{layer}.bias"] = torch.zeros_like(masks[f"layers.{layer}.bias"])
    return result


def _reached(weight: Tensor) -> Tensor:
    """Which units have an input, `(models, units)`."""
    return weight.any(2)
