"""`prunelimits search`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from torch import Tensor
from tyro.conf import FlagCreatePairsOff, arg

from prunelimits.cli import report
from prunelimits.cli.advice import tell_inputs, tell_test
from prunelimits.cli.data import OwnData
from prunelimits.cli.executors import open_executor
from prunelimits.cli.flags import checked_different
from prunelimits.cli.help import YOUR_DATA, Groups
from prunelimits.cli.merge import parsed_part
from prunelimits.cli.progress import ProgressBar
from prunelimits.saving import load
from prunelimits.search import SearchConfig, combinatorial_search
from prunelimits.training import Recipe
from prunelimits.training.recipe import Schedule

Count = Annotated[int | None, arg(metavar="N")]
File = Annotated[Path | None, arg(metavar="FILE")]
Flag = FlagCreatePairsOff[bool]


@dataclass(frozen=True, kw_only=True)
class Search(OwnData):
    """Search for the sparsest network that reaches a target accuracy.

    Without --data: on the Cubist Spiral. Interrupt it at any time: the same command goes on where
    it was.

    How long: with --widths 2 3 3 3 1 ten minutes on two cores (155,952 trainings), with one of its
    six recipes two; phase one by itself a quarter of an hour. --minutes ends it in time, --order
    shuffled tries all sizes before that.
    """

    groups: ClassVar[Groups] = {
        "The task": ("target", "margin"),
        **YOUR_DATA,
        "What the data are": ("regression", "held_out", "test"),
        "Which networks": (
            *("widths", "every_widths", "width", "hidden_layers", "inputs", "symmetry"),
            *("min_nonzeros", "max_nonzeros", "first_per_count", "subset_order"),
            *("first_phase_max_nonzeros", "first_phase_only", "initial"),
        ),
        "How each is trained": (
            *("learning_rates", "schedules", "seeds", "epochs", "batch_size", "halving", "seed"),
        ),
        "How far, and where": (
            *("order", "stop_at_target", "minutes", "shard_size", "workers", "scheduler", "part"),
        ),
        "What it leaves": ("store", "pictures", "quiet"),
    }

    target: float = 0.95
    """Accuracy to reach, or R2 with --regression; above 0 and at most 1."""
    store: Path = Path("search.sqlite")
    """The file that keeps the results."""
    widths: Annotated[tuple[int, ...] | None, arg(metavar="N N [N ...]")] = None
    """Search masks of these widths, such as 2 3 3 3 1, instead of finding the smallest first."""
    every_widths: Flag = False
    """Instead: all networks of any widths with at most --max-nonzeros, each once."""
    width: int = 16
    """The widest hidden layer; also the width at which networks are initialised."""
    hidden_layers: int = 3
    """Hidden layers in the first phase, and with --every-widths."""
    learning_rates: tuple[float, ...] = (0.05, 0.1)
    """Every network is trained by every learning rate ..."""
    schedules: tuple[Schedule, ...] = ("constant", "cosine", "step")
    """... with every schedule ..."""
    seeds: int = 1
    """... from this many initialisations."""
    halving: Annotated[tuple[tuple[int, float], ...], arg(metavar="[EPOCHS SHARE ...]")] = ()
    """Such as 2 0.3 12 0.05: after 2 epochs only the best 30 % of a shard go on, ..."""
    epochs: int = 50
    """Passes over the data in a training."""
    batch_size: int = 128
    """Samples in a step."""
    seed: int = 0
    """Decides initialisations, batches and held-out samples."""
    min_nonzeros: Count = None
    """Leave out smaller networks in the second phase (weights and biases)."""
    max_nonzeros: Count = None
    """Leave out larger networks in the second phase (weights and biases)."""
    first_per_count: Annotated[tuple[tuple[int, int], ...], arg(metavar="[LAYER N ...]")] = ()
    """Layer and n, such as 1 3: of that layer's masks, only the first n of each size."""
    subset_order: Literal["ascending", "published"] = "ascending"
    """In which order masks are the first: by ascending rows, or that of the paper's code."""
    first_phase_max_nonzeros: Count = None
    """Leave out larger networks in the first phase (weights and biases)."""
    symmetry: Literal["layer", "network"] = "layer"
    """Count networks as equal by each layer's row order, or by any renumbering of hidden units."""
    inputs: Literal["all", "any"] | None = None
    """Whether networks use all inputs or any of them; with --data any, on the spiral all."""
    initial: File = None
    """A network saved by prunelimits: every training starts from it."""
    regression: Flag = False
    """With --data: labels are numbers to predict, not classes. Networks are trained by squared
    error and measured by R2, the share of the numbers' variance that they explain."""
    held_out: float = 0.0
    """Share of the data on which accuracy is measured and nothing is trained."""
    test: float = 0.0
    """Share of the data set aside first: on it the network that was found is measured."""
    margin: float = 0.0
    """A sample counts only with a logit beyond so many standard deviations of the logits."""
    shard_size: int = 512
    """Trainings in one step of the progress, which is what an interruption can lose."""
    order: Literal["fewest", "shuffled"] = "fewest"
    """Smallest networks first, or a sample of all sizes first."""
    stop_at_target: Flag = False
    """Leave out networks larger than one that reaches the target."""
    first_phase_only: Flag = False
    """Only find the smallest widths."""
    minutes: Annotated[float | None, arg(metavar="MINUTES")] = None
    """Begin nothing new after this time; the same command goes on later."""
    workers: Count = None
    """Processes on this machine; by default one, or one a core without the native engine."""
    scheduler: Annotated[str | None, arg(metavar="ADDRESS")] = None
    """Address of a Dask scheduler whose workers do the training, such as tcp://host:8786."""
    part: Annotated[str | None, arg(metavar="I/N")] = None
    """Do only the I-th of N portions, in a file of its own each; prunelimits merge joins them."""
    pictures: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Draw the sparsest network, and accuracy against nonzeros, as .png and .svg files here."""
    quiet: Flag = False
    """Print lines instead of a progress bar, as is done where nobody watches."""

    def run(self) -> int:
        """Searches, and prints what was found."""
        config = self._config()
        loss = self.loss(regression=self.regression)
        (x, y, classes), test = self.set_aside(self.test, self.seed, numbers=self.regression)
        self._tell_nothing_left_out(x, y)
        initial = None if self.initial is None else load(self.initial)[0]
        quiet = self.quiet or not sys.stderr.isatty()
        with (
            open_executor(self.workers, self.scheduler) as (executor, in_flight),
            ProgressBar(quiet=quiet) as bar,
        ):
            result = combinatorial_search(
                config,
                x,
                y,
                loss=loss,
                store=self.store,
                initial=initial,
                executor=executor,
                in_flight=in_flight,
                order=self.order,
                stop_at_target=self.stop_at_target,
                first_phase_only=self.first_phase_only,
                part=parsed_part(self.part),
                time_limit=None if self.minutes is None else 60 * self.minutes,
                on_progress=bar.update,
            )
        report.print_result(result)
        if result.most_accurate is not None:
            found = report.choose(result, None)
            tell_inputs(found.model, found.masks, self.input_names())
            if test is not None:
                tell_test(found.model, found.nonzeros, test, classes, result.loss)
        if self.pictures is not None:
            report.draw(result, self.pictures, points=(x, y), classes=classes)
        report.tell_kept("Kept", self.store)
        return 0

    def _tell_nothing_left_out(self, x: Tensor, y: Tensor) -> None:
        """Says which options leave no network out, such as limits above the largest."""
        if self.subset_order != "ascending" and not self.first_per_count:
            report.say(
                f"--subset-order {self.subset_order} is for the first masks of --first-per-count: "
                "without that it leaves none out"
            )
        if x.dim() != 2:
            return
        outputs = len(y.unique())
        outputs = 1 if self.regression or outputs == 2 else outputs
        hidden = (self.width,) * self.hidden_layers
        widths = (x.shape[1], *hidden, outputs)
        for flag, most, limit in (
            ("--max-nonzeros", None if self.every_widths else self.widths, self.max_nonzeros),
            ("--first-phase-max-nonzeros", widths, self.first_phase_max_nonzeros),
        ):
            if most is None or limit is None:
                continue
            parameters = sum((d_in + 1) * d_out for d_in, d_out in pairwise(most))
            if limit > parameters:
                report.say(
                    f"Networks of widths {' '.join(map(str, most))} have at most {parameters:,} "
                    f"weights and biases: {flag} {limit:,} leaves none out"
                )

    def _config(self) -> SearchConfig:
        checked_different("--learning-rates", self.learning_rates)
        checked_different("--schedules", self.schedules)
        recipes = tuple(
            Recipe(lr=lr, schedule=schedule, epochs=self.epochs, batch_size=self.batch_size)
            for lr in self.learning_rates
            for schedule in self.schedules
        )
        return SearchConfig(
            target=self.target,
            width=self.width,
            hidden_layers=self.hidden_layers,
            widths=self.widths,
            every_widths=self.every_widths,
            recipes=recipes,
            seeds=self.seeds,
            halving=self.halving,
            seed=self.seed,
            min_nonzeros=self.min_nonzeros,
            max_nonzeros=self.max_nonzeros,
            first_per_count=self.first_per_count,
            subset_order=self.subset_order,
            first_phase_max_nonzeros=self.first_phase_max_nonzeros,
            symmetry=self.symmetry,
            inputs=self.inputs or ("all" if self.data is None else "any"),
            held_out=self.held_out,
            margin=self.margin,
            shard_size=self.shard_size,
        )
