"""A search's result as a table, as files and as pictures."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.pareto import pareto_front
from prunelimits.resuming import write_whole
from prunelimits.saving import save
from prunelimits.search import (
    FoundNetwork,
    MasksOf,
    SearchConfig,
    SearchResult,
    SizeSummary,
    make_task,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from prunelimits.models import MLP
    from prunelimits.types import Masks
    from prunelimits.viz.pages import Page

# A colon and a word is a flag or a path, never a picture.
console = Console(highlight=False, emoji=False)
errors = Console(highlight=False, emoji=False, stderr=True, soft_wrap=True)

# Sizes beyond this many are left out of a printed table unless they are on the front.
_LONG = 30
# Appendix I of https://arxiv.org/abs/2407.04075.
_PAPER_EXTENT = 2.25
# https://arxiv.org/abs/2407.04075, Section 4.2: target -> (nonzeros, accuracy) found there.
_PAPER = {0.95: (30, 0.9604), 0.995: (45, 0.9959)}


def print_result(result: SearchResult) -> None:
    """Prints what was trained at each size, the best network, and the paper's beside it."""
    for phase in result.phases:
        sizes = phase.sizes
        if len(sizes) > _LONG:
            front = {n for n, _ in pareto_front((size.nonzeros, size.accuracy) for size in sizes)}
            sizes = tuple(size for size in sizes if size.nonzeros in front)
        title = f"Phase {phase.phase.number}: {phase.phase}"
        if len(sizes) < len(phase.sizes):
            title += " (sizes that beat every smaller one)"
        done = f"{phase.trained:,} of {phase.trainings:,} trainings done"
        if not phase.networks:
            say(f"{title}: none, by min_nonzeros, max_nonzeros and first_per_count")
            continue
        console.print(_table(title, done, sizes, result.config, measure_name(result.loss)))
    console.print(_summary(result))


def measure_name(loss: str | None) -> str:
    """What a result's scores are called: R2 for numbers to predict."""
    return "R2" if loss == "mse" else "accuracy"


def _table(
    title: str, caption: str, sizes: tuple[SizeSummary, ...], config: SearchConfig, measure: str
) -> Table:
    table = Table(title=title, caption=caption, title_justify="left")
    stopped = ("stopped early",) if config.halving else ()
    target = f"at {config.target:.4g}"
    for column in ("nonzeros", "networks", "trainings", *stopped, target, f"best {measure}"):
        table.add_column(column, justify="right")
    for size in sizes:
        finished = size.stopped + size.diverged < size.trainings
        numbers = (size.networks, size.trainings, *([size.stopped] if stopped else []))
        table.add_row(
            f"{size.nonzeros}",
            *(f"{number:,}" for number in (*numbers, size.reached)),
            f"{size.accuracy:.2%}" if finished else "-",
            style="bold green" if size.accuracy >= config.target else None,
        )
    return table


def _summary(result: SearchResult) -> str:
    target = f"{100 * result.config.target:.4g} %"
    measure = measure_name(result.loss)
    lines: list[str] = []
    if (best := result.sparsest) is not None:
        lines.append(
            f"Sparsest network at {target}: [bold]{best.nonzeros} nonzeros[/bold], "
            f"{measure} {best.accuracy:.2%}, widths {'-'.join(map(str, best.model.widths))}, "
            f"learning rate {best.recipe.lr:g}, {best.recipe.schedule} schedule"
        )
    elif (best := result.most_accurate) is not None:
        lines.append(
            f"No network reached {target} yet; the most accurate has {best.nonzeros} nonzeros "
            f"and {'an R2 of ' if measure == 'R2' else ''}{best.accuracy:.2%}"
        )
    if (mark := paper_mark(result)) is not None:
        lines.append(f"The paper's search at {target}: {mark[0]} nonzeros, accuracy {mark[1]:.2%}")
    if result.config.margin:
        lines.append(
            "A sample counts only with a logit beyond "
            f"{result.config.margin:g} standard deviations of the logits"
        )
    diverged = sum(size.diverged for phase in result.phases for size in phase.sizes)
    if diverged:
        lines.append(f"{diverged:,} trainings diverged and count as not accurate")
    lines.append(f"{result.seconds:,.0f} s of training by {'; '.join(result.made_by) or 'nobody'}")
    return "\n".join(lines)


def paper_mark(result: SearchResult) -> tuple[int, float] | None:
    """Nonzeros and accuracy that the paper's search found, if this was the paper's problem."""
    if result.data != published_fingerprint():
        return None
    return _PAPER.get(result.config.target)


@cache
def published_fingerprint() -> str:
    """The fingerprint of the published data, made once."""
    return make_task(*cubist_spiral()).fingerprint()


