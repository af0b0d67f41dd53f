"""Elimination as a pruner: from a module of the user's own to its masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.models import MLP
from prunelimits.search.elimination.config import Elimination
from prunelimits.search.elimination.eliminate import eliminate
from prunelimits.training import Loss, MLPEnsemble
from prunelimits.types import Masks

_LOSSES: list[tuple[Callable[..., Tensor], Loss]] = [
    (functional.binary_cross_entropy_with_logits, "binary_cross_entropy"),
    (functional.cross_entropy, "cross_entropy"),
    (functional.mse_loss, "mse"),
]


def prune_mlp(
    model: nn.Module,
    masks: Masks,
    batches: Sequence[tuple[Tensor, Tensor]],
    method: Elimination,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None,
    nonzeros: int | None,
    target: float | None,
    seed: int,
) -> Masks:
    """The masks of the best network that elimination finds in a model, see `ModelPruner`.

    Copies of the model are trained on by `method.dense` first, whether it is trained or not. What
    they weigh in the end is not told: `eliminate(x, y, method, start=model)` has that as well.

    Raises:
        ValueError: If there is no budget, no batch, another loss, or no network at the target.
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
    start = MLPEnsemble.from_params(model.widths, params, kept)
    result = eliminate(
        x, y, method, target=target, nonzeros=nonzeros, start=start, loss=name, seed=seed
    )
    if result.sparsest is None:
        best = max((network.score for network in result.networks), default=0.0)
        raise ValueError(f"target must be reached by some network, got {target}; best {best:.4f}")
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
