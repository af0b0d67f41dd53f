"""The best of all masks of an output, by trying every one: what greedy choices are held against."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor


def error_of(weights: Tensor, gram: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """The least error of an output with these weights alone, and those, by normal equations."""
    best = torch.zeros_like(weights)
    places = kept.nonzero()[:, 0]
    if len(places):
        right = gram[places] @ weights
        best[places] = torch.linalg.solve(gram[places][:, places], right)
    change = best - weights
    return change @ gram @ change, best


def best_mask(weights: Tensor, gram: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """The mask of `keep` weights of one output whose least error is least, and that error."""
    found: list[tuple[Tensor, Tensor]] = []
    for places in combinations(range(len(weights)), keep):
        kept = torch.zeros(len(weights), dtype=torch.bool)
        kept[list(places)] = True
        found.append((error_of(weights, gram, kept)[0], kept))
    error, kept = min(found, key=lambda pair: float(pair[0]))
    return kept, error


def best_masks(weights: Tensor, gram: Tensor, keep: int) -> Tensor:
    """The least error of a layer that keeps `keep` weights in all: outputs are independent."""
    sizes = weights.shape[1] + 1
    errors = torch.stack(
        [torch.stack([best_mask(row, gram, n)[1] for n in range(sizes)]) for row in weights]
    )
    least = torch.full((keep + 1,), torch.inf, dtype=weights.dtype)
    least[0] = 0
    for row in errors:  # how many each output keeps, by trying all
        least = torch.stack(
            [
                torch.stack([least[k - n] + row[n] for n in range(min(k, sizes - 1) + 1)]).min()
                for k in range(keep + 1)
            ]
        )
    return least[keep]
