"""Masks as plain data: choosing, counting, applying and converting them.

A mask is a bool tensor with its parameter's shape; True is kept. Functions accept a leading model
axis where they say `(...)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from prunelimits.arguments import (
    checked_choice,
    checked_instance,
    checked_integer,
    checked_integers,
    checked_tensor,
    checked_tensors,
    shown,
)
from prunelimits.types import Masks, Params

BiasRule: TypeAlias = Literal["incoming", "outgoing"]


def top(scores: Mapping[str, Tensor], keep: int | Tensor) -> Masks:
    """The masks that keep exactly the `keep` largest scores of all tensors together.

    Ties go to the lower flat index, counted through the tensors in the order of their names in
    `scores`. NaN counts as minus infinity. Works under `torch.vmap`, with a budget per model.

    Args:
        scores: Name -> tensor; larger means keep.
        keep: How many entries survive, 0 to the number of scores: an int, or an integer tensor
            without axes, whose value is not checked.

    Raises:
        ValueError: If `keep` is out of its range or a tensor with axes, or `scores` is empty.
        TypeError: If `keep` is not an integer.

    Examples:
        >>> top({"a": torch.tensor([1.0, 3.0]), "b": torch.tensor([[3.0, 2.0]])}, keep=2)
        {'a': tensor([False,  True]), 'b': tensor([[ True, False]])}
    """
    if not checked_tensors("scores", scores):
        raise ValueError("scores must hold at least one tensor, got none")
    flat = torch.cat([score.flatten() for score in scores.values()])
    _check_keep(keep, len(flat))
    # In place: `flat` is a copy, and a large one.
    flat.nan_to_num_(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    chosen = _largest(flat, keep)
    return unflatten(chosen, {name: score.shape for name, score in scores.items()})


def _largest(flat: Tensor, keep: int | Tensor) -> Tensor:
    """True at the `keep` largest entries: what is above the least of them, and its first equals.

    Finding the least one takes less time and memory than an order of all entries.
    """
    try:
        number = int(keep)
    except RuntimeError:  # under vmap no value can be read: it differs from model to model
        ordered = flat.sort(descending=True).values
        last = ordered.gather(
            0, (torch.as_tensor(keep, device=flat.device) - 1).clamp(0, len(flat) - 1).reshape(1)
        )
    else:
        if number <= 0:
            return torch.zeros_like(flat, dtype=torch.bool)
        last = flat.kthvalue(max(1, len(flat) - number + 1)).values
    above, equal = flat > last, flat == last
    missing = keep - above.sum()
    return above | (equal & (equal.cumsum(0) <= missing))


def with_biases(masks: Masks, rule: BiasRule = "outgoing") -> Masks:
    """The weight masks of an MLP with a bias mask for every layer, in state dict order.

    Both rules are from [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075):

    - `"outgoing"`, for pruning methods (Section 3.4): bias i is kept where unit i has a kept
      weight to the next layer; the last layer's biases are all kept.
    - `"incoming"`, for the combinatorial search (footnote 1): bias i is kept where unit i has a
      kept weight from the layer before.

    Args:
        masks: Name ending in `weight` -> bool `(..., d_out, d_in)`, first layer first. Bias masks
            that are there already are replaced.
        rule: Which rule.

    Raises:
        ValueError: If the rule is unknown or the masks are not those of an MLP.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> first, last = torch.tensor([[True], [False]]), torch.tensor([[False, True]])
        >>> with_biases({"0.weight": first, "2.weight": last})["0.bias"]
        tensor([False,  True])
    """
    checked_choice("rule", rule, get_args(BiasRule))
    check_bools(masks)
    weights = {name: mask for name, mask in masks.items() if not name.endswith("bias")}
    _check_chain(weights)
    result: Masks = {}
    following = [*list(weights.values())[1:], None]
    for (name, mask), outgoing in zip(weights.items(), following, strict=True):
        result[name] = mask
        if rule == "incoming":
            bias = mask.any(-1)
        elif outgoing is None:
            bias = torch.ones_like(mask[..., 0])
        else:
            bias = outgoing.any(-2)
        result[name.removesuffix("weight") + "bias"] = bias
    return result


def count(masks: Masks) -> int:
    """How many parameters the masks keep, those of all models together.

    Examples:
        >>> count({"weight": torch.tensor([[True, False], [True, True]])})
        3
    """
    check_bools(masks)
    return sum(int(mask.sum()) for mask in masks.values())


def nonzero_masks(params: nn.Module | Params) -> Masks:
    """The masks that keep what is not zero: how a plain network tells what was pruned.

    Takes parameters by name or a module, also one in `torch.nn.utils.prune` form.

    Examples:
        >>> nonzero_masks({"weight": torch.tensor([0.0, -2.0])})
        {'weight': tensor([False,  True])}
    """
    return {name: value != 0 for name, value in _named(params).items()}


def apply(params: Mapping[str, Tensor], masks: Masks) -> Params:
    """New parameters, zero where the masks prune; a parameter without a mask is returned as it is.

    For a module in place, see `make_permanent`; for use without change,
    `torch.func.functional_call(model, apply(dict(model.named_parameters()), masks), (x,))`.

    Raises:
        ValueError: If a mask names no parameter or has another shape.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> apply({"bias": torch.tensor([1.0, -2.0])}, {"bias": torch.tensor([True, False])})
        {'bias': tensor([1., 0.])}
    """
    check_masks(params, masks)
    # Filled, not multiplied: NaN times zero would be NaN.
    return {
        name: value.masked_fill(~masks[name].to(value.device), 0) if name in masks else value
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
        ValueError: If a mask names no parameter or has another shape, or if there is neither a
            mask nor anything in `torch.nn.utils.prune` form.
        TypeError: If a mask is not a bool tensor.
    """
    pruned_by_torch = from_torch_prune(model)
    if masks is not None:
        check_bools(masks)
    if masks is None and not pruned_by_torch:
        raise ValueError("masks is needed: the model has nothing in torch.nn.utils.prune form")
    masks = masks or {}
    check_masks(_plain_parameters(model), masks)
    for module, name, _ in _torch_pruned(model):
        torch_prune.remove(module, name)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            for part in (pruned_by_torch, masks):
                if name in part:
                    parameter.masked_fill_(~part[name].to(parameter.device), 0)


