"""Pruning any module, at once and exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from prunelimits.arguments import warn
from prunelimits.masks import count
from prunelimits.modes import in_plain_modes
from prunelimits.problem import problem_of
from prunelimits.progress import OnProgress
from prunelimits.pruners.budgets import Keep, asked
from prunelimits.pruners.coverage import warn_of_left_out
from prunelimits.pruners.model_pruner import ModelPruner
from prunelimits.pruners.parts import Part, checked_parts
from prunelimits.pruners.prunable import prunable
from prunelimits.pruners.pruner import AbstractPruner
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules import AtOnce
from prunelimits.pruners.scoring import Score
from prunelimits.pruners.shapes import Units
from prunelimits.pruners.state import Seen
from prunelimits.pruners.task import allowed_of, cuda_devices, task_of
from prunelimits.structure import Normalise
from prunelimits.types import Masks


@in_plain_modes
def prune(
    model: nn.Module,
    pruner: AbstractPruner | ModelPruner,
    *,
    keep: Keep | None = None,
    sparsity: float | None = None,
    loss: Callable[[Any, Any], Tensor] | None = None,
    batches: Iterable[Any] = (),
    step: Callable[[nn.Module, Any], Tensor] | None = None,
    include: Iterable[Part] = (),
    ignore: Iterable[Part] = (),
    masks: Masks | None = None,
    normalise: Normalise | None = None,
    generator: torch.Generator | None = None,
    on_progress: OnProgress | None = None,
) -> Masks:  # as many arguments as choices: a method, a budget, data, a selection
    """The masks that a method gives a model, for methods that need no training of yours.

    The matrices and kernels that multiply activations are pruned, biases and the rest are not (see
    `prunable`; `coverage` tells by name). The model stays as it is, with its gradients, buffers,
    mode and the global random state; see `masks.apply` and `masks.make_permanent` for what to do
    with the result. Warns if a layer is left empty, or if more than a tenth of the model's matrix
    entries is not pruned.

    A `ModelPruner`, such as `elimination.EliminationPruner(nonzeros=30)`, trains by itself, may
    prune biases as well, and has a budget of its own instead of `keep` or `sparsity`.

    Args:
        model: Any module; for elimination, an `MLP`.
        pruner: A method, such as `SNIP()`.
        keep: How many weights survive, exactly. Either this or `sparsity`. Numbers by layers or
            groups of layers, `{"encoder.*": 0.2, nn.Linear: 40}`, by names, patterns, modules or
            classes: integers are weights, floats shares that are kept; each group is ranked by
            itself.
        sparsity: Which share of the prunable weights is pruned, 0 to 1; the number that survives is
            rounded to the nearest, halves up.
        loss: A scalar for outputs and targets, for methods with data.
        batches: Pairs of inputs and targets, or mappings, for methods with data: see `problem_of`.
        step: Instead of `loss`, the loss of a model and a batch.
        include: Parts to prune beside those that are by default, see `prunable`.
        ignore: Parts to leave alone: names, patterns of names, modules, classes of modules, or
            functions of a parameter's name and the parameter.
        masks: What is pruned already, by names of prunable weights; it stays pruned and does not
            count among the survivors. A name that is absent is whole.
        normalise: What BatchNorm normalises by: `"batch"` or `"running"` statistics. None: what the
            method's authors do, `pruner.normalise`.
        generator: Source of random numbers, for methods that draw. None: a fresh one, seeded 0.
        on_progress: Called with how much is done and how much there is in all: rounds, epochs or
            batches, whichever the method has most of.

    Returns:
        Name of a weight -> bool tensor of its shape, in the order of the model's parameters; from
        a `ModelPruner` those of whatever else it prunes, too.

    Raises:
        ValueError: If the budget is missing, given twice, out of its range or the method's own; if
            the method acts during training; if there is nothing to prune, a batch or the loss is
            missing or the loss is not one finite number; or if all scores of an unpruned model are
            zero.
        TypeError: If an argument is of the wrong kind.

    Examples:
        >>> from prunelimits.pruners import Magnitude
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
        >>> masks = prune(model, Magnitude(floor=1), keep=40)
        >>> list(masks), count(masks)
        (['0.weight', '2.weight'], 40)
    """
    # A class has the methods of its instances.
    if isinstance(pruner, type) or not isinstance(pruner, AbstractPruner | ModelPruner):
        raise TypeError(f"pruner must be a pruner, such as SNIP(), got {pruner!r}")
    name = pruner.name if isinstance(pruner, AbstractPruner) else type(pruner).__name__
    include, ignore = checked_parts("include", include), checked_parts("ignore", ignore)
    if not isinstance(pruner, AbstractPruner):
        if (keep, sparsity, ignore, include, step, on_progress) != (None, None, (), (), None, None):
            raise ValueError(
                f"keep, sparsity and ignore are not for {name}, which has a budget of its own, and "
                "nor are include, step and on_progress"
            )
        return _whole(model, pruner, loss, batches, masks, generator)
    if pruner.acts_in_training:
        raise ValueError(
            f"{name} prunes during training: use attach(pruner, model, optimizer, ...) in a loop "
            "of your own, or fit(ensemble, ..., pruner=pruner)"
        )
    dense = prunable(model, ignore, include)
    pruner, budget = asked(pruner, dense, allowed_of(dense, masks), keep, sparsity, model=model)
    warn_of_left_out(model, include, ignore)
    with task_of(
        pruner, model, loss, batches, step, include=include, ignore=ignore, masks=masks,
        normalise=normalise, generator=generator, on_progress=on_progress,
    ) as task:  # fmt: skip
        allowed, parts = task.allowed, pruner.combination
        if isinstance(parts.schedule, AtOnce) and isinstance(parts.score, Score):
            seen = Seen(task.problem, task.params, None, task.noise)
            kept = _checked_rounds(parts.schedule, pruner.ranking, seen, allowed, budget)
        else:
            kept = pruner.init(task.problem, task.params, allowed, budget, task.noise).masks
    if isinstance(keep, Integral) and isinstance(pruner.shape, Units) and count(kept) != keep:
        warn(
            f"keep={keep} is no whole number of units: {count(kept)} weights are kept",
        )
    empty = [name for name, mask in kept.items() if allowed[name].any() and not mask.any()]
    if empty:
        warn(
            f"{name} leaves no weight in {', '.join(empty)}; floor=1 would keep one in each layer",
        )
    return kept


def _whole(
    model: nn.Module,
    pruner: ModelPruner,
    loss: Callable[[Tensor, Tensor], Tensor] | None,
    batches: Iterable[tuple[Tensor, Tensor]],
    masks: Masks | None,
    generator: torch.Generator | None,
) -> Masks:
    allowed = allowed_of(prunable(model), masks)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    # A data loader draws from the global random state when it starts.
    with torch.random.fork_rng(cuda_devices(allowed)):
        pairs = problem_of(model, loss, batches)[0].batches
    return pruner.prune_model(model, allowed, pairs, loss, seed)


def _checked_rounds(
    schedule: AtOnce, ranking: Ranking, seen: Seen, allowed: Masks, budget: Tensor
) -> Masks:
    zero_from, kept = 0, allowed
    unpruned = all(bool(mask.all()) for mask in allowed.values())
    rounds = schedule.each_round(ranking, seen, allowed, budget)
    for number, (scores, masks) in enumerate(rounds, start=1):
        choice, kept = allowed if schedule.revive else kept, masks
        if zero_from or not count(choice):
            continue
        if any(bool(scores[name].masked_fill(~mask, 0).any()) for name, mask in choice.items()):
            continue
        if number == 1 and unpruned:
            raise ValueError(
                f"scores of {ranking.name} are zero everywhere: the loss does not feel any weight "
                "of the model, or its weights are zero"
            )
        zero_from = number
    if zero_from:
        warn(
            f"scores of {ranking.name} are zero everywhere in round {zero_from} of "
            f"{schedule.rounds}: the weights with the lowest index are kept",
        )
    return kept
