"""Every network of at most so many nonzeros, at 99.5 %: from starts that know the spiral's levels.

    python benchmarks/exhaust_by_levels.py 25 --table docs/results/exhausted-by-levels.csv \
        --first docs/results/exhausted-networks.csv

Random starts of the networks that are known at 99.5 % do not lead there. `level_starts.py` teaches
the first layers a simpler function of the plane, then all the classes, by Levenberg-Marquardt. The
best two are measured on all points, and evolved where they are `--promising` but not at the target
yet. A row a network goes into the table, those that reached most in the table `--first` first, and
the same command goes on from there. `--keep` keeps what reaches the target. With `--attempts` each
network is tried so often, all once before any is tried again.

    python benchmarks/exhaust_by_levels.py 25 --table docs/results/exhausted-by-levels.csv \
        --again 64 --again-table docs/results/exhausted-by-levels-again.csv --networks FILES

How often the networks of the table and of files that reach `--target` are found from other starts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from command_line import at_least_one, kept_table, table_path
from damped_newton import Network, Numbers, SmoothErrors, minimise
from exhaust_networks import (
    Attempt,
    again,
    append,
    at_target,
    every_network,
    missing,
    of_file,
)
from kept_rows import read_rows
from level_starts import LevelStarts, spiral_points, trained
from torch import Tensor

import prunelimits as pl
from prunelimits.enumeration import every_widths
from prunelimits.masks import unflatten
from prunelimits.models import parameter_shapes
from prunelimits.training import evaluate, evolve

HEADER = (
    "widths", "rank", "nonzeros", "attempt", "starts", "error", "early", "trained", "evolved",
)  # fmt: skip
MORE = LevelStarts(starts=320, going_on=96, cut=32, finished=32)
# Polished on so many points, in so many steps.
_POLISHED_POINTS, _POLISHING = 4096, 40
# Evolved on every so manieth point.
_EVOLVED_ON = 8


@dataclass(frozen=True)
class Study:
    """How networks are tried.

    Attributes:
        how: Their starts.
        near: A network that reaches this gets more starts, and the best are polished: it is past
            the plateau where one edge of the spiral is missed, on which most end.
        more: These starts.
        promising: From this accuracy on a network is evolved,
        target: unless it has this.
        evolved: So many of its starts.
        keep: Folder for the networks that reach the target.
    """

    how: LevelStarts = field(default_factory=LevelStarts)
    near: float = 0.97
    more: LevelStarts = field(default_factory=lambda: MORE)
    promising: float = 0.993
    target: float = 0.995
    evolved: int = 2
    keep: Path | None = None


@dataclass(frozen=True, eq=False)
class Reached:
    """What a network reached: the smallest error of its levels, then accuracies on all points.

    Attributes:
        error: Of the levels.
        early: When all parameters had been trained; zero, as those that follow, if it was given up.
        trained: When the best starts had been finished.
        evolved: After evolution, if there was any.
        best: The network that has the last.
    """

    error: float
    early: float = 0.0
    trained: float = 0.0
    evolved: float = 0.0
    best: pl.MLPEnsemble | None = None

    def texts(self) -> list[str]:
        """The numbers as they stand in a table."""
        return [f"{n:.5f}" for n in (self.error, self.early, self.trained, self.evolved)]


def reached(
    network: Network, x: Tensor, y: Tensor, study: Study, random: np.random.Generator
) -> Reached:
    """What a network reaches from random starts."""
    result = trained(network, study.how, random)
    if not len(result.copies):
        return Reached(result.error)
    ensemble = _ensemble(network, result.copies)
    score = evaluate(ensemble, x, y).accuracy
    if score.max() >= study.near:
        copies = np.concatenate([result.copies, trained(network, study.more, random).copies])
        points = spiral_points(_POLISHED_POINTS)
        objective = SmoothErrors(points.y)
        polished, _ = minimise(network, copies, points.x, objective, _POLISHING)
        ensemble = _ensemble(network, np.concatenate([copies, polished]))
        score = evaluate(ensemble, x, y).accuracy
    best = score.topk(study.evolved).indices
    ensemble, score = ensemble[best], score[best]
    before = float(score[0])
    if study.promising <= before < study.target:
        ensemble = evolve(ensemble, x[::_EVOLVED_ON], y[::_EVOLVED_ON])
        score = evaluate(ensemble, x, y).accuracy
    first = int(score.argmax())
    return Reached(
        result.error, result.early, before, float(score[first]), ensemble[first : first + 1]
    )


def _ensemble(network: Network, copies: Numbers) -> pl.MLPEnsemble:
    shapes = parameter_shapes(network.widths)
    kept = torch.from_numpy(network.kept).expand(len(copies), -1)
    params = unflatten(torch.from_numpy(copies), shapes)
    return pl.MLPEnsemble.from_params(network.widths, params, unflatten(kept, shapes))


def keep(found: Reached, study: Study, name: str) -> None:
    """Saves a network that reaches the target, if such are kept."""
    if study.keep and found.best is not None and found.evolved >= study.target:
        study.keep.mkdir(parents=True, exist_ok=True)
        pl.save(*found.best.member(0), study.keep / f"{name}.pt")


def measured(attempt: Attempt, x: Tensor, y: Tensor, study: Study) -> list[object]:
    """The row of an attempt."""
    kept = attempt.space.take([attempt.rank])[0]
    network = Network(attempt.space.widths, kept.numpy())
    random = np.random.default_rng([*attempt.space.widths, attempt.rank, attempt.number])
    found = reached(network, x, y, study, random)
    widths, rank, number = attempt.key
    keep(found, study, f"{widths.replace(' ', '-')}-rank-{rank}-{number}")
    starts = study.how.starts * len(study.how.of(network.widths))
    return [widths, rank, int(kept.sum()), number, starts, *found.texts()]


def add_rows(table: Path, attempts: Iterable[Attempt], study: Study) -> None:
    """Measures the attempts that the table lacks, and adds their rows."""
    x, y = pl.datasets.cubist_spiral()
    for attempt in missing(table, attempts, HEADER):
        append(table, [measured(attempt, x, y, study)])


def by_promise(attempts: Iterable[Attempt], table: Path) -> list[Attempt]:
    """Those that reached most in another study's table first, and then those that it lacks."""
    reached = {(row["widths"], int(row["rank"])): float(row["evolved"]) for row in read_rows(table)}
    return sorted(attempts, key=lambda attempt: -reached.get(attempt.key[:2], 0.0))


def main() -> None:
    """Measures what the tables lack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nonzeros", type=at_least_one)
    parser.add_argument("--table", type=table_path, required=True)
    parser.add_argument("--first", type=kept_table)
    parser.add_argument("--attempts", type=at_least_one, default=1)
    parser.add_argument("--promising", type=float, default=Study.promising)
    parser.add_argument("--target", type=float, default=Study.target)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--again-table", type=table_path)
    parser.add_argument("--networks", type=Path, nargs="*", default=())
    arguments = parser.parse_args()
    study = Study(promising=arguments.promising, target=arguments.target, keep=arguments.keep)
    if arguments.again:
        known = [of_file(path) for path in arguments.networks]
        if arguments.table.exists():
            spaces = every_widths(arguments.nonzeros)
            known += at_target(arguments.table, spaces, arguments.target)
        add_rows(arguments.again_table, again(known, range(1, arguments.again + 1)), study)
        return
    networks = every_network(arguments.nonzeros)
    first: Path | None = arguments.first
    networks = by_promise(networks, first) if first else networks
    add_rows(arguments.table, again(networks, range(arguments.attempts)), study)


if __name__ == "__main__":
    main()
