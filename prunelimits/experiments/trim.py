"""Pruning after training: what a finished network can still lose."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import checked_instance
from prunelimits.masks import top, with_biases
from prunelimits.modes import in_plain_modes
from prunelimits.training import AbstractEngine, MLPEnsemble, evaluate
from prunelimits.training.engine import Loss
from prunelimits.types import Masks, Params


@in_plain_modes
def trim(
    ensemble: MLPEnsemble,
    x: Tensor,
    y: Tensor,
    *,
    loss: Loss | None = None,
    engine: AbstractEngine | None = None,
) -> MLPEnsemble:
    """The ensemble with its smallest weights removed, one after the other, until accuracy falls.

    Magnitude pruning after training as in Section 7.2 of [Sparsest Models Elude Pruning](
    https://arxiv.org/abs/2407.04075), without training again: every member loses its smallest
    weights as long as no more samples are classified wrong than at first, or with squared error as
    long as the loss over all samples is no higher. Biases follow the weights by
    `masks.with_biases`.

    Args:
        ensemble: Trained members.
        x: Inputs to measure on.
        y: Their labels.
        loss: As in `fit`.
        engine: As in `fit`.

    Raises:
        ValueError: If the data does not fit the ensemble or the loss.
        TypeError: If an argument is of another kind.
    """
    checked_instance("ensemble", ensemble, MLPEnsemble, "an MLPEnsemble")
    device = ensemble.device

    def score(part: MLPEnsemble) -> Tensor:
        measured = evaluate(part, x, y, loss=loss, engine=engine)
        return (-measured.loss if loss == "mse" else measured.accuracy).to(device)

    masks = {name: mask.clone() for name, mask in ensemble.masks.items()}
    first = score(ensemble)
    going = torch.arange(len(ensemble), device=device)
    part = ensemble
    while len(going):
        smaller = _without_smallest(part)
        lossless = (score(smaller) >= first[going]) & (smaller.nonzeros() < part.nonzeros())
        going, part = going[lossless], smaller[lossless] if lossless.any() else part
        for name, mask in masks.items():
            mask[going] = part.masks[name] if len(going) else mask[going]
    return ensemble.replace(masks=masks)


def _without_smallest(ensemble: MLPEnsemble) -> MLPEnsemble:
    """Every member without its smallest weight."""
    masks = {name: mask for name, mask in ensemble.masks.items() if name.endswith("weight")}

    def fewer(params: Params, masks: Masks) -> Masks:
        scores = {n: params[n].abs().masked_fill(~mask, -torch.inf) for n, mask in masks.items()}
        kept = torch.stack([mask.sum() for mask in masks.values()]).sum()
        return top(scores, (kept - 1).clamp(min=0))

    weights = torch.vmap(fewer)({name: ensemble.params[name] for name in masks}, masks)
    return ensemble.replace(masks=with_biases(weights))