def to_torch_prune(model: nn.Module, masks: Masks) -> None:
    """Puts the model in `torch.nn.utils.prune` form, in place: `weight_orig` times `weight_mask`.

    Raises:
        ValueError: If a mask names no parameter or has another shape.
        TypeError: If a mask is not a bool tensor.
    """
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    params: Params = dict(model.named_parameters())
    check_masks(params, masks)
    for name, mask in masks.items():
        module, _, parameter = name.rpartition(".")
        mask = mask.to(params[name].device)
        torch_prune.custom_from_mask(model.get_submodule(module), parameter, mask)


def from_torch_prune(model: nn.Module) -> Masks:
    """The masks of a model in `torch.nn.utils.prune` form, by plain parameter name.

    Examples:
        >>> model = nn.Sequential(nn.Linear(2, 2))
        >>> to_torch_prune(model, {"0.weight": torch.eye(2, dtype=torch.bool)})
        >>> from_torch_prune(model)["0.weight"].tolist()
        [[True, False], [False, True]]
    """
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    return {
        f"{prefix}{name}": module.get_buffer(f"{name}_mask").bool().clone()
        for module, name, prefix in _torch_pruned(model)
    }


def flatten(masks: Mapping[str, Tensor]) -> Tensor:
    """One row of all entries in the order of the names, for masks without a model axis.

    Raises:
        ValueError: If there is no mask.

    Examples:
        >>> flatten({"a": torch.tensor([True, False]), "b": torch.tensor([[True]])})
        tensor([ True, False,  True])
    """
    if not checked_tensors("masks", masks):
        raise ValueError("masks must hold at least one tensor, got none")
    return torch.cat([mask.flatten() for mask in masks.values()])


def rows(stacked: Mapping[str, Tensor]) -> Tensor:
    """All entries of each model in a row, in the order of the names: `flatten` for stacks.

    Args:
        stacked: Name -> tensor `(models, *shape)`.

    Returns:
        `(models, entries)`; `unflatten` is the inverse.

    Examples:
        >>> rows({"a": torch.tensor([[1, 2], [3, 4]]), "b": torch.tensor([[[5]], [[6]]])})
        tensor([[1, 2, 5],
                [3, 4, 6]])
    """
    if not checked_tensors("stacked", stacked):
        raise ValueError("stacked must hold at least one tensor, got none")
    for name, value in stacked.items():
        if not value.dim() or len(value) != len(next(iter(stacked.values()))):
            raise ValueError(f"stacked[{name!r}] must be (models, ...), got {tuple(value.shape)}")
    return torch.cat([value.flatten(1) for value in stacked.values()], 1)


def unflatten(flat: Tensor, shapes: Mapping[str, Sequence[int]]) -> Masks:
    """The inverse of `flatten` and `rows`: `(..., entries)` to name -> `(..., *shape)`.

    Raises:
        ValueError: If the last axis is not as long as the shapes need.

    Examples:
        >>> unflatten(torch.tensor([True, False, True]), {"a": (2,), "b": (1, 1)})
        {'a': tensor([ True, False]), 'b': tensor([[True]])}
    """
    if not isinstance(shapes, Mapping):
        raise TypeError(f"shapes must be shapes by name, got {shown(shapes)}")
    shapes = {
        name: checked_integers(f"shapes[{name!r}]", shape, 0) for name, shape in shapes.items()
    }
    sizes = [torch.Size(shape).numel() for shape in shapes.values()]
    if not checked_tensor("flat", flat).dim() or flat.shape[-1] != sum(sizes):
        raise ValueError(f"flat must have {sum(sizes)} entries, got {shown(flat)}")
    parts = zip(shapes.items(), flat.split(sizes, dim=-1), strict=True)
    return {name: part.reshape((*flat.shape[:-1], *shape)) for (name, shape), part in parts}


