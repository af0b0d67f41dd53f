"""The state of an elimination in a file: whole, checked to the last bit, and bound to its task."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any, Self, get_args

import torch
from torch import Tensor

from prunelimits.arguments import checked_flag, checked_integer
from prunelimits.elimination.beam import BySize
from prunelimits.elimination.description import Description
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.result import Round, Stage
from prunelimits.elimination.state import EliminationState
from prunelimits.models import check_widths, parameter_shapes
from prunelimits.resuming import StoreError, WriterLock, check_same, write_whole
from prunelimits.saving import read_archive

# Changed when the meaning of the file's content changes.
_HEAD = b"prunelimits elimination 3\n"
# What the files of earlier versions began with: torch's own format.
_EARLIER = b"PK"


def is_state_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as the state of an elimination does, of an earlier version too.

    Raises:
        OSError: If the file is there but cannot be read.
    """
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(_HEAD)).startswith((_HEAD, _EARLIER))


class StateFile:
    """The file of one elimination, while this process is the one that writes to it.

    A context manager: entering it takes the lock of the one writer.

    Args:
        path: The file; it need not exist.
        description: What the elimination is.
    """

    def __init__(self, path: str | os.PathLike[str], description: Description) -> None:
        self.path, self.description = Path(path), description
        self._lock = WriterLock(self.path)

    def __enter__(self) -> Self:
        # Before the lock's file is made beside one that is something else.
        if self.path.exists():
            with open(self.path, "rb") as file:
                _check_head(file.read(len(_HEAD)), self.path)
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def read(self) -> EliminationState:
        """The state that the file keeps; that of the beginning if there is no file.

        Raises:
            OSError: If the file cannot be read.
            StoreError: If it is damaged or of another elimination.
        """
        if not self.path.exists():
            return EliminationState()
        recorded, state = read_state(self.path)
        check_same(self.path, recorded.to_dict(), self.description.to_dict(), "elimination")
        return state

    def write(self, state: EliminationState) -> None:
        """Writes the state, whole or not at all.

        Raises:
            OSError: If the file cannot be written; then an existing one is as it was.
        """
        write_state(self.path, self.description, state)


def write_state(
    path: str | os.PathLike[str], description: Description, state: EliminationState
) -> None:
    """Writes the state to a file, whole or not at all.

    The file is a line that names the format, a line with the SHA-256 of the rest, and what
    `torch.save` makes of the state.

    Raises:
        OSError: If the file cannot be written; then an existing one is as it was.
    """
    buffer = io.BytesIO()
    torch.save(
        {
            "description": json.dumps(description.to_dict(), sort_keys=True),
            "waiting": {size: _plain(networks) for size, networks in state.waiting.items()},
            "front": {size: _plain(networks) for size, networks in state.front.items()},
            "losing_units": None if state.losing_units is None else _plain(state.losing_units),
            "lost_units": None if state.lost_units is None else _plain(state.lost_units),
            "rounds": [dataclasses.asdict(round_) for round_ in state.rounds],
            "finished": state.finished,
        },
        buffer,
    )
    content = buffer.getvalue()
    write_whole(_HEAD + _checksum(content) + content, path)


def read_state(path: str | os.PathLike[str]) -> tuple[Description, EliminationState]:
    """What a file says that it is for, and the state that it keeps.

    No code in the file is ever executed.

    Raises:
        OSError: If the file cannot be read.
        StoreError: If it is damaged or not what `write_state` wrote.
    """
    whole = Path(path).read_bytes()
    _check_head(whole, path)
    # Whatever is wrong with the file, the caller gets one kind of error.
    try:
        start = len(_HEAD) + len(_checksum(b""))
        content = whole[start:]
        if whole[len(_HEAD) : start] != _checksum(content):
            raise ValueError("its checksum is another")
        loaded: Any = read_archive(content, "its state")
        state = EliminationState(
            waiting=_by_size(loaded["waiting"]),
            front=_by_size(loaded["front"]),
            losing_units=_optional(loaded["losing_units"]),
            lost_units=_optional(loaded["lost_units"]),
            rounds=tuple(_round(values) for values in loaded["rounds"]),
            finished=checked_flag("finished", loaded["finished"]),
        )
        return Description.from_dict(json.loads(loaded["description"])), state
    except Exception as error:
        raise StoreError(
            f"{path} is damaged or no store of an elimination ({error}): start a new one"
        ) from error


