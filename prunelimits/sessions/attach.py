"""Pruning inside the user's own training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from prunelimits.arguments import (
    checked_callable,
    checked_generator,
    checked_instance,
    checked_integer,
)
from prunelimits.masks import check_masks, count
from prunelimits.problem import problem_of
from prunelimits.progress import OnProgress
from prunelimits.pruners import (
    AbstractPruner,
    Keep,
    LearnedScore,
    Normalise,
    Part,
    Rewind,
    prunable,
    prune,
    prune_with_weights,
)
from prunelimits.pruners.budgets import asked as asked_budget
from prunelimits.pruners.coverage import warn_of_left_out, warn_of_zeros
from prunelimits.pruners.parts import checked_parts
from prunelimits.pruners.task import allowed_of, check_can_run, check_needs
from prunelimits.sessions.optimizers import checked_optimizers
from prunelimits.sessions.session import PruningSession
from prunelimits.sessions.task import SessionModel
from prunelimits.sessions.terms import Terms, update_steps
from prunelimits.sharding import reshard
from prunelimits.types import Masks


# People write this call into their own loop: one place for all that a session may be told, most of
# it left at its default; what does not go together is refused.
def attach(
    pruner: AbstractPruner | Masks,
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    *,
    keep: Keep | None = None,
    sparsity: float | None = None,
    every: int | None = None,
    steps: int | None = None,
    start: int = 0,
    loss: Callable[[Any, Any], Tensor] | None = None,
    batches: Iterable[Any] = (),
    step: Callable[[nn.Module, Any], Tensor] | None = None,
    include: Iterable[Part] = (),
    ignore: Iterable[Part] = (),
    masks: Masks | None = None,
    normalise: Normalise | None = None,
    generator: torch.Generator | None = None,
    resume: Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
) -> PruningSession:  # as many arguments as choices: a method, a budget, a clock, data, a selection
    """Prunes a model while the caller trains it, with any of torch's optimizers.

    Pruned weights are zero from this call on, in the model and in the optimizer's buffers; methods
    that change the others too (OBS, LOMP) have put their weights into the model, see
    `prune_with_weights`. Sharded parameters (FSDP2) are pruned as if one process had them. Then
    either train as usual inside `with attach(...):`, where hooks on the optimizer do the work, or
    without `with` call the session's `step()` in place of `optimizer.step()`.

    Args:
        pruner: The method; or masks, which are then held as they are.
        model: Trained in place.
        optimizer: The one that trains the parameters to be pruned, or several that do so together;
            a step is over when each has stepped. What is wrapped around one of torch's in
            `.optimizer`, as Accelerate's is, stands for that one.
        keep: How many weights survive. Exactly one of this and `sparsity`, unless masks are given.
        sparsity: The share of the weights that is removed.
        every: Optimizer steps between two rounds, for methods that act during training.
        steps: Optimizer steps in the whole training, instead of `every`: the method then spreads
            its rounds as `AbstractPruner.update_steps` says.
        start: Optimizer steps before the first interval begins, for a start after a warm-up.
        loss: As in `prune`, for methods that score with data; others make no use of these three.
        batches: As in `prune`.
        step: As in `prune`.
        include: As in `prune`.
        ignore: As in `prune`.
        masks: What is pruned already, as in `prune`; it never comes back.
        normalise: As in `prune`.
        generator: Source of random numbers. None: a fresh one seeded 0, so that replicas agree.
        resume: What `PruningSession.state_dict` gave, for a model and an optimizer loaded from the
            same moment, and the same arguments: nothing is scored or drawn again.
        on_progress: As in `prune`, for methods that prune before the training.

    Raises:
        ValueError: If a number is missing or out of its range, an argument means nothing for the
            method, no optimizer trains a parameter that is to be pruned, the method rewinds (see
            `lottery_ticket`), or `resume` was asked for something else.
        TypeError: If an argument is of the wrong kind.

    Examples:
        >>> from prunelimits.pruners import GMP
        >>> model = nn.Linear(4, 4)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> with attach(GMP(), model, optimizer, keep=5, steps=300):
        ...     for _ in range(300):
        ...         optimizer.zero_grad()
        ...         model(torch.ones(1, 4)).square().sum().backward()
        ...         optimizer.step()
        >>> int(model.weight.count_nonzero())
        5
    """
    checked_instance("model", model, nn.Module, "a module")
    reshard(model)
    optimizers = checked_optimizers(optimizer)
    checked_integer("start", start, 0)
    if on_progress is not None:
        checked_callable("on_progress", on_progress, "a function or None")
    for name, value in (("every", every), ("steps", steps)):
        if value is not None:
            checked_integer(name, value, 1)
    parts: dict[str, Any] = {
        "include": checked_parts("include", include),
        "ignore": checked_parts("ignore", ignore),
    }
    task: dict[str, Any] = {"loss": loss, "batches": batches, "step": step}
    asked: dict[str, Any] = {"keep": keep, "sparsity": sparsity, "masks": masks}
    if not isinstance(pruner, AbstractPruner):
        given = {**asked, "every": every, "steps": steps, "start": start or None}
        checked_instance("pruner", pruner, dict, "a pruner, such as GMP(), or masks by name")
        _check_none({**given, **task, **parts, "normalise": normalise, "generator": generator})
        terms = _of_masks(pruner, model)
        problem = problem_of(model)[0]
    else:
        terms = _of_pruner(pruner, model, asked, parts, (every, steps, start))
        acts = pruner.acts_in_training
        statistics = normalise or pruner.normalise
        problem = problem_of(model, **(task if acts else {}), normalise=statistics)[0]
        if acts:
            check_needs(pruner, problem, loss, step)
        check_can_run(pruner, model)
    source = checked_generator("generator", generator) or torch.Generator().manual_seed(0)
    held = SessionModel(model, problem, terms.allowed, terms.held(terms.allowed), optimizers)
    held.check_processes(source)
    if resume is not None:
        return PruningSession.resume(resume, terms, held, optimizers, source)
    kept = None
    options: dict[str, Any] = {**asked, **task, **parts, "normalise": normalise}
    options |= {"generator": source, "on_progress": on_progress}
    if isinstance(pruner, AbstractPruner) and isinstance(pruner.combination.score, LearnedScore):
        kept, learned = prune_with_weights(model, pruner, **options)
        held.adopt(learned)
    elif isinstance(pruner, AbstractPruner) and not pruner.acts_in_training:
        kept = prune(model, pruner, **options)
    elif isinstance(pruner, AbstractPruner):
        warn_of_left_out(model, **parts)
        if masks is None:
            warn_of_zeros(model, terms.allowed)
    return PruningSession.start(terms, held, optimizers, source, kept)


def _of_pruner(
    pruner: AbstractPruner,
    model: nn.Module,
    asked: Mapping[str, Any],
    parts: Mapping[str, Any],
    clock: tuple[int | None, int | None, int],
) -> Terms:
    if isinstance(pruner.combination.schedule, Rewind):
        raise ValueError(f"pruner must not start training again, got {pruner}: see lottery_ticket")
    every, steps, start = clock
    dense = prunable(model, **parts)
    allowed = allowed_of(dense, asked["masks"])
    # Methods that prune at once are told by `prune` of what does not come out whole.
    pruner, budget = asked_budget(
        pruner, dense, allowed, asked["keep"], asked["sparsity"], model=model,
        warns=pruner.acts_in_training,
    )  # fmt: skip
    terms = Terms(pruner=pruner, allowed=allowed, budget=budget)
    if pruner.acts_in_training:
        return replace(terms, update_steps=update_steps(pruner, every, steps, start), last=steps)
    if every is not None or start:
        raise ValueError(
            "every and start are for methods that act during training, but "
            f"{pruner.name} prunes before it"
        )
    return terms


def _of_masks(masks: Masks, model: nn.Module) -> Terms:
    params = dict(model.named_parameters())
    check_masks(params, masks)
    moved = {name: mask.to(params[name].device) for name, mask in masks.items()}
    return Terms(pruner=None, allowed=moved, budget=torch.tensor([count(moved)], device="cpu"))


def _check_none(asked: Mapping[str, Any]) -> None:
    """Raises if an argument is given that masks leave no choice of."""
    given = [name for name, value in asked.items() if value is not None and value != ()]
    if given:
        raise ValueError(
            f"pruner is masks, which leave no choice of {' and '.join(given)}: "
            "they are held as they are"
        )
