"""The sparsest in units: how few hidden units do at a target, by whole units removed or never had.

    python benchmarks/real_units.py docs/results/real-units.csv --packages FOLDER --splits 3

Compared are structured pruners (`pruners.Units`, the budget in units), phase one of the search
(every choice of hidden widths, trained from the start), and the rounds in which elimination removes
units; and beside them EarlyGMP of single weights, whose networks have the units that lie on a path.
A network counts by its hidden units; it reaches a target by the choosing rows, and is then measured
on the test rows. The Cubist Spiral has one part, as in the paper. It goes on where its table
ends; real_unit_tables.py makes the tables of docs/structured.md of it.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from command_line import at_least_one, table_path
from real_trainings import start_seed
from real_unit_places import SPIRAL, TASKS, Place, place_of
from real_unit_rows import Row, read_rows, write_rows
from torch import Tensor

from prunelimits import MLP, MLPEnsemble, evaluate, fit
from prunelimits.connectivity import coupled_units, effective_masks
from prunelimits.datasets import Parts
from prunelimits.elimination import Elimination, NothingFoundWarning, eliminate
from prunelimits.pruners import (
    GMP,
    LTH,
    SNIP,
    AbstractPruner,
    EarlyGMP,
    IterSNIP,
    SynFlow,
    Units,
)
from prunelimits.types import Masks

BELOW = (1, 5)
"""Targets on real tasks: so many points below the dense networks' median on the choosing rows."""
SPIRAL_TARGETS = (0.995, 0.95)
STRUCTURED: dict[str, Callable[[Units], AbstractPruner]] = {
    "LTH": lambda shape: LTH(shape=shape),
    "GMP": lambda shape: GMP(shape=shape),
    "EarlyGMP": lambda shape: EarlyGMP(shape=shape),
    "SNIP": lambda shape: SNIP(shape=shape),
    "IterSNIP": lambda shape: IterSNIP(shape=shape),
    "SynFlow": lambda shape: SynFlow(shape=shape),
}
WEIGHTS, ELIMINATION, PHASE_ONE = "EarlyGMP of weights", "Elimination's units", "Phase one"
# One round of weights is all that is done after the units: it ends what cannot be left out.
UNITS_ONLY = Elimination(
    networks=32, unit_share=0.1, step=0.95, beam=1, tries=1, evolved=0, slack=0.0,
    biases="outgoing",
)  # fmt: skip
MOST = 40
"""Phase one goes to so many units, if it has not reached the higher target before."""


class Measured(NamedTuple):
    """A network, by what a row says of it."""

    units: int
    weights: int
    choose: float
    test: float


def structured(place: Place, name: str) -> tuple[list[Measured], float]:
    """Networks of every budget of units, and what all trainings cost."""
    shape = Units(coupled_units(MLP(place.widths)))
    keep = [{"layers.*": units} for units in place.units] * place.starts
    return _pruned(place, STRUCTURED[name](shape), keep, len(place.units), short=name == "LTH")


def of_weights(place: Place) -> tuple[list[Measured], float]:
    """Networks pruned by single weights."""
    return _pruned(place, EarlyGMP(), list(place.weights) * place.starts, len(place.weights))


def _pruned(
    place: Place, pruner: AbstractPruner, keep: list, count: int, *, short: bool = False
) -> tuple[list[Measured], float]:  # fmt: skip
    ensemble = MLPEnsemble(place.widths, seeds=place.seeds(count))
    result = fit(
        ensemble, *place.parts.train, place.short if short else place.long, seed=place.split,
        pruner=pruner, keep=keep,
        pruner_seeds=[start_seed(place.split, n) for n in range(len(ensemble))],
    )  # fmt: skip
    return _measured(result.ensemble[~result.diverged], place.parts), _sum(result.parameter_samples)


def phase_one(place: Place) -> tuple[list[Measured], float]:
    """Every choice of widths with ever more units, until the higher target is reached."""
    target = max(targets(place)[0].values())
    depth = len(place.widths) - 2
    found: list[Measured] = []
    cost = 0.0
    for units in range(depth, MOST + 1):
        for hidden in compositions(units, depth):
            widths = (place.widths[0], *hidden, place.widths[-1])
            ensemble = MLPEnsemble(widths, seeds=place.seeds(1))
            result = fit(ensemble, *place.parts.train, place.long, seed=place.split)
            cost += _sum(result.parameter_samples)
            found += _measured(result.ensemble[~result.diverged], place.parts)
        if any(one.choose >= target for one in found):
            break
    return found, cost


def compositions(units: int, layers: int) -> Iterator[tuple[int, ...]]:
    """Every way to have so many units in so many layers, at least one in each."""
    if layers == 1:
        yield (units,)
        return
    for first in range(1, units - layers + 2):
        yield from ((first, *rest) for rest in compositions(units - first, layers - 1))


