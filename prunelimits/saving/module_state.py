"""What of a module a file holds: its parameters and persistent buffers by name, and their ties."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from prunelimits.arguments import shown
from prunelimits.masks import check_bools, check_masks, from_torch_prune
from prunelimits.saving.description import BYTES_DTYPES, DTYPES
from prunelimits.types import Masks, Params

# Extra state nested deeper could not be read again.
_DEEPEST = 16
# In bits: pickle writes those from 2,040 on in a form that `read_archive` refuses.
_LONGEST_INTEGER = 2000


class ModuleState(NamedTuple):
    """Where a module keeps its state, by name.

    Names are those of the module without wrappers: `torch.compile`'s `_orig_mod` is left out, and
    so is a `module` that comes first in all names, which DataParallel and its like put there.

    Attributes:
        tensors: The module's own parameters and persistent buffers, shared ones once.
        tied: Every further name of a shared tensor -> its first name.
        parameters: Which of the tensors are parameters.
        extra: Modules that have `get_extra_state`, by the name that `state_dict` gives it.
        own_names: Each name -> the same with the wrappers in it, as the model itself has it.
        pruned: The masks of `torch.nn.utils.prune`; `tensors` has those weights unpruned, as in
            `weight_orig`.
    """

    tensors: Params
    tied: dict[str, str]
    parameters: frozenset[str]
    extra: dict[str, nn.Module]
    own_names: dict[str, str]
    pruned: Masks


def state_of(model: nn.Module) -> ModuleState:
    """Where a module keeps its state.

    Raises:
        ValueError: If a tensor has no data (lazy, meta) or is no plain dense one, or if shared
            weights are pruned by `torch.nn.utils.prune` in one place and not alike in another.
    """
    pruned = from_torch_prune(model)
    places = list(_places(model))
    extra = dict(_with_extra_state(model))
    plain = without_wrappers([*(name for name, _ in places), *extra])
    tensors: Params = {}
    tied: dict[str, str] = {}
    first: dict[int, str] = {}
    for own, tensor in places:
        name = plain[own]
        if first.setdefault(id(tensor), name) == name:
            _check_plain(own, tensor)
            tensors[name] = tensor
        else:
            tied[name] = first[id(tensor)]
    return ModuleState(
        tensors,
        tied,
        frozenset(name for name, tensor in tensors.items() if isinstance(tensor, nn.Parameter)),
        {plain[own]: module for own, module in extra.items()},
        {name: own for own, name in plain.items()},
        {plain[own]: mask for own, mask in pruned.items()},
    )


def saved_values(state: ModuleState) -> Params:
    """The numbers of the tensors on the CPU, zero where `torch.nn.utils.prune` pruned them.

    Raises:
        ValueError: If one is of a dtype that files cannot hold.
    """
    result: Params = {}
    for name, tensor in state.tensors.items():
        value = tensor.detach()
        if name in state.pruned:
            value = value.masked_fill(~state.pruned[name], 0)
        result[name] = _portable(state.own_names[name], value)
    return result


def saved_masks(state: ModuleState, masks: Masks | None) -> Masks:
    """The masks by the names of `state`, combined with those of `torch.nn.utils.prune`.

    Raises:
        ValueError: If a mask names no parameter or has another shape.
        TypeError: If `masks` is not bool tensors by name.
    """
    masks = {} if masks is None else masks
    check_bools(masks)
    plain = {own: name for name, own in state.own_names.items() if own != name}
    named: Masks = {}
    for own, mask in masks.items():
        name = plain.get(own, own)
        if name in state.tied:
            first = state.own_names[state.tied[name]]
            raise ValueError(
                f"masks names {own!r}, which the model shares with {first!r}: name it so"
            )
        named[name] = mask
    check_masks({name: state.tensors[name] for name in sorted(state.parameters)}, named)
    result = {name: mask.cpu().clone() for name, mask in named.items()}
    for name, mask in state.pruned.items():
        result[name] = result[name] & mask.cpu() if name in result else mask.cpu()
    return result


def saved_extra_state(state: ModuleState) -> dict[str, Any]:
    """What the modules' `get_extra_state` gives, tensors on the CPU.

    Raises:
        ValueError: If it is more than tensors and plain values in dicts, lists and tuples.
    """
    return {
        name: _portable(state.own_names[name], module.get_extra_state())
        for name, module in state.extra.items()
    }


def check_nothing_else(model: nn.Module, state: ModuleState) -> None:
    """Raises `ValueError` if `state_dict` has more than parameters, buffers and extra state.

    Quantised modules, for one, keep their weights in entries of another kind.
    """
    known = {f"{own}{end}" for own in state.own_names.values() for end in ("", "_orig", "_mask")}
    memory = {tensor.untyped_storage().data_ptr() for tensor in state.tensors.values()}
    for name, value in model.state_dict().items():
        renamed = isinstance(value, Tensor) and value.untyped_storage().data_ptr() in memory
        if name not in known and not renamed:
            raise ValueError(
                f"model keeps {name!r} outside its parameters and buffers, as quantised modules "
                "do: only those can be saved"
            )


def without_wrappers(names: Iterable[str]) -> dict[str, str]:
    """Each name -> the same without what wrappers put into it.

    Examples:
        >>> without_wrappers(["module._orig_mod.fc.weight", "module._orig_mod.fc.bias"])
        {'module._orig_mod.fc.weight': 'fc.weight', 'module._orig_mod.fc.bias': 'fc.bias'}
    """
    parts = {name: [part for part in name.split(".") if part != "_orig_mod"] for name in names}
    while parts and all(len(part) > 1 and part[0] == "module" for part in parts.values()):
        parts = {name: part[1:] for name, part in parts.items()}
    result = {name: ".".join(part) for name, part in parts.items()}
    return result if len(set(result.values())) == len(result) else {name: name for name in result}


def unwrapped(model: nn.Module) -> nn.Module:
    """The module within wrappers such as `torch.compile`'s and DataParallel."""
    children = dict(model.named_children())
    for wrapper, alone in (("_orig_mod", False), ("module", True)):
        own = [*model.parameters(recurse=False), *model.buffers(recurse=False)]
        if wrapper in children and not (alone and (own or len(children) > 1)):
            return unwrapped(children[wrapper])
    return model


