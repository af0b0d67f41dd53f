"""A model's parameters and masks by plain name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from prunelimits.connectivity.chain import check_finite
from prunelimits.masks import apply, check_masks, from_torch_prune
from prunelimits.masks.modules import uses_of
from prunelimits.types import Masks, Params


@dataclass(frozen=True)
class ModelParameters:
    """What is known of a model's parameters.

    Attributes:
        own: Name -> the model's own tensor.
        masks: Name -> bool tensor on the CPU, for every parameter.
        aliases: Every name of a parameter -> the name it is kept under: a shared one has several.
    """

    own: Params
    masks: Masks
    aliases: dict[str, str]

    @cached_property
    def values(self) -> Params:
        """Name -> float64 tensor on the CPU, zero outside the mask; masks alone do without them."""
        wide = {name: value.to("cpu", torch.float64) for name, value in self.own.items()}
        return apply(wide, self.masks)


def model_parameters(
    model: nn.Module | ExportedProgram, masks: Masks | None, argument: str = "model"
) -> ModelParameters:
    """The parameters of a model with its masks; without masks, zeros are the mask.

    With masks, a name that is absent is kept whole, beside what `torch.nn.utils.prune` pruned.

    Args:
        model: The model.
        masks: Name -> bool tensor.
        argument: What the caller knows the model as, for messages.

    Raises:
        ValueError: If a mask names no parameter or has another shape, or a kept parameter is not
            finite.
        TypeError: If a mask is not a bool tensor.
    """
    if isinstance(model, nn.Module):
        pruned = from_torch_prune(model)
        named = [(use.name, use.parameter) for use in uses_of(model)]
    else:
        pruned, named = dict[str, Tensor](), list(model.named_parameters())
    _check_kinds(named, argument)
    if isinstance(model, nn.Module):
        _check_modules(model, argument)
    first: dict[int, str] = {}
    aliases: dict[str, str] = {}
    values: Params = {}
    for name, parameter in named:
        kept_as = first.setdefault(id(parameter), name)
        aliases[name] = kept_as
        values[kept_as] = parameter.detach()
    if isinstance(model, nn.Module):
        # A module that is used in several places has parameters of several names.
        for name, parameter in model.named_parameters(remove_duplicate=False):
            aliases.setdefault(name, first[id(parameter)])
    if masks is not None:
        masks = _by_first_name(masks, aliases)
        check_masks(values, masks)
        pruned = {**pruned, **masks}
    whole = {name: pruned[name].cpu() if name in pruned else _all(values[name]) for name in values}
    if masks is None:
        whole = {name: mask & (values[name] != 0).cpu() for name, mask in whole.items()}
    check_finite(values, whole, argument)
    return ModelParameters(values, whole, aliases)


def check_units(parameters: ModelParameters) -> None:
    """Raises if a layer has no units, of which none can be cut.

    Raises:
        ValueError: If one has none; the message names it.
    """
    for name, value in parameters.own.items():
        if value.dim() > 1 and not value.numel():
            raise ValueError(
                f"model must have units in every layer: {name!r} has shape {tuple(value.shape)}"
            )


def _check_kinds(named: Iterable[tuple[str, nn.Parameter]], argument: str) -> None:
    """Raises if a parameter holds no numbers of its own."""
    for name, parameter in named:
        if isinstance(parameter, nn.UninitializedParameter):
            raise ValueError(
                f"{argument} must have its shapes: {name!r} is uninitialised, call the model once"
            )
        if parameter.is_meta:
            raise ValueError(
                f"{argument} must hold data: {name!r} is on the meta device, "
                "use to_empty and load it"
            )
        if parameter.is_complex() or parameter.is_quantized or parameter.layout != torch.strided:
            raise ValueError(
                f"{argument} must have dense real parameters: {name!r} is {parameter.dtype}, "
                f"{parameter.layout}; give complex ones as real ones behind torch.view_as_complex, "
                "sparse and quantised ones as dense ones"
            )


def _check_modules(model: nn.Module, argument: str) -> None:
    """Raises if a module holds its weights in another form than parameters, or a buffer no data."""
    for name, buffer in model.named_buffers():
        if buffer.is_meta:
            raise ValueError(
                f"{argument} must hold data: buffer {name!r} is on the meta device, use to_empty "
                "and load it"
            )
    for path, module in model.named_modules():
        if type(module).__module__.startswith(("torch.ao.nn.quantized", "torch.nn.quantized")):
            raise ValueError(
                f"{argument} must have dense real parameters: {path!r} is {type(module).__name__}, "
                "quantised, whose weights are no parameters; analyze it before that"
            )


def _by_first_name(masks: Masks, aliases: dict[str, str]) -> Masks:
    """The masks by the names that parameters are kept under.

    Raises:
        ValueError: If one parameter has two masks that differ.
    """
    result: Masks = {}
    for name, mask in masks.items():
        kept_as = aliases.get(name, name)
        if kept_as in result and not torch.equal(result[kept_as], mask):
            raise ValueError(
                f"masks must agree for {name!r} and {kept_as!r}, which are one parameter"
            )
        result[kept_as] = mask
    return result


def _all(value: Tensor) -> Tensor:
    return torch.ones(value.shape, dtype=torch.bool, device="cpu")


def like_parameters(model: nn.Module | ExportedProgram, values: Params) -> Params:
    """Values in the type and on the device of the model's parameter of each name."""
    if isinstance(model, nn.Module):
        own = {use.name: use.parameter for use in uses_of(model)}
    else:
        own = dict(model.named_parameters())
    return {name: value.to(own[name]) for name, value in values.items()}
