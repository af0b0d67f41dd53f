"""Networks and their masks on disk: tensors and widths only, so a file can never run code."""

from __future__ import annotations

import codecs
import io
import os
from pathlib import Path

import torch
from torch import Tensor

from prunelimits.exchange import from_json
from prunelimits.masks import check_masks
from prunelimits.models.mlp import MLP
from prunelimits.resuming import write_whole
from prunelimits.saving.archive import read_archive
from prunelimits.types import Masks, Params


def save(model: MLP, masks: Masks | None, path: str | os.PathLike[str]) -> None:
    """Writes a network with its masks to one file, whole or not at all.

    The file is a dict `{"widths": [...], "state_dict": {...}, "masks": {...}}` that
    `torch.load(path, weights_only=True)` reads.

    Args:
        model: The network.
        masks: Name -> bool tensor. None: nothing is pruned.
        path: Where to; an existing file is replaced.

    Raises:
        ValueError: If a mask names no parameter or has another shape.
        TypeError: If `model` is no `MLP` or a mask is not a bool tensor.
        OSError: If the file cannot be written; then an existing one is as it was.
    """
    write_whole(to_bytes(model, masks), path)


def load(path: str | os.PathLike[str]) -> tuple[MLP, Masks]:
    """A network and its masks, as `save` wrote them or as JSON, which the playground's pages write.

    No code in the file is ever executed.

    Raises:
        OSError: If the file cannot be read: `FileNotFoundError` if there is none.
        ValueError: If it is damaged or no such network.
    """
    content = Path(path).read_bytes()
    # What `save` writes begins otherwise; some editors put a mark before a text.
    text = content.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
    read = from_json if text else from_bytes
    return read(content, os.fspath(path))


def to_bytes(model: MLP, masks: Masks | None) -> bytes:
    """The content of the file that `save` writes; raises as it does."""
    if not isinstance(model, MLP):
        raise TypeError(f"model must be a prunelimits.MLP, got {type(model).__name__}")
    masks = masks or {}
    check_masks(dict(model.named_parameters()), masks)
    buffer = io.BytesIO()
    torch.save(
        {
            "widths": list(model.widths),
            "state_dict": {n: v.detach().cpu().clone() for n, v in model.state_dict().items()},
            "masks": {name: mask.cpu().clone() for name, mask in masks.items()},
        },
        buffer,
    )
    return buffer.getvalue()


def from_bytes(content: bytes, source: str) -> tuple[MLP, Masks]:
    """The inverse of `to_bytes`; `source` names the content in errors.

    Raises:
        ValueError: If the content is damaged or not what `to_bytes` gave.
    """
    loaded = read_archive(content, source)
    try:
        widths, state, masks = _parts(loaded)
        model = MLP.from_params(widths, state)
        check_masks(state, masks)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source} is not a prunelimits network: {error}") from error
    return model, masks


def _parts(loaded: object) -> tuple[list[int], Params, Masks]:
    """Widths, parameters and masks, of the right kinds; whether they fit is not yet known."""
    if not isinstance(loaded, dict):
        raise TypeError(f"it holds a {type(loaded).__name__}")
    for name in ("widths", "state_dict", "masks"):
        if name not in loaded:
            raise ValueError(f"it holds no {name!r}")
    widths, *dicts = loaded["widths"], loaded["state_dict"], loaded["masks"]
    if not isinstance(widths, list | tuple) or not all(type(width) is int for width in widths):
        raise TypeError("widths must be a list of integers")
    for name, part in zip(("state_dict", "masks"), dicts, strict=True):
        if not isinstance(part, dict) or not all(isinstance(key, str) for key in part):
            raise TypeError(f"{name} must be a dict of tensors by name")
        if not all(isinstance(value, Tensor) for value in part.values()):
            raise TypeError(f"{name} must hold tensors alone")
    state, masks = dicts
    # Before names are made of the widths.
    if len(state) != 2 * (len(widths) - 1):
        raise ValueError(f"{len(widths)} widths do not fit {len(state)} parameters")
    return list(widths), state, masks
