"""What is told of data, and of how a network does on those that were set aside."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from rich.table import Table
from rich.text import Text
from torch import Tensor
from torch.nn import functional

from prunelimits.cli.report import console, say
from prunelimits.connectivity import effective_masks
from prunelimits.datasets import constant_columns
from prunelimits.models import MLP
from prunelimits.training.determination import determination
from prunelimits.types import Masks
from prunelimits.viz.class_names import class_labels

# Inputs whose deviations are further apart than this are worth standardising.
_UNEVEN = 100.0
# Classes with fewer rows are told of: a row to train on, one to choose by and one to test.
_FEW_ROWS = 3
# More than that are no table to read.
_MOST_CLASSES = 20


def tell_rare_classes(y: Tensor, classes: tuple[str, ...] | None) -> None:
    """Tells of classes with so few rows that a share held out may have none of them, or all."""
    labels, counts = y.unique(return_counts=True)
    rare = [(n, c) for n, c in zip(labels.tolist(), counts.tolist(), strict=True) if c < _FEW_ROWS]
    if y.is_floating_point() or not rare or len(labels) > max(2, len(y) // 2):
        return
    names = class_labels(classes, len(labels)) if classes else None
    named = ", ".join(f"{names[n] if names else n} ({count})" for n, count in rare[:12])
    say(
        f"Classes of fewer than {_FEW_ROWS} rows: {named}{', ...' if len(rare) > 12 else ''}. Rows "
        "that are held out may be all of a class, or none"
    )


def advise(x: Tensor, *, standardised: bool, names: Sequence[str] | None = None) -> None:
    """Tells of inputs that are constant, number the rows, or are of very different sizes.

    They are told by their names, or where they have none by their numbers.
    """
    constant = constant_columns(x)
    if constant:
        say(f"Inputs that are the same in every row tell nothing: {_shown(constant, names)}")
    steps = x[1:] - x[:-1]
    counting = (steps == 1).all(0).nonzero().flatten().tolist() if len(x) > _FEW_ROWS else []
    if counting:
        told = _shown(counting, names)
        say(f"Inputs that number the rows, and may be no measurements: {told}")
    if standardised:
        return
    deviation = x.double().std(0)
    finite = deviation[deviation.isfinite() & (deviation > 0)]
    if len(finite) > 1 and float(finite.max() / finite.min()) > _UNEVEN:
        say(
            f"Inputs differ in size: their standard deviations go from {float(finite.min()):.3g} "
            f"to {float(finite.max()):.3g}. Networks train better with --standardise"
        )


def tell_absent_classes(y: Tensor, classes: int) -> None:
    """Tells that data of a trained network have not all classes that it tells apart.

    The labels of a file are numbered by those that are there, which then are perhaps others than
    those that the network was trained on.
    """
    there = len(y.unique())
    if there < classes:
        say(
            f"The data have {there} of the {classes} classes that the network tells apart: make "
            "sure that they are numbered as it was trained"
        )


def tell_test(
    model: MLP,
    nonzeros: int,
    test: tuple[Tensor, Tensor],
    classes: tuple[str, ...] | None,
    loss: str | None = None,
) -> None:
    """Prints how a network that was found does on the rows that were set aside, in each class.

    With `loss="mse"`, which share of the numbers' variance it explains.
    """
    x, y = test
    with torch.no_grad():
        logits = model(x)
    if loss == "mse":
        error = functional.mse_loss(logits.double(), y.double().reshape(len(y), -1))
        say(
            f"The network of {nonzeros} nonzeros has an R2 of {float(determination(error, y)):.2%} "
            f"on the {len(y):,} test rows, by which nothing was chosen"
        )
        return
    labels = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    right = labels == y.long()
    share = float(right.double().mean())
    apart = 2 * math.sqrt(max(share * (1 - share), 0.25 / len(y)) / len(y))
    say(
        f"The network of {nonzeros} nonzeros has {share:.2%} on the {len(y):,} test rows, by which "
        f"nothing was chosen (give or take {100 * apart:.1f} points for so many rows)"
    )
    count = max(2, logits.shape[1])
    if count > _MOST_CLASSES:
        return
    table = Table(title="Of the test rows", title_justify="left")
    table.add_column("class")
    for column in ("rows", "right"):
        table.add_column(column, justify="right")
    for label, name in enumerate(class_labels(classes, count)):
        own = right[y.long() == label]
        accuracy = f"{float(own.double().mean()):.2%}" if len(own) else "-"
        table.add_row(Text(name), f"{len(own):,}", accuracy)
    console.print(table)


def tell_inputs(model: MLP, masks: Masks, names: list[str] | None) -> None:
    """Prints which inputs a network that was found reads, by the names of their columns."""
    if names is None:
        return
    used = effective_masks(model, masks)["layers.0.weight"].any(0).tolist()
    read = [name for name, reads in zip(names, used, strict=True) if reads]
    shown = ", ".join(read[:12]) + (", ..." if len(read) > 12 else "")
    say(f"It reads {len(read)} of {len(names)} inputs: {shown or 'none'}")


def check_finite(x: Tensor, y: Tensor) -> None:
    """Raises unless there are samples, and all their numbers are finite.

    Raises:
        ValueError: Naming the first that is not.
    """
    if not len(y):
        raise ValueError("holds no samples")
    for what, values in (("inputs", x.reshape(len(x), -1)), ("labels", y.reshape(len(y), -1))):
        bad = (~torch.isfinite(values)).nonzero()
        if len(bad):
            row, column = bad[0].tolist()
            where = f"sample {row + 1}" + (f", input {column + 1}" if what == "inputs" else "")
            raise ValueError(
                f"{what} must be finite numbers within float32, got {float(values[row, column])} "
                f"in {where} ({len(bad)} such in all)"
            )


def _shown(columns: list[int], names: Sequence[str] | None) -> str:
    numbers = names or range(1, columns[-1] + 2)
    named = ", ".join(str(numbers[column]) for column in columns[:12])
    more = ", ..." if len(columns) > 12 else ""
    return f"{named}{more}" if names else f"{named}{more} (from 1)"


def tell_constant_in_training(x: Tensor, names: Sequence[str] | None = None) -> None:
    """Tells of inputs that vary, but not in the rows to train on, as `advise` names them."""
    constant = constant_columns(x) if x.dim() == 2 else []
    if constant:
        say(f"Inputs that are constant in the rows to train on: {_shown(constant, names)}")
