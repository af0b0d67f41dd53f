"""`prunelimits eliminate`."""

from __future__ import annotations

import dataclasses
import sys
import warnings
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Annotated, ClassVar

from tyro.conf import AvoidSubcommands, FlagCreatePairsOff, arg

from prunelimits.arguments import checked_integer, checked_sizes
from prunelimits.cli.advice import tell_inputs, tell_test
from prunelimits.cli.data import OwnData
from prunelimits.cli.elimination_report import (
    RoundBar,
    choose_eliminated,
    draw_elimination,
    print_elimination,
)
from prunelimits.cli.executors import open_executor
from prunelimits.cli.help import YOUR_DATA, Groups
from prunelimits.cli.report import say, tell_kept
from prunelimits.elimination import (
    Elimination,
    EliminationResult,
    NothingFoundWarning,
    eliminate,
    eliminate_seeds,
)
from prunelimits.models import MLP
from prunelimits.saving import load
from prunelimits.search import make_task
from prunelimits.training import Recipe
from prunelimits.training.recipe import Schedule
from prunelimits.training.task import Task


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What is not given fits the number of samples."""

    epochs: int | None = None
    """Passes over the data."""
    batch_size: int | None = None
    """Samples a step."""
    lr: float | None = None
    """Learning rate of the first epoch."""
    momentum: float | None = None
    """Momentum of the descent."""
    weight_decay: float | None = None
    """Weight decay, biases included."""
    schedule: Schedule | None = None
    """How the learning rate falls."""

    def recipe(self, fitting: Recipe, group: str) -> Recipe:
        """A recipe with the numbers that are given.

        Raises:
            ValueError: If one is out of its range, by its flag in the group.
        """
        given = {name: value for name, value in vars(self).items() if value is not None}
        try:
            return dataclasses.replace(fitting, **given)
        except ValueError as error:
            name, *rest = str(error).split(" ", 1)
            raise ValueError(" ".join([f"--{group}.{name.replace('_', '-')}", *rest])) from error


@dataclass(frozen=True, kw_only=True)
class Eliminate(OwnData):
    """Remove parts of many trained networks, again and again, for the sparsest at a target.

    Without --data: on the Cubist Spiral. Interrupt it at any time: the same command goes on where
    it was. Show what it kept with prunelimits show.

    How long: about a minute of one core at width 16, for each of --seeds; with --networks 32
    --evolved 0 some seconds.
    """

    groups: ClassVar[Groups] = {
        "The task": ("target", "nonzeros"),
        **YOUR_DATA,
        "What the data are": ("regression", "held_out", "test"),
        "Where it starts": ("width", "hidden_layers", "widths", "initial", "seed", "seeds"),
        "How it goes": (
            *("method.networks", "method.unit_share", "method.step", "method.beam"),
            *("method.per_origin", "method.tries", "method.slack", "method.evolved"),
            *("method.biases", "method.margin"),
        ),
        "How the dense networks are trained (what is not given fits the data)": (
            *("dense.epochs", "dense.batch_size", "dense.lr", "dense.momentum"),
            *("dense.weight_decay", "dense.schedule"),
        ),
        "How networks are trained after something was removed": (
            *("recovery.epochs", "recovery.batch_size", "recovery.lr", "recovery.momentum"),
            *("recovery.weight_decay", "recovery.schedule"),
        ),
        "How far, and where": ("minutes", "workers", "scheduler"),
        "What it leaves": ("store", "pictures", "quiet"),
    }

    target: float = 0.95
    """Score to reach: accuracy, or R2 with --regression; above 0 and at most 1."""
    nonzeros: Annotated[int | None, arg(metavar="N")] = None
    """Go on to networks of so many weights and biases, whether they reach the target or not."""
    width: int = 16
    """Width of every hidden layer of the networks that it starts from."""
    hidden_layers: int = 3
    """How many hidden layers they have."""
    widths: Annotated[tuple[int, ...] | None, arg(metavar="N N [N ...]")] = None
    """All their widths instead, such as 2 3 3 3 1."""
    initial: Annotated[Path | None, arg(metavar="FILE")] = None
    """A trained network saved by prunelimits to start from instead."""
    method: Annotated[AvoidSubcommands[Elimination], arg(name="")] = field(
        default_factory=Elimination
    )
    """How it goes."""
    dense: TrainingOptions = field(default_factory=TrainingOptions)
    """How the networks that it starts from are trained."""
    recovery: TrainingOptions = field(default_factory=TrainingOptions)
    """How networks are trained after something was removed."""
    regression: FlagCreatePairsOff[bool] = False
    """With --data: labels are numbers to predict, not classes. Networks are trained by squared
    error and measured by R2, the share of the numbers' variance that they explain."""
    held_out: float = 0.0
    """Share of the data on which the score is measured and nothing is trained."""
    test: float = 0.0
    """Share of the data set aside first: on it the network that was found is measured."""
    seed: int = 0
    """Decides initialisations, batches and held-out samples."""
    seeds: int = 1
    """So many eliminations, from --seed on; that of seed 3 is kept in elimination-3.pt."""
    store: Path = Path("elimination.pt")
    """The file that keeps the results."""
    minutes: Annotated[float | None, arg(metavar="MINUTES")] = None
    """Begin no round after this time; the same command goes on later."""
    workers: Annotated[int | None, arg(metavar="N")] = None
    """Processes on this machine that take --seeds."""
    scheduler: Annotated[str | None, arg(metavar="ADDRESS")] = None
    """Address of a Dask scheduler whose workers take --seeds, such as tcp://host:8786."""
    pictures: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Draw the sparsest network, and score against nonzeros, as .png and .svg files here."""
    quiet: FlagCreatePairsOff[bool] = False
    """Print lines instead of a progress bar, as is done where nobody watches."""

    def run(self) -> int:
        """Eliminates, and prints what was found."""
        self._check_start()
        loss = self.loss(regression=self.regression)
        (x, y, classes), test = self.set_aside(self.test, self.seed, numbers=self.regression)
        task = make_task(x, y, loss=loss, held_out=self.held_out, seed=self.seed)
        initial = None if self.initial is None else load(self.initial)[0]
        ends = (task.inputs, task.outputs)
        if initial is not None and (initial.widths[0], initial.widths[-1]) != ends:
            raise ValueError(
                f"start must have {task.inputs} inputs and {task.outputs} outputs for these data, "
                f"got widths {initial.widths}"
            )
        _tell_nothing_to_remove(self.nonzeros, self._widths(task) if initial is None else None)
        fitting = self.method.recipes(len(task.x))
        method = dataclasses.replace(
            self.method,
            dense=self.dense.recipe(fitting.dense, "dense"),
            recovery=self.recovery.recipe(fitting.recovery, "recovery"),
        )
        if self.seeds != 1 and test is not None:
            raise ValueError(f"--test is for one elimination, got --seeds {self.seeds}")
        if self.seeds != 1:
            return self._eliminate_seeds(task, initial, method, classes)
        for name, given in (("--workers", self.workers), ("--scheduler", self.scheduler)):
            if given is not None:
                raise ValueError(f"{name} shares out --seeds, of which there is one")
        with (
            RoundBar(quiet=self.quiet or not sys.stderr.isatty()) as bar,
            warnings.catch_warnings(),
        ):
            # The hint is printed with the result, and what is held out was told.
            warnings.simplefilter("ignore", NothingFoundWarning)
            warnings.filterwarnings("ignore", "measure has no row of class")
            result = eliminate(
                task.x,
                task.y,
                method,
                target=self.target,
                nonzeros=self.nonzeros,
                start=initial or self._widths(task),
                trained=initial is not None,
                loss=task.loss,
                measure=(task.measure_x, task.measure_y) if self.held_out else None,
                seed=self.seed,
                store=self.store,
                time_limit=None if self.minutes is None else 60 * self.minutes,
                on_round=bar.update,
            )
        print_elimination(result)
        if result.networks:
            found = choose_eliminated(result, None)
            tell_inputs(found.model, found.masks, self.input_names())
            if test is not None:
                tell_test(found.model, found.nonzeros, test, classes, task.loss)
        if self.pictures is not None:
            draw_elimination(result, self.pictures, points=(x, y), classes=classes)
        tell_kept("Kept", self.store)
        return 0

    def _check_start(self) -> None:
        """Raises for what says how to start beside what decides that already."""
        sizes = {"--width": self.width, "--hidden-layers": self.hidden_layers}
        usual = (Eliminate.width, Eliminate.hidden_layers)
        unused: dict[str, object] = {}
        if self.widths is not None or self.initial is not None:
            unused = {
                f: n for (f, n), least in zip(sizes.items(), usual, strict=True) if n != least
            }
        if self.initial is not None:
            trained = {f"--dense.{n.replace('_', '-')}": v for n, v in vars(self.dense).items()}
            unused |= {"--widths": self.widths, **trained}
        decides = "--widths" if self.initial is None else "--initial"
        for flag, given in unused.items():
            if given is not None:
                shown = " ".join(map(str, given)) if isinstance(given, tuple) else given  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
                raise ValueError(f"{flag} cannot go with {decides}, which decides it, got {shown}")

    def _widths(self, task: Task) -> tuple[int, ...]:
        """The widths to start from, which fit the data."""
        if self.widths is None:
            width = checked_integer("--width", self.width, 1)
            hidden = (width,) * checked_integer("--hidden-layers", self.hidden_layers, 1)
            return (task.inputs, *hidden, task.outputs)
        widths = checked_sizes("--widths", self.widths)
        ends = (task.inputs, task.outputs)
        if len(widths) < 3 or (widths[0], widths[-1]) != ends:
            raise ValueError(
                f"--widths must start with {ends[0]} and end with {ends[1]}, inputs and outputs of "
                f"these data, and have a hidden layer between them, got {widths}"
            )
        return widths

    def _eliminate_seeds(
        self,
        task: Task,
        initial: MLP | None,
        method: Elimination,
        classes: tuple[str, ...] | None,
    ) -> int:
        """Several seeds: a line when one is done, and the best in full."""
        if self.seeds < 1:
            raise ValueError(f"--seeds must be at least 1, got {self.seeds}")
        if initial is not None:
            raise ValueError("--initial starts from one network: it goes with one seed")

        def tell(seed: int, result: EliminationResult) -> None:
            best = result.sparsest
            found = "none" if best is None else f"{best.nonzeros} nonzeros, {best.score:.2%}"
            say(f"seed {seed}: {found}{'' if result.finished else ', not finished'}")

        with (
            open_executor(self.workers, self.scheduler) as (executor, in_flight),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", NothingFoundWarning)
            warnings.filterwarnings("ignore", "measure has no row of class")
            results = eliminate_seeds(
                task.x,
                task.y,
                method,
                seeds=range(self.seed, self.seed + self.seeds),
                target=self.target,
                nonzeros=self.nonzeros,
                start=self._widths(task),
                loss=task.loss,
                measure=(task.measure_x, task.measure_y) if self.held_out else None,
                store=self.store,
                executor=executor,
                in_flight=in_flight,
                time_limit=None if self.minutes is None else 60 * self.minutes,
                on_result=tell,
            )
        found = {s: r.sparsest.nonzeros for s, r in results.items() if r.sparsest is not None}
        best = min(found, key=lambda seed: found[seed], default=self.seed)
        if found:
            say(f"median {median(found.values()):g}, best {found[best]}, of {len(results)} seeds")
        print_elimination(results[best])
        if self.pictures is not None:
            points = task.x, task.y
            draw_elimination(results[best], self.pictures, points=points, classes=classes)
        tell_kept("The best is kept", self.store.with_stem(f"{self.store.stem}-{best}"))
        return 0


def _tell_nothing_to_remove(nonzeros: int | None, widths: tuple[int, ...] | None) -> None:
    """Says that a budget is just what the dense networks have."""
    if nonzeros is None or widths is None:
        return
    parameters = sum((d_in + 1) * d_out for d_in, d_out in pairwise(widths))
    if nonzeros == parameters:
        say(
            f"Networks of widths {' '.join(map(str, widths))} have {parameters:,} weights and "
            f"biases: nothing has to go for --nonzeros {nonzeros}"
        )
