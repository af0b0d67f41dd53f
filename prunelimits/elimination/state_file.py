"""The state of an elimination in a file: whole, checked to the last bit, and bound to its task."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any, get_args

from prunelimits.arguments import checked_flag, checked_integer
from prunelimits.elimination.description import Description
from prunelimits.elimination.kept_file import (
    ELIMINATION,
    KeptFile,
    is_of,
    read_content,
    write_content,
)
from prunelimits.elimination.kept_stacks import by_checked_size, checked_networks, plain_networks
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.result import Round, Stage
from prunelimits.elimination.state import EliminationState
from prunelimits.resuming import check_same


def is_state_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as the state of an elimination does, of an earlier version too.

    Raises:
        OSError: If the file is there but cannot be read.
    """
    return is_of(ELIMINATION, path)


class StateFile(KeptFile):
    """The file of one elimination, while this process is the one that writes to it.

    Args:
        path: The file; it need not exist.
        description: What the elimination is.
    """

    def __init__(self, path: str | os.PathLike[str], description: Description) -> None:
        super().__init__(path, ELIMINATION)
        self.description = description

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

    Raises:
        OSError: If the file cannot be written; then an existing one is as it was.
    """
    values = {
        "description": json.dumps(description.to_dict(), sort_keys=True),
        "waiting": {size: plain_networks(networks) for size, networks in state.waiting.items()},
        "front": {size: plain_networks(networks) for size, networks in state.front.items()},
        "losing_units": None if state.losing_units is None else plain_networks(state.losing_units),
        "lost_units": None if state.lost_units is None else plain_networks(state.lost_units),
        "rounds": [dataclasses.asdict(round_) for round_ in state.rounds],
        "finished": state.finished,
    }
    write_content(path, ELIMINATION, values)


def read_state(path: str | os.PathLike[str]) -> tuple[Description, EliminationState]:
    """What a file says that it is for, and the state that it keeps.

    No code in the file is ever executed.

    Raises:
        OSError: If the file cannot be read.
        StoreError: If it is damaged or not what `write_state` wrote.
    """
    return read_content(path, ELIMINATION, _read)


def _read(loaded: Any) -> tuple[Description, EliminationState]:  # noqa: ANN401
    state = EliminationState(
        waiting=by_checked_size(loaded["waiting"], checked_networks),
        front=by_checked_size(loaded["front"], checked_networks),
        losing_units=_optional(loaded["losing_units"]),
        lost_units=_optional(loaded["lost_units"]),
        rounds=tuple(_round(values) for values in loaded["rounds"]),
        finished=checked_flag("finished", loaded["finished"]),
    )
    return Description.from_dict(json.loads(loaded["description"])), state


def _optional(plain: dict[str, Any] | None) -> NetworkStack | None:
    return None if plain is None else checked_networks(plain)


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