def choose(result: SearchResult, nonzeros: int | None) -> FoundNetwork:
    """The best network of a size; by default the sparsest at the target, or the most accurate.

    Raises:
        ValueError: If there is none.
    """
    found = result.sparsest or result.most_accurate
    if nonzeros is not None:
        found = next((n for n in result.best if n.nonzeros == nonzeros), None)
    if found is None:
        sizes = ", ".join(str(n.nonzeros) for n in result.best) or "none yet"
        raise ValueError(f"nonzeros must be a size that was trained ({sizes}), got {nonzeros}")
    return found


def write_csv(result: SearchResult, path: Path) -> None:
    """Writes the tables of all phases to one CSV file."""
    columns = ("nonzeros", "networks", "trainings", "reached", "diverged", "stopped", "accuracy")
    rows: list[tuple[object, ...]] = [("phase", "widths", *columns)]
    for phase in result.phases:
        for size in phase.sizes:
            numbers = (getattr(size, column) for column in columns)
            shared = phase.phase.widths if isinstance(phase.phase, MasksOf) else ("any",)
            rows.append((phase.phase.number, "-".join(map(str, shared)), *numbers))
    write_rows(rows, path)


def write_model(model: MLP, masks: Masks, path: Path) -> None:
    """Writes a network to a file that `prunelimits.load` reads."""
    save(model, masks, path)
    say(f"Wrote {path}")


def draw(
    result: SearchResult,
    folder: Path,
    *,
    nonzeros: int | None = None,
    points: tuple[Tensor, Tensor] | None = None,
    classes: Sequence[str] | None = None,
) -> None:
    """Draws a network as the paper's Figure 1 does, and the best accuracy of every size.

    Writes `network` and `accuracy`, each as .png and .svg. The network is left out, which is told,
    where there is no plane to draw: it needs two inputs and one output.
    """
    from prunelimits.viz import accuracy_figure, network_figure

    found = choose(result, nonzeros)
    measure = measure_name(result.loss)
    figures: dict[str, Figure] = {}
    if has_plane(found.model):
        if points is None and result.data == published_fingerprint():
            points = cubist_spiral()
        title = f"{found.nonzeros} nonzeros, {measure} {found.accuracy:.2%}"
        figures["network"] = network_figure(
            found.model, found.masks, *(points or (None, None)), title=title, classes=classes,
            loss=result.loss, extent=plane_extent(points),
        )  # fmt: skip
    mark = paper_mark(result)
    figures["accuracy"] = accuracy_figure(
        [(network.nonzeros, network.accuracy) for network in result.best],
        paper=None if mark is None else {"the paper's search": mark},
        target=result.config.target,
        measure=measure,
    )
    write_pictures(figures, folder)


def plane_extent(points: tuple[Tensor, Tensor] | None) -> float:
    """Half the side of the plane to draw: the paper's, and wider where points lie beyond it.

    Examples:
        >>> import torch
        >>> plane_extent((torch.tensor([[4.0, -1.0]]), torch.tensor([1]))), plane_extent(None)
        (4.2, 2.25)
    """
    return (
        _PAPER_EXTENT if points is None else max(_PAPER_EXTENT, 1.05 * float(points[0].abs().max()))
    )


def has_plane(model: MLP) -> bool:
    """Whether a network can be drawn as squares of the plane; says so where it cannot."""
    inputs, outputs = model.widths[0], model.widths[-1]
    if (inputs, outputs) == (2, 1):
        return True
    say(
        f"No network is drawn: that needs 2 inputs and 1 output, and it has {inputs} and "
        f"{outputs}; `prunelimits view` shows networks of any widths"
    )
    return False


def write_rows(rows: Iterable[Iterable[object]], path: Path) -> None:
    """Writes rows, the first of which names the columns, to a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    write_whole(text.getvalue().encode(), path)
    say(f"Wrote {path}")


def write_pictures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Writes each figure to `folder`, by its name, as .png and .svg."""
    from prunelimits.viz import save_figure

    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        for suffix in (".png", ".svg"):
            path = (folder / name).with_suffix(suffix)
            save_figure(figure, path)
            say(f"Wrote {path}")


def write_or_open(page: Page, output: Path | None) -> None:
    """Writes a page to a file, or opens it in the browser where there is none; says which."""
    if output is not None:
        page.save(output)
        say(f"Wrote {output}")
    else:
        say(f"Opened {page.open()}")


def say(text: str) -> None:
    """Prints a line that no narrow terminal cuts, such as a path to copy."""
    console.print(text, soft_wrap=True, markup=False)


def tell_kept(what: str, store: Path) -> None:
    """Says where something is kept, and the command that shows it, as it can be typed."""
    say(f"{what} in {store}; see it again with: prunelimits show {shlex.quote(str(store))}")
