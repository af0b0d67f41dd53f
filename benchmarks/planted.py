"""Planted truths: do pruners find a sparse network that is known to be there?

    python benchmarks/planted.py docs/results/planted.csv

For each of Plant 'n' Seek's three tasks a network that solves it is hidden in wide ones of four
hidden layers, and every method prunes these, from the same starts, to as many weights as the hidden
one has, and to four times as many. Elimination starts from them too; regrowth, which draws its own
starts, from wide networks with nothing in them. The table keeps, for every start, how well the
pruned network does on fresh points without noise (accuracy, or the root of the mean squared error),
and which share of the hidden weights it kept. It goes on where it ends.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from command_line import table_path
from kept_rows import write_lines
from torch import Tensor

from prunelimits import MLP, MLPEnsemble, Recipe, datasets, evaluate, fit, models
from prunelimits.elimination import (
    Elimination,
    NothingFoundWarning,
    Regrowth,
    eliminate,
    regrow,
)
from prunelimits.models.kaiming import kaiming
from prunelimits.pruners import GMP, LTH, AbstractPruner, EarlyGMP, IterSNIP, RigL, SynFlow
from prunelimits.types import Masks

STARTS = 4
WIDTH = 40
POINTS = 2000
TIMES = (1, 4)
LONG, SHORT = (Recipe(epochs=n, batch_size=32, lr=0.005) for n in (100, 20))
METHODS: dict[str, AbstractPruner] = {
    "LTH": LTH(),
    "GMP": GMP(),
    "EarlyGMP": EarlyGMP(),
    "RigL": RigL(),
    "IterSNIP": IterSNIP(),
    "SynFlow": SynFlow(),
}
ELIMINATION = Elimination(
    networks=4, beam=8, tries=3, step=0.1, evolved=0, biases="outgoing", dense=SHORT,
    recovery=Recipe(epochs=5, batch_size=32, lr=0.005),
)  # fmt: skip
REGROWTH = Regrowth(
    starts=16, cycles=3, first=Recipe(epochs=20, batch_size=32),
    last=Recipe(epochs=100, batch_size=32),
)  # fmt: skip
ORDER = ("hidden", "hidden, trained", *METHODS, "Elimination", "Regrowth")


@dataclass(frozen=True)
class PlantedTask:
    """A task, and the network that solves it."""

    name: str
    points: Callable[..., tuple[Tensor, Tensor]]
    network: Callable[[], tuple[MLP, Masks]]
    noise: str

    def data(self, seed: int, **options: float) -> tuple[Tensor, Tensor]:
        """Points for training with the published noise, or without for `noise=0`."""
        return self.points(POINTS, generator=torch.Generator().manual_seed(seed), **options)

    @property
    def loss(self) -> str:
        """Classes for the circle, squared error for the others."""
        return "cross_entropy" if self.name == "circle" else "mse"


TASKS = (
    PlantedTask("ReLU", datasets.planted_relu, models.relu_network, "noise"),
    PlantedTask("helix", datasets.planted_helix, models.helix_network, "noise"),
    PlantedTask("circle", datasets.planted_circle, models.circle_network, "flipped"),
)


class Row(NamedTuple):
    """What a start came to.

    Attributes:
        task: Its name.
        method: A pruner, or the hidden network itself: as it is, or trained.
        keep: Weights that survive.
        start: Of the wide network.
        result: Accuracy for the circle, otherwise the root of the mean squared error.
        found: Share of the hidden weights that were kept.
    """

    task: str
    method: str
    keep: int
    start: int
    result: float
    found: float


def planted(task: PlantedTask) -> tuple[MLPEnsemble, Masks]:
    """The wide networks, and where the hidden one is in each: masks `(starts, *shape)`."""
    target, kept = task.network()
    hidden = len(target.widths) - 2
    widths = (target.widths[0], *[WIDTH] * hidden, target.widths[-1])
    found = [models.plant(target, kept, _wide(widths, start)) for start in range(STARTS)]
    params = {
        name: torch.stack([model.get_parameter(name).detach() for model, _ in found])
        for name in found[0][1]
    }
    masks = {name: torch.stack([masks[name] for _, masks in found]) for name in found[0][1]}
    return MLPEnsemble.from_params(widths, params), masks


def _wide(widths: tuple[int, ...], seed: int) -> MLP:
    """He's normal weights, as published: PyTorch's own get smaller from layer to layer.

    What is hidden would then need last weights of some hundreds, which no training survives.
    """
    with torch.device("meta"):
        wide = MLP(widths)
    return kaiming(wide, seed)


def run(task: PlantedTask, method: str) -> list[Row]:
    """The rows of one method."""
    wide, hidden = planted(task)
    x, y = task.data(0)
    weights = sum(int(m[0].sum()) for name, m in hidden.items() if name.endswith("weight"))
    rows: list[Row] = []
    for times in TIMES:
        keep = weights * times
        if method == "Elimination":
            pruned = eliminated(task, wide, (x, y), keep)
        elif method == "Regrowth":
            pruned = regrown(task, wide.widths, (x, y), keep)
        elif method in METHODS:
            recipe = SHORT if method == "LTH" else LONG
            result = fit(wide, x, y, recipe, loss=task.loss, pruner=METHODS[method], keep=keep)
            pruned = result.ensemble
        elif times == 1:
            pruned = wide.replace(masks=hidden)
            if method == "hidden, trained":
                pruned = fit(pruned, x, y, LONG, loss=task.loss).ensemble
        else:
            continue
        rows += _measured(task, method, keep, pruned, hidden)
    return rows


def eliminated(
    task: PlantedTask, wide: MLPEnsemble, data: tuple[Tensor, Tensor], keep: int
) -> MLPEnsemble:
    """Elimination's best of at most `keep` weights from every start, in the start's layout.

    Where all its trainings diverge, nothing: a network without weights.
    """
    best: list[tuple[MLP, Masks]] = []
    for start in range(len(wide)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NothingFoundWarning)
            result = eliminate(*data, ELIMINATION, nonzeros=keep, start=wide[start : start + 1],
                               loss=task.loss, seed=start)  # fmt: skip
        within = [n for n in result.networks if _weights(n.masks) <= keep]
        if within:
            best.append(max(within, key=lambda n: n.score).placed(wide.widths))
        else:
            none = {name: torch.zeros_like(mask) for name, mask in wide.masks.items()}
            best.append(wide.replace(masks=none).member(start))
    return _together(wide.widths, best)


def regrown(
    task: PlantedTask, widths: tuple[int, ...], data: tuple[Tensor, Tensor], keep: int
) -> MLPEnsemble:
    """What regrowth comes to from starts of its own."""
    found = [
        regrow(*data, REGROWTH, keep=keep, start=widths, loss=task.loss, seed=start)
        for start in range(STARTS)
    ]
    return _together(widths, [result.network.placed(widths) for result in found])


def _together(widths: tuple[int, ...], networks: list[tuple[MLP, Masks]]) -> MLPEnsemble:
    names = list(networks[0][1])
    return MLPEnsemble.from_params(
        widths,
        {n: torch.stack([m.get_parameter(n).detach() for m, _ in networks]) for n in names},
        {n: torch.stack([masks[n] for _, masks in networks]) for n in names},
    )


def _weights(masks: Masks) -> int:
    return sum(int(mask.sum()) for name, mask in masks.items() if name.endswith("weight"))


def _measured(
    task: PlantedTask, method: str, keep: int, pruned: MLPEnsemble, hidden: Masks
) -> list[Row]:
    measured = evaluate(pruned, *task.data(1, **{task.noise: 0.0}), loss=task.loss)
    result = measured.accuracy if task.loss != "mse" else measured.loss.sqrt()
    names = [name for name in hidden if name.endswith("weight")]
    both = sum((hidden[n] & pruned.masks[n]).flatten(1).sum(1) for n in names)
    all_hidden = sum(hidden[n].flatten(1).sum(1) for n in names)
    shares = (torch.as_tensor(both) / torch.as_tensor(all_hidden)).tolist()
    return [
        Row(task.name, method, keep, start, round(float(value), 5), round(share, 4))
        for start, (value, share) in enumerate(zip(result.tolist(), shares, strict=True))
    ]


def read_rows(path: Path) -> list[Row]:
    """The rows of a table; none where it is missing."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [
            Row(r["task"], r["method"], int(r["keep"]), int(r["start"]), float(r["result"]),
                float(r["found"]))
            for r in csv.DictReader(file)
        ]  # fmt: skip


def main() -> None:
    """Runs what the table does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=table_path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_rows(arguments.table)
    for task, method in product(TASKS, ORDER):
        if any((row.task, row.method) == (task.name, method) for row in rows):
            continue
        rows += run(task, method)
        write_lines([Row._fields, *rows], arguments.table)
        print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
