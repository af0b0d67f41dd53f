"""`prunelimits gap`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar

from torch import Tensor
from tyro.conf import FlagCreatePairsOff, arg

from prunelimits import pruners
from prunelimits.arguments import checked_number, shown
from prunelimits.cli.advice import tell_constant_in_training
from prunelimits.cli.data import OwnData
from prunelimits.cli.executors import open_executor
from prunelimits.cli.flags import checked_different
from prunelimits.cli.gap_report import RunBar, draw_gap, print_gap, print_parts
from prunelimits.cli.help import YOUR_DATA, Groups
from prunelimits.cli.importing import current_folder_importable, imported
from prunelimits.cli.merge import parsed_part
from prunelimits.cli.points import read_points
from prunelimits.cli.report import measure_name, say
from prunelimits.datasets import three_parts
from prunelimits.elimination import Elimination, Regrowth
from prunelimits.experiments import (
    PAPER_BUDGETS,
    PAPER_COMBINATORIAL,
    PAPER_COMBINATORIAL_FIXED,
    PAPER_METHODS,
    Size,
    Study,
    begin_with_kept,
    run_study,
)
from prunelimits.experiments.methods import StudyMethod
from prunelimits.saving import load
from prunelimits.search import StoreError
from prunelimits.training import Recipe
from prunelimits.training.recipe import Schedule

Pair = tuple[Tensor, Tensor]
Flag = FlagCreatePairsOff[bool]
_QUICK_BUDGETS = (20, 26, 33, 44, 55, 65)
_PAPER_NAMES = tuple(type(pruner).__name__ for pruner in PAPER_METHODS)


@dataclass(frozen=True, kw_only=True)
class Gap(OwnData):
    """Prune with every method, and see how far each is from the sparsest network.

    Without --data: on the Cubist Spiral. Interrupt it at any time: the same command goes on where
    it was.

    How long: three minutes of one core for the default, as long for --quick --widths 3 7 16 64, two
    hours for width 256. One method of your own beside the others' kept table: a minute, see --kept.
    """

    groups: ClassVar[Groups] = {
        "What is compared": ("methods", "widths", "budgets", "size", "compare", "quick"),
        **YOUR_DATA,
        "What the data are": ("regression", "choose", "test"),
        "How each is trained": (
            *("learning_rates", "schedules", "repeats", "hidden_layers", "epochs", "batch_size"),
            *("seed", "initial"),
        ),
        "How far, and where": ("minutes", "workers", "scheduler", "part"),
        "What it leaves": ("table", "kept", "pictures", "quiet"),
    }

    methods: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = _PAPER_NAMES
    """Any of the catalogue, Elimination, Regrowth, or your own as module:Class or
    module:instance."""
    widths: tuple[int, ...] = (16,)
    """Hidden widths to prune from."""
    budgets: tuple[int, ...] = PAPER_BUDGETS
    """Numbers of weights to keep."""
    learning_rates: tuple[float, ...] = (0.05, 0.1, 0.2)
    """Every network is trained by every learning rate ..."""
    schedules: tuple[Schedule, ...] = ("constant", "cosine", "step")
    """... with every schedule ..."""
    repeats: int = 1
    """... this many times, each from a start and in an order of the batches of its own."""
    quick: Flag = False
    """A sketch: budgets 20, 26, 33, 44, 55 and 65 alone, and the cosine schedule alone."""
    hidden_layers: int = 3
    """Hidden layers of the networks."""
    epochs: int = 50
    """Passes over the data in a training."""
    batch_size: int = 128
    """Samples in a step."""
    seed: int = 0
    """Decides initialisations and batches."""
    initial: Annotated[Path | None, arg(metavar="FILE")] = None
    """A network saved by prunelimits: every run starts from its leading block."""
    regression: Flag = False
    """With --data: labels are numbers to predict, not classes. Networks are trained by squared
    error and measured by R2, the share of the numbers' variance that they explain."""
    choose: float = 0.0
    """Share of the rows by which the best run of each budget is chosen; only with --test."""
    test: float = 0.0
    """Share of the rows that nothing is chosen by: on them the chosen runs are measured."""
    table: Path = Path("gap.csv")
    """The file that keeps the results."""
    kept: Flag = False
    """Begin with the runs of the nine methods at width 16 that come with the library, unless there
    is a --table already: only methods of your own are trained."""
    size: Size = "nonzeros"
    """What counts as a network's size: all it keeps, what lies on a path, what trimming leaves."""
    compare: Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]")] = ()
    """Tables of `prunelimits show --csv` and saved networks to draw beside the methods."""
    minutes: Annotated[float | None, arg(metavar="MINUTES")] = None
    """Begin nothing new after this time; the same command goes on later."""
    workers: Annotated[int | None, arg(metavar="N")] = None
    """Processes on this machine; by default one, or one a core without the native engine."""
    scheduler: Annotated[str | None, arg(metavar="ADDRESS")] = None
    """Address of a Dask scheduler whose workers do the training, such as tcp://host:8786."""
    part: Annotated[str | None, arg(metavar="I/N")] = None
    """Do only the I-th of N portions, in a file of its own each; prunelimits merge joins them."""
    pictures: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Draw the fronts and the scatter, and what is on no path, as .png and .svg files here."""
    quiet: Flag = False
    """Print lines instead of a progress bar, as is done where nobody watches."""

    def run(self) -> int:
        """Runs the study, and prints what it found."""
        with current_folder_importable():
            return self._run()

    def _run(self) -> int:
        study = self._study()
        loss = self.loss(regression=self.regression)
        (x, y), others = self._parts()
        _tell_left_out(study, x, 2 if self.regression else len(y.unique()))
        initial = None if self.initial is None else load(self.initial)[0]
        references = {path.stem: read_points(path, x, y, loss=loss) for path in self.compare}
        if self.data is None and initial is None:
            references["the paper's search"] = list(PAPER_COMBINATORIAL)
        elif self.data is None:
            references["the paper's search\n(its own start)"] = list(PAPER_COMBINATORIAL_FIXED)
        begun = self._begin()
        quiet = self.quiet or not sys.stderr.isatty()
        with (
            open_executor(self.workers, self.scheduler) as (executor, in_flight),
            RunBar(quiet=quiet) as bar,
        ):
            try:
                results = run_study(
                    study,
                    x,
                    y,
                    table=self.table,
                    loss=loss,
                    choose=None if others is None else others[0],
                    test=None if others is None else others[1],
                    initial=initial,
                    executor=executor,
                    in_flight=in_flight,
                    part=parsed_part(self.part),
                    time_limit=None if self.minutes is None else 60 * self.minutes,
                    on_progress=bar.update,
                )
            except StoreError:
                # Of another study: nothing is left that was not there.
                if begun:
                    self.table.unlink()
                raise
        measure = measure_name(loss)
        if others is None:
            print_gap(study, results, self.size, measure)
        else:
            print_parts(study, results, (len(others[0][1]), len(others[1][1])), measure)
        if self.pictures is not None and results:
            draw_gap(results, self.pictures, size=self.size, references=references, measure=measure)
        if self.table.exists():
            say(f"Kept in {self.table}; the same command goes on and shows it again")
        return 0

    def _begin(self) -> bool:
        """Whether the kept table was laid down; one that is there already is gone on in."""
        if not self.kept:
            return False
        for flag, given in (("--data", self.data), ("--initial", self.initial)):
            if given is not None:
                raise ValueError(f"--kept is of the Cubist Spiral from random starts, got {flag}")
        return begin_with_kept(self.table)

    def _parts(self) -> tuple[Pair, tuple[Pair, Pair] | None]:
        """The rows to train on, and those to choose by and to test, if they are asked for."""
        if not self.choose and not self.test:
            x, y, _ = self.read_standardised(numbers=self.regression)
            return (x, y), None
        for flag, share in (("--choose", self.choose), ("--test", self.test)):
            checked_number(flag, share, above=0, below=1)
        x, y, classes = self.read(numbers=self.regression)
        try:
            train, *others = three_parts(
                x, y, choose=self.choose, test=self.test, seed=self.seed,
                standardise=self.standardise, by_class=not self.regression,
            )  # fmt: skip
        except ValueError as error:
            raise self.told(error, classes) from error
        tell_constant_in_training(train[0], self.input_names())
        return train, (others[0], others[1])

    def _study(self) -> Study:
        for flag, given, usual in (
            ("--budgets", self.budgets, PAPER_BUDGETS),
            ("--schedules", self.schedules, Gap.schedules),
        ):
            if self.quick and given != usual:
                raise ValueError(f"{flag} cannot go with --quick, which has its own, got {given}")
        checked_different("--learning-rates", self.learning_rates)
        checked_different("--schedules", self.schedules)
        recipes = [
            Recipe(lr=lr, schedule=schedule, epochs=self.epochs, batch_size=self.batch_size)
            for lr in self.learning_rates
            for schedule in (("cosine",) if self.quick else self.schedules)
        ]
        return Study(
            methods=tuple(map(method, self.methods)),
            widths=self.widths,
            budgets=_QUICK_BUDGETS if self.quick else self.budgets,
            recipes=tuple(recipes),
            repeats=self.repeats,
            hidden_layers=self.hidden_layers,
            seed=self.seed,
        )


def _tell_left_out(study: Study, x: Tensor, classes: int) -> None:
    """Names the budgets that leave nothing to prune at a width."""
    if x.dim() != 2:
        return
    for width in study.widths:
        layers = pairwise(study.network(width, x.shape[1], 1 if classes == 2 else classes))
        weights = sum(d_in * d_out for d_in, d_out in layers)
        above = [str(keep) for keep in study.budgets if keep >= weights]
        if above:
            say(
                f"Width {width} has {weights:,} weights: nothing to prune for the budgets "
                f"{', '.join(above)}"
            )


def method(name: str) -> StudyMethod:
    """The method of the catalogue with that class name, with the published settings; or a user's.

    Raises:
        ValueError: If there is none.
        TypeError: If what `MODULE:CLASS` stands for is no pruner.
    """
    if ":" in name:
        return _users_method(name)
    catalogue = {kind.__name__: kind for kind in (*pruners.all(), Elimination, Regrowth)}
    if name not in catalogue:
        raise ValueError(
            f"--methods must be among {', '.join(catalogue)}, or your own as module:Class, "
            f"got {name!r}"
        )
    # Every published method has defaults, which its abstract type cannot say.
    return catalogue[name]()  # pyright: ignore[reportCallIssue]


def _users_method(name: str) -> StudyMethod:
    found = imported("--methods", name, "MODULE:NAME, such as my_methods:Mine")
    if isinstance(found, type) and issubclass(found, StudyMethod):
        try:
            # A subclass may have fields without defaults, and abstract ones cannot be made.
            found = found()  # pyright: ignore[reportCallIssue]
        except TypeError as error:
            raise TypeError(
                f"--methods {name} must be a pruner that needs no arguments, or an instance of "
                f"one: {error}"
            ) from error
    if not isinstance(found, StudyMethod):
        raise TypeError(
            f"--methods {name} must be a pruner, such as a subclass of prunelimits.pruners.AtInit, "
            f"got {shown(found)}"
        )
    return found
