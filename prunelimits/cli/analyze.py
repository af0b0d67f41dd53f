"""`prunelimits analyze`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from tyro.conf import Positional, arg

from prunelimits.cli.network import read_network
from prunelimits.cli.report import console
from prunelimits.connectivity import analyze
from prunelimits.resuming import write_whole


@dataclass(frozen=True)
class Analyze:
    """Show what of a sparse network really counts: paths, dead units, effective sparsity."""

    file: Annotated[Path | None, Positional, arg(metavar="FILE")] = None
    """A network that prunelimits saved."""
    model: Annotated[str | None, arg(metavar="MODULE:FACTORY")] = None
    """Instead of FILE: a function of yours, without arguments, that makes a model. It is run."""
    state_dict: Annotated[Path | None, arg(metavar="FILE")] = None
    """The model's state dict, as torch.save wrote it; no code in the file is run."""
    input_shape: Annotated[tuple[int, ...] | None, arg(metavar="N")] = None
    """The shape of one input, such as 3 32 32; needed unless the first layer is linear."""
    json: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write every number to a .json file."""

    def run(self) -> int:
        """Prints the table and writes what was asked for."""
        model, masks = read_network(self.file, self.model, self.state_dict)
        inputs = None if self.input_shape is None else torch.zeros(1, *self.input_shape)
        report = analyze(model, masks, inputs=inputs)
        console.print(str(report), markup=False, soft_wrap=True)
        if self.json is not None:
            write_whole(json.dumps(report.to_dict(), indent=1).encode(), self.json)
        return 0
