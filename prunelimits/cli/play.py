"""`prunelimits play`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import arg

from prunelimits.cli.data import OwnData
from prunelimits.cli.help import YOUR_DATA, Groups
from prunelimits.cli.report import write_or_open
from prunelimits.cli.saved_inputs import saved_inputs
from prunelimits.datasets.plane_features import PLANE
from prunelimits.saving import load
from prunelimits.viz.pages import play


@dataclass(frozen=True)
class Play(OwnData):
    """Train a network on a page in the browser, prune it, and watch which paths die."""

    groups: ClassVar[Groups] = {
        "What it begins with": ("network", "inputs"),
        **YOUR_DATA,
        "What it leaves": ("output",),
    }

    output: Annotated[Path | None, arg(aliases=["-o"], metavar="PAGE.HTML")] = None
    """Write the page to this file, which needs nothing else, instead of opening a browser."""
    network: Annotated[Path | None, arg(metavar="FILE")] = None
    """Start from a network saved by prunelimits or downloaded from such a page."""
    inputs: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """What of a point the network is given: any of x1, x2, x1x1, x2x2, x1x2, sinx1 and sinx2, in
    the order of its inputs; by default what --network says, if it was downloaded from such a page,
    and x1 x2 otherwise."""

    def run(self) -> int:
        """Makes the page, and writes or opens it."""
        saved = None if self.network is None else saved_inputs(self.network)
        model, masks = (None, None) if self.network is None else load(self.network, inputs=saved)
        data, classes = self.to_draw()
        page = play(model, masks, data, inputs=self._inputs(saved), classes=classes)
        write_or_open(page, self.output)
        return 0

    def _inputs(self, saved: tuple[str, ...] | None) -> tuple[str, ...]:
        if saved is not None and self.inputs and self.inputs != saved:
            raise ValueError(
                f"--inputs must be those of --network {self.network}, {' '.join(saved)}, "
                f"got {' '.join(self.inputs)}"
            )
        return self.inputs or saved or PLANE
