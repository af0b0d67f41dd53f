"""A Lanczos recurrence on disk, so that a long one can be interrupted."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch

from prunelimits.limits.lanczos import LanczosState
from prunelimits.modes import in_plain_modes
from prunelimits.resuming import write_whole


def save_state(state: LanczosState, path: str | os.PathLike[str]) -> None:
    """Writes a state to one file, whole or not at all: as large as its basis.

    Raises:
        OSError: If the file cannot be written; then an existing one is as it was.
    """
    content = io.BytesIO()
    # Copies: a view would be saved with all of the storage behind it.
    torch.save({name: part.cpu().clone() for name, part in state._asdict().items()}, content)
    write_whole(content.getvalue(), path)


@in_plain_modes
def load_state(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> LanczosState:
    """A state as `save_state` wrote it. No code in the file is ever executed.

    Raises:
        OSError: If the file cannot be read: `FileNotFoundError` if there is none.
        ValueError: If it is damaged or holds no state.
    """
    content = io.BytesIO(Path(path).read_bytes())
    # Damage surfaces as whatever the parts of torch.load raise; for the caller it is one thing.
    try:
        loaded: Any = torch.load(content, map_location=device, weights_only=True)
        state = LanczosState(**loaded)
        probes, steps = state.diagonal.shape
        fits = state.off_diagonal.shape == (probes, steps) and state.basis.dim() == 3
    except Exception as error:
        raise ValueError(f"{os.fspath(path)} is damaged or no Lanczos state: {error}") from error
    if not fits or len(state.basis) != probes:
        raise ValueError(f"{os.fspath(path)} is damaged or no Lanczos state: shapes do not fit")
    return state
