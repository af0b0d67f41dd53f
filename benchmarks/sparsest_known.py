"""The sparsest networks known on real tasks: a list that others can try to beat.

    python benchmarks/sparsest_known.py find --tasks digits BreastCancer --packages FOLDER
    python benchmarks/sparsest_known.py find --tasks Satellite --hidden-layers 1 --packages FOLDER
    python benchmarks/sparsest_known.py check FILE --task digits --packages FOLDER

For each task the targets are one and five points below the dense networks' median on the test rows
of the study's first split. A network counts by its weights; it has to be trained and chosen by the
other rows of that split alone (`RealTask.parts(folder, 0)`), and is measured on the test rows,
which for a list of records is a choice by them too. `find` tries regrowth to fewer and fewer
weights, keeps what it finds beside the list, and never replaces a network by a larger one; `check`
measures a saved network and says whether it belongs into the list. FOLDER: see real_tasks.py;
digits, breast cancer and MNIST need none.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from command_line import at_least_one
from kept_rows import write_lines
from page_tables import markdown
from real_choices import FITTING, NINE, by_place, chosen_at
from real_methods import LONG, UNTIL, gmp_name
from real_rows import read_rows
from real_tasks import RealTask, task_named
from torch import Tensor

import prunelimits as pl
from prunelimits import MLP
from prunelimits.datasets import Parts
from prunelimits.elimination import Regrowth, regrow
from prunelimits.types import Masks

DOCS = Path(__file__).parent.parent / "docs"
LIST, FOLDER = DOCS / "results" / "sparsest-known.csv", DOCS / "results" / "sparsest-known"
STUDY = DOCS / "results" / "real-tasks.csv"
LARGER = DOCS / "results" / "real-larger.csv"
"""The same tasks with larger budgets."""
BELOW = (1, 5)
"""Points below the dense networks."""
SHRINK = 0.85
"""What is tried next has so many times the weights of what was found."""
METHOD = Regrowth(cycles=3, finalists=4)


class Known(NamedTuple):
    """The sparsest network known at one target.

    Attributes:
        task: Its name.
        below: Points below the dense networks.
        target: Accuracy to reach on the test rows of the first split.
        weights: That the network keeps.
        nonzeros: Weights and biases.
        accuracy: On the test rows.
        choose: On the choosing rows.
        by: How it was found.
        file: The network, beside the list.
    """

    task: str
    below: int
    target: float
    weights: int
    nonzeros: int
    accuracy: float
    choose: float
    by: str
    file: str


def read_list(path: Path = LIST) -> list[Known]:
    """The list; empty where there is none."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [
            Known(r["task"], int(r["below"]), float(r["target"]), int(r["weights"]),
                  int(r["nonzeros"]), float(r["accuracy"]), float(r["choose"]), r["by"], r["file"])
            for r in csv.DictReader(file)
        ]  # fmt: skip


def write_list(known: Sequence[Known], path: Path = LIST) -> None:
    """Writes the list, by task and target."""
    write_lines([Known._fields, *sorted(known, key=lambda k: (k.task, k.below))], path)


def targets(task: str, study: Path = STUDY) -> dict[int, float]:
    """Accuracy to reach, by points below the dense networks of the study's first split."""
    dense = [
        right / row.test_rows
        for row in read_rows(study)
        if (row.task, row.split, row.method, row.times) == (task, 0, "dense", LONG)
        for right in row.test
    ]
    if not dense:
        raise ValueError(f"task must have dense networks of split 0 in {study}, got {task!r}")
    return {below: round(median(dense) - below / 100, 6) for below in BELOW}


def accuracy(model: MLP, part: tuple[Tensor, Tensor]) -> float:
    """The share of rows that a network gets right, in float64."""
    logits = model.double()(part[0].double()).detach()
    labels = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    return float((labels == part[1]).double().mean())


