"""`prunelimits show`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

from prunelimits.cli import report
from prunelimits.cli.data import OwnData
from prunelimits.cli.elimination_report import show_elimination
from prunelimits.cli.help import YOUR_DATA, Groups
from prunelimits.cli.kept import kind_of
from prunelimits.elimination import read_elimination
from prunelimits.elimination.state_file import is_state_file
from prunelimits.search import Store, read_result


@dataclass(frozen=True)
class Show(OwnData):
    """Show what a search or an elimination has found: a table, and on request pictures and files.

    With --data, the file that was searched, --pictures shows its points: by their classes, or by
    the numbers to predict where it was searched with --regression.

    How long: a second or two. It may be asked while a search is under way.
    """

    groups: ClassVar[Groups] = {
        "Arguments": ("store",),
        "What is shown": ("target", "nonzeros"),
        **YOUR_DATA,
        "What it leaves": ("csv", "model", "pictures"),
    }

    store: Annotated[Path, Positional]
    """The file that a search or an elimination keeps its results in."""
    target: Annotated[float | None, arg(metavar="NUMBER")] = None
    """Judge the same trainings by another target accuracy."""
    nonzeros: Annotated[int | None, arg(metavar="N")] = None
    """The size that --model and --pictures take, instead of the smallest at the target."""
    model: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write that network to a .pt file, which prunelimits.load and torch.load read."""
    csv: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write the table to a .csv file."""
    pictures: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Draw that network and accuracy against nonzeros, as .png and .svg files, in this folder."""

    def run(self) -> int:
        """Prints the table and writes what was asked for."""
        self.check_options()
        if self.nonzeros is not None and self.model is None and self.pictures is None:
            raise ValueError(f"--nonzeros is for --model and --pictures, got {self.nonzeros} alone")
        if self.store.is_file() and kind_of(self.store) == "other":
            raise ValueError(
                f"{self.store} is not what a search or an elimination of this version keeps: for "
                "networks there are prunelimits view and prunelimits analyze"
            )
        if is_state_file(self.store):
            eliminated = read_elimination(self.store)
            points, classes = self.to_draw(numbers=eliminated.loss == "mse")
            return show_elimination(
                eliminated,
                target=self.target,
                nonzeros=self.nonzeros,
                model=self.model,
                csv_file=self.csv,
                pictures=self.pictures,
                points=points,
                classes=classes,
            )
        with Store(self.store, write=False) as store:
            result = read_result(store, target=self.target)
        points, classes = self.to_draw(numbers=result.loss == "mse")
        report.print_result(result)
        if self.csv is not None:
            report.write_csv(result, self.csv)
        if self.model is not None:
            found = report.choose(result, self.nonzeros)
            report.write_model(found.model, found.masks, self.model)
        if self.pictures is not None:
            report.draw(
                result, self.pictures, nonzeros=self.nonzeros, points=points, classes=classes
            )
        return 0
