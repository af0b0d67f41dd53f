"""Rows in three parts: to train on, to choose by, and to measure what was chosen."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_flag,
    checked_instance,
    checked_integer,
    checked_number,
    checked_tensor,
)

Pair = tuple[Tensor, Tensor]


class Parts(NamedTuple):
    """A data set in three parts, inputs and labels each.

    Attributes:
        train: What networks are trained on, and all that is computed from data meanwhile.
        choose: What the best of several networks, methods or settings is chosen by.
        test: What the chosen one is measured on: no number from here decides anything.
    """

    train: Pair
    choose: Pair
    test: Pair


def three_parts(
    x: Tensor,
    y: Tensor,
    *,
    choose: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    standardise: bool = False,
    by_class: bool = True,
) -> Parts:
    """A random split of the rows into three parts, each with rows of every class.

    Each class is divided by itself: of its `m` rows, `round(choose * m)` and `round(test * m)`, at
    least one, go into these parts, the others into the training. Targets that are not whole
    numbers are divided as if they were one class, as all are without `by_class`. Rows stay in
    their order.

    Args:
        x: Inputs, `(n, ...)`.
        y: Labels or targets, `(n, ...)`.
        choose: Share of the rows to choose by.
        test: Share of the rows to measure on.
        seed: Decides which rows go where.
        standardise: Whether every input gets mean 0 and standard deviation 1 on the training part,
            and is moved and scaled alike in the others. An input that is constant in the training
            part becomes 0 there.
        by_class: Whether whole numbers are classes, and not numbers to predict.

    Raises:
        ValueError: If there are no rows, a class has fewer than three, the shares leave nothing to
            train on, or there is a NaN or an infinity among what is to be standardised.
        TypeError: If an argument is of another kind.

    Examples:
        >>> x, y = torch.arange(20.0).reshape(10, 2), torch.arange(10) % 2
        >>> parts = three_parts(x, y)
        >>> [(len(inputs), labels.unique().tolist()) for inputs, labels in parts]
        [(6, [0, 1]), (2, [0, 1]), (2, [0, 1])]
    """
    x, y = checked_tensor("x", x), checked_tensor("y", y, finite=True)
    checked_flag("standardise", standardise)
    if standardise:
        _check_scalable("x", x)
    choose = checked_number("choose", choose, above=0, below=1)
    test = checked_number("test", test, above=0, below=1)
    seed = checked_integer("seed", seed, 0, 2**63 - 1)
    checked_flag("by_class", by_class)
    if x.dim() == 0 or y.dim() == 0 or len(x) != len(y):
        raise ValueError(
            "x and y must have as many rows as each other, "
            f"got shapes {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if len(y) == 0:
        raise ValueError(
            f"x and y must have rows, got shapes {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if choose + test >= 1:
        raise ValueError(f"choose and test must leave rows to train on, got {choose} and {test}")
    rows = _divided(y.cpu(), choose, test, seed, by_class)
    parts = Parts(*((x[part.to(x.device)], y[part.to(y.device)]) for part in rows))
    return standardised(parts) if standardise else parts


def standardised(parts: Parts) -> Parts:
    """The parts with every input moved and scaled to mean 0 and deviation 1 on the training part.

    An input that is constant there becomes 0 there, and is not scaled.

    Raises:
        ValueError: If a part holds NaN or infinity, which would spread to a whole column, or there
            is nothing to train on.
        TypeError: If `parts` is no `Parts`.

    Examples:
        >>> rows = torch.tensor([[1.0, 5.0], [3.0, 5.0]]), torch.tensor([0, 1])
        >>> standardised(Parts(rows, rows, rows)).test[0].tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    checked_instance("parts", parts, Parts, "Parts, as three_parts makes")
    for name, pair in parts._asdict().items():
        _check_scalable(f"parts.{name}'s x", pair[0])
    if parts.train[0].numel() == 0:
        shape = tuple(parts.train[0].shape)
        raise ValueError(f"parts.train's x must hold numbers to standardise by, got shape {shape}")
    x = parts.train[0].double()
    mean, deviation = x.mean(0), x.std(0, correction=0)
    # Rounding leaves a constant column of large numbers a deviation of its own.
    constant = (x == x[0]).all(0)
    mean, deviation = x[0].where(constant, mean), deviation.masked_fill(constant, 1.0)

    def scaled(pair: Pair) -> Pair:
        dtype = pair[0].dtype if pair[0].is_floating_point() else torch.float32
        return ((pair[0].double() - mean) / deviation).to(dtype), pair[1]

    return Parts(*map(scaled, parts))


def _check_scalable(name: str, x: object) -> None:
    """Raises for a NaN or an infinity, by its place: it would make a whole column NaN."""
    values = checked_tensor(name, x)
    bad = (~values.isfinite()).nonzero()
    if len(bad):
        place = bad[0].tolist()
        raise ValueError(
            f"{name} must be finite to be standardised, got {values[tuple(place)].item()} at "
            f"{place} ({len(bad)} such in all)"
        )


def constant_columns(x: Tensor) -> list[int]:
    """The inputs that are the same in every row: they tell nothing about a label.

    Args:
        x: Inputs, `(n, inputs)`.

    Raises:
        ValueError: If `x` has no rows or another number of axes.
        TypeError: If it is no tensor.

    Examples:
        >>> constant_columns(torch.tensor([[1.0, 2.0], [1.0, 3.0]]))
        [0]
    """
    x = checked_tensor("x", x)
    if x.dim() != 2 or len(x) == 0:
        raise ValueError(f"x must have shape (n, inputs) with rows, got {tuple(x.shape)}")
    return (x == x[0]).all(0).nonzero()[:, 0].tolist()


def _divided(y: Tensor, choose: float, test: float, seed: int, by_class: bool) -> list[Tensor]:
    """The rows of each part, ascending."""
    if (
        by_class
        and y.dim() == 1
        and bool((y == y.round()).all() if y.is_floating_point() else True)
    ):
        labels, number = y.unique(return_inverse=True)
    else:
        labels, number = [None], torch.zeros(len(y), dtype=torch.long, device="cpu")
    if len(labels) > max(2, len(y) // 2):
        raise ValueError(
            f"y must be classes of at least three rows, got {len(labels)} different labels for "
            f"{len(y)} rows: by_class=False takes them for numbers to predict"
        )
    parts: list[list[Tensor]] = [[], [], []]
    generator = torch.Generator("cpu").manual_seed(seed)
    for place, label in enumerate(labels):
        rows = (number == place).nonzero()[:, 0]
        if len(rows) < 3:
            what = "y" if label is None else f"class {label.item():g}"
            raise ValueError(
                f"{what} must have at least three rows, one to train on, one to choose by and one "
                f"to test, got {len(rows)}: leave it out, or join it with another"
            )
        rows = rows[torch.randperm(len(rows), generator=generator, device="cpu")]
        # At least one row for each of the others, whatever the shares.
        first = min(max(1, round(choose * len(rows))), len(rows) - 2)
        second = min(max(1, round(test * len(rows))), len(rows) - first - 1)
        for part, chosen in zip(
            (1, 2, 0), rows.split([first, second, len(rows) - first - second]), strict=True
        ):
            parts[part].append(chosen)
    return [torch.cat(part).sort().values for part in parts]
