"""Two convolutional networks at equal cost: images of digits and of clothes, the catalogue's nine.

    python benchmarks/real_convolutions.py docs/results/real-convolutions.csv --packages FOLDER

As real_study.py, through torch modules: two convolutions and a linear layer, pruned by `attach` and
`lottery_ticket` to so many weights. LTH trains five times, every other method once for as long as
these five. Beside the nine, GMP that is done early, and the same in two halves: first channels, to
so many times the weights as are wanted, then single weights of the smaller network (`compact`). The
table keeps, a row a budget, what every start came to, and real_tables.py makes the tables of it.
Regrowth is one run a budget, of several starts; `--starts` gives methods as many as it costs. It
goes on where the table ends.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import torch
from command_line import at_least_one, table_path
from real_rows import Row, append, read_rows
from real_tasks import FASHION
from real_trainings import start_seed
from torch import Tensor, nn
from torch.nn import functional

import prunelimits as pl
from prunelimits import datasets
from prunelimits.connectivity import compact, coupled_units, effective_masks
from prunelimits.datasets import Parts, three_parts
from prunelimits.elimination import Regrowth, regrow
from prunelimits.experiments import PAPER_METHODS
from prunelimits.pruners import LTH, AbstractPruner, EarlyGMP, ProsPr, Units
from prunelimits.training import Recipe
from prunelimits.types import Masks

LONG = 5
LR, MOMENTUM, DECAY = 0.05, 0.9, 5e-4
EARLY, CHANNELS, REGROWTH = "EarlyGMP", "EarlyGMP, channels first", "Regrowth"
METHOD = Regrowth(starts=8, head=1.75, beam=4, tries=2, cycles=3, finalists=2)
RECOVERY, RECOVERY_LR = 5, 0.02
"""Of regrowth, for under ten runs of LTH; its recoveries' epochs. Chosen at 50 weights of digits'
first split, by the rows to choose by: they were 82 % with these and 80 % with twice as long ones, a
head of 2, two cycles and four finalists, at over twice the cost."""
ROOM = 4
"""Channels are cut to so many times the weights that are wanted."""


@dataclass(frozen=True)
class Images:
    """A task.

    Attributes:
        name: As in the tables.
        read: Inputs `(n, pixels)` and labels, from the folder of unpacked packages.
        size: Pixels a side.
        epochs: Passes of a short training.
        batch_size: Images in a step.
        budgets: Numbers of weights to keep.
        starts: Of every method.
    """

    name: str
    read: Callable[[Path], tuple[Tensor, Tensor]]
    size: int
    epochs: int
    batch_size: int
    budgets: tuple[int, ...]
    starts: int

    def parts(self, packages: Path, split: int) -> Parts:
        """60 % of the images to train on, 20 % to choose by, 20 % to test."""
        x, y = self.read(packages)
        parts = three_parts(x.flatten(1), y, seed=split, standardise=True)
        return Parts(*((x.reshape(-1, 1, self.size, self.size), y) for x, y in parts))

    def network(self, seed: int) -> nn.Module:
        """Two convolutions, the image at a quarter of its size, and a linear layer."""
        stride = self.size // 8
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return nn.Sequential(
                *(nn.Conv2d(1, 8, 3, padding=1, stride=stride), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Flatten(), nn.Linear(64, 10)),
            )


def _fashion(packages: Path) -> tuple[Tensor, Tensor]:
    x, y = datasets.mnist(packages / FASHION)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:2000]
    return x[order], y[order]


TASKS = (
    Images("digits", lambda _: datasets.digits(), 8, 6, 32, (50, 100, 200), 2),
    Images("FashionMNIST", _fashion, 28, 6, 64, (50, 100, 200), 2),
)


class Trainer:
    """Trains networks of a split, and counts kept parameters times samples.

    Args:
        task: The task.
        parts: The split.
        seed: Decides the order of the images.
    """

    def __init__(self, task: Images, parts: Parts, seed: int) -> None:
        self.task, self.parts, self.seed = task, parts, seed
        self.cost = 0

    def steps(self, epochs: int) -> int:
        """Of a training."""
        return epochs * (len(self.parts.train[0]) // self.task.batch_size)

    def train(
        self, model: nn.Module, epochs: int, pruner: AbstractPruner | Masks | None, **asked: object
    ) -> Masks:
        """Trains a network in place while it is pruned, or held to masks; what it then keeps."""
        optimizer = torch.optim.SGD(model.parameters(), LR, MOMENTUM, weight_decay=DECAY)
        steps, size = self.steps(epochs), self.task.batch_size
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        session = None
        if isinstance(pruner, AbstractPruner):
            during = {"steps": steps} if pruner.acts_in_training else {}
            session = pl.attach(pruner, model, optimizer, **during, **asked)  # pyright: ignore[reportArgumentType]
        elif pruner is not None:
            session = pl.attach(pruner, model, optimizer)
        x, y = self.parts.train
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(epochs):
            for batch in torch.randperm(len(x), generator=generator).split(size)[: len(x) // size]:
                optimizer.zero_grad()
                functional.cross_entropy(model(x[batch]), y[batch]).backward()
                optimizer.step() if session is None else session.step()
                schedule.step()
                self.cost += size * kept(model, {} if session is None else session.masks)
        return {} if session is None else session.masks


def kept(model: nn.Module, masks: Masks) -> int:
    """Parameters of a network that masks keep, biases included."""
    return sum(
        int(masks[name].sum()) if name in masks else parameter.numel()
        for name, parameter in model.named_parameters()
    )


Pruned = tuple[nn.Module, Masks]


def lottery(trainer: Trainer, start: nn.Module, keep: int) -> Pruned:
    """Four trainings to find the ticket, and its own."""
    epochs = trainer.task.epochs
    masks = pl.lottery_ticket(start, lambda m, masks: trainer.train(m, epochs, masks), keep=keep)
    pl.masks.make_permanent(start, masks)
    trainer.train(start, epochs, masks)
    return start, masks


def once(trainer: Trainer, start: nn.Module, keep: int, pruner: AbstractPruner) -> Pruned:
    """One long training, pruned before it or meanwhile."""
    x, y = trainer.parts.train
    size = trainer.task.batch_size
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(trainer.seed))
    batches = [(x[rows], y[rows]) for rows in order.split(size)[: pruner.batches]]
    if isinstance(pruner, ProsPr):
        pruner = dataclasses.replace(pruner, lr=LR, momentum=MOMENTUM)
    epochs, task = LONG * trainer.task.epochs, {"batches": batches}
    if pruner.needs_data:
        task["loss"] = functional.cross_entropy
    if pruner.acts_in_training:
        task = task if pruner.needs_data else {}
        return start, trainer.train(start, epochs, pruner, keep=keep, **task)
    masks = pl.prune(start, pruner, keep=keep, generator=_generator(trainer.seed), **task)
    pl.masks.make_permanent(start, masks)
    return start, trainer.train(start, epochs, masks)


def channels_first(trainer: Trainer, start: nn.Module, keep: int) -> Pruned:
    """Half of the training cuts channels, the other half weights of the smaller network."""
    example = trainer.parts.train[0][:1]
    shape = Units(coupled_units(start, inputs=example))
    epochs = LONG * trainer.task.epochs
    masks = trainer.train(start, epochs // 2, EarlyGMP(shape=shape), keep=ROOM * keep)
    small = compact(start, masks, inputs=example, keep_constants=True)
    return small, trainer.train(small, epochs - epochs // 2, EarlyGMP(), keep=keep)


def methods() -> dict[str, Callable[[Trainer, nn.Module, int], Pruned]]:
    """Every method by name."""
    found: dict[str, Callable[[Trainer, nn.Module, int], Pruned]] = {}
    for pruner in PAPER_METHODS:
        name = type(pruner).__name__
        found[name] = lottery if isinstance(pruner, LTH) else partial(once, pruner=pruner)
    return found | {EARLY: partial(once, pruner=EarlyGMP()), CHANNELS: channels_first}


def rows_of(task: Images, parts: Parts, split: int, name: str, starts: range) -> list[Row]:
    """The rows of one method on one split, from the starts of these numbers."""
    method, times = methods()[name], 1 if name == "LTH" else LONG
    rows: list[Row] = []
    for keep in task.budgets:
        began, cost = time.monotonic(), 0
        columns: list[tuple[int, ...]] = []
        for start in starts:
            model = task.network(start_seed(split, start))
            trainer = Trainer(task, parts, start_seed(split, start, keep))
            model, masks = method(trainer, model, keep)
            cost += trainer.cost
            columns.append(measured(model, masks, parts))
        sizes = zip(*columns, strict=True)
        rows.append(
            Row(task.name, split, name, times, starts.start, keep, cost / len(starts), *sizes,
                len(parts.choose[0]), len(parts.test[0]), round(time.monotonic() - began, 1))
        )  # fmt: skip
    return rows


def regrown_rows(task: Images, parts: Parts, split: int, method: Regrowth = METHOD) -> list[Row]:
    """The rows of regrowth on one split, one run a budget: its starts are a part of it."""
    recipe = Recipe(epochs=task.epochs, batch_size=task.batch_size, lr=LR)
    recovery = dataclasses.replace(recipe, epochs=RECOVERY, lr=RECOVERY_LR)
    method = dataclasses.replace(method, first=recipe, recovery=recovery)
    rows: list[Row] = []
    for keep in task.budgets:
        result = regrow(
            *parts.train, method, keep=keep,
            start=[task.network(start_seed(split, start)) for start in range(method.starts)],
            measure=parts.choose, seed=start_seed(split, keep),
        )  # fmt: skip
        columns = [measured(result.network.model, result.network.masks, parts)]
        sizes = zip(*columns, strict=True)
        rows.append(
            Row(task.name, split, REGROWTH, LONG, 0, keep, float(result.work), *sizes,
                len(parts.choose[0]), len(parts.test[0]), round(result.seconds, 1))
        )  # fmt: skip
    return rows


def dense_rows(task: Images, parts: Parts, split: int) -> list[Row]:
    """Of networks that nothing is pruned from."""
    began, columns, cost = time.monotonic(), [], 0
    for start in range(task.starts):
        model = task.network(start_seed(split, start))
        trainer = Trainer(task, parts, start_seed(split, start, 0))
        trainer.train(model, LONG * task.epochs, None)
        cost += trainer.cost
        columns.append(measured(model, {}, parts))
    weights = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    return [Row(task.name, split, "dense", LONG, 0, weights, cost / task.starts,
                *zip(*columns, strict=True), len(parts.choose[0]), len(parts.test[0]),
                round(time.monotonic() - began, 1))]  # fmt: skip


def measured(model: nn.Module, masks: Masks, parts: Parts) -> tuple[int, int, int, int]:
    """Parameters that are kept, those on a path, and the images of two parts that are right."""
    model.eval()
    whole = {n: torch.ones_like(p, dtype=torch.bool) for n, p in model.named_parameters()}
    on_path = effective_masks(model, whole | masks, inputs=parts.train[0][:1])
    with torch.no_grad():
        right = [int((model(x).argmax(1) == y).sum()) for x, y in parts[1:]]
    return kept(model, masks), sum(int(m.sum()) for m in on_path.values()), *right


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def main() -> None:
    """Trains what the table does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=table_path)
    parser.add_argument("--packages", type=Path, default=Path())
    tasks, names = [task.name for task in TASKS], ("dense", *methods(), REGROWTH)
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=tasks)
    parser.add_argument("--splits", type=at_least_one, default=2)
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    parser.add_argument("--starts", type=at_least_one, default=1, help="of a method, or the task's")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = {(row.task, row.split, row.method, row.first) for row in read_rows(arguments.table)}
    for split, task in product(range(arguments.splits), TASKS):
        chosen = [name for name in names if name in arguments.methods]
        ranges = [range(task.starts), range(task.starts, arguments.starts)]
        left = [
            (name, starts)
            for starts, name in product(filter(len, ranges), chosen)
            if (task.name, split, name, starts.start) not in done
            and (name in methods() or not starts.start)
        ]
        if task.name not in arguments.tasks or not left:
            continue
        parts = task.parts(arguments.packages, split)
        for name, starts in left:
            if name in ("dense", REGROWTH):
                rows = (dense_rows if name == "dense" else regrown_rows)(task, parts, split)
            else:
                rows = rows_of(task, parts, split, name, starts)
            append(rows, arguments.table)
            best = " ".join(f"{max(row.test) / row.test_rows:.3f}" for row in rows)
            seconds = sum(row.seconds for row in rows)
            print(f"{task.name} {split} {name}: {best} ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
