"""Removing whole hidden units from dense networks."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.settling import Biases, settle

# Added to every unit's variance, as a share of the layer's mean: units that are almost a function
# of each other would take each other's place with weights beyond all bounds.
_RIDGE = 1e-3


def remove_units(
    networks: NetworkStack, x: Tensor, share: float, biases: Biases, noise: Tensor | None = None
) -> NetworkStack:
    """The networks without a share of their hidden units, every layer keeping at least one.

    One after the other goes the unit that the others of its layer can best stand for: the
    least-squares prediction of its activation from theirs moves into their outgoing weights, the
    mean that is left into the next layer's biases. A unit's score is the variance that the next
    layer loses by that, as a share of what the whole layer passes on. With the activations'
    covariance C, unit i loses `1 / (C^-1)_ii` times its outgoing weights squared: the [optimal
    brain surgeon](
    https://proceedings.neurips.cc/paper/1992/hash/303ed4c69846ab36c2904d3ba8573050-Abstract.html)
    for units.

    Args:
        networks: At least one. A weight that is pruned stays pruned.
        x: Inputs on which activations are measured, `(n, inputs)`.
        share: Of the units that a network has, rounded up.
        biases: See `settle`.
        noise: Logarithms that are added to the units' scores, `(models, hidden layers, widest)`.
            None: nothing is added.
    """
    depth, width = len(networks.units), max(networks.widths[1:-1])
    mean, passed, precision, outgoing, kept = _layers(networks, x)
    used = kept.any(2)
    moved = torch.zeros_like(outgoing[..., 0])
    count = (used.flatten(1).sum(1) * share).ceil()
    for number in range(int(count.max())):
        lost = outgoing.square().sum(2) / precision.diagonal(dim1=2, dim2=3)
        score = (lost / passed).log()
        score = score if noise is None else score + noise
        # A layer's last unit stays.
        free = used & (used.sum(2, keepdim=True) > 1)
        least, place = score.masked_fill(~free, torch.inf).flatten(1).min(1)
        model = ((number < count) & (least < torch.inf)).nonzero().squeeze(1)
        layer, unit = place[model] // width, place[model] % width
        column = precision[model, layer, :, unit]
        # What the others take over of the unit, and -1 for itself.
        taken = -column / column.gather(1, unit.unsqueeze(1))
        own = outgoing[model, layer, :, unit]
        change = own.unsqueeze(2) * taken.unsqueeze(1) * kept[model, layer]
        moved[model, layer] -= (change * mean[model, layer].unsqueeze(1)).sum(2)
        outgoing[model, layer] += change
        precision[model, layer] += column.unsqueeze(2) * taken.unsqueeze(1)
        used[model, layer, unit] = False
        # Zero but for rounding.
        precision[model, layer, unit] = 0
        precision[model, layer, :, unit] = 0
    params, masks = dict(networks.params), dict(networks.masks)
    for layer in range(depth):
        above = f"layers.{layer + 1}"
        rows, columns = params[f"{above}.weight"].shape[1:]
        mask = (kept & used.unsqueeze(2))[:, layer, :rows, :columns]
        bias = moved[:, layer, :rows].float()
        params[f"{above}.weight"] = outgoing[:, layer, :rows, :columns].float() * mask
        masks[f"{above}.weight"] = mask
        params[f"{above}.bias"] = params[f"{above}.bias"] + bias
        masks[f"{above}.bias"] = masks[f"{above}.bias"] | (bias != 0)
    return settle(replace(networks, params=params, masks=masks), biases)


def activations(networks: NetworkStack, x: Tensor) -> list[Tensor]:
    """Each hidden layer after its ReLU, `(models, units, n)`, for inputs `(n, inputs)`."""
    result: list[Tensor] = []
    h = x.T.expand(len(networks), *x.T.shape)
    for layer in range(len(networks.units)):
        bias = networks.params[f"layers.{layer}.bias"].unsqueeze(2)
        h = functional.relu(torch.baddbmm(bias, networks.params[f"layers.{layer}.weight"], h))
        result.append(h)
    return result


def _layers(networks: NetworkStack, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All hidden layers side by side, padded to the widest with units that are not in use.

    Returns:
        Mean activations `(models, layers, units)`, the variance that a layer passes on
        `(models, layers, 1)`, the inverse covariance of its units in use, zero elsewhere, outgoing
        weights `(models, layers, next units, units)` and their masks, float64.
    """
    width, above = max(networks.widths[1:-1]), max(networks.widths[2:])
    parts: list[tuple[Tensor, ...]] = []
    for layer, h in enumerate(activations(networks, x)):
        weight = networks.params[f"layers.{layer + 1}.weight"].double()
        mask = networks.masks[f"layers.{layer + 1}.weight"]
        used = mask.any(1)
        mean = h.double().mean(2)
        centred = (h.double() - mean.unsqueeze(2)) * used.unsqueeze(2)
        covariance = torch.bmm(centred, centred.mT) / h.shape[2]
        variance = covariance.diagonal(dim1=1, dim2=2)
        passed = (variance * weight.square().sum(1)).sum(1, keepdim=True)
        # A layer that passes nothing on has units that all cost nothing.
        passed = passed.clamp_min(1e-30)
        ridge = _RIDGE * variance.sum(1) / used.sum(1).clamp_min(1) + 1e-9
        both = used.unsqueeze(1) & used.unsqueeze(2)
        eye = torch.eye(h.shape[1], dtype=torch.float64, device=h.device)
        inverse = torch.linalg.inv(covariance + ridge[:, None, None] * eye) * both
        side, below = width - h.shape[1], above - weight.shape[1]
        parts.append(
            (
                functional.pad(mean, (0, side)),
                passed,
                functional.pad(inverse, (0, side, 0, side)),
                functional.pad(weight, (0, side, 0, below)),
                functional.pad(mask, (0, side, 0, below)),
            )
        )
    mean, passed, inverse, weight, mask = (torch.stack(p, 1) for p in zip(*parts, strict=True))
    return mean, passed, inverse, weight, mask
