"""Masks on a module's parameters: applied, read off, to and from `torch.nn.utils.prune` form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # pyright: ignore[reportPrivateUsage]
from torch.nn.utils import prune as torch_prune

from prunelimits.arguments import checked_instance, checked_tensors, shown
from prunelimits.masks.checks import check_masks
from prunelimits.masks.zeroing import zeroed
from prunelimits.sharding import is_sharded, local, part_like, reshard, whole
from prunelimits.types import Masks, Params

_NORMALISATIONS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


class Use(NamedTuple):
    """A parameter where a module holds it: one that is shared has several uses.

    Attributes:
        name: Its full name, the plain one also in `torch.nn.utils.prune` form.
        module: The module that holds it.
        attribute: Its plain name there.
        parameter: The parameter itself.
        mask: What `torch.nn.utils.prune` keeps of it; None where that prunes nothing.
    """

    name: str
    module: nn.Module
    attribute: str
    parameter: nn.Parameter
    mask: Tensor | None


def nonzero_masks(params: nn.Module | Params) -> Masks:
    """The masks that keep what is not zero: how a plain network tells what was pruned.

    Takes parameters by name or a module, also one in `torch.nn.utils.prune` form. Of a module, the
    scales and shifts of normalisations have no mask, and neither has a vector that is zero
    throughout: a bias that was never trained looks like one that was pruned, and a mask would hold
    it at zero for ever. Weights that layers share have one mask, under their first name.

    Raises:
        TypeError: If `params` is neither a module nor a dict of dense tensors.
        ValueError: If a tensor holds no data, or a module's shared weights are pruned by
            `torch.nn.utils.prune` in one place and not alike in another.

    Examples:
        >>> nonzero_masks({"weight": torch.tensor([0.0, -2.0])})
        {'weight': tensor([False,  True])}
    """
    if not isinstance(params, nn.Module):
        if not isinstance(params, Mapping):
            raise TypeError(f"params must be a module or tensors by name, got {shown(params)}")
        tensors = checked_tensors("params", params, real=False)
        return {name: value != 0 for name, value in tensors.items()}
    checked_tensors("params", dict(params.named_parameters()), real=False)
    pruned = from_torch_prune(params)
    unclear = {
        use.name
        for use in uses_of(params)
        if use.name not in pruned
        and (
            isinstance(use.module, _NORMALISATIONS)
            or (use.parameter.dim() < 2 and not use.parameter.any())
        )
    }
    plain = plain_parameters(params)
    return {name: value != 0 for name, value in plain.items() if name not in unclear}


def apply(params: Mapping[str, Tensor], masks: Masks) -> Params:
    """New parameters, zero where the masks prune; a parameter without a mask is returned as it is.

    A masked one that is sharded over processes is gathered from all of them.

    For a module in place, see `make_permanent`; for use without change,
    `torch.func.functional_call(model, apply(dict(model.named_parameters()), masks), (x,))`.

    Raises:
        ValueError: If a mask names no parameter or has another shape.
        TypeError: If either is not a dict of tensors, or a mask is not a bool tensor.

    Examples:
        >>> apply({"bias": torch.tensor([1.0, -2.0])}, {"bias": torch.tensor([True, False])})
        {'bias': tensor([1., 0.])}
    """
    check_masks(params, masks)
    return {
        name: zeroed(whole(value), masks[name].to(value.device)) if name in masks else value
        for name, value in params.items()
    }


def make_permanent(model: nn.Module, masks: Masks | None = None) -> None:
    """Writes zeros into the model's own parameters where the masks prune.

    A model in `torch.nn.utils.prune` form becomes plain: `weight_orig` and `weight_mask` turn back
    into `weight`. Changes `model` in place and nothing else.

    Args:
        model: Any module.
        masks: What to prune, beside what `torch.nn.utils.prune` pruned. None: that alone.

    Raises:
        ValueError: If a mask names no parameter or has another shape, if there is neither a mask
            nor anything in `torch.nn.utils.prune` form, or if shared weights are pruned in that
            form in one place and not alike in another.
        TypeError: If `model` is not a module, or `masks` is not a dict of bool tensors.
    """
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    reshard(model)  # zeros in whole parameters, which FSDP2 leaves after evaluation, would be lost
    pruned_by_torch = from_torch_prune(model)
    if masks is None and not pruned_by_torch:
        raise ValueError("masks is needed: the model has nothing in torch.nn.utils.prune form")
    masks = {} if masks is None else masks
    _check_model_masks(model, masks)
    for use in list(uses_of(model)):
        if use.mask is not None:
            torch_prune.remove(use.module, use.attribute)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            for part in (pruned_by_torch, masks):
                if name in part:
                    kept = part_like(part[name].to(parameter.device), parameter)
                    local(parameter).masked_fill_(~kept, 0)


def to_torch_prune(model: nn.Module, masks: Masks) -> None:
    """Puts the model in `torch.nn.utils.prune` form, in place: `weight_orig` times `weight_mask`.

    Weights that layers share, named by their first name, are pruned in all of them and stay shared.

    Raises:
        ValueError: If a mask names no parameter, one that is sharded over processes, or one of
            another shape.
        TypeError: If `model` is not a module, or `masks` is not a dict of bool tensors.
    """
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    _check_model_masks(model, masks)
    uses = list(uses_of(model))
    first = _first_names(uses)
    sharded = [use.name for use in uses if is_sharded(use.parameter) and use.name in masks]
    if sharded:
        raise ValueError(
            f"model has {sharded[0]!r} sharded over processes (DTensor), which "
            "torch.nn.utils.prune does not take: use make_permanent"
        )
    for use in uses:
        mask = masks.get(first[id(use.parameter)])
        if mask is not None:
            mask = mask.to(use.parameter.device)
            torch_prune.custom_from_mask(use.module, use.attribute, mask)


def from_torch_prune(model: nn.Module) -> Masks:
    """The masks of a model in `torch.nn.utils.prune` form, by plain parameter name.

    Raises:
        ValueError: If layers that share weights prune them differently.
        TypeError: If `model` is not a module.

    Examples:
        >>> model = nn.Sequential(nn.Linear(2, 2))
        >>> to_torch_prune(model, {"0.weight": torch.eye(2, dtype=torch.bool)})
        >>> from_torch_prune(model)["0.weight"].tolist()
        [[True, False], [False, True]]
    """
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    uses = list(uses_of(model))
    first = _first_names(uses)
    masks = {use.name: use.mask for use in uses}
    for use in uses:
        mask, other = use.mask, masks[first[id(use.parameter)]]
        both = mask is not None and other is not None and torch.equal(mask.bool(), other.bool())
        if not both and mask is not other:
            raise ValueError(
                f"model shares the weights {first[id(use.parameter)]!r} and {use.name!r}, but "
                "torch.nn.utils.prune prunes them differently: prune both by one mask"
            )
    names = set(first.values())
    return {
        name: mask.bool().clone()
        for name, mask in masks.items()
        if name in names and mask is not None
    }


def uses_of(model: nn.Module) -> Iterator[Use]:
    """Every parameter of a model wherever a module holds it, in the model's order."""
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        buffers = dict(module.named_buffers(recurse=False))
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            plain = name.removesuffix("_orig")
            if plain != name and f"{plain}_mask" in buffers:
                yield Use(f"{prefix}{plain}", module, plain, parameter, buffers[f"{plain}_mask"])
            else:
                yield Use(f"{prefix}{name}", module, name, parameter, None)


