"""The data of a search: what is trained on, where accuracy is measured, and from where to start."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelimits.models import MLP, leading_block
from prunelimits.randomness import derive
from prunelimits.training.data import check_data, default_loss
from prunelimits.training.engine import Loss
from prunelimits.types import Params


@dataclass(frozen=True, eq=False)
class Task:
    """A classification task for MLPs, checked.

    Attributes:
        x: Training inputs, float32 `(n, inputs)`.
        y: Their labels, as `loss` wants them.
        measure_x: Inputs on which accuracy is measured.
        measure_y: Their labels.
        outputs: One for two classes, otherwise the number of classes.
        loss: Binary or multi-class cross-entropy.
        initial: The network from whose leading block every training starts, or None.
    """

    x: Tensor
    y: Tensor
    measure_x: Tensor
    measure_y: Tensor
    outputs: int
    loss: Loss
    initial: MLP | None

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
        return {n: v.detach().float().expand(models, *v.shape) for n, v in block.items()}

    def fingerprint(self) -> str:
        """SHA-256 over every number of the task, in hexadecimal."""
        digest = hashlib.sha256()
        tensors = [self.x, self.y, self.measure_x, self.measure_y]
        if self.initial is not None:
            tensors += [value.float() for value in self.initial.state_dict().values()]
        for tensor in tensors:
            digest.update(repr((tuple(tensor.shape), tensor.dtype)).encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def make_task(
    x: Tensor, y: Tensor, *, held_out: float = 0.0, seed: int = 0, initial: MLP | None = None
) -> Task:
    """The task of classifying `x` as `y`, some of it held out to measure accuracy on.

    Args:
        x: Inputs, `(n, inputs)`.
        y: Labels, `(n,)`: 0 and 1, or integers from 0 up for more classes.
        held_out: Share of the samples to hold out, rounded down but at least one; 0 measures on
            the training data.
        seed: Decides which samples are held out.
        initial: See `Task`.

    Raises:
        ValueError: If data and labels do not fit each other.
    """
    if x.dim() != 2 or y.dim() != 1:
        raise ValueError(
            f"x must have shape (n, inputs) and y (n,), got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if len(y) == 0:
        raise ValueError("x and y must hold at least one sample, got none")
    classes = int(y.max()) + 1 if bool(y.isfinite().all()) else 2
    outputs = 1 if classes <= 2 else classes
    loss = default_loss(outputs)
    if outputs > 1 and y.is_floating_point() and bool((y == y.round()).all()):
        y = y.long()
    x, y = check_data(x, y, inputs=x.shape[1], outputs=outputs, loss=loss)
    if not held_out:
        return Task(x, y, x, y, outputs, loss, initial)
    if len(x) < 2:
        raise ValueError(f"held_out needs at least 2 samples, got {len(x)}")
    generator = torch.Generator().manual_seed(int(derive(seed, -1)[0] >> 1))
    order = torch.randperm(len(x), generator=generator)
    measured = max(1, int(held_out * len(x)))
    train, test = order[measured:].sort().values, order[:measured].sort().values
    return Task(x[train], y[train], x[test], y[test], outputs, loss, initial)
