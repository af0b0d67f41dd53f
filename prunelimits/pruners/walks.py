"""Random walks through a network that prefer large weights: what PHEW keeps."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from prunelimits.masks import apply
from prunelimits.types import Masks, Params, Scores
from prunelimits.versions import quiet_vmap

# Walks that are taken side by side, an even number: a bound on memory.
_AT_ONCE = 1 << 20


def first_visits(params: Params, masks: Masks, noise: Params, walks: int) -> Scores:
    """Minus the time at which random walks first pass through each weight, float64.

    Walks alternate: even ones start at the inputs in turn and go forward, odd ones at the outputs
    in turn and go backward, each from unit to unit with probability in proportion to `|w|` among
    the weights ahead, a convolution's cells included. Where a convolution's channel turns into
    several inputs of a linear layer, one of them is chosen uniformly. A walk ends where all weights
    ahead are zero. A weight that no walk passes comes after all others, by its share of its layer's
    `|w|`.

    Walks go side by side, so that the function works under `torch.vmap`.

    Args:
        params: Parameters by name.
        masks: Which weights, layer after layer: `(d_out, d_in, *kernel)`. What they prune is zero.
        noise: Uniform in [0, 1), shaped like the masks: the walks' numbers are a hash of it.
        walks: How many walks.

    Raises:
        ValueError: As `check_sizes` does.
    """
    live = apply(params, masks)
    check_sizes(masks)
    sizes = [live[name].double().abs().reshape(*mask.shape[:2], -1) for name, mask in masks.items()]
    horizon = walks * len(sizes)
    times = [torch.full_like(size, horizon).long() for size in sizes]
    starts = itertools.product(range(0, walks, _AT_ONCE), (False, True))
    for begin, backward in starts:
        end = min(begin + _AT_ONCE, walks)
        numbers = torch.arange(begin + backward, end, 2, device=sizes[0].device)
        order = range(len(sizes))
        first = sizes[-1].shape[0] if backward else sizes[0].shape[1]
        unit, alive = numbers // 2 % first, torch.ones_like(numbers, dtype=torch.bool)
        for step, layer in enumerate(reversed(order) if backward else order):
            size, drawn = sizes[layer], noise[list(masks)[layer]].flatten()
            # A channel of the layer before is `spread` inputs of this one.
            spread = size.shape[1] // (sizes[layer - 1].shape[0] if layer else size.shape[1])
            if not backward:
                unit = unit * spread + (_uniform(drawn, numbers, 1) * spread).long()
            edge, unit_ahead = _chosen(size, unit, _uniform(drawn, numbers, 0), backward)
            alive = alive & (size.flatten()[edge] > 0)
            time = (numbers * len(sizes) + step).where(alive, horizon)
            with quiet_vmap():
                flat = times[layer].flatten().scatter_reduce(0, edge, time, "amin")
            times[layer] = flat.reshape(size.shape)
            unit = unit_ahead // spread if backward else unit_ahead
    result: Scores = {}
    for (name, mask), size, time in zip(masks.items(), sizes, times, strict=True):
        # Infinite for a zero, also in a layer of zeros, where it would not be a number.
        never = horizon + (size.sum() / size).nan_to_num(nan=torch.inf, posinf=torch.inf)
        result[name] = -never.where(time == horizon, time.double()).reshape(mask.shape)
    return result


def check_sizes(masks: Masks) -> None:
    """Raises if a layer is no matrix, or has other inputs than the one before it has outputs.

    A linear layer after a convolution has several inputs a channel.

    Raises:
        ValueError: If so; the message names the layer.
    """
    for name, mask in masks.items():
        if mask.dim() < 2:
            raise ValueError(
                f"layers must form a chain of matrices: {name!r} has shape {tuple(mask.shape)}, "
                "leave it out of include"
            )
    for (_, before), (name, after) in itertools.pairwise(masks.items()):
        if after.shape[1] % before.shape[0]:
            raise ValueError(
                f"layers must form a chain: {name!r} has {after.shape[1]} inputs, the layer before "
                f"{before.shape[0]} outputs"
            )


def _chosen(size: Tensor, unit: Tensor, number: Tensor, backward: bool) -> tuple[Tensor, Tensor]:
    """The weights that walks at `unit` take, as flat indices, and the units behind them."""
    _, d_in, cells = size.shape
    ahead = size.flatten(1) if backward else size.movedim(1, 0).flatten(1)
    total = ahead.sum(1, keepdim=True)
    share = (ahead / total).where(total > 0, 1 / ahead.shape[1])
    # One ascending row: unit u's cumulative shares lie in (u, u + 1].
    row = torch.arange(len(ahead), device=size.device)[:, None]
    ladder = (row + share.cumsum(1).clamp(max=1)).flatten()
    place = torch.searchsorted(ladder, unit + number, right=True)
    place = place.clamp(max=ladder.numel() - 1) % ahead.shape[1]
    other, cell = place // cells, place % cells
    into, out_of = (unit, other) if backward else (other, unit)
    return (into * d_in + out_of) * cells + cell, other


def _uniform(noise: Tensor, numbers: Tensor, stream: int) -> Tensor:
    """A number in [0, 1) for every walk: a hash of the noise that falls to it.

    The noise comes again where there are more walks than weights, so the lap is hashed with it, by
    [lowbias32](https://github.com/skeeto/hash-prospector).
    """
    lap = numbers // len(noise) * 2 + stream
    word = (noise.double()[numbers % len(noise)] * 2**32).long() ^ (lap * 0x9E3779B9 & 0xFFFFFFFF)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        word = (word ^ (word >> shift)) * factor & 0xFFFFFFFF
    return word.double() * 2.0**-32