def entry(
    task: str, below: int, target: float, network: tuple[MLP, Masks], parts: Parts, by: str
) -> Known:
    """What the list says of a network."""
    model, masks = network
    weights = sum(int(mask.sum()) for name, mask in masks.items() if name.endswith("weight"))
    return Known(
        task, below, target, weights, pl.masks.count(masks),
        round(accuracy(model, parts.test), 6), round(accuracy(model, parts.choose), 6), by,
        f"{task}-{below}.pt",
    )  # fmt: skip


def is_better(new: Known, known: Sequence[Known]) -> bool:
    """Whether a network reaches its target and has fewer weights than the one in the list."""
    same = [k for k in known if (k.task, k.below) == (new.task, new.below)]
    return new.accuracy >= new.target and all(new.weights < k.weights for k in same)


def find(
    task: RealTask, packages: Path, tries: int, study: Path = STUDY, begin: int | None = None
) -> None:
    """Regrowth to fewer and fewer weights, while the targets are reached.

    Where no network is known it begins with a budget that the study reached, or with `begin`.
    """
    parts = task.parts(packages, 0)
    method = replace(METHOD, first=task.recipe(1), last=task.recipe(LONG))
    wanted = targets(task.name, study)
    for below, target in wanted.items():
        reached = [keep for keep, _ in budgets_reached(task.name, target, study)]
        for seed in range(tries):
            same = [k.weights for k in read_list() if (k.task, k.below) == (task.name, below)]
            unknown = begin or min(reached, default=2 * max(task.budgets))
            keep = int(SHRINK * min(same)) if same else unknown
            # Fewer have no path through all layers.
            if keep <= len(task.hidden):
                break
            result = regrow(
                *parts.train, method, keep=keep, start=task.widths(parts), measure=parts.choose,
                seed=seed,
            )  # fmt: skip
            network = result.network.model, result.network.masks
            offer(task.name, wanted, network, parts, "regrowth")


def offer(
    task: str, wanted: dict[int, float], network: tuple[MLP, Masks], parts: Parts, by: str
) -> None:
    """Keeps a network wherever it is better than what the list has."""
    for below, target in wanted.items():
        new, known = entry(task, below, target, network, parts, by), read_list()
        print(new, "reached" if new.accuracy >= target else "missed", flush=True)
        if is_better(new, known):
            FOLDER.mkdir(exist_ok=True)
            pl.save(network[0].float(), network[1], FOLDER / new.file)
            others = [k for k in known if (k.task, k.below) != (task, below)]
            write_list([*others, new])


def budgets_reached(task: str, target: float, *studies: Path) -> list[tuple[int, str]]:
    """Budgets of the studies' first split at which a method reaches a target, and the method.

    For at most the cost of 32 runs of LTH; the start is chosen by the choosing rows.
    """
    every = (row for study in studies for row in read_rows(study))
    rows = [row for row in every if (row.split, row.task) == (0, task)]
    return [
        (keep, name)
        for (_, _, keep), there in by_place(rows).items()
        for name, chosen in chosen_at(there, 32).items()
        if chosen.test >= target
    ]


def candidate(path: Path) -> tuple[MLP, Masks]:
    """A saved network, and which of its parameters count: all that are kept and not zero.

    What its masks leave out is set to zero before anything is measured. Without masks, as a dense
    network is saved, all that is not zero counts.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds no network of prunelimits, or one with NaN or infinity.
    """
    model, masks = pl.load(path)
    kept: Masks = {}
    for name, parameter in model.named_parameters():
        value = parameter.detach()
        if not bool(value.isfinite().all()):
            raise ValueError(f"{path} must be finite, but its {name} holds NaN or infinity")
        kept[name] = masks[name] & (value != 0) if name in masks else value != 0
        value.masked_fill_(~kept[name], 0.0)
    return model, kept


