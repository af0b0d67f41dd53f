"""Models and their masks on disk: tensors and names only, so a file can never run code."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Sequence
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from prunelimits.arguments import checked_instance, checked_path
from prunelimits.exchange import from_json
from prunelimits.masks import check_masks
from prunelimits.models.mlp import MLP, parameter_shapes
from prunelimits.modes import in_plain_modes
from prunelimits.resuming import write_whole
from prunelimits.saving.archive import read_archive
from prunelimits.saving.filling import SavedModule, fill
from prunelimits.saving.module_state import (
    ModuleState,
    check_nothing_else,
    saved_extra_state,
    saved_masks,
    saved_values,
    state_of,
    unwrapped,
)
from prunelimits.types import Masks, Params

Model = TypeVar("Model", bound=nn.Module)

FORMAT = "prunelimits module"
VERSION = 1


def save(model: nn.Module, masks: Masks | None, path: str | os.PathLike[str]) -> None:
    """Writes a model with its masks to one file, whole or not at all.

    Saved are all parameters, persistent buffers and extra state, on the CPU, shared ones once and
    with all their names; not the code: `load` fills a model that you make. Names are those of the
    model itself, without `torch.compile` and DataParallel around it. Of weights in
    `torch.nn.utils.prune` form the plain ones are saved, zero where they are pruned, with their
    masks. Other parametrizations are saved as they are, under the names that they give.

    The file is a dict that `torch.load(path, weights_only=True)` reads: of an `MLP` `{"widths":
    [...], "state_dict": {...}, "masks": {...}}`, of others `{"format": "prunelimits module",
    "version": 1, "class": "...", "state_dict": {...}, "tied": {name: first name}, "extra_state":
    {...}, "masks": {...}}`.

    Args:
        model: Any module.
        masks: Name -> bool tensor. None: nothing is pruned but what `torch.nn.utils.prune` has.
        path: Where to; an existing file is replaced.

    Raises:
        ValueError: If a mask names no parameter or has another shape, or if the model has lazy,
            meta, sparse, quantised or sharded tensors, or extra state of other than plain values.
        TypeError: If `model` is no module or a mask is not a bool tensor.
        OSError: If the file cannot be written; then an existing one is as it was.

    Examples:
        >>> import tempfile
        >>> file = tempfile.mkdtemp() + "/net.pt"
        >>> model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
        >>> save(model, {"0.weight": torch.tensor([[True, False]])}, file)
        >>> again, masks = load(file, nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1)))
        >>> torch.equal(again[0].weight, model[0].weight), masks
        (True, {'0.weight': tensor([[ True, False]])})
    """
    path = checked_path("path", path)
    write_whole(to_bytes(model, masks), path)


@overload
def load(
    path: str | os.PathLike[str], model: None = None, *, inputs: Sequence[str] | None = None
) -> tuple[MLP, Masks]: ...
@overload
def load(
    path: str | os.PathLike[str], model: Model, *, inputs: Sequence[str] | None = None
) -> tuple[Model, Masks]: ...
@in_plain_modes
def load(
    path: str | os.PathLike[str],
    model: nn.Module | None = None,
    *,
    inputs: Sequence[str] | None = None,
) -> tuple[nn.Module, Masks]:
    """A model and its masks, as `save` wrote them or as JSON, which the playground's pages write.

    No code in the file is ever executed.

    Args:
        path: Where from.
        model: What to fill, in place: a new one, such as `model=MyNet()`, with the same names,
            shapes, dtypes and ties as the one that was saved; it may be compiled or wrapped, and on
            any device. Its numbers are replaced, and nothing else: its parameters stay the same
            tensors, with their `requires_grad`, its mode and hooks stay. None: the file must hold
            an `MLP`, which is made.
        inputs: What a network that was downloaded from the page that trains will be given, by names
            in `prunelimits.datasets.plane_features`: those that its file names. None: the
            coordinates, or a file that names nothing. So a network of squares is never taken for
            one of coordinates.

    Returns:
        The model, which is `model` itself where that is given, and the masks under its names, each
        on its parameter's device.

    Raises:
        OSError: If the file cannot be read: `FileNotFoundError` if there is none.
        ValueError: If it is damaged or was not written by `save`, or does not fit `model`: it names
            what differs, and `model` is as it was. Or if it names other inputs than `inputs`.
        TypeError: If `model` is not a module, or `inputs` are no texts.
    """
    path = checked_path("path", path)
    if model is not None:
        checked_instance("model", model, nn.Module, "a torch.nn.Module or None")
    content, source = path.read_bytes(), os.fspath(path)
    # What `save` writes, a zip archive, begins otherwise. Some editors put a byte order mark before
    # JSON.
    text = content.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
    if inputs is not None and not text:
        raise ValueError(f"inputs must be None: {source} names no inputs, as JSON from a page does")
    if model is None:
        return from_json(content, source, inputs) if text else from_bytes(content, source)
    if text or not (saved := _saved_module(read_archive(content, source), source)):
        network, masks = from_json(content, source, inputs) if text else from_bytes(content, source)
        saved = SavedModule("MLP", dict(network.state_dict()), {}, {}, masks)
    return model, fill(model, saved, source)


def to_bytes(model: nn.Module, masks: Masks | None) -> bytes:
    """The content of the file that `save` writes; raises as it does."""
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    state = state_of(model)
    check_nothing_else(model, state)
    written = saved_masks(state, masks)
    inner = unwrapped(model)
    content: dict[str, Any]
    if type(inner) is MLP and _is_plain(inner, state):
        content = {
            "widths": list(inner.widths),
            "state_dict": saved_values(state),
            "masks": written,
        }
    else:
        content = {
            "format": FORMAT,
            "version": VERSION,
            "class": type(inner).__name__,
            "state_dict": saved_values(state),
            "tied": state.tied,
            "extra_state": saved_extra_state(state),
            "masks": written,
        }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def from_bytes(content: bytes, source: str) -> tuple[MLP, Masks]:
    """The `MLP` that `to_bytes` wrote; `source` names the content in errors.

    Raises:
        ValueError: If the content is damaged or is no such network.
    """
    loaded = read_archive(content, source)
    if (saved := _saved_module(loaded, source)) is not None:
        kind = saved.kind
        raise ValueError(
            f"{source} holds a {kind}, not a prunelimits.MLP: pass a new one to fill, as in "
            f"prunelimits.load(path, model={kind}(...))"
        )
    if isinstance(loaded, dict) and loaded and all(isinstance(v, Tensor) for v in loaded.values()):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        raise ValueError(
            f"{source} is not a prunelimits network, but a state dict: torch.load reads it, and "
            "load_state_dict of a model of yours takes it"
        )
    try:
        widths, state, masks = _parts(loaded)
        model = MLP.from_params(widths, state)
        check_masks(state, masks)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source} is not a prunelimits network: {error}") from error
    return model, masks


def _is_plain(model: MLP, state: ModuleState) -> bool:
    """Whether the widths tell all names and shapes, so that `load` can make the MLP from them."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.tensors.items()}
    floating = all(tensor.is_floating_point() for tensor in state.tensors.values())
    return shapes == parameter_shapes(model.widths) and floating and not state.extra


