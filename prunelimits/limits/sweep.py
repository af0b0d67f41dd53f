"""One-shot magnitude pruning in practice: loss and accuracy at every number of removed weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_loss,
    checked_number,
    checked_sequence,
    checked_tensor,
)
from prunelimits.limits.checks import (
    check_params,
    check_weights,
    checked_count,
    checked_names,
    masks_of,
)
from prunelimits.limits.losses import batch_weights
from prunelimits.limits.magnitudes import magnitude_masks
from prunelimits.masks import apply, check_masks
from prunelimits.modes import in_plain_modes
from prunelimits.nested import tensors_in
from prunelimits.scores.gradient import check_batches
from prunelimits.types import Masks, Params, Problem

# Pruned copies are measured side by side while weights and activations, taken to be so many
# times the inputs, are at most so many together.
_ENTRIES_AT_ONCE = 2**24
_ACTIVATIONS = 32


@dataclass(frozen=True)
class Measured:
    """How networks do on some data.

    Attributes:
        loss: The mean loss, float64 `(networks,)`.
        accuracy: The share classified right, float64 `(networks,)`; NaN for other tasks.
    """

    loss: Tensor
    accuracy: Tensor


@dataclass(frozen=True)
class PruningSweep:
    """A trained network after removing more and more of its smallest weights, none trained again.

    Attributes:
        removed_weights: How many, ascending from 0: int64 `(networks,)`.
        weights: Of so many.
        train: On the training data.
        test: On data held out; None if there is none.
    """

    removed_weights: Tensor
    weights: int
    train: Measured
    test: Measured | None

    @property
    def removed(self) -> Tensor:
        """The fractions removed, float64 `(networks,)`."""
        return self.removed_weights.double() / self.weights

    def __repr__(self) -> str:
        return (
            f"<PruningSweep: {len(self.removed_weights):,} networks, from none to "
            f"{float(self.removed[-1]):.2%} of {self.weights:,} weights removed>"
        )

    def removed_within(self, epsilon: float) -> float:
        """The largest fraction up to which the training loss has risen by at most `epsilon`.

        Raises:
            TypeError: If `epsilon` is not a number.
            ValueError: If it is below 0.
        """
        epsilon = checked_number("epsilon", epsilon, least=0)
        rise = self.train.loss - self.train.loss[0]
        return self._last(rise <= epsilon)

    def removed_above_dense(self) -> float:
        """The published criterion: the largest fraction with a better accuracy than dense.

        Accuracy on the test data, strictly better, scanned from the sparse end; 0 if there is
        none. A network that never gets better by pruning has 0 here however far it can go.
        """
        better = self._test_accuracy() > self._test_accuracy()[0]
        return float(self.removed[better.nonzero()[-1]]) if better.any() else 0.0

    def removed_before_loss_of(self, accuracy: float = 0.001) -> float:
        """The largest fraction up to which the test accuracy has fallen by at most this much.

        Without an argument it is the published code's second number, by a tenth of a point.

        Raises:
            TypeError: If `accuracy` is not a number.
            ValueError: If it is not in [0, 1], or the sweep has no test data.
        """
        accuracy = checked_number("accuracy", accuracy, least=0, most=1)
        return self._last(self._test_accuracy() >= self._test_accuracy()[0] - accuracy)

    def _test_accuracy(self) -> Tensor:
        if self.test is None:
            raise ValueError("test is needed by this criterion: the sweep has no test data")
        return self.test.accuracy

    def _last(self, holds: Tensor) -> float:
        """The fraction before the first at which a property fails."""
        return float(self.removed[holds.long().cumprod(0).sum() - 1])


@in_plain_modes
def magnitude_sweep(
    problem: Problem,
    params: Params,
    prunable: Sequence[str],
    *,
    removed: Sequence[float] = tuple(step / 100 for step in range(100)),
    test: Sequence[tuple[Tensor, Tensor]] | None = None,
    masks: Masks | None = None,
) -> PruningSweep:
    """Prunes a trained network by magnitude to many sizes, and measures each as it is.

    Args:
        problem: The task, with the training data.
        params: Parameters and buffers by name.
        prunable: The parameters whose entries are pruned, all ranked together.
        removed: Fractions of these entries to remove, ascending in [0, 1]; 0 is put before them.
            A fraction is rounded to the nearest number of weights.
        test: Batches held out.
        masks: What is pruned already, and not counted.

    Raises:
        ValueError: If a fraction is outside [0, 1] or they do not ascend, `prunable` is empty, a
            name is no parameter, or there are no batches.
    """
    check_batches(problem)
    check_params(params)
    prunable = checked_names("prunable", prunable)
    shares = checked_sequence("removed", removed, "fractions")
    removed = [checked_number("removed", share) for share in shares]
    unknown = [name for name in prunable if name not in params]
    if unknown or not prunable:
        raise ValueError(f"prunable must be among {sorted(params)}, got {list(prunable)}")
    fractions = torch.tensor([0.0, *removed], dtype=torch.float64, device="cpu")
    if not ((fractions >= 0) & (fractions <= 1)).all() or (fractions.diff() < 0).any():
        raise ValueError(f"removed must be fractions that ascend in [0, 1], got {list(removed)}")
    weights = {name: params[name] for name in prunable}
    if masks is not None:
        check_masks(params, masks)
        masks = masks_of(weights, masks)
    check_weights(weights, masks)
    count = sum(
        int(masks[n].sum()) if masks and n in masks else w.numel() for n, w in weights.items()
    )
    numbers = (fractions * count).round().long().unique()
    train = _measure(problem, params, weights, numbers, masks)
    held_out = None
    if test is not None:
        testing = problem._replace(batches=test)
        check_batches(testing, "test")
        held_out = _measure(testing, params, weights, numbers, masks)
    return PruningSweep(numbers, count, train, held_out)


def total_variation(left: Tensor, right: Tensor, bins: int = 100) -> float:
    """The total variation distance between the distributions of two sets of weights.

    Half the sum of the differences of two histograms with the same `bins` equal bins over the
    range of both: 0 for the same distribution, 1 for disjoint ones. It grows with `bins`, by chance
    alone: with n weights in each set by about the root of `bins / n`.

    Raises:
        ValueError: If a set is empty or not finite, or `bins` is out of its range.

    Examples:
        >>> total_variation(torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([0.0, 1.0, 1.0, 1.0]))
        0.25
    """
    checked_tensor("left", left)
    checked_tensor("right", right)
    bins = checked_count("bins", bins)
    parts = [left.detach().flatten().double().cpu(), right.detach().flatten().double().cpu()]
    both = torch.cat(parts)
    if min(len(part) for part in parts) == 0 or not both.isfinite().all():
        raise ValueError("left and right must hold finite weights, at least one each")
    low, high = float(both.min()), float(both.max())
    shares = [part.histc(bins, low, high) / len(part) for part in parts]
    return float((shares[0] - shares[1]).abs().sum()) / 2


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of a batch classified right, or NaN for targets that are no labels.

    One output a sample is a logit of label 1, several are scores of integer labels.
    """
    labels = not targets.is_floating_point()
    scores = outputs.squeeze(-1) if outputs.dim() == targets.dim() + 1 else outputs
    if scores.shape == targets.shape:
        binary = (targets == 0) | (targets == 1)
        # NaN is never right.
        right = (((scores > 0) == (targets == 1)) & ~scores.isnan()).double().mean()
        return torch.where(binary.all(), right, torch.nan)
    if labels and outputs.dim() == targets.dim() + 1:
        known = ~outputs.isnan().any(-1)
        return ((outputs.argmax(-1) == targets) & known).double().mean()
    return torch.full((), torch.nan, dtype=torch.float64, device=outputs.device)


