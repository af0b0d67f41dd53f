"""`prunelimits play`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import arg

from prunelimits.cli.data import read_data
from prunelimits.cli.help import Groups
from prunelimits.cli.report import write_or_open
from prunelimits.saving import load
from prunelimits.viz.pages import play


@dataclass(frozen=True)
class Play:
    """Train a network on a page in the browser, prune it, and watch which paths die."""

    groups: ClassVar[Groups] = {
        "What it begins with": ("network", "data"),
        "What it leaves": ("output",),
    }

    output: Annotated[Path | None, arg(aliases=["-o"], metavar="PAGE.HTML")] = None
    """Write the page to this file, which needs nothing else, instead of opening a browser."""
    network: Annotated[Path | None, arg(metavar="FILE")] = None
    """Start from a network saved by prunelimits or downloaded from such a page."""
    data: Annotated[Path | None, arg(metavar="FILE")] = None
    """Your own data: a .csv, .npy, .npz or .rda file of two inputs and labels."""

    def run(self) -> int:
        """Makes the page, and writes or opens it."""
        model, masks = (None, None) if self.network is None else load(self.network)
        data = None if self.data is None else read_data(self.data)
        write_or_open(play(model, masks, data), self.output)
        return 0
