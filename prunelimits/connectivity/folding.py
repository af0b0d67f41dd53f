"""Folding constants in a traced network, wherever a layer's bias can take them up."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn

from prunelimits.connectivity.flow import find_constants, find_flow, flow_masks, weight_paths
from prunelimits.connectivity.steps import Affine
from prunelimits.connectivity.trace import trace
from prunelimits.masks import apply
from prunelimits.types import Masks, Params

# Of what it adds, to call a constant the same at every position.
_ROUNDING = 1e-12


def fold_model(
    model: nn.Module, masks: Masks | None, inputs: Tensor | tuple[Tensor, ...] | None
) -> tuple[Params, Masks]:
    """`fold_constants` of a model: float64 parameters on the CPU, and masks."""
    network = trace(model, masks, inputs)
    flow = find_flow(network)
    constants = find_constants(network, flow.live)
    values, kept = dict(network.parameters.values), dict(network.parameters.masks)
    layers = [step for step in network.steps if isinstance(step, Affine)]
    uses = Counter(name for step in layers for name in (step.weight_name, step.bias_name))
    for step in layers:
        # A shared bias would take up a constant wherever else it is used.
        if step.bias_name is None or uses[step.weight_name] > 1 or uses[step.bias_name] > 1:
            continue
        moved, folded = _movable(step, flow.live[step.inputs[0]], constants[step.inputs[0]])
        values[step.bias_name] = values[step.bias_name] + moved
        kept[step.bias_name] = kept[step.bias_name] | (moved != 0)
        kept[step.weight_name] = kept[step.weight_name] & ~folded
    after = trace(model, kept, inputs)
    left = flow_masks(after, find_flow(after), keep_constants=True)
    return apply(values, left), left


def _movable(step: Affine, live: Tensor, constants: Tensor) -> tuple[Tensor, Tensor]:
    """What constant units add to each unit, and the weights by which they do."""
    axis = step.unit_axis
    # A channel is a constant if no position of it is live: one weight serves them all.
    others = [a for a in range(live.dim()) if a != axis % live.dim()]
    dead = ~(live.any(dim=others, keepdim=True) if others else live).expand(live.shape)
    added = step.linear(constants.masked_fill(~dead, 0), step.weight)
    by_unit = added.movedim(axis, 0).flatten(1)
    low, high = by_unit.min(1).values, by_unit.max(1).values
    # Beside padding a constant adds less at the border, and one bias cannot say so.
    even = high - low <= _ROUNDING * torch.maximum(low.abs(), high.abs())
    outputs = torch.zeros_like(added, dtype=torch.bool).movedim(axis, -1) | even
    return high * even, weight_paths(step, dead, outputs.movedim(-1, axis))
