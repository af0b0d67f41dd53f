"""The random numbers of pruners."""

from __future__ import annotations

import torch

from prunelimits.arguments import checked_generator
from prunelimits.masks import check_bools
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks, Params


@in_plain_modes
def draw_noise(masks: Masks, generator: torch.Generator | None = None) -> Params:
    """Uniform numbers in [0, 1), float32, shaped like the masks and on their devices.

    Args:
        masks: Name -> bool tensor.
        generator: Where they come from. None: a fresh one, seeded 0.

    Examples:
        >>> masks = {"weight": torch.ones(2, 3, dtype=torch.bool)}
        >>> noise = draw_noise(masks, torch.Generator().manual_seed(1))
        >>> noise["weight"].shape, bool((noise["weight"] < 1).all())
        (torch.Size([2, 3]), True)
    """
    check_bools(masks)
    checked_generator("generator", generator)
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(
            mask.shape, generator=generator, dtype=torch.float32, device=generator.device
        ).to(mask.device)
        for name, mask in masks.items()
    }
