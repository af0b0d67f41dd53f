"""Elimination as a pruner: from a module of the user's own to its masks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.arguments import checked_instance
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.eliminate import NothingFoundWarning, eliminate
from prunelimits.elimination.goal import Goal
from prunelimits.models import MLP
from prunelimits.training import Loss, MLPEnsemble
from prunelimits.types import Masks

_LOSSES: list[tuple[Callable[..., Tensor], Loss]] = [
    (functional.binary_cross_entropy_with_logits, "binary_cross_entropy"),
    (functional.cross_entropy, "cross_entropy"),
    (functional.mse_loss, "mse"),
]


@dataclass(frozen=True, kw_only=True)
class EliminationPruner:
    """Elimination as `pruners.prune` takes it. Biases are pruned too, so the budget counts them.

    Copies of the model are trained on by `method.dense` first, whether it is trained or not. Only
    masks are returned: `eliminate(x, y, method, start=model)` gives the trained weights as well.

    Attributes:
        nonzeros: How many parameters survive at most, weights and biases; None: no limit.
        target: The score on the batches that what survives must reach; None: any.
        method: How.

    Raises:
        ValueError: If neither `nonzeros` nor `target` is given, or one is out of its range.
        TypeError: If one is of the wrong kind.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> from prunelimits.masks import count
        >>> from prunelimits.pruners import prune
        >>> from prunelimits.training import Recipe
        >>> quick = Elimination(networks=4, dense=Recipe(epochs=1), recovery=Recipe(epochs=1))
        >>> pruner = EliminationPruner(nonzeros=8, method=quick)
        >>> masks = prune(MLP((2, 4, 1)), pruner, batches=[cubist_spiral(1000)])
        >>> list(masks) == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
        True
        >>> count(masks) <= 8
        True
    """

    nonzeros: int | None = None
    target: float | None = None
    method: Elimination = field(default_factory=Elimination)

    def __post_init__(self) -> None:
        goal = Goal(self.target, self.nonzeros)
        object.__setattr__(self, "target", goal.target)
        object.__setattr__(self, "nonzeros", goal.nonzeros)
        checked_instance("method", self.method, Elimination, "an Elimination")

    def prune_model(
        self,
        model: nn.Module,
        masks: Masks,
        batches: Sequence[tuple[Tensor, Tensor]],
        loss: Callable[[Tensor, Tensor], Tensor] | None,
        seed: int,
    ) -> Masks:
        """The masks of the best network that elimination finds in a model, see `ModelPruner`.

        Raises:
            ValueError: If there is no batch, another loss, or no network at the target.
            TypeError: If the model is no `MLP`.
        """
        if not isinstance(model, MLP):
            raise TypeError(f"model must be an MLP for Elimination, got {type(model).__name__}")
        if not batches:
            raise ValueError("batches must hold at least one pair (x, y) for Elimination, got none")
        x, y = (torch.cat(part) for part in zip(*batches, strict=True))
        name = _name(loss)
        if y.shape == (len(x), 1) and name != "cross_entropy":
            y = y.squeeze(1)
        params = {n: p.detach().cpu().float().unsqueeze(0) for n, p in model.named_parameters()}
        kept = {n: mask.cpu().unsqueeze(0) for n, mask in masks.items()}
        with warnings.catch_warnings():
            # What eliminate would warn of is an error here, raised below.
            warnings.filterwarnings("ignore", category=NothingFoundWarning)
            result = eliminate(
                x,
                y,
                self.method,
                target=self.target,
                nonzeros=self.nonzeros,
                start=MLPEnsemble.from_params(model.widths, params, kept),
                loss=name,
                seed=seed,
            )
        if result.sparsest is None:
            raise ValueError(f"target must be reached by some network: {result.hint}")
        found = result.sparsest.placed(model.widths)[1]
        return {n: found[n].to(p.device) for n, p in model.named_parameters()}


def _name(loss: Callable[[Tensor, Tensor], Tensor] | None) -> Loss | None:
    for known, name in _LOSSES:
        if loss is known:
            return name
    if loss is not None:
        names = ", ".join(known.__name__ for known, _ in _LOSSES)
        raise ValueError(
            f"loss must be one of torch.nn.functional's {names}, or None for the first of them "
            f"that fits, for Elimination: got {loss!r}"
        )
    return None
