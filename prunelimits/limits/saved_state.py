"""A Lanczos recurrence on disk, so that a long one can be interrupted."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_device,
    checked_file,
    checked_instance,
    checked_integer,
    checked_kept_file,
    checked_number,
    shown,
)
from prunelimits.limits.lanczos import LanczosState
from prunelimits.modes import in_plain_modes
from prunelimits.resuming import WriterLock, check_same, write_whole
from prunelimits.saving import read_archive

# Seconds between two savings at least, and how many times longer than a saving the work between
# two of them takes: a state may be gigabytes.
_SECONDS_BETWEEN = 10.0
_WORK_A_SAVING = 20.0


def save_state(
    state: LanczosState,
    path: str | os.PathLike[str],
    *,
    description: Mapping[str, object] | None = None,
) -> None:
    """Writes a state to one file, whole or not at all: as large as its basis.

    Args:
        state: Where the recurrence is.
        path: Where to; an existing file is replaced.
        description: What decides the numbers, such as digests of network and data: texts and
            numbers that `load_state` compares with.

    Raises:
        TypeError: If `state` is no `LanczosState`, `path` no path, or the description holds
            something else.
        ValueError: If `path` is a folder, or a number of the description NaN or infinite.
        OSError: If the file cannot be written; then an existing one is as it was.
    """
    checked_instance("state", state, LanczosState, "a LanczosState")
    path = checked_file("path", path)
    content = io.BytesIO()
    # Copies: a view would be saved with all of the storage behind it.
    parts: dict[str, Any] = {name: part.cpu().clone() for name, part in state._asdict().items()}
    if description is not None:
        parts["description"] = json.dumps(_checked_description(description), sort_keys=True)
    torch.save(parts, content)
    write_whole(content.getvalue(), path)


@in_plain_modes
def load_state(
    path: str | os.PathLike[str],
    device: torch.device | str = "cpu",
    *,
    description: Mapping[str, object] | None = None,
) -> LanczosState:
    """A state as `save_state` wrote it. No code in the file is ever executed.

    Args:
        path: Of the file.
        device: Where to put the tensors.
        description: What the state must be of. Files of earlier versions have no description:
            `lanczos_spectrum` compares their first step.

    Raises:
        OSError: If the file cannot be read: `FileNotFoundError` if there is none.
        TypeError: If an argument is of another kind.
        ValueError: If the file is damaged or holds no state, or there is no such device.
        StoreError: If it is the state of something else; the message says what differs.
    """
    path = checked_file("path", path)
    device = checked_device("device", device)
    ours = None if description is None else _checked_description(description)
    source = os.fspath(path)
    loaded = read_archive(path.read_bytes(), source)
    try:
        state, recorded = _parts(loaded)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{source} is damaged or no Lanczos state: {error}") from error
    if ours is not None and recorded is not None:
        check_same(path, recorded, ours, "spectrum")
    return LanczosState(*(part.to(device) for part in state))


def _checked_description(value: object) -> dict[str, object]:
    """A description as it is read back: texts, finite numbers, bools and None by name."""
    if not isinstance(value, Mapping):
        raise TypeError(f"description must be texts and numbers by name, got {shown(value)}")
    result: dict[str, object] = {}
    for key, part in value.items():  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(key, str):
            raise TypeError(f"description must be texts and numbers by name, got {shown(key)}")  # pyright: ignore[reportUnknownArgumentType]
        name = f"description[{key!r}]"
        if part is None or isinstance(part, str | bool):
            result[key] = part
        elif isinstance(part, int | np.integer):
            result[key] = checked_integer(name, part)  # pyright: ignore[reportUnknownArgumentType]
        else:
            result[key] = checked_number(name, part)
    return result


def _parts(loaded: object) -> tuple[LanczosState, dict[str, Any] | None]:
    if not isinstance(loaded, dict):
        raise TypeError(f"it holds a {type(loaded).__name__}")
    recorded = None
    if "description" in loaded:
        recorded = json.loads(loaded["description"])
        if not isinstance(recorded, dict):
            raise TypeError("its description is none")
    if {*loaded} - {"description"} != {*LanczosState._fields}:
        raise ValueError(f"it must hold {', '.join(LanczosState._fields)}")
    parts = [loaded[name] for name in LanczosState._fields]
    if not all(isinstance(part, Tensor) and part.is_floating_point() for part in parts):
        raise TypeError("its parts must be tensors of real numbers")
    state = LanczosState(*parts)
    diagonal, off_diagonal, basis = (tuple(part.shape) for part in state)
    if len(diagonal) != 2 or off_diagonal != diagonal or len(basis) != 3 or not basis[0]:
        raise ValueError("shapes do not fit")
    if basis[0] != diagonal[0] or basis[1] not in (2, diagonal[1] + 1):
        raise ValueError("shapes do not fit")
    if not all(bool(part.isfinite().all()) for part in state):
        raise ValueError("it holds numbers that are not finite")
    return state, recorded


class StateKeeper:
    """Keeps a recurrence in a file while it runs: now and then, and whenever it ends or is stopped.

    One process at a time; whoever comes second is refused. Give `note` to `lanczos_spectrum` as
    `on_step`, and `resumed` as `resume`.

    Args:
        path: The file; it may exist.
        description: See `save_state`.
        device: Where the recurrence runs.

    Raises:
        TypeError: If an argument is of another kind.
        ValueError: If `path` is a folder or there is no such device; on entering, if the file is
            damaged.
        StoreError: On entering, if another run is writing to the file, or it is of something else.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        description: Mapping[str, object],
        device: torch.device | str = "cpu",
    ) -> None:
        self.path = checked_kept_file("path", path)
        self.resumed: LanczosState | None = None
        self._description = _checked_description(description)
        self._device = checked_device("device", device)
        self._lock = WriterLock(self.path)
        self._unsaved: LanczosState | None = None
        self._next = time.monotonic() + _SECONDS_BETWEEN

    def note(self, state: LanczosState) -> None:
        """Takes the state after a step, and saves it if the last time was long ago."""
        self._unsaved = state
        if time.monotonic() >= self._next:
            self.save()

    def save(self) -> None:
        """Saves the last state that was noted, unless it is saved.

        Raises:
            OSError: If the file cannot be written; then an existing one is as it was.
        """
        if (state := self._unsaved) is None:
            return
        began = time.monotonic()
        save_state(state, self.path, description=self._description)
        # An interruption while it is saved comes back to it.
        self._unsaved = None
        now = time.monotonic()
        self._next = now + max(_SECONDS_BETWEEN, _WORK_A_SAVING * (now - began))

    def __enter__(self) -> Self:
        self._lock.acquire()
        try:
            if self.path.exists():
                self.resumed = load_state(self.path, self._device, description=self._description)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.save()
        finally:
            self._lock.release()
