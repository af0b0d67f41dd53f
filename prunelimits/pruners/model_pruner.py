"""Methods that prune a whole model by themselves, their own trainings included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from prunelimits.types import Masks


@runtime_checkable
class ModelPruner(Protocol):
    """What `prune` accepts beside pruners, such as `search.Elimination`."""

    def prune_model(
        self,
        model: nn.Module,
        masks: Masks,
        batches: Sequence[tuple[Tensor, Tensor]],
        *,
        loss: Callable[[Tensor, Tensor], Tensor] | None,
        nonzeros: int | None,
        target: float | None,
        seed: int,
    ) -> Masks:
        """What is left of a model; the model stays as it is.

        Args:
            model: To be pruned.
            masks: The weights that may be kept.
            batches: Inputs and targets.
            loss: A scalar for outputs and targets; None: the method's own choice.
            nonzeros: How many parameters may survive, weights and biases, or None.
            target: The score that must be reached, or None.
            seed: Decides everything random.

        Returns:
            Name -> bool tensor, for every parameter that the method prunes.
        """
        ...
