"""Folding constants in a traced network, wherever a layer's bias can take them up."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from prunelimits.connectivity.flow import (
    Flow,
    find_constants,
    find_flow,
    flow_masks,
    weight_paths,
)
from prunelimits.connectivity.following.recording import LayerUse
from prunelimits.connectivity.following.steps import Parameter
from prunelimits.connectivity.trace import Traced
from prunelimits.masks import apply
from prunelimits.types import Masks, Params

# Of what it adds, to call a constant the same at every position.
_ROUNDING = 1e-12


def fold_model(traced: Traced) -> tuple[Params, Masks]:
    """`fold_constants` of a model: float64 parameters on the CPU, and masks."""
    network, parameters = traced.network, traced.parameters
    flow = find_flow(network, parameters.masks)
    constants = find_constants(network, flow, parameters.values)
    values, kept = dict(parameters.values), dict(parameters.masks)
    # A shared weight or bias would take up a constant wherever else it is used.
    uses = Counter(i for step in network.steps for i in step.inputs)
    for use in network.layers:
        names = _movable_names(traced, use, uses)
        if names is None:
            continue
        weight, bias = names
        moved, folded = _movable(traced, flow, use, constants)
        values[bias] = values[bias] + moved
        kept[bias] = kept[bias] | (moved != 0)
        kept[weight] = kept[weight] & ~folded
    left = flow_masks(network, find_flow(network, kept), keep_constants=True)
    return apply(values, left), left


def _movable_names(traced: Traced, use: LayerUse, uses: Counter[int]) -> tuple[str, str] | None:
    """The parameters that a layer's weight and bias are, if it alone reads them."""
    steps = traced.network.steps
    if use.bias is None or uses[use.bias] > 1:
        return None
    bias, number = steps[use.bias], use.weight
    # Through what only moves it, such as a transposition.
    while not isinstance(steps[number], Parameter):
        if len(steps[number].inputs) != 1 or uses[number] > 1:
            return None
        (number,) = steps[number].inputs
    if uses[number] > 1 or not isinstance(bias, Parameter):
        return None
    return steps[number].name, bias.name


def _movable(
    traced: Traced, flow: Flow, use: LayerUse, constants: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """What constant units add to each unit, and the weights by which they do."""
    network, axis = traced.network, use.axis
    live, source = flow.live[use.source], constants[use.source]
    # A channel is a constant if no position of it is live: one weight serves them all.
    others = [a for a in range(live.dim()) if a != use.input_axis % live.dim()]
    dead = ~(live.any(dim=others, keepdim=True) if others else live).expand(live.shape)
    weight = _weight(traced, use)
    added = network.steps[use.product].compute(source.masked_fill(~dead, 0).double(), weight)
    by_unit = added.movedim(axis, 0).reshape(added.shape[axis], -1)
    low, high = by_unit.min(1).values, by_unit.max(1).values
    # Beside padding a constant adds less at the border, and one bias cannot say so.
    even = high - low <= _ROUNDING * torch.maximum(low.abs(), high.abs())
    outputs = torch.zeros_like(added, dtype=torch.bool).movedim(axis, -1) | even
    found = weight_paths(network, flow, use.product, dead, outputs.movedim(-1, axis))
    (folded,) = (mask for n, mask in found.items() if isinstance(network.steps[n], Parameter))
    return high * even, folded


def _weight(traced: Traced, use: LayerUse) -> Tensor:
    """The weight as the layer reads it."""
    steps = traced.network.steps
    chain = [use.weight]
    while not isinstance(steps[chain[-1]], Parameter):
        chain.append(steps[chain[-1]].inputs[0])
    value = traced.parameters.values[steps[chain.pop()].name]
    for number in reversed(chain):
        value = steps[number].compute(value)
    return value
