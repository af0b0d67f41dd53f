"""Training an ensemble while a pruner prunes it, each member to a budget of its own."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from prunelimits.arguments import checked_integer, checked_integers
from prunelimits.masks import with_biases
from prunelimits.models.mlp import MLP
from prunelimits.problem import problem_of
from prunelimits.pruners import AbstractPruner, Keep, Part, Rewind, State, prunable
from prunelimits.pruners.budgets import by_groups
from prunelimits.pruners.described import functions_of
from prunelimits.pruners.schedules.times import in_steps
from prunelimits.randomness import derive, seed_words, uniform
from prunelimits.training.cost import Cost, training_cost
from prunelimits.training.engine import Plan, Training
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.training.live_units import train_live_units
from prunelimits.training.torch_engine import sample_losses
from prunelimits.types import Masks, Params, Problem

# Parameters that are scored at once: a bound on memory, of which a score takes several times theirs
# and, with data, the activations of a batch.
_SCORED_PARAMETERS = 1 << 22

T = TypeVar("T")


def train_pruned(
    ensemble: MLPEnsemble,
    training: Training,
    pruner: AbstractPruner,
    keep: Sequence[Keep | None],
    names: Sequence[str],
    seeds: Sequence[int],
) -> tuple[MLPEnsemble, Cost]:
    """The ensemble after the training, with exactly `keep` weights left in each member.

    Also what the training cost.

    Args:
        ensemble: Where to start from, without pruned weights.
        training: The whole of it.
        pruner: The method.
        keep: One a member.
        names: The parameters that are pruned, as `prunable_of` gives them.
        seeds: One a member, for the random numbers of its pruner.
    """
    plan, cost = training.plan, training_cost(ensemble, 0, training.plan.batch_size)
    dense = {name: ensemble.masks[name] for name in names}
    pruner, budgets = _budgets(pruner.for_model(ensemble.member(0)[0]), dense, keep)
    work = _EnsemblePruner(pruner, _problem(ensemble, training, pruner.batches), names, seeds)
    schedule = pruner.combination.schedule
    rewinds = isinstance(schedule, Rewind)
    # Rounds after the end of the training are refused before anything is trained.
    due = {} if rewinds else Counter(pruner.update_steps(plan.stop))

    def train(ensemble: MLPEnsemble, start: int, *, stop: int) -> MLPEnsemble:
        nonlocal cost
        segment = dataclasses.replace(plan, start=start, stop=stop)
        cost = cost.plus(training_cost(ensemble, stop - start, plan.batch_size))

        def run(part: MLPEnsemble) -> MLPEnsemble:
            if rewinds:
                # Members that differ in budget alone are the same network until the first round.
                return _train_distinct(part, training, segment)
            return training.run(part, segment)

        return train_live_units(ensemble, segment, run)

    if isinstance(schedule, Rewind):
        first = int(in_steps("to", schedule.to, plan.stop))
        if first:
            ensemble = train(ensemble, 0, stop=first).without_momentum()
        ensemble, state = work.init(ensemble, budgets)
        for _ in range(schedule.rounds):
            trained = train(ensemble, first, stop=plan.stop)
            ensemble, state = work.update(trained.without_momentum(), state)
        return train(ensemble, first, stop=plan.stop), cost
    ensemble, state = work.init(ensemble, budgets)
    done, needs_gradients = 0, pruner.needs_gradients
    for step, rounds in sorted(due.items()):
        ensemble, grads = train(ensemble, done, stop=step), None
        done = step
        if needs_gradients and step < plan.stop:
            # The round takes the place of a step of the optimiser, on that step's batch.
            grads = training.gradients(ensemble, step)
            done += 1
        elif needs_gradients:
            break
        for _ in range(rounds):
            ensemble, state = work.update(ensemble, state, grads)
    return train(ensemble, done, stop=plan.stop), cost


def _train_distinct(ensemble: MLPEnsemble, training: Training, plan: Plan) -> MLPEnsemble:
    """`training.run`, where members that are identical in everything are trained only once."""
    states = (ensemble.params, ensemble.momentum, ensemble.masks)
    numbers = [value.cpu() for state in states for value in state.values()]
    numbers += [plan.lr.T, plan.momentum, plan.weight_decay]
    places: dict[bytes, int] = {}
    group: list[int] = []
    for member in range(len(ensemble)):
        digest = blake2b()
        for value in numbers:
            digest.update(value[member].numpy().tobytes())
        group.append(places.setdefault(digest.digest(), len(places)))
    if len(places) == len(group):
        return training.run(ensemble, plan)
    first = torch.tensor([group.index(place) for place in range(len(places))], device="cpu")
    trained = training.run(ensemble[first.to(ensemble.device)], plan.of(first))
    return trained[torch.tensor(group, device=ensemble.device)]


class _EnsemblePruner:
    """A pruner at work on every member at once, by `torch.vmap`.

    Biases follow the weights as in the paper, `with_biases`, but for those that are pruned
    themselves. A member's noise comes from its own seed, so its masks do not depend on the members
    beside it.
    """

    def __init__(
        self,
        pruner: AbstractPruner,
        problem: Problem,
        names: Sequence[str],
        seeds: Sequence[int],
    ) -> None:
        self._pruner = pruner
        self._problem = problem
        self._names = names
        self._words = seed_words(seeds)[:, None]
        self._needs_noise = pruner.needs_noise

    def init(self, ensemble: MLPEnsemble, budgets: Tensor) -> tuple[MLPEnsemble, State]:
        """The ensemble as the pruner starts it, and the pruner's state."""
        masks = {name: ensemble.masks[name] for name in self._names}

        def init(params: Params, masks: Masks, budget: Tensor, noise: Params | None) -> State:
            return self._pruner.init(self._problem, params, masks, budget, noise=noise)

        mapped = _mapped(init, ensemble, self._pruner)
        state = mapped(ensemble.params, masks, budgets, self._noise(masks, 0))
        return ensemble.replace(masks=_whole(ensemble, state.masks)), state

    def update(
        self, ensemble: MLPEnsemble, state: State, grads: Params | None = None
    ) -> tuple[MLPEnsemble, State]:
        """A round on every member."""

        def update(
            state: State, params: Params, grads: Params | None, noise: Params | None
        ) -> tuple[Params, State]:
            return self._pruner.update(self._problem, state, params, grads, noise=noise)

        noise = self._noise(state.masks, 1 + int(state.round[0]))
        mapped = _mapped(update, ensemble, self._pruner)
        params, state = mapped(state, ensemble.params, grads, noise)
        return ensemble.replace(params=params, masks=_whole(ensemble, state.masks)), state

    def _noise(self, masks: Masks, round: int) -> Params | None:
        if not self._needs_noise:
            return None
        noise: Params = {}
        for layer, (name, mask) in enumerate(masks.items()):
            places = derive(round, layer, np.arange(mask[0].numel()))
            numbers = uniform(self._words ^ places)
            noise[name] = torch.from_numpy(numbers).view(mask.shape).to(mask.device)
        return noise


