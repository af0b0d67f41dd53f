"""A task for MLPs: training data, data to measure accuracy on, a start."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_choice,
    checked_instance,
    checked_integer,
    checked_number,
    checked_tensor,
    warn,
)
from prunelimits.datasets import Parts
from prunelimits.models import MLP, leading_block
from prunelimits.modes import in_plain_modes
from prunelimits.randomness import derive
from prunelimits.resuming.numbers import tensor_bytes
from prunelimits.training.data import check_data, default_loss
from prunelimits.training.engine import Loss
from prunelimits.types import Params


@dataclass(frozen=True, eq=False)
class Task:
    """Classes or numbers to predict, checked: `make_task` makes it. All tensors are on the CPU.

    Attributes:
        x: Training inputs, float32 `(n, inputs)`.
        y: Their labels, as `loss` wants them.
        measure_x: Inputs on which accuracy is measured.
        measure_y: Their labels.
        outputs: One for two classes, otherwise the number of classes; or of numbers to predict.
        loss: Binary or multi-class cross-entropy, or squared error.
        initial: The network from whose leading block every training starts, or None.
        test: Test inputs and labels, by which nothing is chosen, or None. Where they are given,
            `measure_x` and `measure_y` are the validation data.
    """

    x: Tensor
    y: Tensor
    measure_x: Tensor
    measure_y: Tensor
    outputs: int
    loss: Loss
    initial: MLP | None
    test: tuple[Tensor, Tensor] | None = None

    @property
    def inputs(self) -> int:
        """The number of input variables."""
        return self.x.shape[1]

    def initial_block(self, widths: Sequence[int], models: int) -> Params | None:
        """The part of `initial` that has these widths, the same for every one of `models`.

        Float32 `(models, *shape)` by name; None if there is no initial network.
        """
        if self.initial is None:
            return None
        block = leading_block(dict(self.initial.named_parameters()), widths)
        return {n: v.detach().cpu().float().expand(models, *v.shape) for n, v in block.items()}

    def fingerprint(self) -> str:
        """SHA-256 over every number of the task, in hexadecimal."""
        data = [self.x, self.y, self.measure_x, self.measure_y, *(self.test or ())]
        return _digest([*data, *_numbers(self.initial)])

    def initial_fingerprint(self) -> str | None:
        """SHA-256 over every number of `initial`; None if there is none."""
        return None if self.initial is None else _digest(_numbers(self.initial))


@in_plain_modes
def make_task(
    x: Tensor,
    y: Tensor,
    *,
    loss: Loss | None = None,
    held_out: float = 0.0,
    seed: int = 0,
    initial: MLP | None = None,
) -> Task:
    """The task of predicting `y` from `x`, some of it held out to measure accuracy on.

    Args:
        x: Inputs, `(n, inputs)`.
        y: Labels, `(n,)`: 0 and 1, or integers from 0 up for more classes, each of which occurs.
            With `loss="mse"` numbers, `(n,)` or `(n, outputs)`.
        loss: `"mse"` to predict numbers. None: cross-entropy, by the number of classes.
        held_out: Share of the samples to hold out, rounded down but at least one; 0 measures on
            the training data.
        seed: Decides which samples are held out.
        initial: See `Task`.

    Raises:
        TypeError: If `x` or `y` is not a tensor of real numbers, or `initial` is no `MLP`.
        ValueError: If data and labels do not fit each other, a class has no sample or none that is
            not held out, `initial` is not finite, or a number is out of its range.

    Examples:
        >>> x = torch.arange(12.0).reshape(12, 1)
        >>> task = make_task(x, torch.arange(12) % 3, held_out=0.25)
        >>> len(task.x), len(task.measure_x), task.outputs, task.loss
        (9, 3, 3, 'cross_entropy')
    """
    x, y = checked_tensor("x", x), checked_tensor("y", y)
    held_out = checked_number("held_out", held_out, least=0, below=1)
    seed = checked_integer("seed", seed)
    _check_initial(initial)
    numbers = loss == "mse"
    if x.dim() != 2 or y.dim() not in ((1, 2) if numbers else (1,)) or len(x) != len(y):
        raise ValueError(
            f"x must have shape (n, inputs) and y (n,){' or (n, outputs)' * numbers}, got "
            f"{tuple(x.shape)} and {tuple(y.shape)}"
        )
    if x.numel() == 0:
        raise ValueError(
            f"x must hold at least one sample of at least one input, got shape {tuple(x.shape)}"
        )
    outputs, loss = _outputs(y, loss)
    y = y if numbers else y.long()
    x, y = check_data(x, y, inputs=x.shape[1], outputs=outputs, loss=loss)
    if numbers:
        check_targets("y", y)
    if not held_out:
        return Task(x, y, x, y, outputs, loss, initial)
    if len(x) < 2:
        raise ValueError(f"held_out needs at least 2 samples, got {len(x)}")
    generator = torch.Generator("cpu").manual_seed(int(derive(seed, -1)[0] >> 1))
    order = torch.randperm(len(x), generator=generator, device="cpu")
    measured = max(1, int(held_out * len(x)))
    train, test = order[measured:].sort().values, order[:measured].sort().values
    if numbers:
        for name, rows in (("y", y[train]), ("y held out", y[test])):
            check_targets(name, rows)
    else:
        _check_every_class(y, train, held_out, seed)
        absent = sorted(set(y.unique().tolist()) - set(y[test].unique().tolist()))
        if absent:
            named = ", ".join(f"{label:g}" for label in absent)
            several = len(absent) > 1
            warn(
                f"held_out holds out {measured} of {len(x)} samples, none of class"
                f"{'es' * several} {named}: the accuracy tells nothing of "
                f"{'them' if several else 'it'}"
            )
    return Task(x[train], y[train], x[test], y[test], outputs, loss, initial)


def _outputs(y: Tensor, loss: object) -> tuple[int, Loss]:
    """How many outputs networks have, and their loss.

    Raises:
        ValueError: If the loss is none, or another one than the labels ask for.
    """
    if loss is not None:
        checked_choice("loss", loss, get_args(Loss))
    if loss == "mse":
        return 1 if y.dim() == 1 else y.shape[1], "mse"
    classes = checked_classes(y)
    outputs = 1 if classes == 2 else classes
    if loss not in (None, default_loss(outputs)):
        raise ValueError(
            f"loss must be {default_loss(outputs)!r} for {classes} classes, or 'mse' for numbers, "
            f"got {loss!r}"
        )
    return outputs, default_loss(outputs)


def check_targets(name: str, y: Tensor) -> None:
    """Raises if numbers to predict are all the same: no error tells a network from their mean."""
    if bool((y == y[0]).all()):
        raise ValueError(
            f"{name} must vary for squared error, but all {len(y)} targets are {y[0].tolist()}"
        )


def _check_every_class(y: Tensor, train: Tensor, held_out: float, seed: int) -> None:
    """Raises if a class has no row to train on: no network could ever tell it."""
    for label in y.unique().tolist():
        if not bool((y[train] == label).any()):
            rows = int((y == label).sum())
            raise ValueError(
                f"held_out must leave rows of every class to train on, but {held_out} with seed "
                f"{seed} holds out all {rows} of class {label:g}: hold out less, take another "
                "seed, or leave the class out"
            )


def _check_no_class_is_missing(y: Tensor, outputs: int) -> None:
    """Raises if a part that is measured on tells nothing of a class."""
    missing = set(range(max(2, outputs))) - set(y.long().tolist())
    if missing:
        named = ", ".join(map(str, sorted(missing)))
        raise ValueError(
            f"y must have rows of every class, but has none of class {named}: datasets.three_parts "
            "divides every class by itself"
        )


@in_plain_modes
def task_in_parts(parts: Parts, *, loss: Loss | None = None, initial: MLP | None = None) -> Task:
    """The task of three parts of a data set: training, validation (`choose`) and test data.

    Args:
        parts: Such as `datasets.three_parts` makes; the training part has every class.
        loss: See `make_task`.
        initial: See `Task`.

    Raises:
        TypeError: If something in `parts` is no tensor of real numbers, or `initial` no `MLP`.
        ValueError: If data and labels do not fit each other or the training part, or a part has no
            row of a class; the message names the part.

    Examples:
        >>> from prunelimits.datasets import three_parts
        >>> x = torch.arange(30.0).reshape(30, 1)
        >>> task = task_in_parts(three_parts(x, torch.arange(30) % 3))
        >>> [len(part) for part in (task.x, task.measure_x, task.test[0])], task.outputs
        ([18, 6, 6], 3)
    """
    checked_instance("parts", parts, Parts, "Parts, as datasets.three_parts makes")
    task = make_task(*parts.train, loss=loss, initial=initial)
    checked: list[tuple[Tensor, Tensor]] = []
    for name, (x, y) in (("choose", parts.choose), ("test", parts.test)):
        try:
            labels = checked_tensor("y", y, finite=True)
            numbers = task.loss == "mse"
            if not numbers and not bool((labels == labels.long()).all()):
                raise ValueError(f"y must be whole labels, got {labels.dtype} with fractions")
            labels = labels if numbers else labels.long()
            pair = check_data(x, labels, inputs=task.inputs, outputs=task.outputs, loss=task.loss)
            if numbers:
                check_targets("y", pair[1])
            else:
                _check_no_class_is_missing(pair[1], task.outputs)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from error
        checked.append(pair)
    (measure_x, measure_y), test = checked
    return dataclasses.replace(task, measure_x=measure_x, measure_y=measure_y, test=test)


def _check_initial(initial: object) -> None:
    if initial is None:
        return
    network = checked_instance("initial", initial, MLP, "an MLP or None")
    for name, value in network.named_parameters():
        checked_tensor(f"initial's {name}", value, finite=True)


def checked_classes(y: Tensor) -> int:
    """How many classes the labels have, if these are 0, 1 and so on without a gap.

    A stray label would otherwise ask for as many outputs as its value says.

    Raises:
        ValueError: If not, or if there is only one class.
    """
    labels = checked_tensor("y", y if y.is_floating_point() else y.long(), finite=True).unique()
    smallest, largest = labels[0].item(), labels[-1].item()
    if smallest < 0 or not bool((labels == labels.round()).all()):
        raise ValueError(
            "y must be labels 0 and 1, or integers from 0 up for more classes, "
            f"got {labels.dtype} from {smallest:g} to {largest:g}"
        )
    if len(labels) == 1:
        raise ValueError(f"y must hold at least two classes, got only label {smallest:g}")
    if largest != len(labels) - 1:
        gap = next(n for n, label in enumerate(labels.tolist()) if n != label)
        raise ValueError(
            f"y must hold every label from 0 to {largest:.12g}, but none of {len(y)} samples has "
            f"label {gap}: number the classes from 0 without gaps, as "
            "torch.unique(y, return_inverse=True)[1] does"
        )
    return len(labels)


def _numbers(initial: MLP | None) -> list[Tensor]:
    return [] if initial is None else [value.float() for value in initial.state_dict().values()]


def _digest(tensors: Iterable[Tensor]) -> str:
    """SHA-256 of tensors. Stores name their data by it: `resuming.digest` cannot replace it."""
    result = hashlib.sha256()
    for tensor in tensors:
        result.update(repr((tuple(tensor.shape), tensor.dtype)).encode())
        result.update(tensor_bytes(tensor))
    return result.hexdigest()
