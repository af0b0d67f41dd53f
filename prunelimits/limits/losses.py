"""The loss of every batch, and how far it varies: the size of the sublevel set."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import checked_loss, checked_tensors
from prunelimits.modes import in_plain_modes
from prunelimits.samples import sample_counts
from prunelimits.scores.gradient import check_batches
from prunelimits.types import Params, Problem


@in_plain_modes
def batch_losses(problem: Problem, params: Params) -> Tensor:
    """The loss of each batch, in order: `(batches,)`, without a graph.

    Raises:
        ValueError: If there are no batches, one holds no sample, or a loss is NaN or infinite.
    """
    check_batches(problem)
    checked_tensors("params", params)
    with torch.no_grad():
        losses = [
            finite_loss(problem.loss(problem.apply(params, x), y), number)
            for number, (x, y) in enumerate(problem.batches)
        ]
    return torch.stack(losses)


def batch_weights(problem: Problem) -> Tensor:
    """Each batch's share of all samples: float64 `(batches,)`.

    By `sample_counts`. With them the loss of the whole data is the weighted mean of `batch_losses`,
    if the loss is a mean over the samples of a batch.
    """
    counts = sample_counts(problem.batches)
    sizes = torch.tensor(counts, dtype=torch.float64, device="cpu")
    return sizes / sizes.sum()


@in_plain_modes
def mean_loss(problem: Problem, params: Params) -> float:
    """The mean loss over all samples; raises as `batch_losses` does."""
    return float(batch_losses(problem, params).double().cpu() @ batch_weights(problem))


@in_plain_modes
def loss_spread(problem: Problem, params: Params) -> float:
    """The published size of the sublevel set: the standard deviation of the batch losses.

    Over the batches, each counted equally, with the divisor
    `batches`: what minibatch training cannot tell apart ([How Sparse Can We Prune A Deep
    Network](https://arxiv.org/abs/2306.05857), the published code). It depends on the batch size.

    Raises:
        ValueError: If there are fewer than two batches, or a loss is NaN or infinite.

    Examples:
        >>> apply, loss = lambda p, x: p["w"] * x, lambda out, y: (out - y).mean()
        >>> one, three = torch.ones(4), torch.full((4,), 3.0)
        >>> problem = Problem(apply, loss, [(one, 0 * one), (three, 0 * one)])
        >>> loss_spread(problem, {"w": torch.tensor(1.0)})
        1.0
    """
    losses = batch_losses(problem, params)
    if len(losses) < 2:
        raise ValueError(
            "epsilon must be given where there is one batch: the standard deviation of the "
            "batch losses needs at least two"
        )
    return float(losses.double().std(correction=0))


def finite_loss(loss: Tensor, batch: int) -> Tensor:
    """`loss`, if it is one finite number.

    Raises:
        TypeError: If it is no tensor, or a complex one.
        ValueError: If it has axes, or is NaN or infinite.
    """
    loss = checked_loss("loss", loss)
    if not loss.isfinite():
        raise ValueError(
            f"loss must be finite, got {loss.item()} for batch {batch}: the network has diverged "
            "or the data holds what is not a number"
        )
    return loss
