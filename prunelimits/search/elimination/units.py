"""Removing whole hidden units from dense networks."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from prunelimits.search.elimination.config import Biases
from prunelimits.search.elimination.networks import Networks, settle


def remove_units(
    networks: Networks, x: Tensor, share: float, biases: Biases, noise: Tensor | None = None
) -> Networks:
    """The networks without a share of their hidden units, every layer keeping at least one.

    A unit counts for what it adds to the variance of the next layer: its activation's standard
    deviation times the norm of its outgoing weights, squared, as a share of its layer's sum. The
    units that count least in a network go, whichever layer they are in, and the mean of what
    they passed on moves into the next layer's biases.

    Args:
        networks: At least one.
        x: Inputs on which activations are measured, `(n, inputs)`.
        share: Of the units that a network has, rounded up.
        biases: See `settle`.
        noise: Logarithms that are added to the units' scores, `(models, hidden units)`, layers one
            after the other. None: nothing is added.
    """
    means, deviations = zip(*map(_moments, activations(networks, x)), strict=True)
    depth = len(networks.units)
    scores: list[Tensor] = []
    for layer in range(depth):
        outgoing = networks.params[f"layers.{layer + 1}.weight"].norm(dim=1)
        power = (deviations[layer] * outgoing).square()
        score = (power / power.sum(1, keepdim=True)).nan_to_num().log()
        scores.append(score)
    if noise is not None:
        parts = noise.split([score.shape[1] for score in scores], 1)
        scores = [score + part for score, part in zip(scores, parts, strict=True)]
    gone = _least(networks, scores, share)
    params, masks = dict(networks.params), dict(networks.masks)
    for layer in range(depth):
        above = f"layers.{layer + 1}"
        moved = (means[layer] * gone[layer]).unsqueeze(2)
        moved = (networks.params[f"{above}.weight"] @ moved).squeeze(2)
        params[f"{above}.bias"] = params[f"{above}.bias"] + moved
        masks[f"{above}.bias"] = masks[f"{above}.bias"] | (moved != 0)
        masks[f"{above}.weight"] = masks[f"{above}.weight"] & ~gone[layer].unsqueeze(1)
    return settle(replace(networks, params=params, masks=masks), biases)


def activations(networks: Networks, x: Tensor) -> list[Tensor]:
    """Each hidden layer after its ReLU, `(models, units, n)`, for inputs `(n, inputs)`."""
    result: list[Tensor] = []
    h = x.T.expand(len(networks), *x.T.shape)
    for layer in range(len(networks.units)):
        bias = networks.params[f"layers.{layer}.bias"].unsqueeze(2)
        h = functional.relu(torch.baddbmm(bias, networks.params[f"layers.{layer}.weight"], h))
        result.append(h)
    return result


def _moments(h: Tensor) -> tuple[Tensor, Tensor]:
    deviation, mean = torch.std_mean(h, dim=2, correction=0)
    return mean, deviation


def _least(networks: Networks, scores: list[Tensor], share: float) -> list[Tensor]:
    """Which units go: the least of those that are there, never a layer's last."""
    used = [networks.masks[f"layers.{layer + 1}.weight"].any(1) for layer in range(len(scores))]
    protected: list[Tensor] = []
    for layer, score in enumerate(scores):
        top = score.masked_fill(~used[layer], -torch.inf).argmax(1, keepdim=True)
        keep = ~used[layer]
        protected.append(score.masked_fill(keep.scatter(1, top, True), torch.inf))
    ranked = torch.cat(protected, 1)
    count = (torch.cat(used, 1).sum(1) * share).ceil().long().unsqueeze(1)
    rank = ranked.argsort(dim=1, stable=True).argsort(1)
    gone = (rank < count) & (ranked < torch.inf)
    return list(gone.split([score.shape[1] for score in scores], 1))