def _places(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every name of every parameter and persistent buffer, in the order of the state dict."""
    for path, module in model.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        temporary = module._non_persistent_buffers_set  # pyright: ignore[reportPrivateUsage]
        parameters = dict(module.named_parameters(recurse=False, remove_duplicate=False))
        buffers = dict(module.named_buffers(recurse=False, remove_duplicate=False))
        masks = {f"{name}_mask": f"{name}_orig" for name in _torch_pruned(parameters, buffers)}
        for name, parameter in parameters.items():
            plain = name.removesuffix("_orig") if name in masks.values() else name
            yield f"{prefix}{plain}", parameter
        for name, buffer in buffers.items():
            if name not in temporary and name not in masks:
                yield f"{prefix}{name}", buffer


def _torch_pruned(parameters: dict[str, nn.Parameter], buffers: Params) -> list[str]:
    """The plain names of what a module has in `torch.nn.utils.prune` form."""
    plain = [name.removesuffix("_orig") for name in parameters if name.endswith("_orig")]
    return [name for name in plain if f"{name}_mask" in buffers]


def _with_extra_state(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for path, module in model.named_modules():
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            yield f"{path}._extra_state" if path else "_extra_state", module


def _check_plain(name: str, tensor: Tensor) -> None:
    """Raises `ValueError` unless a tensor of the model is a plain dense one with data."""
    if is_lazy(tensor):
        raise ValueError(f"model has no shape for {name!r} yet: run it on a batch first")
    if hasattr(tensor, "device_mesh"):
        raise ValueError(
            f"model has {name!r} sharded over processes (DTensor): gather it before saving, load "
            "before it is sharded"
        )
    if tensor.is_meta:
        raise ValueError(
            f"model has no data for {name!r}, which is on the meta device: build it on another, "
            "or call model.to_empty(device=...) before it is filled"
        )
    if tensor.is_quantized or tensor.layout != torch.strided:
        kind = "quantised" if tensor.is_quantized else f"in layout {tensor.layout}"
        raise ValueError(f"model has {name!r} {kind}: only dense tensors of numbers can be saved")
    if (kind := type(tensor.detach())) is not Tensor:
        raise ValueError(
            f"model has {name!r} as a {kind.__name__}: only plain tensors can be saved"
        )


def _portable(name: str, value: Any, depth: int = 0) -> Any:  # noqa: ANN401
    """A copy that `read_archive` reads again; `name` tells in errors what it belongs to."""
    if isinstance(value, Tensor):
        _check_plain(name, value)
        if value.dtype not in (*DTYPES.values(), *BYTES_DTYPES.values()):
            raise ValueError(f"model has {name!r} of {value.dtype}, which files cannot hold")
        # A copy: of a view, torch.save would write all that it is a view of.
        numbers = value.detach().resolve_conj().resolve_neg().cpu()
        return numbers.clone(memory_format=torch.contiguous_format)
    if _is_plain_value(value):
        return value
    kind = type(value)
    if kind in (list, tuple) and depth < _DEEPEST:
        items = [_portable(name, item, depth + 1) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    plain_keys = kind in (dict, OrderedDict) and all(type(key) in (str, int) for key in value)
    if plain_keys and depth < _DEEPEST:
        return {key: _portable(name, item, depth + 1) for key, item in value.items()}
    raise ValueError(
        f"model has the extra state {name!r}, which holds {shown(value)}: files hold tensors, "
        "texts, numbers and None, in dicts, lists and tuples"
    )


def _is_plain_value(value: object) -> bool:
    if type(value) is int:
        return value.bit_length() < _LONGEST_INTEGER
    return type(value) in (bool, float, str, type(None))
