"""A hash of every network that does not depend on the order of its hidden units."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.randomness import Words, derive, mix
from prunelimits.types import Masks

# Rounds of refinement, each through the layers there and back: all but rare pairs are told apart.
_ROUNDS = 2


def signatures(masks: Masks) -> Tensor:
    """A 64-bit hash of every MLP, equal for masks that differ by the order of hidden units.

    Each unit's word is mixed with the sum of its neighbours' words, layer by layer there and back
    (colour refinement, Weisfeiler and Leman); the result is the sum of all. Other networks have
    other words, except for rare regular ones and one in 2^64 by chance. Unlike
    `enumeration.canonical` it takes biases into account, and any number of networks at once.

    Args:
        masks: An MLP's masks, weights `(models, d_out, d_in)` and biases `(models, d_out)`, first
            layer first.

    Returns:
        int64 `(models,)`.

    Examples:
        >>> first = torch.tensor([[[True, True], [False, True]], [[False, True], [True, True]]])
        >>> bias = torch.tensor([[True, False], [False, True]])
        >>> last = torch.ones(2, 1, 2, dtype=torch.bool)
        >>> masks = {"0.weight": first, "0.bias": bias, "1.weight": last, "1.bias": last[:, :, 0]}
        >>> one, other = signatures(masks)
        >>> bool(one == other)
        True
    """
    weights = [mask.numpy().astype(np.uint64) for n, mask in masks.items() if n.endswith("weight")]
    biases = [mask.numpy().astype(np.uint64) for n, mask in masks.items() if n.endswith("bias")]
    models, _, inputs = weights[0].shape
    # Inputs and outputs are told apart by their place, hidden units only by their bias.
    words: list[Words] = [np.tile(derive(0, np.arange(inputs)), (models, 1))]
    words += [mix(bias + np.uint64(2 * depth)) for depth, bias in enumerate(biases, 1)]
    words[-1] = words[-1] ^ derive(-1, np.arange(words[-1].shape[1]))
    for _ in range(_ROUNDS):
        for depth, weight in enumerate(weights):
            below = _sum(weight, words[depth][:, None, :], axis=2)
            words[depth + 1] = mix(words[depth + 1] ^ mix(below))
        for depth, weight in reversed(list(enumerate(weights))):
            above = _sum(weight, words[depth + 1][:, :, None], axis=1)
            words[depth] = mix(words[depth] + mix(above))
    total = np.zeros(models, dtype=np.uint64)
    for word, counted in zip(words, _connected(weights), strict=True):
        # Units without a connection do not count: padding must not change the network.
        total = mix(total ^ _sum(counted, word, axis=1))
    return torch.from_numpy(total.astype(np.int64))


def _sum(where: NDArray[np.uint64], words: Words, axis: int) -> Words:
    # Not `sum(where=...)`: it is many times slower.
    return (where * words).sum(axis, dtype=np.uint64)


def _connected(weights: list[NDArray[np.uint64]]) -> list[NDArray[np.uint64]]:
    """Which units have a connection, `(models, units)` for every layer, inputs first."""
    incoming = [weight.max(2) for weight in weights]
    outgoing = [weight.max(1) for weight in weights]
    hidden = [below | above for below, above in zip(incoming[:-1], outgoing[1:], strict=True)]
    return [outgoing[0], *hidden, np.ones_like(incoming[-1])]