def check(path: Path, task: RealTask, packages: Path) -> bool:
    """Measures a saved network, prints where it stands, and returns whether it beats the list.

    Raises:
        OSError: If a file cannot be read.
        ValueError: As `candidate`, or if the network is not one of the task.
    """
    model, masks = candidate(path)
    parts = task.parts(packages, 0)
    if (model.widths[0], model.widths[-1]) != (task.widths(parts)[0], task.widths(parts)[-1]):
        raise ValueError(
            f"{path} must have {task.widths(parts)[0]} inputs and {task.widths(parts)[-1]} outputs "
            f"for {task.name}, got widths {model.widths}"
        )
    better = False
    for below, target in targets(task.name).items():
        new = entry(task.name, below, target, (model, masks), parts, str(path))
        same = [k for k in read_list() if (k.task, k.below) == (task.name, below)]
        best = f"the best known has {same[0].weights}" if same else "none is known"
        verdict = "below the target" if new.accuracy < target else (
            "NEW BEST" if is_better(new, same) else "no improvement"
        )  # fmt: skip
        print(f"{task.name}, {below} below dense ({target:.2%}): {new.weights} weights, "
              f"{new.accuracy:.2%} on the test rows; {best}: {verdict}")  # fmt: skip
        better = better or verdict == "NEW BEST"
    return better


def table(known: Sequence[Known], study: Path = STUDY) -> str:
    """The list beside the fewest weights of every method, of the budgets of the study."""
    groups = {"best of the nine": NINE, "GMP, done earlier": tuple(map(gmp_name, UNTIL))}
    rows: list[list[str]] = []
    for one in known:
        cells: list[str] = []
        reached = budgets_reached(one.task, one.target, study, LARGER)
        for methods in groups.values():
            own = [(keep, name) for keep, name in reached if name in methods]
            cells.append("{} ({})".format(*min(own)) if own else "no budget")
        rows.append(
            [one.task, f"{one.target:.2%}", *cells, f"**{one.weights}** ({one.nonzeros})",
             f"{one.accuracy:.2%}", f"`{one.file}`"]
        )  # fmt: skip
    header = ("task", "target", *groups, "sparsest known (with biases)", "its accuracy", "network")
    return markdown(header, rows)


def by_method(known: Sequence[Known], below: int, study: Path = STUDY) -> str:
    """The fewest weights of every method at so many points below the dense networks, by task."""
    listed = [one for one in known if one.below == below]
    reached = [budgets_reached(one.task, one.target, study, LARGER) for one in listed]
    methods = (*NINE, *map(gmp_name, UNTIL), "Elimination of 8, weights", FITTING)
    rows = [
        [name, *(str(min((k for k, n in some if n == name), default="-")) for some in reached)]
        for name in methods
    ]
    rows.append(["sparsest known", *(f"**{one.weights}**" for one in listed)])
    return markdown(("", *(one.task for one in listed)), rows)


def main() -> None:
    """Finds or checks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("find", "check"))
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--tasks", "--task", nargs="+", default=["digits", "BreastCancer"])
    parser.add_argument("--packages", type=Path, default=Path())
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--tries", type=at_least_one, default=4)
    parser.add_argument("--begin", type=at_least_one, default=None)
    parser.add_argument("--hidden-layers", type=at_least_one, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.what == "check" and (arguments.file is None or len(arguments.tasks) != 1):
        parser.error("check needs a file and one --task")
    try:
        tasks = [task_named(name) for name in arguments.tasks]
        if arguments.what == "check":
            check(arguments.file, tasks[0], arguments.packages)
            return
        for name, task in zip(arguments.tasks, tasks, strict=True):
            if arguments.hidden_layers is not None:
                task = replace(task.of_depth(arguments.hidden_layers), name=name)
            find(task, arguments.packages, arguments.tries, arguments.study, arguments.begin)
    except FileNotFoundError as error:
        what = "--packages names the folder of the tasks that come in packages, see real_tasks.py"
        parser.error(f"{error.filename}: no such file; {what}")
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
