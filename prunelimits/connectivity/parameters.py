"""A model's parameters and masks by plain name."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunelimits.connectivity.chain import check_finite
from prunelimits.masks import apply, check_masks, from_torch_prune, nonzero_masks
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
    nonzero = nonzero_masks(model)
    first: dict[int, str] = {}
    aliases: dict[str, str] = {}
    values: Params = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        plain = name
        if name.endswith("_orig") and name.removesuffix("_orig") in nonzero:
            plain = name.removesuffix("_orig")
        kept_as = first.setdefault(id(parameter), plain)
        aliases[plain] = kept_as
        values[kept_as] = parameter.detach().to("cpu", torch.float64)
    if masks is None:
        whole = {name: nonzero[name].cpu() for name in values}
    else:
        check_masks(values, masks)
        pruned = {**from_torch_prune(model), **masks}
        whole = {
            name: pruned[name].cpu() if name in pruned else _all(values[name]) for name in values
        }
    values = apply(values, whole)
    check_finite(values, whole)
    return ModelParameters(values, whole, aliases)


def _all(value: Tensor) -> Tensor:
    return torch.ones_like(value, dtype=torch.bool)
