"""Methods that prune a whole model by themselves, their own trainings included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from prunelimits.types import Masks


@runtime_checkable
class ModelPruner(Protocol):
    """What `prune` accepts beside pruners, such as `elimination.EliminationPruner`.

    Its budget is its own: `prune` passes none on.
    """

    def prune_model(
        self,
        model: nn.Module,
        masks: Masks,
        batches: Sequence[tuple[Tensor, Tensor]],
        loss: Callable[[Tensor, Tensor], Tensor] | None,
        seed: int,
    ) -> Masks:
        """What is left of a model; the model stays as it is.

        Args:
            model: To be pruned.
            masks: The weights that may be kept.
            batches: Inputs and targets.
            loss: A scalar for outputs and targets; None: the method's own choice.
            seed: Decides everything random.

        Returns:
            Name -> bool tensor, for every parameter that the method prunes.
        """
        ...
