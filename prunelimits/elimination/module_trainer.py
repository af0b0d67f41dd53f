"""Training and measuring pruned modules, on the data of a regrowth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import final

import torch
from torch import Tensor, nn

from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.module_data import attempted
from prunelimits.elimination.module_stack import ModuleStack
from prunelimits.elimination.module_training import (
    Pruning,
    Trained,
    fill,
    mean_loss,
    seeded,
    train_in_turn,
)
from prunelimits.elimination.modules_together import can_train_together, train_together
from prunelimits.structure import copied, run
from prunelimits.training import Recipe
from prunelimits.training.torch_engine import correct_samples, sample_losses
from prunelimits.types import Params

# Rows that are measured at once.
_ROWS = 1024


@final
class ModuleTrainer:
    """Trains copies of one module with other tensors in them, and measures them.

    Networks are trained in training mode and measured in evaluation mode. Where side by side comes
    to the same as one after the other they are trained side by side, in under half of the time
    where they are small.

    Args:
        module: Whose copies are run; it is not run itself.
        data: The task.

    Attributes:
        work: Kept parameters times samples so far.
        together: Whether networks are trained side by side; None before two of them were.
    """

    def __init__(self, module: nn.Module, data: EliminationData) -> None:
        self.data, self.work = data, 0
        self._module = module
        self.together: bool | None = None

    def check(self, recipe: Recipe) -> None:
        """Raises `ValueError` if a training step of the module fails."""
        network = copied(self._module).train()
        x = self.data.x[: recipe.batch_size]

        def step() -> None:
            torch.autograd.backward(self._loss(network, x, self.data.y[: len(x)]))

        with seeded(0, x.device):
            attempted(step, x)

    def module(self, networks: ModuleStack, index: int) -> nn.Module:
        """One of the networks as a module, in the modes of the one whose copies are run."""
        network = copied(self._module)
        fill(network, networks.member(index)[0])
        return network

    def pruned(
        self, networks: ModuleStack, recipe: Recipe, pruning: Pruning | None, seeds: Sequence[int]
    ) -> ModuleStack:
        """The networks trained while they are pruned, or without pruning as they are.

        Those that diverged are left out. The seeds, one a network, decide the order of the rows.
        """
        return self._counted(
            train_in_turn(self._module, networks, self.data, recipe, seeds, pruning)
        )

    def trained(self, networks: ModuleStack, recipe: Recipe, seed: int) -> ModuleStack:
        """The networks trained within their masks; those that diverged are left out.

        Every network sees the rows in the same order.
        """
        args = self._module, networks, self.data, recipe
        if self.together is None and len(networks) > 1:
            self.together = can_train_together(*args)
        if self.together and len(networks) > 1:
            return self._counted(train_together(*args, seed))
        return self._counted(train_in_turn(*args, [seed] * len(networks)))

    @torch.no_grad()
    def measured(self, networks: ModuleStack, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and accuracy of a row, float64 `(models,)` each."""
        results = torch.zeros(len(networks), 2, dtype=torch.float64, device="cpu")
        for index in range(len(networks)):
            network = self._filled(networks, index)
            for part, target in zip(x.split(_ROWS), y.split(_ROWS), strict=True):
                outputs = run(network, part).unsqueeze(0)
                sums = [
                    values(outputs, target, self.data.loss).sum(dtype=torch.float64)
                    for values in (sample_losses, correct_samples)
                ]
                results[index] += torch.stack(sums).cpu()
        loss, accuracy = (results / len(x)).unbind(1)
        return loss, accuracy

    def gradients(self, networks: ModuleStack) -> Params:
        """Of the loss over the training rows by the weights, name -> `(models, *shape)`."""
        x, y = self.data.x, self.data.y
        found = {name: torch.zeros_like(networks.state[name]) for name in networks.masks}
        for index in range(len(networks)):
            network = self._filled(networks, index)
            weights = [network.get_parameter(name) for name in networks.masks]
            for part, target in zip(x.split(_ROWS), y.split(_ROWS), strict=True):
                loss = len(part) / len(x) * self._loss(network, part, target)
                grads = torch.autograd.grad(loss, weights, materialize_grads=True)
                for name, grad in zip(found, grads, strict=True):
                    found[name][index] += grad.cpu()
        return found

    @cached_property
    def _measuring(self) -> nn.Module:
        """Filled with one network after the other to be measured."""
        return copied(self._module).eval()

    def _filled(self, networks: ModuleStack, index: int) -> nn.Module:
        fill(self._measuring, networks.member(index)[0])
        return self._measuring

    def _loss(self, network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return mean_loss(run(network, x), y, self.data.loss)

    def _counted(self, trained: Trained) -> ModuleStack:
        self.work += trained.work
        return trained.networks
