"""What each method's masks are worth on small images: test accuracy after the same training.

    python benchmarks/one_shot.py digits --table one-shot-digits.csv
    python benchmarks/one_shot.py fashion --packages FOLDER --table one-shot-fashion.csv

FOLDER, which Fashion-MNIST is read from: see real_tasks.py; the first 10,000 of its images.

For every seed the images are divided anew into those to train on, 300 held out to choose the epoch
by, and a sixth to test on; an MLP starts anew. All methods have the same steps in all: those
before and during training prune a network that is trained for all epochs, those after it a dense
one that was trained for two thirds of them, and what is left is trained for the last third. A row a
network goes into the table, and the same command goes on from there; afterwards it prints means
and 95 % intervals over the seeds, and puts those of docs/results into docs/one-shot.md. `pruned` is
the test accuracy before the last third.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from command_line import at_least_one, table_path
from page_tables import markdown, refreshed
from real_tasks import FASHION
from torch import Tensor, nn
from torch.nn import functional

import prunelimits as pl
from prunelimits import datasets, pruners, scores
from prunelimits.pruners import AbstractPruner
from prunelimits.types import Masks, Params

SPARSITIES = (0.8, 0.9, 0.95, 0.98)
HELD_OUT = 300
BATCH = 64
RATE, MOMENTUM = 0.1, 0.9
# Student's t for 95 % and so many seeds less one.
STUDENT = {
    2: 12.706,
    3: 4.303,
    4: 3.182,
    5: 2.776,
    6: 2.571,
    7: 2.447,
    8: 2.365,
    9: 2.306,
    10: 2.262,
}
HEADER = ("method", "sparsity", "seed", "keep", "pruned", "epoch", "held_out", "test")


class Task(NamedTuple):
    """Images from a folder of packages, the widths of the network, and epochs in all."""

    images: Callable[[Path], tuple[Tensor, Tensor]]
    widths: tuple[int, ...]
    epochs: int


def fashion(packages: Path) -> tuple[Tensor, Tensor]:
    """The first 10,000 images of Fashion-MNIST."""
    x, y = datasets.mnist(packages / FASHION)
    return x[:10_000], y[:10_000]


TASKS = {
    "digits": Task(lambda _: datasets.digits(), (64, 64, 32, 10), 36),
    "mnist_5k": Task(lambda _: datasets.mnist_5k(), (784, 64, 32, 10), 18),
    "fashion": Task(fashion, (784, 64, 32, 10), 12),
}
BEFORE: dict[str, AbstractPruner] = {
    "Random, ERK": pruners.Random(scope="erk"),
    "SNIP": pruners.SNIP(),
    "GraSP": pruners.GraSP(),
    "SynFlow": pruners.SynFlow(),
    "IterSNIP": pruners.IterSNIP(),
    "FORCE": pruners.FORCE(),
    "PHEW": pruners.PHEW(),
    "NPB": pruners.NPB(),
    "NPB, alpha=0.5": pruners.NPB(alpha=0.5),
}
DURING: dict[str, AbstractPruner] = {
    "SET": pruners.SET(),
    "RigL": pruners.RigL(),
    "GMP": pruners.GMP(),
    "GMP, done after half": pruners.GMP(until=0.5),
    "GMP, linear, done after half": pruners.Pruner(
        score=pruners.Score(scores.magnitude),
        schedule=pruners.Gradual(rounds=199, curve=pruners.linear, end=0.5),
    ),
}
AFTER: dict[str, AbstractPruner] = {
    "Magnitude": pruners.Magnitude(),
    "Magnitude, uniform": pruners.Magnitude(scope="uniform"),
    "LAMP": pruners.LAMP(),
    "OBD": pruners.OBD(probes=8, gauss_newton=True),
    "Wanda": pruners.Wanda(),
    "Wanda, all outputs together": pruners.Wanda(per_output=False),
    "SparseGPT": pruners.SparseGPT(),
    "SparseGPT, ERK": pruners.SparseGPT(scope="erk"),
    "OBC": pruners.OBC(),
    "OBC, ERK": pruners.OBC(scope="erk"),
    "OBC, global": pruners.OBC(scope="global"),
    "CHITA": pruners.CHITA(),
    "CHITA, one matrix": pruners.CHITA(renew=False),
}
METHODS = BEFORE | DURING | AFTER
DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "one-shot.md"
KEPT = {name: DOCS / "results" / f"one-shot-{name}.csv" for name in ("digits", "fashion")}
# When the masks of a method are final, as a share of the training.
FINAL = dict.fromkeys(DURING, 0.5) | {"SET": 0.98, "RigL": 0.75, "GMP": 0.995}


class Split(NamedTuple):
    """The images of a seed, each part with its labels."""

    train: tuple[Tensor, Tensor]
    held_out: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


class Measured(NamedTuple):
    """A network at the epoch that the images held out choose."""

    epoch: int
    held_out: float
    test: float


def split_of(images: tuple[Tensor, Tensor], seed: int) -> Split:
    """The images of a seed, in an order of its own."""
    x, y = images
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    x, y = x.flatten(1)[order], y[order]
    test = len(x) // 6
    ends = (test, test + HELD_OUT)
    return Split(
        (x[ends[1] :], y[ends[1] :]),
        (x[ends[0] : ends[1]], y[ends[0] : ends[1]]),
        (x[: ends[0]], y[: ends[0]]),
    )


@torch.no_grad()
def accuracy(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """The share of images that are told right."""
    return float((model(data[0]).argmax(1) == data[1]).double().mean())


def train(
    model: nn.Module,
    split: Split,
    epochs: int,
    seed: int,
    method: str | Masks | None = None,
    sparsity: float | None = None,
) -> Measured:
    """Trains in place; the best epoch by the images held out, the earliest of equals."""
    x, y = split.train
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    steps = epochs * math.ceil(len(x) / BATCH)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    session = None
    if isinstance(method, str):
        now = method in BEFORE
        session = pl.attach(
            METHODS[method], model, optimizer, sparsity=sparsity, steps=None if now else steps,
            loss=functional.cross_entropy if now else None, batches=[(x, y)] if now else [],
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
    elif method is not None:
        session = pl.attach(method, model, optimizer)
    best = Measured(0, -1.0, -1.0)
    for epoch in range(1, epochs + 1):
        for part in torch.randperm(len(x), generator=generator).split(BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[part]), y[part]).backward()
            session.step() if session else optimizer.step()
            rates.step()
        done = not isinstance(method, str) or epoch > FINAL.get(method, 0) * epochs
        held_out = accuracy(model, split.held_out)
        if (done or epoch == epochs) and held_out > best.held_out:
            best = Measured(epoch, held_out, accuracy(model, split.test))
    return best


def fresh(task: Task, seed: int) -> nn.Module:
    """The network that a seed starts from."""
    torch.manual_seed(seed)
    return pl.MLP(task.widths)


def after_training(
    dense: nn.Module, task: Task, split: Split, seed: int, pruner: AbstractPruner, sparsity: float
) -> tuple[float, Measured]:
    """A trained network pruned and trained on."""
    batches = [split.train]
    arguments = {"sparsity": sparsity, "loss": functional.cross_entropy, "batches": batches}
    params: Params = {name: value.detach() for name, value in dense.named_parameters()}
    if isinstance(pruner, pruners.OBC | pruners.SparseGPT | pruners.CHITA):
        masks, params = pruners.prune_with_weights(dense, pruner, **arguments)
    else:
        masks = pl.prune(dense, pruner, **arguments)
    model = fresh(task, seed)
    model.load_state_dict(params)
    pl.masks.make_permanent(model, masks)
    pruned = accuracy(model, split.test)
    return pruned, train(model, split, task.epochs - 2 * task.epochs // 3, seed + 1, masks)


def rows(
    task: Task, images: tuple[Tensor, Tensor], seed: int, done: set[tuple[str, float, int]]
) -> Iterator[tuple[object, ...]]:
    """The rows of a seed that are not there yet."""
    split = split_of(images, seed)
    dense = fresh(task, seed)
    whole = train(dense, split, 2 * task.epochs // 3, seed)
    if ("dense", 0.0, seed) not in done:
        everything = sum(p.numel() for p in dense.parameters() if p.dim() > 1)
        full = train(fresh(task, seed), split, task.epochs, seed)
        yield ("dense", 0.0, seed, everything, whole.test, *full)
    for name, pruner in METHODS.items():
        for sparsity in SPARSITIES:
            if (name, sparsity, seed) in done:
                continue
            keep = round((1 - sparsity) * sum(p.numel() for p in dense.parameters() if p.dim() > 1))
            pruned = math.nan
            if name in AFTER:
                pruned, found = after_training(dense, task, split, seed, pruner, sparsity)
            else:
                found = train(fresh(task, seed), split, task.epochs, seed, name, sparsity)
            yield (name, sparsity, seed, keep, pruned, *found)


def summary(path: Path) -> str:
    """Means with intervals over the seeds; in brackets what was right before the last training."""
    tests: dict[tuple[str, float], list[float]] = defaultdict(list)
    pruned: dict[tuple[str, float], list[float]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            key = (row["method"], float(row["sparsity"]))
            tests[key].append(float(row["test"]))
            pruned[key].append(float(row["pruned"]))
    rows: list[list[str]] = []
    for name in ("dense", *METHODS):
        cells: list[str] = []
        for sparsity in SPARSITIES if name != "dense" else (0.0,):
            values = tests.get((name, sparsity), [])
            if len(values) < 2:
                cells.append("")
                continue
            half = STUDENT[len(values)] * statistics.stdev(values) / len(values) ** 0.5
            cell = f"{100 * statistics.mean(values):.1f} ± {100 * half:.1f}"
            before = statistics.mean(pruned[name, sparsity])
            told = not math.isnan(before) and name != "dense"
            cells.append(f"{cell} ({100 * before:.0f})" if told else cell)
        seeds = max((len(tests[name, s]) for s in (0.0, *SPARSITIES)), default=0)
        rows.append([name, str(seeds), *cells, *[""] * (len(SPARSITIES) - len(cells))])
    return markdown(("method", "seeds", *(f"{s:.0%}" for s in SPARSITIES)), rows)


def tables() -> dict[str, Callable[[], str]]:
    """Every table of the page by name."""
    return {f"one-shot-{name}": partial(summary, path) for name, path in KEPT.items()}


def main() -> None:
    """Runs what the command line asks for, or goes on with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=list(TASKS))
    parser.add_argument("--table", type=table_path, required=True)
    parser.add_argument("--seeds", type=at_least_one, default=10)
    parser.add_argument("--packages", type=Path, default=Path("packages"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # layers that a method leaves empty
    done: set[tuple[str, float, int]] = set()
    if arguments.table.exists():
        with arguments.table.open(newline="") as file:
            for row in csv.DictReader(file):
                done.add((row["method"], float(row["sparsity"]), int(row["seed"])))
    with arguments.table.open("a", newline="") as file:
        writer = csv.writer(file)
        if not done:
            writer.writerow(HEADER)
        task = TASKS[arguments.data]
        images = task.images(arguments.packages)
        for seed in range(arguments.seeds):
            for row in rows(task, images, seed, done):
                writer.writerow(
                    [f"{value:.4f}" if isinstance(value, float) else value for value in row]
                )
                file.flush()
    print(summary(arguments.table))
    PAGE.write_text(refreshed(PAGE.read_text(), tables()))


if __name__ == "__main__":
    main()