def by_elimination(place: Place) -> tuple[list[Measured], float]:
    """The networks that elimination's rounds of units leave behind, nothing else pruned."""
    wanted, _ = targets(place)
    method = UNITS_ONLY
    if place.task != SPIRAL:
        method = replace(method, dense=place.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NothingFoundWarning)
        result = eliminate(
            *place.parts.train, method, target=min(wanted.values()), start=place.widths,
            measure=place.parts.choose, seed=start_seed(place.split, 0),
        )  # fmt: skip
    found: list[Measured] = []
    for network in result.networks:
        if all(bool(mask.all()) for mask in network.masks.values()):
            params = {n: p.detach()[None] for n, p in network.model.named_parameters()}
            ensemble = MLPEnsemble.from_params(network.model.widths, params)
            found += _measured(ensemble, place.parts)
    return found, float(result.rounds[-1].work)


def targets(place: Place) -> tuple[dict[int, float], float]:
    """Accuracy to reach on the choosing rows, by its rank from the highest; what dense ones cost.

    Real tasks: points below the median of the dense networks.
    """
    if place.task == SPIRAL:
        return dict(enumerate(SPIRAL_TARGETS)), 0.0
    ensemble = MLPEnsemble(place.widths, seeds=place.seeds(1))
    result = fit(ensemble, *place.parts.train, place.long, seed=place.split)
    dense = evaluate(result.ensemble, *place.parts.choose).accuracy.tolist()
    return {n: median(dense) - b / 100 for n, b in enumerate(BELOW)}, _sum(result.parameter_samples)


def _measured(ensemble: MLPEnsemble, parts: Parts) -> list[Measured]:
    masks = effective_masks(ensemble.masks)
    choose, test = (evaluate(ensemble, *part).accuracy.tolist() for part in parts[1:])
    units, weights = hidden_units(masks), kept_weights(masks)
    return [Measured(*row) for row in zip(units, weights, choose, test, strict=True)]


def hidden_units(masks: Masks) -> list[int]:
    """How many hidden units have a weight, of stacked masks of MLPs."""
    layers = [mask for name, mask in masks.items() if name.endswith("weight")][:-1]
    return sum((mask.any(2).sum(1) for mask in layers), torch.zeros((), dtype=torch.long)).tolist()


def kept_weights(masks: Masks) -> list[int]:
    """How many weights each of stacked masks keeps."""
    layers = [mask.flatten(1).sum(1) for name, mask in masks.items() if name.endswith("weight")]
    return torch.stack(layers).sum(0).tolist()


def rows_of(
    place: Place, method: str, found: Sequence[Measured], cost: float, seconds: float
) -> list[Row]:
    """The best network of each number of units, by the choosing rows."""
    best: dict[int, Measured] = {}
    for one in found:
        before = best.get(one.units)
        if before is None or (one.choose, -one.weights) > (before.choose, -before.weights):
            best[one.units] = one
    return [
        Row(place.task, place.split, method, one.units, one.weights, round(one.choose, 6),
            round(one.test, 6), float(f"{cost:.4g}"), round(seconds, 1))
        for _, one in sorted(best.items())
    ]  # fmt: skip


def methods() -> dict[str, Callable[[Place], tuple[list[Measured], float]]]:
    """What is compared, by name."""
    return {
        **{name: partial(structured, name=name) for name in STRUCTURED},
        WEIGHTS: of_weights,
        ELIMINATION: by_elimination,
        PHASE_ONE: phase_one,
    }


def dense_rows(place: Place) -> list[Row]:
    """The targets, as rows of a method named after each; on the test rows nothing."""
    wanted, cost = targets(place)
    units = sum(place.widths[1:-1])
    return [
        Row(place.task, place.split, f"target {rank}", units, 0, round(target, 6), 0.0, cost, 0.0)
        for rank, target in wanted.items()
    ]


def study(path: Path, packages: Path, tasks: Sequence[str], splits: int) -> None:
    """Runs what the table does not hold yet."""
    rows = read_rows(path)
    for split, task in product(range(splits), tasks):
        if task == SPIRAL and split:
            continue
        done = {row.method for row in rows if (row.task, row.split) == (task, split)}
        place = place_of(task, packages, split)
        if "target 0" not in done:
            rows += dense_rows(place)
        for name, method in methods().items():
            if name not in done:
                began = time.monotonic()
                found, cost = method(place)
                added = rows_of(place, name, found, cost, time.monotonic() - began)
                rows += added
                write_rows(rows, path)
                print(task, split, name, [(r.units, round(r.choose, 3)) for r in added], flush=True)


def main() -> None:
    """Runs what the table does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=table_path)
    parser.add_argument("--packages", type=Path, default=Path())
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--splits", type=at_least_one, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    study(arguments.table, arguments.packages, arguments.tasks, arguments.splits)


def _sum(values: Tensor) -> float:
    return float(values.sum())


if __name__ == "__main__":
    main()
