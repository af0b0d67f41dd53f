"""Where an elimination stands between two rounds, in memory and in a file."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from prunelimits.elimination.beam import Beam
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.result import Round
from prunelimits.resuming import StoreError, write_whole

FORMAT = "prunelimits elimination 2"
"""Changed when the meaning of the file's content changes."""


@dataclass(eq=False)
class State:
    """All that decides how the elimination goes on.

    Attributes:
        beam: NetworkStack that lose parameters.
        whole: NetworkStack that still lose units; None once the beam has been filled.
        shrunk: NetworkStack that have lost all the units they could, waiting for the others.
        rounds: What was done.
        finished: Whether nothing is left to do.
    """

    beam: Beam
    whole: NetworkStack | None = None
    shrunk: NetworkStack | None = None
    rounds: list[Round] = field(default_factory=list[Round])
    finished: bool = False


def write_state(path: str | os.PathLike[str], description: Mapping[str, Any], state: State) -> None:
    """Writes the state to a file, whole or not at all.

    Raises:
        OSError: If the file cannot be written; then an existing one is as it was.
    """
    buffer = io.BytesIO()
    torch.save(
        {
            "format": FORMAT,
            "description": json.dumps(description, sort_keys=True),
            "waiting": {size: _plain(networks) for size, networks in state.beam.waiting.items()},
            "front": {size: _plain(network) for size, network in state.beam.front.items()},
            "whole": None if state.whole is None else _plain(state.whole),
            "shrunk": None if state.shrunk is None else _plain(state.shrunk),
            "rounds": [dataclasses.astuple(round_) for round_ in state.rounds],
            "finished": state.finished,
        },
        buffer,
    )
    write_whole(buffer.getvalue(), path)


def read_state(path: str | os.PathLike[str], state: State) -> dict[str, Any]:
    """Fills a fresh state from a file, and returns what the file says that it is for.

    No code in the file is ever executed.

    Raises:
        OSError: If the file cannot be read.
        StoreError: If it is damaged or not what `write_state` wrote.
    """
    content = Path(path).read_bytes()
    # Damage surfaces as whatever the parts of torch.load raise; for the caller it is one thing.
    try:
        loaded: Any = torch.load(io.BytesIO(content), weights_only=True)
        if loaded["format"] != FORMAT:
            raise ValueError(f"its format is {loaded['format']!r}, not {FORMAT!r}")
        state.beam.waiting = {
            size: NetworkStack(**plain) for size, plain in loaded["waiting"].items()
        }
        state.beam.front = {size: NetworkStack(**plain) for size, plain in loaded["front"].items()}
        for name in ("whole", "shrunk"):
            plain = loaded[name]
            setattr(state, name, None if plain is None else NetworkStack(**plain))
        state.rounds = [Round(*values) for values in loaded["rounds"]]
        state.finished = bool(loaded["finished"])
        return json.loads(loaded["description"])
    except Exception as error:
        raise StoreError(
            f"{path} is damaged or no store of an elimination ({error}): start a new one"
        ) from error


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
