"""A model's parameters and masks by plain name."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunelimits.connectivity.chain import check_finite
from prunelimits.masks import apply, check_masks, from_torch_prune
from prunelimits.masks.modules import uses_of
from prunelimits.types import Masks, Params


@dataclass(frozen=True)
class ModelParameters:
    """What is known of a model's parameters, on the CPU.

    Attributes:
        values: Name -> float64 tensor, zero outside the mask.
        masks: Name -> bool tensor, for every parameter.
        aliases: Every name of a parameter -> the name it is kept under: a shared one has several.
    """

    values: Params
    masks: Masks
    aliases: dict[str, str]


def model_parameters(model: nn.Module, masks: Masks | None) -> ModelParameters:
    """The parameters of a model with its masks; without masks, zeros are the mask.

    With masks, a name that is absent is kept whole, beside what `torch.nn.utils.prune` pruned.

    Raises:
        ValueError: If a mask names no parameter or has another shape, or a kept parameter is not
            finite.
        TypeError: If a mask is not a bool tensor.
    """
    pruned_by_torch = from_torch_prune(model)
    first: dict[int, str] = {}
    aliases: dict[str, str] = {}
    values: Params = {}
    for use in uses_of(model):
        kept_as = first.setdefault(id(use.parameter), use.name)
        aliases[use.name] = kept_as
        values[kept_as] = use.parameter.detach().to("cpu", torch.float64)
    pruned = pruned_by_torch
    if masks is not None:
        check_masks(values, masks)
        pruned = {**pruned_by_torch, **masks}
    whole = {name: pruned[name].cpu() if name in pruned else _all(values[name]) for name in values}
    if masks is None:
        whole = {name: mask & (values[name] != 0) for name, mask in whole.items()}
    values = apply(values, whole)
    check_finite(values, whole)
    return ModelParameters(values, whole, aliases)


def _all(value: Tensor) -> Tensor:
    return torch.ones_like(value, dtype=torch.bool)
