"""Random pruning simulated: the check of the exact probability of Theorem L.1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from prunelimits.arguments import checked_integer
from prunelimits.connectivity.disconnection import checked_kept
from prunelimits.models.mlp import check_widths

# More tell no more than the error says, and need gigabytes.
_MOST_MODELS = 10**8


def simulate_disconnection(
    widths: Sequence[int], kept: Iterable[int], *, models: int = 10_000, seed: int = 0
) -> float:
    """The share of randomly pruned MLPs without any path from an input to an output.

    An estimate of `disconnection_probability` with standard error `sqrt(p (1 - p) / models)`.
    Takes memory for units and kept weights only, not for the weights that are pruned.

    Args:
        widths: Inputs, hidden units of each layer, outputs.
        kept: Weights that stay in each layer.
        models: How many are drawn.
        seed: Decides all of them.

    Raises:
        ValueError: As `disconnection_probability`, or if `models` is below 1.
        TypeError: If a number is not an integer.

    Examples:
        >>> 0.45 < simulate_disconnection((1, 2, 1), (1, 1)) < 0.55
        True
    """
    widths = check_widths(widths)
    numbers = checked_kept(widths, kept)
    models = checked_integer("models", models, 1)
    checked_integer("models", models, most=_MOST_MODELS)
    seed = checked_integer("seed", seed, -(2**63), 2**63 - 1)
    generator = torch.Generator().manual_seed(seed)
    live = torch.ones(models, widths[0], dtype=torch.bool, device="cpu")
    for (d_in, d_out), number in zip(pairwise(widths), numbers, strict=True):
        chosen = _subsets(d_in * d_out, number, models, generator)
        arriving = live.gather(1, chosen % d_in)
        reached = torch.zeros(models, d_out, dtype=torch.uint8, device="cpu")
        # The largest of zeros and ones that arrive: whether any is live.
        reached.scatter_reduce_(1, chosen // d_in, arriving.to(torch.uint8), "amax")
        live = reached.bool()
    return float((~live.any(1)).double().mean())


def _subsets(entries: int, size: int, models: int, generator: torch.Generator) -> Tensor:
    """Uniform subsets of `range(entries)`, one a model: int64 `(models, size)`.

    Robert Floyd's algorithm, which draws one number for each member of a subset.
    """
    chosen = torch.empty(models, size, dtype=torch.int64, device="cpu")
    for place in range(size):
        last = entries - size + place
        drawn = torch.randint(last + 1, (models,), generator=generator, device="cpu")
        taken = (chosen[:, :place] == drawn[:, None]).any(1)
        chosen[:, place] = drawn.masked_fill(taken, last)
    return chosen
