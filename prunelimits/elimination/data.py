"""The data of an elimination: what is trained on, and what the score is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from prunelimits.arguments import checked_sequence, checked_tensor, warn
from prunelimits.modes import differentiable
from prunelimits.randomness import derive
from prunelimits.training import Loss
from prunelimits.training.data import check_data, default_loss
from prunelimits.training.determination import target_variance
from prunelimits.training.task import check_targets

# Samples on which removals are compared before training.
_SCREENED = 4096


class MissingClassWarning(UserWarning):
    """Rows to train on, or to measure on, have none of a class that networks have an output for."""


@dataclass(frozen=True, eq=False)
class EliminationData:
    """Samples and a loss, checked: of MLPs on the CPU in float32, of modules where these are.

    Attributes:
        x: Training inputs, `(n, inputs)`, or rows of any shape that a module takes.
        y: Their labels or targets, as the loss wants them.
        measure_x: Inputs on which the score is measured: `x` itself if there are no others.
        measure_y: Their labels or targets.
        loss: The training loss.
    """

    x: Tensor
    y: Tensor
    measure_x: Tensor
    measure_y: Tensor
    loss: Loss

    @classmethod
    def of(
        cls,
        x: Tensor,
        y: Tensor,
        measure: tuple[Tensor, Tensor] | None,
        widths: tuple[int, ...],
        loss: Loss | None,
    ) -> EliminationData:
        """The data for networks of these widths.

        Warns:
            MissingClassWarning: If a class has no row.

        Raises:
            ValueError: If data do not fit the widths or the loss, or all targets of a squared
                error are the same: their coefficient of determination is not defined.
            TypeError: If data are not tensors.
        """
        loss = default_loss(widths[-1]) if loss is None else loss
        x, y = _checked(x, y, widths, loss)
        _tell_missing("y", "no network can learn it", y, widths[-1], loss)
        if loss == "mse":
            check_targets("y", y)
        if measure is None:
            return cls(x, y, x, y, loss)
        pair = checked_pair(measure)
        try:
            measure_x, measure_y = _checked(*pair, widths, loss)
        except (ValueError, TypeError) as error:
            raise type(error)(f"measure: {error}") from None
        if loss == "mse":
            check_targets("measure: y", measure_y)
        _tell_missing("measure", "the score tells nothing of it", measure_y, widths[-1], loss)
        return cls(x, y, measure_x, measure_y, loss)

    def screened(self, seed: int) -> tuple[Tensor, Tensor]:
        """The training rows on which removals are compared before training, and their labels."""
        generator = torch.Generator().manual_seed(int(derive(seed, -1)[0] >> 1))
        chosen = torch.randperm(len(self.x), generator=generator, device="cpu")[:_SCREENED]
        rows = chosen.sort().values.to(self.x.device)
        return self.x[rows], self.y[rows]

    def score(self, accuracy: Tensor, loss: Tensor) -> Tensor:
        """Accuracy on the rows to measure by, or for squared error R², by the loss on them."""
        return 1 - loss / self._variance if self.loss == "mse" else accuracy

    @cached_property
    def _variance(self) -> Tensor:
        return target_variance(self.measure_y.cpu())


def checked_pair(measure: object) -> tuple[Tensor, Tensor]:
    """`measure`, if it is two of something: whether tensors, is checked with what they hold."""
    pair = checked_sequence("measure", measure, "two tensors, inputs and labels")
    if len(pair) != 2:
        raise ValueError(f"measure must be two tensors, inputs and labels, got {len(pair)}")
    return pair[0], pair[1]


def _tell_missing(name: str, so: str, y: Tensor, outputs: int, loss: Loss) -> None:
    """Warns of classes without a row."""
    if loss == "mse":
        return
    missing = set(range(max(2, outputs))) - set(y.long().unique().tolist())
    if missing:
        named = ", ".join(map(str, sorted(missing)))
        warn(f"{name} has no row of class {named}: {so}", MissingClassWarning)


def _checked(x: Tensor, y: Tensor, widths: tuple[int, ...], loss: Loss) -> tuple[Tensor, Tensor]:
    x, y = (differentiable(checked_tensor(name, part)) for name, part in (("x", x), ("y", y)))
    return check_data(x, y, inputs=widths[0], outputs=widths[-1], loss=loss)
