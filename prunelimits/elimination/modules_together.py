"""SGD on copies of a module side by side, as one program: for modules that `torch.vmap` knows."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.module_stack import ModuleStack
from prunelimits.elimination.module_training import (
    Trained,
    mean_loss,
    others,
    seeded,
    steps,
    train_in_turn,
)
from prunelimits.structure import copied
from prunelimits.training import Recipe
from prunelimits.types import Params
from prunelimits.versions import quiet_vmap

# Parameters that are trained at once: more would gain no time, and take memory.
_PARAMETERS = 1 << 20
# What the two ways may differ by after two steps, relative and absolute.
_TOLERANCE = (1e-3, 1e-4)


def train_together(
    module: nn.Module, networks: ModuleStack, data: EliminationData, recipe: Recipe, seed: int
) -> Trained:
    """As `train_in_turn` with one seed for all, but for rounding; see `can_train_together`."""
    size = sum(value[:1].numel() for value in networks.state.values())
    at_once = max(1, _PARAMETERS // size)
    parts = [networks[i : i + at_once] for i in range(0, len(networks), at_once)]
    trained = [_part(module, part, data, recipe, seed) for part in parts]
    found = trained[0].networks.joined([part.networks for part in trained[1:]])
    return Trained(found, sum(part.work for part in trained))


def can_train_together(
    module: nn.Module, networks: ModuleStack, data: EliminationData, recipe: Recipe
) -> bool:
    """Whether two steps side by side come to what they come to one after the other.

    They do not where the module draws numbers, as dropout does, or does what cannot be mapped.
    """
    if len(networks) < 2:
        return False
    few = replace(data, x=data.x[: 2 * recipe.batch_size], y=data.y[: 2 * recipe.batch_size])
    recipe, some = replace(recipe, epochs=1), networks[:2]
    expected = train_in_turn(module, some, few, recipe, [0, 0]).networks
    try:
        with seeded(0, data.x.device):
            found = train_together(module, some, few, recipe, 0).networks
    except Exception:  # whatever a module's code raises when it is mapped
        return False
    relative, absolute = _TOLERANCE
    return len(found) == len(expected) and all(
        torch.allclose(found.state[name], value, rtol=relative, atol=absolute)
        for name, value in expected.state.items()
    )


def _part(
    module: nn.Module, networks: ModuleStack, data: EliminationData, recipe: Recipe, seed: int
) -> Trained:
    network, device = copied(module).train(), data.x.device
    state = {name: value.to(device).clone() for name, value in networks.state.items()}
    trained = {n: state.pop(n) for n, p in network.named_parameters() if p.requires_grad}
    kept = {n: mask.to(device, trained[n].dtype) for n, mask in networks.masks.items()}
    velocity = {name: torch.zeros_like(value) for name, value in trained.items()}

    def loss_of(own: Params, rest: Params, x: Tensor, y: Tensor) -> Tensor:
        return mean_loss(functional_call(network, {**own, **rest}, (x,)), y, data.loss)

    losses = torch.vmap(loss_of, in_dims=(0, 0, None, None))
    taken = 0
    with quiet_vmap():
        for lr, rows in steps(recipe, len(data.x), seed):
            batch = rows.to(device)
            leaves = {name: value.requires_grad_() for name, value in trained.items()}
            # Networks do not touch each other, so the gradient of the sum holds each one's own.
            total = losses(leaves, state, data.x[batch], data.y[batch]).sum()
            grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
            trained = {name: value.detach() for name, value in leaves.items()}
            for (name, value), grad in zip(trained.items(), grads, strict=True):
                if grad is not None:  # pyright: ignore[reportUnnecessaryComparison]
                    v = velocity[name].mul_(recipe.momentum).add_(grad)
                    v.add_(value, alpha=recipe.weight_decay)
                    value.sub_(v, alpha=lr)
            for name, mask in kept.items():
                trained[name].mul_(mask)
            taken += len(rows)
    found = {**trained, **state}
    finite = [value.isfinite().reshape(len(networks), -1).all(1) for value in found.values()]
    left = torch.stack(finite).all(0).cpu()
    work = taken * (int(networks.nonzeros().sum()) + len(networks) * others(module, networks.masks))
    state = {name: found[name].cpu() for name in networks.state}
    return Trained(replace(networks, state=state)[left], work)