def _measure(
    problem: Problem, params: Params, weights: Params, numbers: Tensor, masks: Masks | None
) -> Measured:
    def one(removed: Tensor, x: Any, y: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        pruned = apply(weights, magnitude_masks(weights, removed, masks))
        outputs = problem.apply({**params, **pruned}, x)
        value = checked_loss("loss", problem.loss(outputs, y)).double()
        plain = isinstance(outputs, Tensor) and isinstance(y, Tensor)
        return value, accuracy(outputs, y) if plain else torch.full_like(value, torch.nan)

    shares = batch_weights(problem)
    total = torch.zeros(2, len(numbers), dtype=torch.float64, device="cpu")
    count = sum(w.numel() for w in weights.values())
    for share, (x, y) in zip(shares.tolist(), problem.batches, strict=True):
        entries = sum(tensor.numel() for tensor in tensors_in(x))
        at_once = max(1, _ENTRIES_AT_ONCE // (count + _ACTIVATIONS * entries))
        device = next(iter(weights.values())).device
        with torch.no_grad():
            parts = [
                _each(partial(one, x=x, y=y), part.to(device)) for part in numbers.split(at_once)
            ]
        total += share * torch.cat(parts, dim=1).cpu()
    return Measured(total[0], total[1])


def _each(one: Callable[[Tensor], tuple[Tensor, Tensor]], removed: Tensor) -> Tensor:
    """Side by side; one size after the other where `torch.vmap` cannot follow the model."""
    try:
        return torch.stack(torch.vmap(one)(removed))
    except RuntimeError:
        return torch.stack([torch.stack(one(number)) for number in removed], dim=1)
