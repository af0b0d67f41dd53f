"""The state of a regrowth in a file, bound to its task."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Generic

from torch import nn

from prunelimits.arguments import checked_flag, checked_instance, checked_integer
from prunelimits.elimination.kept_file import REGROWTH, KeptFile, read_content, write_content
from prunelimits.elimination.kept_stacks import by_checked_size
from prunelimits.elimination.module_data import tensors_of
from prunelimits.elimination.regrowing import AbstractRegrowing
from prunelimits.elimination.regrowth_state import Done, RegrowthState
from prunelimits.elimination.stack import AnyStack
from prunelimits.resuming import check_same, digest, source_of


class RegrowthFile(KeptFile, Generic[AnyStack]):
    """The file of one regrowth, while this process is the one that writes to it.

    Args:
        path: The file; it need not exist.
        run: The regrowth.
        start: What it starts from: widths, or modules.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        run: AbstractRegrowing[AnyStack],
        start: Sequence[int] | Sequence[nn.Module],
    ) -> None:
        super().__init__(path, REGROWTH)
        self._run = run
        self._description = _description(run, start)

    def read(self) -> RegrowthState[AnyStack] | None:
        """The state that the file keeps; None if there is no file.

        Raises:
            OSError: If the file cannot be read.
            StoreError: If it is damaged or of another regrowth.
        """
        if not self.path.exists():
            return None
        # What it is of comes first: networks of another regrowth are not damaged.
        recorded = read_content(self.path, REGROWTH, _recorded)
        check_same(self.path, recorded, self._description, "regrowth")
        return read_content(self.path, REGROWTH, self._state)

    def write(self, state: RegrowthState[AnyStack]) -> None:
        """Writes the state, whole or not at all.

        Raises:
            OSError: If the file cannot be written; then an existing one is as it was.
        """
        plain = self._run.plain
        values = {
            "description": json.dumps(self._description, sort_keys=True),
            "waiting": {size: plain(networks) for size, networks in state.waiting.items()},
            "arrived": plain(state.arrived),
            "found": [plain(networks) for networks in state.found],
            "cycle": state.cycle,
            "grows": state.grows,
            "round": state.round,
            "work": state.done.work,
            "together": state.done.together,
            "finished": state.finished,
        }
        write_content(self.path, REGROWTH, values)

    def _state(self, loaded: Any) -> RegrowthState[AnyStack]:  # noqa: ANN401
        checked, together = self._run.checked, loaded["together"]
        return RegrowthState(
            waiting=by_checked_size(loaded["waiting"], checked),
            arrived=checked(loaded["arrived"]),
            found=tuple(map(checked, loaded["found"])),
            cycle=checked_integer("cycle", loaded["cycle"], 0),
            grows=checked_flag("grows", loaded["grows"]),
            round=checked_integer("round", loaded["round"], 0),
            done=Done(
                checked_integer("work", loaded["work"], 0),
                None if together is None else checked_flag("together", together),
            ),
            finished=checked_flag("finished", loaded["finished"]),
        )


def _recorded(loaded: Any) -> dict[str, Any]:  # noqa: ANN401
    recorded = json.loads(loaded["description"])
    checked_instance("description", recorded, dict, "values by name")
    return recorded


def _description(
    run: AbstractRegrowing[AnyStack], start: Sequence[int] | Sequence[nn.Module]
) -> Mapping[str, Any]:
    """All that decides the result but for rounding, in JSON's types."""
    data, method = run.data, dataclasses.replace(run.method, **run.recipes._asdict())
    modules = [module for module in start if isinstance(module, nn.Module)]
    return {
        **dataclasses.asdict(method),
        "keep": run.keep,
        "seed": run.seed,
        "loss": data.loss,
        "data": digest(data.x, data.y),
        "measure": digest(data.measure_x, data.measure_y),
        "widths": [width for width in start if isinstance(width, int)],
        "start": digest(*map(_of_module, modules)),
    }


def _of_module(module: nn.Module) -> tuple[object, ...]:
    """What a module computes and what of it is trained: its form, its code and its tensors."""
    trained = [name for name, value in module.named_parameters() if value.requires_grad]
    codes = sorted({source_of(part) for part in module.modules()})
    return str(module), codes, trained, tensors_of(module)
