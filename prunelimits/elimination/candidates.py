"""What could be removed next, and what of it is worth a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from prunelimits.elimination.beam import best_of_each, first_of_each, identities
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.settling import settle
from prunelimits.elimination.stack import AnyStack
from prunelimits.elimination.trainer import Trainer
from prunelimits.elimination.units import activations
from prunelimits.masks import rows, unflatten
from prunelimits.models import parameter_shapes

# Standard deviation of the noise on log scores that makes several candidates of one ranking.
_NOISE = 0.5


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


# What is cut, how much, how, who measures, by which noise, and by which scores.
def candidates(
    networks: NetworkStack,
    removed: int,
    method: Elimination,
    trainer: Trainer,
    generator: torch.Generator,
    scoring: Callable[[NetworkStack, Tensor], Tensor] = magnitudes,
) -> NetworkStack:
    """Untrained networks that lack `removed` parameters or more, `tries` of each network.

    What the removal disconnects goes with it, and units without inputs become part of the next
    layer's biases. One at a time, every parameter's removal is measured, and those that cost the
    least loss are taken; several at a time, those of the least score, by `scoring`, each try
    with other noise.
    """
    kept, removable = rows(networks.masks), _removable(networks, method)
    if removed == 1:
        parent, without = each_removal(kept, removable)
    else:
        scores = scoring(networks, trainer.sample)
        parent, without = least_removals(kept, removable, scores, removed, method.tries, generator)
    masks = unflatten(without, parameter_shapes(networks.widths))
    found = settle(replace(networks[parent], masks=masks), method.biases)
    found = trainer.screened(found)
    return best_tries(found, found.loss, parent, method.tries)


def best_tries(found: AnyStack, loss: Tensor, parent: Tensor, tries: int) -> AnyStack:
    """Of each parent the candidates of least loss, at most `tries`.

    The same network may come from several parents: the one of the least loss stands for it.
    """
    order = loss.argsort(stable=True)
    found, loss, parent = found[order], loss[order], parent[order]
    unique = first_of_each(identities(found))
    found, loss, parent = found[unique], loss[unique], parent[unique]
    return found[best_of_each(parent, -loss, tries)]


def _removable(networks: NetworkStack, method: Elimination) -> Tensor:
    """Which parameters may go, bool `(models, entries)`."""
    biases = method.biases == "free"
    parts = {
        name: mask if biases or name.endswith("weight") else torch.zeros_like(mask)
        for name, mask in networks.masks.items()
    }
    return rows(parts)


def each_removal(kept: Tensor, removable: Tensor) -> tuple[Tensor, Tensor]:
    """Every network without each of the parameters that may go, one at a time.

    Args:
        kept: What the networks keep, bool `(models, entries)`.
        removable: Which of it may go.

    Returns:
        Which network each candidate comes from, and what it keeps.
    """
    parent, entry = removable.nonzero(as_tuple=True)
    without = kept[parent]
    without[torch.arange(len(entry), device="cpu"), entry] = False
    return parent, without


# What there is, what of it may go, by which scores, how much, how often and by which noise.
def least_removals(
    kept: Tensor,
    removable: Tensor,
    scores: Tensor,
    removed: int,
    tries: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Every network `tries` times without `removed` parameters of the least score, with noise.

    Arguments and results are those of `each_removal`, and the scores, positive `(models, entries)`.
    """
    parent = torch.arange(len(kept), device="cpu").repeat_interleave(tries)
    noisy = scores[parent].log()
    noisy += _NOISE * torch.randn(
        noisy.shape, generator=generator, dtype=torch.float32, device="cpu"
    )
    noisy[~removable[parent]] = torch.inf
    least = noisy.argsort(1)[:, :removed]
    return parent, kept[parent].scatter(1, least, False)
