"""What `prunelimits limit` prints, writes and draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from prunelimits.cli.report import console, say, write_pictures, write_rows
from prunelimits.limits import (
    Prediction,
    PruningLimit,
    PruningSweep,
    published_removed,
    smeared_spectrum,
)


def print_limit(limit: PruningLimit, sweep: PruningSweep, *, smeared: bool) -> None:
    """What every formula says, and what pruning did.

    Args:
        limit: A network's limit.
        sweep: What pruning did to it.
        smeared: Whether to print the prediction from the published code's smeared spectrum.
    """
    table = Table(title="What magnitude pruning can remove at once", title_justify="left")
    for column in ("", "removed", "remaining"):
        table.add_column(column, justify="right" if column else "left")

    def row(label: str, removed: float, style: str | None = None) -> None:
        table.add_row(label, f"{removed:.2%}", f"{1 - removed:.2%}", style=style)

    predictions: Sequence[tuple[str, Prediction]] = (
        ("predicted, published formula", limit.predicted),
        ("predicted, exact dimension", limit.exact),
        ("predicted, quadratic model at the pruned point", limit.constructive),
    )
    for label, prediction in predictions:
        bold = "bold green" if prediction is limit.predicted else None
        row(label, prediction.removed, bold)
    row("predicted, published code's steps", limit.published_removed)
    if smeared:
        spectrum = smeared_spectrum(limit.spectrum)
        removed = published_removed(spectrum, limit.magnitudes, limit.epsilon)
        row("predicted, published code's steps and smeared spectrum", removed)
    table.add_section()
    row("actual, training loss within epsilon", sweep.removed_within(limit.epsilon))
    if not bool(sweep.train.accuracy.isnan().any()):
        row("actual, accuracy above dense (published)", sweep.removed_above_dense())
        row("actual, accuracy down by at most 1 point", sweep.removed_before_loss_of(0.01))
    console.print(table)
    trace = limit.trace
    error = "" if limit.spectrum.exact else f" ± {trace.error:.2g}"
    say(
        f"{limit.weights:,} weights of {limit.parameters:,} parameters; loss {limit.loss:.4g}, "
        f"epsilon {limit.epsilon:.4g}, gradient {limit.gradient_norm:.2g}, "
        f"trace of the Hessian {trace.value:.4g}{error}"
    )


def write_sweep(sweep: PruningSweep, path: Path) -> None:
    """Loss and accuracy at every fraction removed, as a .csv file."""
    header = ("removed_weights", "removed", "loss", "accuracy", "test_loss", "test_accuracy")
    test = sweep.test or sweep.train
    columns = (sweep.removed_weights, sweep.removed, sweep.train.loss, sweep.train.accuracy)
    rows = zip(*(c.tolist() for c in (*columns, test.loss, test.accuracy)), strict=True)
    write_rows([header, *rows], path)


def draw_limit(limit: PruningLimit, sweep: PruningSweep, folder: Path) -> None:
    """The prediction beside practice, as .png and .svg files."""
    from prunelimits.viz import limit_figure

    write_pictures({"limit": limit_figure(limit, sweep)}, folder)
