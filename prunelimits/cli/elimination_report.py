"""What an elimination found, in a terminal and in files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.table import Table
from torch import Tensor
from tqdm import tqdm

from prunelimits.cli.report import (
    console,
    has_plane,
    measure_name,
    plane_extent,
    say,
    write_model,
    write_pictures,
    write_rows,
)
from prunelimits.elimination import (
    EliminatedNetwork,
    EliminationResult,
    Round,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show_elimination(
    result: EliminationResult,
    *,
    target: float | None,
    nonzeros: int | None,
    model: Path | None,
    csv_file: Path | None,
    pictures: Path | None,
    points: tuple[Tensor, Tensor] | None,
    classes: Sequence[str] | None = None,
) -> int:  # as many as the command has options
    """Prints the table of a result and writes what was asked for; the exit code.

    Args:
        result: What a store holds.
        target: Another target to judge by, or None.
        nonzeros: The size that the model and the picture take; None: the sparsest at the target.
        model: Where to write that network, or None.
        csv_file: Where to write the table, or None.
        pictures: A folder to draw in, or None.
        points: Data to show in the picture, or None.
        classes: What their classes are called; None: by their numbers.
    """
    if target is not None:
        result = dataclasses.replace(result, target=target)
    print_elimination(result)
    if csv_file is not None:
        write_elimination_csv(result, csv_file)
    if model is not None:
        found = choose_eliminated(result, nonzeros)
        write_model(found.model, found.masks, model)
    if pictures is not None:
        draw_elimination(result, pictures, nonzeros=nonzeros, points=points, classes=classes)
    return 0


class RoundBar:
    """The progress of an elimination: a bar without an end, or with `quiet` a line a round."""

    def __init__(self, *, quiet: bool) -> None:
        self._bar: tqdm[NoReturn] | None = None
        if not quiet:
            self._bar = tqdm(unit=" trainings", dynamic_ncols=True)

    def __enter__(self) -> RoundBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, round_: Round) -> None:
        """Shows a finished round."""
        smallest = "none yet" if round_.smallest is None else f"{round_.smallest} nonzeros"
        stage = f"{round_.stage}, down to {round_.nonzeros} nonzeros"
        if self._bar is None:
            say(f"{stage}: {round_.trained} trained, best {round_.score:.2%}, smallest {smallest}")
            return
        self._bar.set_description_str(stage, refresh=False)
        self._bar.set_postfix_str(f"smallest {smallest}", refresh=False)
        self._bar.update(round_.trained)


def print_elimination(result: EliminationResult) -> None:
    """Prints the networks that no smaller one equals, the sparsest, and what it took."""
    table = Table(title="Networks that no smaller one equals", title_justify="left")
    score = "score" if result.loss != "mse" else measure_name(result.loss)
    for column in ("nonzeros", "with all biases", "widths", score):
        table.add_column(column, justify="right")
    for network in result.front:
        reaches = result.target is not None and network.score >= result.target
        table.add_row(
            f"{network.nonzeros}",
            f"{network.with_biases}",
            "-".join(map(str, network.model.widths)),
            f"{network.score:.2%}",
            style="bold green" if reaches else None,
        )
    console.print(table)
    goals = [] if result.target is None else [f"at {100 * result.target:.4g} %"]
    goals += [] if result.budget is None else [f"within {result.budget} nonzeros"]
    goal = " ".join(goals)
    if (best := result.sparsest) is None:
        # The first half of the hint says the same in the words of Python.
        hint = (result.hint or "").removeprefix("no network reached ").partition("; ")
        said = hint[2] or hint[0]
        say(f"No network {goal} yet{': ' if said else ''}{said}")
    else:
        console.print(
            f"Sparsest network {goal}: [bold]{best.nonzeros} nonzeros[/bold] "
            f"({best.with_biases} with a bias for every unit), {score} {best.score:.2%}"
        )
    if result.method.margin:
        console.print(
            "A sample counts only with a logit beyond "
            f"{result.method.margin:g} standard deviations of the logits"
        )
    if not result.finished:
        console.print("Not finished: the same command goes on.")
    console.print(f"{result.epochs:,} passes of a network over the data in {result.seconds:,.0f} s")


def choose_eliminated(result: EliminationResult, nonzeros: int | None) -> EliminatedNetwork:
    """The network of a size; by default the sparsest at the goal, or the one of the best score.

    Raises:
        ValueError: If there is none.
    """
    found = result.sparsest or max(result.networks, key=lambda n: n.score, default=None)
    if nonzeros is not None:
        found = next((n for n in result.networks if n.nonzeros == nonzeros), None)
    if found is None:
        sizes = ", ".join(str(n.nonzeros) for n in result.networks) or "none yet"
        raise ValueError(f"nonzeros must be a size that was trained ({sizes}), got {nonzeros}")
    return found


def write_elimination_csv(result: EliminationResult, path: Path) -> None:
    """Writes the best network of every size to a CSV file."""
    header = ("nonzeros", "with_biases", "widths", "score")
    rows = (
        (n.nonzeros, n.with_biases, "-".join(map(str, n.model.widths)), n.score)
        for n in result.networks
    )
    write_rows([header, *rows], path)


def draw_elimination(
    result: EliminationResult,
    folder: Path,
    *,
    nonzeros: int | None = None,
    points: tuple[Tensor, Tensor] | None = None,
    classes: Sequence[str] | None = None,
) -> None:
    """Draws a network, where it has a plane to draw, and the score of every size.

    Of numbers to predict, no network is shown that is no better than their mean.
    """
    from prunelimits.viz import accuracy_figure, network_figure

    found = choose_eliminated(result, nonzeros)
    measure = measure_name(result.loss)
    figures: dict[str, Figure] = {}
    if has_plane(found.model):
        title = f"{found.nonzeros} nonzeros, {measure} {found.score:.2%}"
        figures["network"] = network_figure(
            found.model, found.masks, *(points or (None, None)), title=title, classes=classes,
            loss=result.loss, extent=plane_extent(points),
        )  # fmt: skip
    scores = [(n.nonzeros, n.score) for n in result.networks if n.score >= 0]
    if scores:
        figures["accuracy"] = accuracy_figure(scores, target=result.target, measure=measure)
    write_pictures(figures, folder)