def check_masks(params: Mapping[str, Tensor], masks: Masks) -> None:
    """Raises if the masks do not fit the parameters.

    Raises:
        ValueError: If a mask names no parameter or has another shape.
        TypeError: If a mask is not a bool tensor.
    """
    checked_tensors("params", params, real=False)
    check_bools(masks)
    for name, mask in masks.items():
        if name not in params:
            raise ValueError(f"masks names {name!r}, which is not among {sorted(params)}")
        if mask.shape != params[name].shape:
            raise ValueError(
                f"masks[{name!r}] must have shape {tuple(params[name].shape)}, "
                f"got {tuple(mask.shape)}"
            )


def check_bools(masks: Masks) -> None:
    """Raises if masks are not bool tensors by name.

    Raises:
        TypeError: If they are not.
        ValueError: If one is on the meta device.
    """
    if not isinstance(masks, Mapping):
        raise TypeError(f"masks must be bool tensors by name, got {shown(masks)}")
    for name, mask in masks.items():
        if not isinstance(name, str):
            raise TypeError(f"masks must be bool tensors by name, got the name {shown(name)}")
        check_bool(name, mask)


def check_bool(name: str, mask: object) -> None:
    """Raises if a mask is not a dense bool tensor that holds data; the message names it.

    Raises:
        TypeError: If it is not.
        ValueError: If it is on the meta device.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"masks[{name!r}] must be a bool tensor, got {kind}")
    checked_tensor(f"masks[{name!r}]", mask)


def _named(params: nn.Module | Params) -> Params:
    if isinstance(params, nn.Module):
        return _plain_parameters(params)
    if not isinstance(params, Mapping):
        raise TypeError(f"params must be a module or tensors by name, got {shown(params)}")
    checked_tensors("params", params, real=False)
    return params


def _plain_parameters(model: nn.Module) -> Params:
    """Parameters by plain name, with what `torch.nn.utils.prune` has pruned as zeros."""
    result: Params = {n: p.detach() for n, p in model.named_parameters()}
    for module, name, prefix in _torch_pruned(model):
        original = result.pop(f"{prefix}{name}_orig")
        pruned = module.get_buffer(f"{name}_mask") == 0
        result[f"{prefix}{name}"] = original.masked_fill(pruned, 0)
    return result


def _torch_pruned(model: nn.Module) -> list[tuple[nn.Module, str, str]]:
    """Modules in `torch.nn.utils.prune` form: module, parameter name, prefix of its full name."""
    return [
        (module, buffer.removesuffix("_mask"), f"{path}." if path else "")
        for path, module in model.named_modules()
        for buffer, _ in list(module.named_buffers(recurse=False))
        if buffer.endswith("_mask") and hasattr(module, f"{buffer.removesuffix('_mask')}_orig")
    ]


def _check_keep(keep: object, scores: int) -> None:
    if isinstance(keep, Tensor):
        if keep.dtype == torch.bool or keep.is_floating_point() or keep.is_complex():
            raise TypeError(f"keep must be an integer, got a tensor of {keep.dtype}")
        if keep.dim():
            shape = tuple(keep.shape)
            raise ValueError(f"keep must be one number, or one a model under vmap, got {shape}")
    elif not 0 <= checked_integer("keep", keep) <= scores:
        raise ValueError(f"keep must be between 0 and the {scores} scores, got {shown(keep)}")


def _check_chain(weights: Masks) -> None:
    if not weights:
        raise ValueError("masks must hold at least one weight mask, got none")
    for name, mask in weights.items():
        if not name.endswith("weight"):
            raise ValueError(f"masks must have names that end in weight or bias, got {name!r}")
        if mask.dim() < 2:
            raise ValueError(f"masks[{name!r}] must be (..., d_out, d_in), got {tuple(mask.shape)}")
    models = {mask.shape[:-2] for mask in weights.values()}
    if len(models) > 1:
        raise ValueError(f"masks must all have the same leading axes, got {sorted(models)}")
    for (before, first), (after, second) in pairwise(weights.items()):
        if first.shape[-2] != second.shape[-1]:
            raise ValueError(
                f"masks must be the layers of an MLP in order: {before!r} has {first.shape[-2]} "
                f"outputs but {after!r} {second.shape[-1]} inputs"
            )
