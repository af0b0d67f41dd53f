"""`prunelimits view`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import FlagCreatePairsOff, Positional, arg

from prunelimits.cli import report
from prunelimits.cli.data import OwnData
from prunelimits.cli.help import YOUR_DATA, Groups
from prunelimits.cli.kept import kind_of
from prunelimits.cli.report import has_plane, write_or_open
from prunelimits.cli.saved_inputs import saved_inputs
from prunelimits.datasets import cubist_spiral
from prunelimits.datasets.plane_features import PLANE
from prunelimits.elimination import read_elimination
from prunelimits.models import MLP
from prunelimits.saving import load
from prunelimits.search import Store, read_result
from prunelimits.training import Loss
from prunelimits.types import Masks
from prunelimits.viz.pages import Page, comparison, gallery, playground
from prunelimits.viz.pages.content import Data


@dataclass(frozen=True)
class View(OwnData):
    """Look at a network, or at all that a search found, on a page that can be touched.

    Without --data: on the Cubist Spiral, if the network has two inputs and one output; for a
    search, if that is what it searched.
    """

    groups: ClassVar[Groups] = {
        "Arguments": ("file",),
        "What is shown": ("beside", "no_data"),
        **YOUR_DATA,
        "What it leaves": ("output",),
    }

    file: Annotated[Path | None, Positional, arg(metavar="FILE")] = None
    """A network saved by prunelimits or downloaded from such a page, or what a search or an
    elimination keeps; without it the sparsest network known on the Cubist Spiral."""
    output: Annotated[Path | None, arg(aliases=["-o"], metavar="PAGE.HTML")] = None
    """Write the page to this file, which needs nothing else, instead of opening a browser."""
    beside: Annotated[Path | None, arg(metavar="FILE")] = None
    """A second network to show at the right of the first."""
    no_data: FlagCreatePairsOff[bool] = False
    """Show no data."""

    def run(self) -> int:
        """Makes the page, and writes or opens it."""
        write_or_open(self._page(), self.output)
        return 0

    def _page(self) -> Page:
        file = self.file or Path(str(files("prunelimits.cli") / "sparsest_known.pt"))
        kind = kind_of(file)
        if kind == "search":
            if self.beside is not None:
                raise ValueError(f"--beside needs a network as FILE, got store {file}")
            return self._gallery(file)
        if kind == "elimination":
            if self.beside is not None:
                raise ValueError(f"--beside needs a network as FILE, got elimination {file}")
            result = read_elimination(file)
            self._check_loss(result.loss)
            fits = bool(result.networks) and has_plane(result.networks[0].model)
            data, about, classes = self._data(fits and result.samples == len(cubist_spiral()[1]))
            return gallery(result, data, title=file.name, about=about, classes=classes)
        model, masks = _load(file)
        data, about, classes = self._data(has_plane(model))
        if self.beside is None:
            return playground(model, masks, data, title=file.name, about=about, classes=classes)
        left, right = (
            (file.name, model, masks),
            (self.beside.name, *_load(self.beside)),
        )
        return comparison(left, right, data, about=about, classes=classes)

    def _gallery(self, file: Path) -> Page:
        with Store(file, write=False) as store:
            result = read_result(store)
        self._check_loss(result.loss)
        searched = report.published_fingerprint() == result.data
        data, about, classes = self._data(searched)
        return gallery(result, data, title=file.name, about=about, classes=classes)

    def _check_loss(self, loss: Loss) -> None:
        """Raises if data would be shown as classes that are numbers to predict."""
        if loss == "mse" and self.data is not None:
            raise ValueError(
                f"--data {self.data} holds numbers to predict, and a page shows classes: leave it "
                "out, or draw them with prunelimits show --pictures"
            )

    def _data(self, spiral: bool) -> tuple[Data | None, str, tuple[str, ...] | None]:
        """The data to show, a line about them, and what their classes are called.

        Without --data they are the Cubist Spiral if `spiral`, and none otherwise.
        """
        self.check_options()
        if self.no_data and self.data is not None:
            raise ValueError(f"--no-data and --data exclude each other, got --data {self.data}")
        if self.data is not None:
            x, y, classes = self.read_standardised()
            return (x, y), f"Data: {self.data.name}, {len(x):,} samples.", classes
        if spiral and not self.no_data:
            data = cubist_spiral()
            return data, f"Data: the Cubist Spiral, {len(data[0]):,} samples.", None
        return None, "No data given.", None


def _load(file: Path) -> tuple[MLP, Masks]:
    """A saved network, unless it would be shown over a plane that it does not take.

    Raises:
        ValueError: If it is no network, or its two inputs are other functions of the plane.
        OSError: If the file cannot be read.
    """
    saved = saved_inputs(file)
    model, masks = load(file, inputs=saved)
    inputs = saved or PLANE
    if model.widths[0] == 2 and inputs != PLANE:
        raise ValueError(
            f"{file} has the inputs {' '.join(inputs)}, and not the coordinates: see it with "
            f"prunelimits play --network {shlex.quote(str(file))}"
        )
    return model, masks
