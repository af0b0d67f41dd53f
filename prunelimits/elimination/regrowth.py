"""Regrowth: elimination from pruned networks, again and again after weights grew back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_instance,
    checked_integer,
    checked_sizes,
    checked_tensor,
    shown,
)
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.regrowing import Regrowing, dense_weights, kept_weights
from prunelimits.elimination.regrowth_config import Regrowth
from prunelimits.elimination.result import EliminatedNetwork
from prunelimits.modes import in_plain_modes
from prunelimits.training import AbstractEngine, Loss


@dataclass(frozen=True, eq=False)
class RegrowthResult:
    """The network that a regrowth chose.

    Attributes:
        network: With its masks; its score is accuracy, or the coefficient of determination for
            squared error, on the rows to choose by.
        weights: Weights that it keeps, at most the goal; a unit in use has its bias besides.
        method: How it was found.
        work: Kept parameters times samples, summed over all trainings: the paper's measure of cost.
        seconds: Time taken.
    """

    network: EliminatedNetwork
    weights: int
    method: Regrowth
    work: int
    seconds: float


# What to reach, what to start from, how to measure and how to run: a caller names three or four.
@in_plain_modes
def regrow(
    x: Tensor,
    y: Tensor,
    method: Regrowth | None = None,
    *,
    keep: int,
    start: Sequence[int],
    loss: Loss | None = None,
    measure: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
    engine: AbstractEngine | None = None,
) -> RegrowthResult:
    """The best network of at most `keep` weights that `Regrowth` finds.

    Weights count as for the pruners: a hidden unit in use has its bias, and so has every output.

    Args:
        x: Inputs to train on, `(n, inputs)`.
        y: Labels or targets, as `loss` wants them.
        method: How. None: the defaults of `Regrowth`.
        keep: Weights that survive, at most.
        start: Widths of the networks to start from.
        loss: The training loss. None: binary cross-entropy for one output, cross-entropy for more.
        measure: Inputs and labels to choose by. None: the training data.
        seed: Decides initialisations, batches and noise.
        engine: Who trains. None: the fastest.

    Raises:
        ValueError: If data, start and `keep` do not fit each other, a number is out of its range,
            or every training diverged.
        TypeError: If an argument is of another kind.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> from prunelimits.training import Recipe
        >>> quick = Regrowth(starts=4, cycles=1, first=Recipe(epochs=2), recovery=Recipe(epochs=1))
        >>> result = regrow(*cubist_spiral(1000), quick, keep=12, start=(2, 6, 4, 1))
        >>> result.weights <= 12
        True
    """
    began = time.monotonic()
    method = Regrowth() if method is None else method
    checked_instance("method", method, Regrowth, "a Regrowth or None")
    seed = checked_integer("seed", seed)
    if engine is not None:
        checked_instance("engine", engine, AbstractEngine, "an engine or None")
    widths = checked_sizes("start", start)
    if len(widths) < 3:
        raise ValueError(f"start must have a hidden layer, got widths {widths}")
    if loss is None and widths[-1] > 1 and checked_tensor("y", y).is_floating_point():
        raise ValueError(
            f"start must end in 1 output, or y be integer labels, got widths {widths} and {y.dtype}"
        )
    weights = dense_weights(widths)
    keep = checked_integer("keep", keep, 1)
    if keep >= weights:
        raise ValueError(
            f"keep must be below the {weights} weights of widths {widths}, got {shown(keep)}"
        )
    run = Regrowing(method, EliminationData.of(x, y, measure, widths, loss), keep, seed, engine)
    found = run.best_networks(widths)
    if not len(found):
        raise ValueError("first must be a training that does not diverge: lower its learning rate")
    chosen = _chosen(run, found)
    return RegrowthResult(
        EliminatedNetwork.of(chosen),
        int(kept_weights(chosen)),
        method,
        run.work,
        time.monotonic() - began,
    )


def _chosen(run: Regrowing, found: NetworkStack) -> NetworkStack:
    """The one of best accuracy on the rows to choose by, of equals the one of least loss."""
    losses = found.score
    measured = run.trainer.measured(found)
    if run.data.loss == "mse":
        return measured[measured.score.argmax()[None]]
    ties = measured.score == measured.score.max()
    return measured[losses.masked_fill(~ties, -torch.inf).argmax()[None]]
