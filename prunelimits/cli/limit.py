"""`prunelimits limit`."""

from __future__ import annotations

import sys
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm
from tyro.conf import FlagCreatePairsOff, Positional, arg

from prunelimits.arguments import checked_integer, checked_number
from prunelimits.cli.data import OwnData
from prunelimits.cli.help import YOUR_DATA, Groups
from prunelimits.cli.importing import named_parts
from prunelimits.cli.limit_report import draw_limit, print_limit, write_sweep
from prunelimits.cli.limit_verdict import verdict
from prunelimits.cli.network import check_data_fit, read_network
from prunelimits.cli.report import say
from prunelimits.limits import (
    Hessian,
    LanczosState,
    PruningLimit,
    PruningSweep,
    Spectrum,
    StateKeeper,
    default_names,
    exact_spectrum,
    lanczos_cost,
    lanczos_spectrum,
    magnitude_sweep,
    pruning_limit,
)
from prunelimits.limits.choice import pruned_names
from prunelimits.masks import apply
from prunelimits.problem import problem_of
from prunelimits.resuming import digest, source_of
from prunelimits.types import Masks, Problem

Batches = list[tuple[Tensor, Tensor]]
File = Annotated[Path | None, arg(metavar="FILE")]
Parts = Annotated[tuple[str, ...], arg(metavar="PART")]

_DENSE_SIZE = 1000