def _check_head(start: bytes, path: str | os.PathLike[str]) -> None:
    """Raises if a file does not begin as a state does."""
    if not start.startswith(_HEAD):
        kind = "its format is an earlier version's or another program's"
        found = kind if start.startswith(_EARLIER) else "it begins otherwise"
        raise StoreError(
            f"{path} is damaged or no store of an elimination ({found}): start a new one"
        )


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode() + b"\n"


def _plain(networks: NetworkStack) -> dict[str, Any]:
    # Not dataclasses.asdict: it copies every tensor. Clones, because a slice would be written
    # with all that it is a slice of.
    return {
        "widths": networks.widths,
        "params": {name: value.clone() for name, value in networks.params.items()},
        "masks": {name: mask.clone() for name, mask in networks.masks.items()},
        "units": tuple(unit.clone() for unit in networks.units),
        "origin": networks.origin.clone(),
        "score": networks.score.clone(),
        "loss": networks.loss.clone(),
    }


def _by_size(loaded: dict[int, dict[str, Any]]) -> BySize:
    result = {checked_integer("size", size, 0): _networks(plain) for size, plain in loaded.items()}
    for size, networks in result.items():
        if not len(networks) or not bool((networks.nonzeros() == size).all()):
            raise ValueError(f"networks listed under {size} nonzeros must have as many")
    return result


def _optional(plain: dict[str, Any] | None) -> NetworkStack | None:
    return None if plain is None else _networks(plain)


def _networks(plain: dict[str, Any]) -> NetworkStack:
    """The networks of a file, if they are what such networks can be."""
    networks = NetworkStack(**plain)
    shapes, models = parameter_shapes(check_widths(networks.widths)), len(networks.origin)
    for named, dtype in ((networks.params, torch.float32), (networks.masks, torch.bool)):
        if list(named) != list(shapes):
            raise ValueError(f"parameters must be {list(shapes)}, got {list(named)}")
        for name, shape in shapes.items():
            _check(name, named[name], (models, *shape), dtype)
    if len(networks.units) != len(networks.widths) - 2:
        raise ValueError(f"units must be given for {len(networks.widths) - 2} hidden layers")
    for width, unit in zip(networks.widths[1:-1], networks.units, strict=True):
        _check("units", unit, (models, width), torch.int64)
    _check("origin", networks.origin, (models,), torch.int64)
    _check("score", networks.score, (models,), torch.float64)
    _check("loss", networks.loss, (models,), torch.float64)
    return networks


def _check(name: str, value: object, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    # A view could claim a huge shape with a few numbers behind it.
    if not isinstance(value, Tensor) or not value.is_contiguous() or value.is_meta:
        raise ValueError(f"{name} must be a whole tensor")
    if value.shape != shape or value.dtype != dtype:
        raise ValueError(f"{name} must be {shape} of {dtype}, got {tuple(value.shape)}")


def _round(values: dict[str, Any]) -> Round:
    round_ = Round(**values)
    if round_.stage not in get_args(Stage):
        raise ValueError(f"stage must be one of {', '.join(get_args(Stage))}, got {round_.stage!r}")
    counts = [round_.nonzeros, round_.trained, round_.origins, round_.epochs, round_.work]
    counts += [] if round_.smallest is None else [round_.smallest]
    for count in counts:
        checked_integer("a count of a round", count, 0)
    for number in (round_.score, round_.seconds):
        if not isinstance(number, float):
            raise ValueError(f"score and seconds must be numbers, got {number!r}")
    return round_