# Parts of torch's messages where code under vmap reads a tensor's value, of which each member has
# its own, or writes members' values into a tensor that they share.
_READ_UNDER_VMAP = ("vmap", "data pointer", "broadcast shape")


def _mapped(
    function: Callable[..., T], ensemble: MLPEnsemble, pruner: AbstractPruner
) -> Callable[..., T]:
    """`function` over the members, as many at once as memory allows; None is passed as it is.

    Raises:
        ValueError: If the pruner reads a tensor's value, of which there is one for each member.
    """
    size = sum(value[0].numel() for value in ensemble.params.values())

    def mapped(*arguments: object) -> T:
        in_dims = tuple(None if argument is None else 0 for argument in arguments)
        chunk = max(1, _SCORED_PARAMETERS // size)
        try:
            # One chunk of all would be taken apart and put together for nothing.
            at_once = None if len(ensemble) <= chunk else chunk
            return torch.vmap(function, in_dims=in_dims, chunk_size=at_once)(*arguments)
        except RuntimeError as error:
            ours = all(part.__module__.startswith("prunelimits.") for part in functions_of(pruner))
            if ours or not any(sign in str(error) for sign in _READ_UNDER_VMAP):
                raise
            raise ValueError(
                f"{pruner.name} cannot prune many networks at once, as fit and run_study "
                "do: a tensor then stands for all of them and has no one value to read by `if`, "
                "`while`, `float()`, `int()`, `.item()`, `.tolist()`, NumPy or an index. Write "
                "torch.where(condition, a, b) instead of `if`, multiply by masks instead of "
                "picking entries out, and make new tensors by torch.zeros_like; or prune one "
                "network after the other with prunelimits.prune(model, ...)"
            ) from error

    return mapped


def prunable_of(
    ensemble: MLPEnsemble, include: Iterable[Part], ignore: Iterable[Part]
) -> tuple[str, ...]:
    """The parameters that are pruned, as `prunable` chooses them of a member; raises as it does."""
    return tuple(prunable(ensemble.member(0)[0], ignore, include))


def one_keep_each(pruner: AbstractPruner, keep: object, models: int) -> Sequence[Keep | None]:
    """What every member keeps, from one for all or one each.

    Raises:
        ValueError: If there is none, not as many as members, or one is out of its range.
        TypeError: If one is no number.
    """
    if keep is None and pruner.shape.fixes_budget:
        return [None] * models
    if isinstance(keep, Mapping):
        return [keep] * models
    if isinstance(keep, list | tuple) and any(isinstance(one, Mapping) for one in keep):
        if len(keep) != models:
            raise ValueError(f"keep must be one for all or one a member, {models}, got {len(keep)}")
        return list(keep)
    if keep is None:
        raise ValueError("keep must be given with a pruner: one integer or one a member")
    if hasattr(keep, "__index__") and not getattr(keep, "ndim", 0):
        return [checked_integer("keep", keep, 0)] * models
    return checked_integers("keep", keep, 0, length=models)


def _whole(ensemble: MLPEnsemble, masks: Masks) -> Masks:
    """Masks of all parameters, from those of the pruned ones."""
    weights = {name: mask for name, mask in ensemble.masks.items() if name.endswith("weight")}
    chosen = {name: mask for name, mask in masks.items() if name in weights}
    return with_biases(weights | chosen) | masks


def _budgets(
    pruner: AbstractPruner, stacked: Masks, keep: Sequence[Keep | None]
) -> tuple[AbstractPruner, Tensor]:
    """The method, which ranks by groups where `keep` names them, and a budget for each member."""
    dense = {name: mask[0] for name, mask in stacked.items()}
    device = next(iter(stacked.values())).device
    grouped = [number for number in keep if isinstance(number, Mapping)]
    if grouped:
        if len(grouped) < len(keep) or len({tuple(number) for number in grouped}) > 1:
            raise ValueError("keep must name the same layers or groups for every member")
        found = [
            by_groups(pruner, dense, number, warns=not member)  # once is enough
            for member, number in enumerate(grouped)
        ]
        return found[0][0], torch.stack([budget for _, budget in found]).to(device)
    numbers = [number for number in keep if not isinstance(number, Mapping)]
    distinct = {number: pruner.budget(dense, number) for number in set(numbers)}
    return pruner, torch.stack([distinct[number] for number in numbers]).to(device)


def _problem(ensemble: MLPEnsemble, training: Training, number: int | None) -> Problem:
    """A member's `Problem`, with the first `number` batches of the training; None: of an epoch."""
    plan = training.plan

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return sample_losses(outputs.unsqueeze(0), targets, plan.loss).mean()

    member = {name: value[0] for name, value in ensemble.params.items()}
    problem, _ = problem_of(MLP.from_params(ensemble.widths, member), loss)
    most = plan.steps_per_epoch
    steps = range(most if number is None else min(number, most))
    batches = [plan.samples(step) for step in steps]
    return problem._replace(batches=[(training.x[b], training.y[b]) for b in batches])