def _parts(loaded: object) -> tuple[list[int], Params, Masks]:
    """Widths, parameters and masks, of the right kinds; whether they fit is not yet known."""
    content = _checked_dict(loaded, ("widths", "state_dict", "masks"))
    widths = content["widths"]
    if not isinstance(widths, list | tuple) or not all(type(width) is int for width in widths):
        raise TypeError("widths must be a list of integers")
    state, masks = (_checked_tensors(content, name) for name in ("state_dict", "masks"))
    # Checked here, before `MLP.from_params` makes names from the widths.
    if len(state) != 2 * (len(widths) - 1):
        raise ValueError(f"{len(widths)} widths do not fit {len(state)} parameters")
    return list(widths), state, masks


def _saved_module(loaded: object, source: str) -> SavedModule | None:
    """What a file of a module holds; None if it is no such file.

    Raises:
        ValueError: If it is one, and holds something else than `to_bytes` writes.
    """
    if not isinstance(loaded, dict) or loaded.get("format") != FORMAT:
        return None
    try:
        names = ("version", "class", "state_dict", "tied", "extra_state", "masks")
        content = _checked_dict(loaded, names)
        version, kind = content["version"], content["class"]
        if type(version) is not int or version != VERSION:
            raise ValueError(f"its version must be {VERSION}")
        values, masks = (_checked_tensors(content, name) for name in ("state_dict", "masks"))
        tied, extra = (_checked_names(content, name) for name in ("tied", "extra_state"))
        if not all(isinstance(first, str) and first in values for first in tied.values()):
            raise ValueError("tied must give the names of tensors")
        if any(name in values for name in tied):
            raise ValueError("tied must not name a tensor twice")
        check_masks(values, masks)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source} is not a module that prunelimits saved: {error}") from error
    known = isinstance(kind, str) and kind.isidentifier() and len(kind) <= 80
    return SavedModule(kind if known else "Module", values, tied, extra, masks)


def _checked_dict(loaded: object, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(loaded, dict):
        raise TypeError(f"it holds a {type(loaded).__name__}")
    for name in names:
        if name not in loaded:
            raise ValueError(f"it holds no {name!r}")
    return loaded


def _checked_names(content: dict[str, Any], name: str) -> dict[str, Any]:
    part = content[name]
    if not isinstance(part, dict) or not all(isinstance(key, str) for key in part):
        raise TypeError(f"{name} must be a dict by name")
    return part


def _checked_tensors(content: dict[str, Any], name: str) -> dict[str, Tensor]:
    part = content[name]
    if not isinstance(part, dict) or not all(isinstance(key, str) for key in part):
        raise TypeError(f"{name} must be a dict of tensors by name")
    if not all(isinstance(value, Tensor) for value in part.values()):
        raise TypeError(f"{name} must hold tensors alone")
    return part
