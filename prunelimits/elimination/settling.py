"""Bringing networks to the form in which they are compared: no superfluous parts, no gaps."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from prunelimits.connectivity import fold_constants
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.masks import with_biases
from prunelimits.types import Params

Biases: TypeAlias = Literal["free", "outgoing"]
"""Which biases are kept: `"free"`, any; `"outgoing"`, those of hidden units with a kept outgoing
weight and of all outputs, and no others."""


def settle(networks: NetworkStack, biases: Biases) -> NetworkStack:
    """The same networks without superfluous parts, in layers as narrow as they can be.

    Hidden units that no input reaches are constant: they become part of the next layer's biases.
    Then all that lies on no path from an input to an output is pruned. Outputs change by rounding
    only, except where `biases` is `"outgoing"`, see `Biases`.
    """
    params, masks = fold_constants(networks.params, networks.masks)
    if biases == "outgoing":
        weights = {name: mask for name, mask in masks.items() if name.endswith("weight")}
        masks = with_biases(weights, "outgoing")
    return narrowed(replace(networks, params=params, masks=masks))


def narrowed(networks: NetworkStack) -> NetworkStack:
    """Units that are in use moved to the front of their layers, and the layers cut behind them."""
    orders: list[Tensor] = [torch.arange(networks.widths[0], device="cpu").repeat(len(networks), 1)]
    for layer in range(len(networks.units)):
        used = networks.masks[f"layers.{layer + 1}.weight"].any(1)
        width = max(1, int(used.sum(1).max()))
        orders.append((~used).int().argsort(dim=1, stable=True)[:, :width])
    orders.append(torch.arange(networks.widths[-1], device="cpu").repeat(len(networks), 1))
    return NetworkStack(
        tuple(order.shape[1] for order in orders),
        _reordered(networks.params, orders),
        _reordered(networks.masks, orders),
        tuple(unit.gather(1, o) for unit, o in zip(networks.units, orders[1:-1], strict=True)),
        networks.origin,
        networks.score,
        networks.loss,
    )


def _reordered(named: Params, orders: list[Tensor]) -> Params:
    """Rows and columns in these orders, `(models, new width)` for every layer of units."""
    result: Params = {}
    for layer, (columns, order) in enumerate(pairwise(orders)):
        weight, bias = named[f"layers.{layer}.weight"], named[f"layers.{layer}.bias"]
        weight = weight.gather(1, order[:, :, None].expand(-1, -1, weight.shape[2]))
        weight = weight.gather(2, columns[:, None].expand(-1, weight.shape[1], -1))
        result[f"layers.{layer}.weight"] = weight
        result[f"layers.{layer}.bias"] = bias.gather(1, order)
    return result
