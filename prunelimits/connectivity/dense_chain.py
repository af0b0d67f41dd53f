"""Reachability in many small MLPs at once, by bool operations alone."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.connectivity.chain import ChainLayer
from prunelimits.types import Masks

# Mask entries of the models taken together: a block is read several times from the cache.
_BLOCK_ENTRIES = 1 << 22


def dense_effective_masks(layers: list[ChainLayer], masks: Masks, *, keep_constants: bool) -> Masks:
    """`effective_masks` of an MLP's dense masks `(..., *shape)`."""
    models = masks[layers[0].weight].shape[:-2]
    flat = {name: mask.reshape(-1, *mask.shape[len(models) :]) for name, mask in masks.items()}
    entries = sum(mask.shape[1:].numel() for mask in flat.values())
    result = {name: torch.empty_like(mask) for name, mask in flat.items()}
    block = max(1, _BLOCK_ENTRIES // max(1, entries))
    for start in range(0, models.numel(), block):
        part = {name: mask[start : start + block] for name, mask in flat.items()}
        for name, mask in _effective_block(layers, part, keep_constants=keep_constants).items():
            result[name][start : start + block] = mask
    return {name: result[name].reshape(mask.shape) for name, mask in masks.items()}


def live_units(layers: list[ChainLayer], masks: Masks, *, biases: bool) -> list[Tensor]:
    """The units `(..., d)` of every layer, the inputs first, that a path from an input reaches.

    With `biases`, also those that a path from a kept bias reaches; a bias without a mask counts
    as kept, since it may be there.
    """
    live = [torch.ones_like(masks[layers[0].weight][..., 0, :])]
    for layer in layers:
        # As bytes: torch's maximum is about twice as fast as its `any`.
        incoming = masks[layer.weight] & live[-1].unsqueeze(-2)
        units = incoming.view(torch.uint8).amax(-1).view(torch.bool)
        if biases:
            units = units | masks[layer.bias] if layer.bias else torch.ones_like(units)
        live.append(units)
    return live


def _effective_block(layers: list[ChainLayer], masks: Masks, *, keep_constants: bool) -> Masks:
    sources = live_units(layers, masks, biases=keep_constants)
    result = dict(masks)
    reaching = torch.ones_like(sources[-1])
    for depth in reversed(range(len(layers))):
        layer, weight = layers[depth], masks[layers[depth].weight]
        if layer.bias is not None:
            # An output's bias counts in any case: it is a constant that cannot be moved on.
            on_path = keep_constants or depth == len(layers) - 1
            counted = reaching if on_path else reaching & sources[depth + 1]
            result[layer.bias] = masks[layer.bias] & counted
        # Made contiguous first: a broadcast along the last axis is several times slower.
        outgoing = weight & reaching.unsqueeze(-1).expand(weight.shape).contiguous()
        result[layer.weight] = outgoing & sources[depth].unsqueeze(-2)
        reaching = outgoing.view(torch.uint8).amax(-2).view(torch.bool)
    return result