@dataclass(frozen=True)
class Limit(OwnData):
    """Predict how far a trained network can be pruned, and check it by pruning.

    Without --data: on the Cubist Spiral. Ends with a verdict: which prediction to believe for this
    network, and why.

    How long: seconds up to a thousand parameters. Beyond that it tells before it begins, and
    --state keeps what is done.
    """

    groups: ClassVar[Groups] = {
        "Arguments": ("file",),
        "The network, if it is yours": ("model", "state_dict"),
        **YOUR_DATA,
        "What is measured": ("epsilon", "include", "ignore", "batch_size", "held_out", "seed"),
        "How exactly": ("probes", "steps", "double", "little_memory", "smeared"),
        "What it leaves": ("csv", "pictures", "state", "quiet"),
    }

    file: Annotated[Positional[Path | None], arg(metavar="FILE")] = None
    """A network that prunelimits saved; what its masks prune is not counted."""
    model: Annotated[str | None, arg(metavar="MODULE:FACTORY")] = None
    """Instead of FILE: a function of yours, without arguments, that makes a model. It is run."""
    state_dict: File = None
    """The model's trained weights, as torch.save wrote them; no code in the file is run."""
    held_out: float = 0.0
    """Share of the data on which pruned networks are tested and nothing else is computed."""
    batch_size: int = 128
    """Samples in a batch: the training's, since epsilon depends on it."""
    epsilon: Annotated[float | None, arg(metavar="NUMBER")] = None
    """How much the loss may rise; by default the standard deviation of the batches' losses."""
    include: Parts = ()
    """Weights to prune beside the matrices, such as biases: names of modules or parameters,
    patterns of names, or MODULE:NAME for a class of modules or a function of name and parameter."""
    ignore: Parts = ()
    """Weights that stay whole, given in the same way."""
    probes: int = 4
    """Random probes of the Hessian's spectrum; up to 1,000 parameters it is exact instead."""
    steps: int = 100
    """Products with the Hessian for each probe."""
    little_memory: FlagCreatePairsOff[bool] = False
    """Keep three vectors instead of one a step: about as accurate for the limit."""
    double: FlagCreatePairsOff[bool] = False
    """Compute the Hessian in float64."""
    smeared: FlagCreatePairsOff[bool] = False
    """Print the prediction from the published code's smeared spectrum, too."""
    state: File = None
    """Keep the spectrum's state in this file, also when interrupted: the same command goes on."""
    seed: int = 0
    """Decides the batches, the held-out samples and the probes."""
    csv: File = None
    """Write loss and accuracy at every fraction removed to a .csv file."""
    pictures: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Draw the prediction beside practice, as .png and .svg files here."""
    quiet: FlagCreatePairsOff[bool] = False
    """No progress bar."""

    def run(self) -> int:
        """Prints the limit, and what pruning really does."""
        if self.file is None and self.model is not None and self.state_dict is None:
            raise ValueError("--state-dict is needed: the limit is that of a trained network")
        self._check()
        model, masks = read_network(self.file, self.model, self.state_dict)
        train, test = self._batches()
        labels = torch.cat([y for _, y in [*train, *(test or ())]])
        check_data_fit(model, train[0][0], labels, _loss, self.data)
        problem, params = problem_of(model, _loss, train)
        params = apply(params, masks or {})
        names = default_names(model)
        parts = named_parts("--include", self.include), named_parts("--ignore", self.ignore)
        prunable = pruned_names(model, tuple(names), *parts, called=("--include", "--ignore"))
        dtype = torch.float64 if self.double else None
        hessian = Hessian(problem, params, names, masks=masks, dtype=dtype)
        spectrum, earlier = self._spectrum(hessian, self._decides(model, masks, train))
        with warnings.catch_warnings():
            # The verdict says it.
            warnings.filterwarnings("ignore", "the gradient's norm is")
            limit = pruning_limit(
                model,
                _loss,
                train,
                epsilon=self.epsilon,
                spectrum=spectrum,
                prunable=prunable,
                masks=masks,
                dtype=dtype,
            )
        sweep = self._sweep(problem, params, limit, test, masks)
        print_limit(limit, sweep, smeared=self.smeared)
        say(verdict(limit, sweep, earlier))
        if self.csv is not None:
            write_sweep(sweep, self.csv)
        if self.pictures is not None:
            draw_limit(limit, sweep, self.pictures)
        return 0

    def _check(self) -> None:
        checked_integer("--batch-size", self.batch_size, 1)
        checked_integer("--probes", self.probes, 1)
        checked_integer("--steps", self.steps, 1)
        checked_integer("--seed", self.seed, -(2**63), 2**63 - 1)
        checked_number("--held-out", self.held_out, least=0, below=1)
        if self.epsilon is not None:
            checked_number("--epsilon", self.epsilon, above=0)

    def _batches(self) -> tuple[Batches, Batches | None]:
        x, y, _ = self.read_standardised()
        if y.is_floating_point() and not bool((y == y.round()).all()):
            raise ValueError(
                f"y must be classes, got numbers from {float(y.min()):g} to {float(y.max()):g}"
            )
        # Data may be sorted by class; batches would then differ by that, and epsilon with them.
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(self.seed))
        x, y = x[order], y[order]
        kept = len(x) - round(self.held_out * len(x))
        if kept == 0 or (self.held_out and kept == len(x)):
            told = f"--held-out must hold out a row and leave a row, of {len(x)}"
            raise ValueError(f"{told}, got {self.held_out:g}")
        parts = [
            list(zip(a.split(self.batch_size), b.split(self.batch_size), strict=True))
            for a, b in ((x[:kept], y[:kept]), (x[kept:], y[kept:]))
            if len(a)
        ]
        return parts[0], parts[1] if len(parts) > 1 else None

    def _spectrum(
        self, hessian: Hessian, decides: dict[str, object]
    ) -> tuple[Spectrum, list[Spectrum]]:
        """The spectrum, and what it was after some of the steps."""
        if hessian.size <= _DENSE_SIZE:
            if self.state is not None:
                say(f"--state is left alone: up to {_DENSE_SIZE:,} parameters take seconds")
            return exact_spectrum(hessian), []
        cost = lanczos_cost(
            hessian,
            probes=self.probes,
            steps=self.steps,
            reorthogonalize=not self.little_memory,
        )
        say(
            f"{hessian.size:,} parameters: {self.steps} steps of {self.probes} probes, about "
            f"{cost.seconds:,.0f} s and {cost.bytes / 1e9:.2g} GB"
        )
        quiet = self.quiet or not sys.stderr.isatty()
        bar: tqdm[NoReturn] = tqdm(
            total=min(self.steps, hessian.size), unit=" steps", disable=quiet, dynamic_ncols=True
        )
        with ExitStack() as stack:
            stack.enter_context(bar)
            keeper = None
            if self.state is not None:
                keeper = stack.enter_context(StateKeeper(self.state, decides, hessian.device))
            # Its coefficients alone: the vectors are valid during a step.
            seen: list[LanczosState] = []

            def note(state: LanczosState) -> None:
                own = state.diagonal.clone(), state.off_diagonal.clone()
                seen[:] = [LanczosState(*own, torch.empty(0))]

            if keeper is not None and keeper.resumed is not None:
                note(keeper.resumed)

            def on_step(state: LanczosState) -> None:
                bar.update(state.steps - bar.n)
                note(state)
                if keeper is not None:
                    keeper.note(state)

            spectrum = lanczos_spectrum(
                hessian,
                probes=self.probes,
                steps=self.steps,
                seed=self.seed,
                reorthogonalize=not self.little_memory,
                on_step=on_step,
                resume=None if keeper is None else keeper.resumed,
            )
            return spectrum, [s for state in seen for s in _after_some_steps(state, hessian.size)]

    def _decides(self, model: nn.Module, masks: Masks | None, train: Batches) -> dict[str, object]:
        """All that decides the spectrum but the number of steps, which may grow."""
        return {
            "network": digest(model.state_dict(), masks, source_of(model)),
            "data": digest(train),
            "probes": self.probes,
            "seed": self.seed,
            "little_memory": self.little_memory,
            "double": self.double,
        }

    def _sweep(
        self,
        problem: Problem,
        params: dict[str, Tensor],
        limit: PruningLimit,
        test: Batches | None,
        masks: Masks | None,
    ) -> PruningSweep:
        # Without held-out data accuracy is that of the training data, as for the spiral.
        fractions = sorted({*(step / 200 for step in range(201)), limit.predicted.removed})
        return magnitude_sweep(
            problem,
            params,
            limit.prunable,
            removed=fractions,
            test=test or problem.batches,
            masks=masks,
        )


def _loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy for one output a sample, cross-entropy for several."""
    if outputs.dim() == targets.dim() + 1 and outputs.shape[-1] == 1:
        outputs = outputs.squeeze(-1)
    if outputs.shape == targets.shape:
        return functional.binary_cross_entropy_with_logits(outputs, targets.to(outputs))
    return functional.cross_entropy(outputs, targets.long())


def _after_some_steps(state: LanczosState, size: int) -> list[Spectrum]:
    """The spectrum that three fifths and four fifths of the steps give."""
    counts = {max(1, state.steps * part // 5) for part in (3, 4)}
    states = [
        LanczosState(state.diagonal[:, :count], state.off_diagonal[:, :count], state.basis)
        for count in sorted(counts)
    ]
    quadratures = [part.quadrature() for part in states]
    return [Spectrum(nodes.cpu(), weights.cpu(), size) for nodes, weights in quadratures]