def plain_parameters(model: nn.Module) -> Params:
    """Parameters by plain name, with what `torch.nn.utils.prune` has pruned as zeros."""
    pruned = from_torch_prune(model)
    result: Params = {}
    for name, parameter in _distinct(model).items():
        value = whole(parameter.detach())
        result[name] = value.masked_fill(~pruned[name], 0) if name in pruned else value
    return result


def _distinct(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a model by plain name, shared ones once, under their first."""
    uses = list(uses_of(model))
    names = set(_first_names(uses).values())
    return {use.name: use.parameter for use in uses if use.name in names}


def _first_names(uses: list[Use]) -> dict[int, str]:
    """The name of each parameter's first use, by the parameter's `id`."""
    first: dict[int, str] = {}
    for use in uses:
        first.setdefault(id(use.parameter), use.name)
    return first


def _check_model_masks(model: nn.Module, masks: Masks) -> None:
    first = _first_names(list(uses_of(model)))
    for use in uses_of(model):
        name = first[id(use.parameter)]
        if isinstance(masks, Mapping) and use.name in masks and use.name != name:
            raise ValueError(
                f"masks names {use.name!r}, which the model shares with {name!r}: name it so"
            )
    params: dict[str, Tensor] = dict(_distinct(model))
    check_masks(params, masks)
