"""Regrowth of torch modules: what their starts are, how they are cut, trained, measured, grown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from prunelimits.connectivity.elements import any_of
from prunelimits.connectivity.flow import find_flow, flow_masks
from prunelimits.connectivity.trace import trace
from prunelimits.elimination.candidates import best_tries, each_removal, least_removals
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.growing import strongest
from prunelimits.elimination.kept_stacks import checked_modules, plain_modules
from prunelimits.elimination.module_data import tensors_of
from prunelimits.elimination.module_stack import ModuleStack
from prunelimits.elimination.module_trainer import ModuleTrainer
from prunelimits.elimination.module_training import Pruning, others
from prunelimits.elimination.regrowing import AbstractRegrowing
from prunelimits.elimination.regrowth_config import Regrowth
from prunelimits.elimination.regrowth_result import RegrownModule
from prunelimits.elimination.regrowth_state import Done
from prunelimits.masks import rows
from prunelimits.pruners import GMP
from prunelimits.training import Recipe
from prunelimits.types import Masks


@final
class ModuleRegrowing(AbstractRegrowing[ModuleStack]):
    """A regrowth of modules under way.

    Args:
        method: How.
        data: On what.
        modules: Where the starts begin, in turn; of one form.
        whole: Masks of all weights that may be pruned.
        keep: Weights that survive, at most.
        seed: Decides all random numbers.
    """

    def __init__(
        self,
        method: Regrowth,
        data: EliminationData,
        modules: Sequence[nn.Module],
        whole: Masks,
        keep: int,
        seed: int,
    ) -> None:
        super().__init__(method, data, keep, seed)
        self.trainer = ModuleTrainer(modules[0], data)
        self.trainer.check(self.recipes.first)
        self._modules, self._whole = modules, {n: m.cpu() for n, m in whole.items()}
        traced = trace(modules[0], whole, data.x[:2], argument="start")
        self._network = traced.network
        self._everything = {n: torch.ones_like(m) for n, m in traced.parameters.masks.items()}
        self._screened = data.screened(seed)
        self._check_a_path_fits()

    @property
    @override
    def done(self) -> Done:
        return Done(self.trainer.work, self.trainer.together)

    @override
    def take_up(self, done: Done) -> None:
        self.trainer.work, self.trainer.together = done

    @override
    def plain(self, networks: ModuleStack) -> dict[str, Any]:
        return plain_modules(networks)

    @override
    def checked(self, plain: dict[str, Any]) -> ModuleStack:
        return checked_modules(plain, tensors_of(self._modules[0]), self._whole)

    def starts(self) -> ModuleStack:
        """Trained shortly and pruned to `head` times the goal meanwhile, where that is less."""
        method = self.method
        numbers = torch.arange(method.starts, device="cpu")
        states = [tensors_of(module) for module in self._modules]
        nan = torch.full((len(states),), torch.nan, dtype=torch.float64, device="cpu")
        networks = ModuleStack(
            {name: torch.stack([state[name].cpu() for state in states]) for name in states[0]},
            {name: mask.expand(len(states), *mask.shape) for name, mask in self._whole.items()},
            torch.arange(len(states), device="cpu"),
            nan,
        )
        networks = replace(networks[numbers % len(states)], origin=numbers)
        keep = math.ceil(method.head * self.keep)
        weights = sum(mask.numel() for mask in self._whole.values())
        pruning = Pruning(GMP(until=method.until), keep) if keep < weights else None
        seeds = [self.word(1, number) for number in range(method.starts)]
        found = self.trainer.pruned(networks, self.recipes.first, pruning, seeds)
        return self._with_score(self._settled(found))

    def network(self, chosen: ModuleStack) -> RegrownModule:
        """One network as a module in the modes of the start, with what is known of it."""
        model, masks = self.trainer.module(chosen, 0), chosen.member(0)[1]
        return RegrownModule(
            nonzeros=others(model, masks) + int(chosen.nonzeros()),
            score=float(chosen.score),
            model=model,
            masks={name: mask.to(self.data.x.device) for name, mask in masks.items()},
            origin=int(chosen.origin),
        )

    @override
    def candidates(self, networks: ModuleStack, count: int, noise: torch.Generator) -> ModuleStack:
        kept = rows(networks.masks)
        if count == 1:
            parent, without = each_removal(kept, kept)
        else:
            scores, tries = importance(networks), self.method.tries
            parent, without = least_removals(kept, kept, scores, count, tries, noise)
        found = self._settled(networks[parent].keeping(without))
        loss = self.losses(found, *self._screened).nan_to_num(nan=torch.inf)
        return best_tries(found, loss, parent, self.method.tries)

    @override
    def larger(self, parents: ModuleStack, count: int, noise: torch.Generator) -> ModuleStack:
        if not len(parents):
            return parents
        gradients = rows(self.trainer.gradients(parents))
        more = strongest(rows(self._growable(parents.masks)), gradients, count, noise)
        return self._settled(parents.keeping(rows(parents.masks) | more))

    @override
    def trained(self, networks: ModuleStack, recipe: Recipe, round_: int) -> ModuleStack:
        return self._with_score(self.trainer.trained(networks, recipe, self.word(2, round_)))

    @override
    def losses(self, networks: ModuleStack, x: Tensor, y: Tensor) -> Tensor:
        return self.trainer.measured(networks, x, y)[0]

    @override
    def measured(self, networks: ModuleStack) -> ModuleStack:
        data = self.data
        loss, accuracy = self.trainer.measured(networks, data.measure_x, data.measure_y)
        score = data.score(accuracy, loss)
        return replace(networks, score=score.nan_to_num(nan=-torch.inf))

    @override
    def weights(self, networks: ModuleStack) -> Tensor:
        return networks.nonzeros()

    def _with_score(self, networks: ModuleStack) -> ModuleStack:
        losses = self.losses(networks, self.data.x, self.data.y)
        return replace(networks, score=self.score(networks, losses))

    def _settled(self, networks: ModuleStack) -> ModuleStack:
        """The networks without the weights that lie on no path from an input to an output."""
        if not len(networks):
            return networks
        kept = [self._effective(networks.member(index)[1]) for index in range(len(networks))]
        return networks.keeping(rows(_stacked(kept)))

    def _growable(self, masks: Masks) -> Masks:
        """Pruned weights that would lie on a path, given all others as they are.

        A weight does if its source has a path from an input and its target one to an output: both
        are asked of the network with every weight of the layer kept.
        """
        models = len(next(iter(masks.values())))
        found: list[Masks] = []
        for index in range(models):
            own = {name: mask[index] for name, mask in masks.items()}
            found.append(
                {
                    name: self._effective({**own, name: torch.ones_like(mask)})[name] & ~mask
                    for name, mask in own.items()
                }
            )
        return _stacked(found)

    def _check_a_path_fits(self) -> None:
        """Raises for a budget that only constant modules fit.

        Every path has a weight of each layer without which there is none. Where paths go side by
        side they may need more than that.
        """
        needed = [
            name for name, mask in self._whole.items() if not self._has_path_without(name, mask)
        ]
        if self.keep < len(needed):
            raise ValueError(
                f"keep must be at least {len(needed)}, a weight in each of {', '.join(needed)}, "
                f"through which all paths of start lead, got {self.keep}"
            )

    def _has_path_without(self, name: str, mask: Tensor) -> bool:
        flow = find_flow(self._network, {**self._everything, name: torch.zeros_like(mask)})
        return any(any_of(flow.live[output]) for output in self._network.outputs)

    def _effective(self, masks: Masks) -> Masks:
        flow = find_flow(self._network, {**self._everything, **masks})
        found = flow_masks(self._network, flow, keep_constants=False)
        return {name: found[name] for name in masks}


def importance(networks: ModuleStack) -> Tensor:
    """`|w|` over the norm of all weights of the same unit: what a weight is to it.

    Float32 `(models, entries)`.
    """
    scores: list[Tensor] = []
    for name in networks.masks:
        magnitude = networks.state[name].abs().float()
        of_unit = magnitude.flatten(2)
        norm = of_unit.norm(dim=2, keepdim=True).clamp_min(1e-12)
        scores.append((of_unit / norm).flatten(1))
    return torch.cat(scores, 1)


def _stacked(masks: Sequence[Masks]) -> Masks:
    return {name: torch.stack([one[name] for one in masks]) for name in masks[0]}
