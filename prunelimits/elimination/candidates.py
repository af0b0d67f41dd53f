"""What could be removed next, and what of it is worth a training."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from prunelimits.elimination.beam import best_of_each, first_of_each, identities
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.settling import settle
from prunelimits.elimination.trainer import Trainer
from prunelimits.elimination.units import activations
from prunelimits.masks import rows, unflatten
from prunelimits.models import parameter_shapes

# Standard deviation of the noise on log scores that makes several candidates of one ranking.
_NOISE = 0.5


def candidates(
    networks: NetworkStack,
    removed: int,
    method: Elimination,
    trainer: Trainer,
    generator: torch.Generator,
) -> NetworkStack:
    """Untrained networks that lack `removed` parameters or more, `tries` of each network.

    What the removal disconnects goes with it, and units without inputs become part of the next
    layer's biases. One at a time, every parameter's removal is measured, and those that cost the
    least loss are taken; several at a time, those of the least score, see `magnitudes`, each try
    with other noise.
    """
    if removed == 1:
        parent, without = _each_removal(networks, method)
    else:
        parent, without = _least_removals(networks, removed, method, trainer.sample, generator)
    found = settle(replace(networks[parent], masks=without), method.biases)
    found = trainer.screened(found)
    # The same network may come from several parents: the one of the least loss stands for it.
    order = found.loss.argsort(stable=True)
    found, parent = found[order], parent[order]
    unique = first_of_each(identities(found))
    found, parent = found[unique], parent[unique]
    return found[best_of_each(parent, -found.loss, method.tries)]


def magnitudes(networks: NetworkStack, x: Tensor) -> Tensor:
    """Scores of all parameters, `(models, entries)`: what each adds to its unit, relative to all.

    A weight's is `|w|` times the standard deviation of what comes in, over the standard deviation
    of the unit's sum; a bias's is `|b|` over it.
    """
    incoming = x.T.expand(len(networks), *x.T.shape)
    result: list[Tensor] = []
    hidden = [incoming, *activations(networks, x)]
    for layer, h in enumerate(hidden):
        weight, bias = (networks.params[f"layers.{layer}.{part}"] for part in ("weight", "bias"))
        total = torch.bmm(weight, h).std(2, correction=0).clamp_min(1e-12)
        deviation = h.std(2, correction=0)
        result.append((weight.abs() * deviation.unsqueeze(1) / total.unsqueeze(2)).flatten(1))
        result.append(bias.abs() / total)
    return torch.cat(result, 1)


def _removable(networks: NetworkStack, method: Elimination) -> Tensor:
    """Which parameters may go, bool `(models, entries)`."""
    biases = method.biases == "free"
    parts = {
        name: mask if biases or name.endswith("weight") else torch.zeros_like(mask)
        for name, mask in networks.masks.items()
    }
    return rows(parts)


def _each_removal(networks: NetworkStack, method: Elimination) -> tuple[Tensor, dict[str, Tensor]]:
    parent, entry = _removable(networks, method).nonzero(as_tuple=True)
    kept = rows(networks.masks)[parent]
    kept[torch.arange(len(entry), device="cpu"), entry] = False
    return parent, unflatten(kept, parameter_shapes(networks.widths))


def _least_removals(
    networks: NetworkStack, removed: int, method: Elimination, x: Tensor, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    parent = torch.arange(len(networks), device="cpu").repeat_interleave(method.tries)
    scores = magnitudes(networks, x)[parent].log()
    scores += _NOISE * torch.randn(
        scores.shape, generator=generator, dtype=torch.float32, device="cpu"
    )
    scores[~_removable(networks, method)[parent]] = torch.inf
    least = scores.argsort(1)[:, :removed]
    kept = rows(networks.masks)[parent].scatter(1, least, False)
    return parent, unflatten(kept, parameter_shapes(networks.widths))
