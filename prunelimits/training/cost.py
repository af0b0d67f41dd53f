"""What a training costs: by the paper's accounting, and in floating-point operations."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from prunelimits.arguments import checked_instance, checked_integer, shown
from prunelimits.training.ensemble import MLPEnsemble

_MOST = 2**63 - 1


class Cost(NamedTuple):
    """What training each member cost, float64 `(models,)` each.

    Attributes:
        parameter_samples: Kept parameters, weights and biases, times the samples they were trained
            on: "FLOPS" in Table 1 of [Sparsest Models Elude Pruning](
            https://arxiv.org/abs/2407.04075).
        operations: Additions and multiplications, see `training_cost`.
    """

    parameter_samples: Tensor
    operations: Tensor

    def plus(self, other: Cost) -> Cost:
        """Both one after the other.

        Raises:
            TypeError: If `other` is no `Cost`.
            ValueError: If it is of another number of members.
        """
        checked_instance("other", other, Cost, "a Cost")
        if other.operations.shape != self.operations.shape:
            raise ValueError(
                f"other must be the cost of {len(self.operations)} members, "
                f"got {shown(other.operations)}"
            )
        return Cost(
            self.parameter_samples + other.parameter_samples, self.operations + other.operations
        )


def training_cost(ensemble: MLPEnsemble, steps: int, batch_size: int) -> Cost:
    """The cost of so many steps of SGD with momentum, of what the masks keep and nothing else.

    For each sample, a weight takes a multiplication and an addition forward, the same backward for
    its gradient, and the same again to pass the error on, which the first layer need not; a bias
    takes an addition for its gradient (forward it is what the sum starts from). An update takes six
    operations a parameter: `v = m v + g + d p`, `p = p - r v`. So with W weights, F of them in the
    first layer, and B biases

        samples (6 W - 2 F + B) + 6 steps (W + B).

    ReLU, the loss, and what a pruner's own scores take are not counted.

    Args:
        ensemble: Whose masks.
        steps: Updates.
        batch_size: Samples in each.

    Raises:
        TypeError: If an argument is of another kind.
        ValueError: If a number is out of its range.

    Examples:
        >>> dense = MLPEnsemble((2, 16, 16, 16, 1), models=1)
        >>> cost = training_cost(dense, steps=50 * 390, batch_size=128)
        >>> [f"{number.item():.4g}" for number in cost]  # 609 parameters, 560 of them weights
        ['1.52e+09', '8.42e+09']
    """
    checked_instance("ensemble", ensemble, MLPEnsemble, "an MLPEnsemble")
    steps = checked_integer("steps", steps, 0, _MOST)
    batch_size = checked_integer("batch_size", batch_size, 1, _MOST)
    kept = {name: mask.flatten(1).sum(1).cpu().double() for name, mask in ensemble.masks.items()}
    parameters = torch.stack([*kept.values()]).sum(0)
    weights = torch.stack([n for name, n in kept.items() if name.endswith("weight")]).sum(0)
    a_sample = 5 * weights + parameters - 2 * kept["layers.0.weight"]
    samples = float(steps * batch_size)
    return Cost(parameters * samples, a_sample * samples + float(6 * steps) * parameters)
