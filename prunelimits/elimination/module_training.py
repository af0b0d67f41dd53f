"""SGD on copies of a module, one after the other: any module, with a pruner at work if wanted."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.module_data import tensors_of
from prunelimits.elimination.module_stack import ModuleStack
from prunelimits.masks import count
from prunelimits.pruners import AbstractPruner
from prunelimits.sessions import attach
from prunelimits.structure import copied, run
from prunelimits.training import Loss, Recipe
from prunelimits.training.torch_engine import sample_losses
from prunelimits.types import Masks, Params


class Trained(NamedTuple):
    """Networks after a training, without those that diverged, and what it cost.

    Attributes:
        networks: Not measured.
        work: Kept parameters times samples, summed over all steps.
    """

    networks: ModuleStack
    work: int


class Pruning(NamedTuple):
    """What is pruned during a training.

    Attributes:
        pruner: The method.
        keep: Weights that survive.
    """

    pruner: AbstractPruner
    keep: int


# What is trained, on what, how, what is pruned meanwhile and by which random numbers.
def train_in_turn(
    module: nn.Module,
    networks: ModuleStack,
    data: EliminationData,
    recipe: Recipe,
    seeds: Sequence[int],
    pruning: Pruning | None = None,
) -> Trained:
    """The networks trained within their masks, or while they are pruned further.

    Args:
        module: What the networks are; copies of it are trained.
        networks: Its tensors and masks.
        data: The task.
        recipe: How to train.
        seeds: One a network: they decide the order of the rows and what a module draws itself.
        pruning: What is pruned. None: the masks stay.
    """
    network, device, work = copied(module).train(), data.x.device, 0
    left: list[int] = []
    states: list[Params] = []
    kept: list[Masks] = []
    for index, seed in enumerate(seeds):
        state, masks = networks.member(index)
        fill(network, state)
        masks = {name: mask.to(device) for name, mask in masks.items()}
        with seeded(seed, device):
            masks, cost = _train(network, masks, data, recipe, seed, pruning)
        work += cost
        if masks is not None and is_finite(network):
            left.append(index)
            states.append({n: v.cpu().clone() for n, v in tensors_of(network).items()})
            kept.append({n: m.cpu() for n, m in masks.items()})
    if not left:
        return Trained(networks[:0], work)
    trained = replace(
        networks[torch.tensor(left, device="cpu")],
        state={n: torch.stack([state[n] for state in states]) for n in networks.state},
        masks={n: torch.stack([masks[n] for masks in kept]) for n in networks.masks},
    )
    return Trained(trained, work)


def steps(recipe: Recipe, rows: int, seed: int) -> Iterator[tuple[float, Tensor]]:
    """The learning rate of every step, and which rows it takes; a last partial batch is dropped."""
    generator = torch.Generator().manual_seed(seed)
    for lr in recipe.learning_rates():
        order = torch.randperm(rows, generator=generator, device="cpu")
        for batch in order.split(recipe.batch_size)[: rows // recipe.batch_size]:
            yield lr, batch


def mean_loss(outputs: Tensor, y: Tensor, loss: Loss) -> Tensor:
    """The loss of a row."""
    return sample_losses(outputs.unsqueeze(0), y, loss).mean()


@torch.no_grad()
def fill(network: nn.Module, state: Params) -> None:
    """Puts a network's tensors into a module of its form."""
    for name, value in tensors_of(network).items():
        value.copy_(state[name])


def is_finite(network: nn.Module) -> bool:
    """Whether no tensor of a module holds NaN or infinity."""
    return all(bool(value.isfinite().all()) for value in tensors_of(network).values())


def others(module: nn.Module, masks: Masks) -> int:
    """How many parameters a module has beside those that masks may prune."""
    return sum(p.numel() for name, p in module.named_parameters() if name not in masks)


@contextmanager
def seeded(seed: int, device: torch.device) -> Generator[None]:
    """Random numbers of a module's own, such as dropout's, from a seed; the caller's stay."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


# As `train_in_turn`, for one network.
def _train(
    network: nn.Module,
    masks: Masks,
    data: EliminationData,
    recipe: Recipe,
    seed: int,
    pruning: Pruning | None,
) -> tuple[Masks | None, int]:
    """What one network keeps after its training in place, None where it diverged; and the cost."""
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(
        trainable, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay
    )
    if pruning is None:
        step = _Held(network, masks, optimizer)
    else:
        total = recipe.epochs * (len(data.x) // recipe.batch_size)
        step = _Pruned(network, masks, optimizer, pruning, total)
    always, work = others(network, masks), 0
    for lr, rows in steps(recipe, len(data.x), seed):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        batch = rows.to(data.x.device)
        loss = mean_loss(run(network, data.x[batch]), data.y[batch], data.loss)
        if not bool(loss.isfinite()):
            step.give_up()
            return None, work
        torch.autograd.backward(loss)
        try:
            step.take()
        except ValueError:
            if is_finite(network):
                raise
            step.give_up()  # a pruner refuses to rank what has diverged
            return None, work
        work += len(rows) * (always + step.weights)
    return step.masks, work


@final
class _Held:
    """Steps that keep at zero what the masks prune."""

    def __init__(self, network: nn.Module, masks: Masks, optimizer: torch.optim.SGD) -> None:
        self.masks, self.weights = masks, count(masks)
        self._optimizer = optimizer
        self._held = [(network.get_parameter(name), mask) for name, mask in masks.items()]

    @torch.no_grad()
    def take(self) -> None:
        """One step."""
        self._optimizer.step()
        for weight, mask in self._held:
            weight.mul_(mask)

    def give_up(self) -> None:
        """After no further step."""


@final
class _Pruned:
    """Steps of a session, of which there are so many in all."""

    def __init__(
        self,
        network: nn.Module,
        masks: Masks,
        optimizer: torch.optim.SGD,
        pruning: Pruning,
        total: int,
    ) -> None:
        pruner, keep = pruning
        # What is never pruned was told of before: here it is left out by name, without a warning.
        left_out = [name for name, _ in network.named_parameters() if name not in masks]
        self._session = attach(
            pruner, network, optimizer, keep=keep, steps=total, masks=masks, ignore=left_out
        )
        self._due, self._done = set(pruner.update_steps(total)), 0
        self._look()

    def take(self) -> None:
        """One step."""
        self._session.step()
        self._done += 1
        if self._done in self._due:
            self._look()

    def give_up(self) -> None:
        """After no further step: rounds that are left are nothing to warn of."""
        self._session.state_dict()

    def _look(self) -> None:
        self.masks = self._session.masks
        self.weights = count(self.masks)
