"""`prunelimits analyze`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from torch import nn
from tyro.conf import Positional, arg

from prunelimits.cli.help import Groups
from prunelimits.cli.network import read_network
from prunelimits.cli.report import console
from prunelimits.connectivity import analyze
from prunelimits.connectivity.following.model import first_linear
from prunelimits.resuming import write_whole


@dataclass(frozen=True)
class Analyze:
    """Show what of a sparse network really counts: paths, dead units, effective sparsity.

    How long: about as long as a few forward passes.
    """

    groups: ClassVar[Groups] = {
        "Arguments": ("file",),
        "The network, if it is yours": ("model", "state_dict", "input_shape"),
        "What it leaves": ("json",),
    }

    file: Annotated[Path | None, Positional, arg(metavar="FILE")] = None
    """A network that prunelimits saved."""
    model: Annotated[str | None, arg(metavar="MODULE:FACTORY")] = None
    """Instead of FILE: a function of yours, without arguments, that makes a model. It is run."""
    state_dict: Annotated[Path | None, arg(metavar="FILE")] = None
    """The model's state dict, or what prunelimits saved of it; no code in the file is run."""
    input_shape: Annotated[tuple[int, ...] | None, arg(metavar="N")] = None
    """The shape of one input, such as 3 32 32; needed unless the first layer is linear."""
    json: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write every number to a .json file."""

    def run(self) -> int:
        """Prints the table and writes what was asked for."""
        model, masks = read_network(self.file, self.model, self.state_dict)
        inputs = self._inputs(model)
        try:
            report = analyze(model, masks, inputs=inputs)
        except ValueError as error:
            if self.input_shape is None or "with these inputs" not in str(error):
                raise
            shape = " ".join(map(str, self.input_shape))
            raise ValueError(f"--input-shape {shape}: {error}") from error
        console.print(str(report), markup=False, soft_wrap=True)
        if self.json is not None:
            write_whole(json.dumps(report.to_dict(), indent=1).encode(), self.json)
        return 0

    def _inputs(self, model: nn.Module) -> torch.Tensor | None:
        if self.input_shape is None:
            if first_linear(model) is None:
                raise ValueError(
                    "--input-shape is needed: the shape of one input, such as 3 32 32, since the "
                    "model's first layer is not linear"
                )
            return None
        if any(size < 1 for size in self.input_shape):
            shown = " ".join(map(str, self.input_shape))
            raise ValueError(f"--input-shape must be of sizes of at least 1, got {shown}")
        return torch.zeros(1, *self.input_shape, dtype=torch.float32, device="cpu")
