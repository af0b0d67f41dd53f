"""Writing what a file holds into a module, after everything about it was found to fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from prunelimits.masks import check_masks
from prunelimits.saving.module_state import ModuleState, state_of
from prunelimits.types import Masks, Params

_SHOWN = 5


class SavedModule(NamedTuple):
    """What a file holds of a module; names as in `ModuleState`.

    Attributes:
        kind: The class's name, for messages.
        values: Parameters and buffers, shared ones once.
        tied: Every further name of a shared tensor -> its first name.
        extra: What `get_extra_state` gave.
        masks: Bool tensors by parameter name.
    """

    kind: str
    values: Params
    tied: dict[str, str]
    extra: dict[str, Any]
    masks: Masks


@torch.no_grad()
def fill(model: nn.Module, saved: SavedModule, source: str) -> Masks:
    """Writes what was saved into the model, in place, and returns the masks by the model's names.

    Parameters and buffers stay the same tensor objects, on their devices: what shares them, and
    optimizers that hold them, see the new numbers.

    Args:
        model: Any module.
        saved: What to write.
        source: What error messages call the file.

    Raises:
        ValueError: If the two do not fit, or the model cannot be written to; then it is as it was.
    """
    state = state_of(model)
    if state.pruned:
        raise ValueError(
            "model is in torch.nn.utils.prune form: make it plain first with "
            "masks.make_permanent(model), or pass a new one"
        )
    for name, tensor in state.tensors.items():
        if tensor.is_inference():
            raise ValueError(
                f"model has {name!r} from torch.inference_mode, where it cannot be written to: "
                "make it outside"
            )
    differences = list(_differences(state, saved))
    if differences:
        raise ValueError(f"model does not fit {source}: {'; '.join(differences)}")
    first = {**{name: name for name in state.tensors}, **state.tied}
    masks = {first[name]: mask for name, mask in saved.masks.items()}
    values = {first[name]: value for name, value in saved.values.items()}
    try:
        check_masks({name: state.tensors[name] for name in sorted(state.parameters)}, masks)
    except (TypeError, ValueError) as error:
        raise ValueError(f"model does not fit {source}: {error}") from error
    _check_memory(state, values)
    _set_extra_state(state.extra, saved.extra, source)
    for name, tensor in state.tensors.items():
        _write(tensor, values[name])
    return {
        state.own_names[name]: mask.to(state.tensors[name].device) for name, mask in masks.items()
    }


def _differences(state: ModuleState, saved: SavedModule) -> Iterable[str]:
    """What of names, shapes, dtypes and ties differs, in words."""
    own = _all_names(state.tensors, state.tied)
    other = _all_names(saved.values, saved.tied)
    for here, there, what in (
        (own, other, "only the model has"),
        (other, own, "only the file has"),
        (state.extra, saved.extra, "only the model has extra state"),
        (saved.extra, state.extra, "only the file has extra state"),
    ):
        if alone := [name for name in here if name not in there]:
            yield f"{what} {_listed(map(repr, alone))}"
    both = [name for name in own if name in other]
    compare: tuple[tuple[str, Callable[[Tensor], object]], ...] = (
        ("shape", lambda tensor: tuple(tensor.shape)),
        ("dtype", lambda tensor: tensor.dtype),
    )
    for what, attribute in compare:
        pairs = [(n, attribute(other[n]), attribute(own[n])) for n in both]
        unequal = [
            f"{n!r} is {saved_as} in the file, {here} in the model"
            for n, saved_as, here in pairs
            if saved_as != here
        ]
        if unequal:
            yield f"{what} of {_listed(unequal)}"
    for ties, tensors, one, two in (
        (saved.tied, own, "file", "model"),
        (state.tied, other, "model", "file"),
    ):
        loose = [
            f"{name!r} with {first!r}"
            for name, first in ties.items()
            if name in tensors and first in tensors and tensors[name] is not tensors[first]
        ]
        if loose:
            yield f"the {one} shares {_listed(loose)}, the {two} does not"


def _all_names(tensors: Mapping[str, Tensor], tied: Mapping[str, str]) -> dict[str, Tensor]:
    return {**tensors, **{name: tensors[first] for name, first in tied.items()}}


def _listed(items: Iterable[str]) -> str:
    everything = list(items)
    more = len(everything) - _SHOWN
    return ", ".join(everything[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _set_extra_state(modules: dict[str, nn.Module], extra: dict[str, Any], source: str) -> None:
    """Gives every module its extra state, or none of them if one refuses it."""
    before = {name: module.get_extra_state() for name, module in modules.items()}
    changed: list[str] = []
    try:
        for name, module in modules.items():
            changed.append(name)
            module.set_extra_state(extra[name])
    except Exception as error:
        for name in changed:
            # The module that refused the new state may refuse its old one as well.
            with suppress(Exception):
                modules[name].set_extra_state(before[name])
        raise ValueError(
            f"model does not take the extra state {changed[-1]!r} of {source}: {error}"
        ) from error


def _check_memory(state: ModuleState, values: Params) -> None:
    """Raises if one number in the model's memory would have to hold two different ones of the file.

    That can happen to tensors that overlap in memory without being the same one, and to tensors
    that were expanded.
    """
    storages: dict[int, list[str]] = {}
    for name, tensor in state.tensors.items():
        storages.setdefault(tensor.untyped_storage().data_ptr(), []).append(name)
    for names in storages.values():
        tensors = [state.tensors[name] for name in names]
        if len(names) == 1 and 0 not in tensors[0].stride():
            continue
        memory = tensors[0].untyped_storage().clone()
        views = [_view_of(memory, tensor) for tensor in tensors]
        for name, view in zip(names, views, strict=True):
            _write(view, values[name])
        for name, view in zip(names, views, strict=True):
            if not torch.equal(_bytes(view.cpu()), _bytes(values[name])):
                raise ValueError(
                    f"model keeps numbers of {name!r} in one place that differ in the file: it "
                    "is a view of another tensor, or expanded"
                )


def _view_of(memory: torch.UntypedStorage, like: Tensor) -> Tensor:
    empty = torch.empty(0, dtype=like.dtype, device=like.device)
    return empty.set_(memory, like.storage_offset(), like.shape, like.stride())  # pyright: ignore[reportArgumentType]


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().flatten().view(torch.uint8)


def _write(target: Tensor, value: Tensor) -> None:
    # Along an expanded axis, of stride 0, there is one number only.
    places = tuple(slice(0, 1) if step == 0 else slice(None) for step in target.stride())
    target.detach()[places].copy_(value[places])
