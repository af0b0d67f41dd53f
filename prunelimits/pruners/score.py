"""What a method makes of a model before it prunes: scores, the weights after surgery, a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from prunelimits.arguments import checked_integer
from prunelimits.masks import apply
from prunelimits.modes import in_plain_modes
from prunelimits.progress import OnProgress
from prunelimits.pruners.budgets import Keep, asked
from prunelimits.pruners.coverage import warn_of_left_out
from prunelimits.pruners.parts import Part, checked_parts
from prunelimits.pruners.prunable import prunable
from prunelimits.pruners.pruner import AbstractPruner
from prunelimits.pruners.schedules import Moving, Rewind
from prunelimits.pruners.schedules.times import in_steps
from prunelimits.pruners.scopes import Groups
from prunelimits.pruners.scoring import LearnedScore, Score
from prunelimits.pruners.shapes.shape import Counted
from prunelimits.pruners.task import allowed_of, task_of
from prunelimits.structure import Normalise
from prunelimits.types import Masks, Params, Scores


@in_plain_modes
def score(
    model: nn.Module,
    pruner: AbstractPruner,
    *,
    loss: Callable[[Any, Any], Tensor] | None = None,
    batches: Iterable[Any] = (),
    step: Callable[[nn.Module, Any], Tensor] | None = None,
    include: Iterable[Part] = (),
    ignore: Iterable[Part] = (),
    masks: Masks | None = None,
    normalise: Normalise | None = None,
    generator: torch.Generator | None = None,
    on_progress: OnProgress | None = None,
) -> Scores:  # what `prune` is given, but for the budget
    """How much a method would keep each weight, without pruning: those of its first round.

    Args:
        model: Any module; it stays as it is.
        pruner: A method that scores: not one that learns its masks, or moves weights.
        loss: As in `prune`, and so are all the others.
        batches: See `prune`.
        step: See `prune`.
        include: See `prune`.
        ignore: See `prune`.
        masks: What is pruned already: its scores are those of weights that act as zero.
        normalise: See `prune`.
        generator: See `prune`.
        on_progress: See `prune`.

    Returns:
        Name of a weight -> tensor of its shape; larger means keep.

    Raises:
        ValueError: If what the method needs is missing, or there is nothing to prune.
        TypeError: If the method has no scores, or an argument is of the wrong kind.

    Examples:
        >>> from prunelimits.pruners import Magnitude
        >>> model = nn.Linear(2, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.tensor([[3.0, -1.0]]))
        >>> score(model, Magnitude())
        {'weight': tensor([[3., 1.]])}
    """
    parts = pruner.combination if isinstance(pruner, AbstractPruner) else None
    if parts is None or not isinstance(parts.score, Score) or isinstance(parts.schedule, Moving):
        raise TypeError(f"pruner must have scores, such as SNIP(), got {pruner!r}")
    include, ignore = checked_parts("include", include), checked_parts("ignore", ignore)
    with task_of(
        pruner, model, loss, batches, step, include=include, ignore=ignore,
        masks=masks, normalise=normalise, generator=generator, on_progress=on_progress,
    ) as task:  # fmt: skip
        warn_of_left_out(model, include, ignore)
        return parts.score(task.problem, task.params, task.allowed, task.noise)


class Pruned(NamedTuple):
    """Masks, and the weights that belong to them.

    Attributes:
        masks: Name -> bool tensor.
        params: Parameters and buffers by name, zero where the masks prune.
    """

    masks: Masks
    params: Params


@in_plain_modes
def prune_with_weights(
    model: nn.Module,
    pruner: AbstractPruner,
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
) -> Pruned:  # what `prune` is given
    """The masks of `prune`, and the weights that the method leaves: OBS after surgery, LOMP's.

    Put them into the model with `model.load_state_dict(result.params)`, tied weights apart.

    Args:
        model: Any module; it stays as it is.
        pruner: `OBS`, `LOMP` or another one that trains or corrects weights.
        keep: As in `prune`, and so are all the others.
        sparsity: See `prune`.
        loss: See `prune`.
        batches: See `prune`.
        step: See `prune`.
        include: See `prune`.
        ignore: See `prune`.
        masks: See `prune`.
        normalise: See `prune`.
        generator: See `prune`.
        on_progress: See `prune`.

    Raises:
        ValueError: As `prune` does.
        TypeError: If the method leaves the weights as they are, or an argument is of the wrong
            kind.
    """
    learned = isinstance(pruner, AbstractPruner) and isinstance(
        pruner.combination.score, LearnedScore
    )
    if not learned:
        raise TypeError(f"pruner must change weights, such as OBS(), got {pruner!r}: see prune")
    include = checked_parts("include", include)
    ignore = checked_parts("ignore", ignore)
    dense = prunable(model, ignore, include)
    pruner, budget = asked(pruner, dense, allowed_of(dense, masks), keep, sparsity, model=model)
    warn_of_left_out(model, include, ignore)
    with task_of(
        pruner, model, loss, batches, step, include=include, ignore=ignore,
        masks=masks, normalise=normalise, generator=generator, on_progress=on_progress,
    ) as task:  # fmt: skip
        state = pruner.init(task.problem, task.params, task.allowed, budget, task.noise)
        params = {name: state.memory.get(name, value) for name, value in task.params.items()}
        return Pruned(state.masks, apply(params, state.masks))


@dataclass(frozen=True)
class PruningPlan:
    """What a method will do; `str` shows it as a table.

    Attributes:
        sizes: Name -> how many weights it has that may be kept; of `Units` with numbers of units,
            what is counted -> how many units.
        quotas: Name of a layer, or of a group of `keep`, -> how many of its weights or units
            survive; None where all layers are ranked together.
        left: After how many optimizer steps how many weights or units are left in all, round by
            round; step 0 is before the training.
        counted: What the numbers count.
    """

    sizes: dict[str, int]
    quotas: dict[str, int] | None
    left: list[tuple[int, int]]
    counted: Counted = "weights"

    def __str__(self) -> str:
        what = "units of" if self.counted == "units" else "weight"
        width = max(len(name) for name in (what, *self.sizes))
        quotas = self.quotas or {}
        lines = [f"{what:<{width}}  {self.counted:>12}  {'kept':>12}"]
        for name, size in self.sizes.items():
            kept = f"{quotas[name]:,}" if name in quotas else "together"
            lines.append(f"{name:<{width}}  {size:>12,}  {kept:>12}")
        groups = {
            name: kept for name, kept in (self.quotas or {}).items() if name not in self.sizes
        }
        lines += [f"{name:<{width}}  {'':>12}  {kept:>12,}" for name, kept in groups.items()]
        lines.append(f"{'step':>8}  {'left':>12}")
        return "\n".join([*lines, *(f"{step:>8,}  {left:>12,}" for step, left in self.left)])


def plan(
    model: nn.Module,
    pruner: AbstractPruner,
    *,
    keep: Keep | None = None,
    sparsity: float | None = None,
    steps: int | None = None,
    include: Iterable[Part] = (),
    ignore: Iterable[Part] = (),
    masks: Masks | None = None,
) -> PruningPlan:
    """What a method will do to a model, without doing it: quotas of the layers, and the rounds.

    Args:
        model: Any module.
        pruner: A method.
        keep: As in `prune`.
        sparsity: As in `prune`.
        steps: Optimizer steps in the training, for methods that act during it; of `lottery_ticket`,
            those of one training.
        include: As in `prune`.
        ignore: As in `prune`.
        masks: As in `prune`.

    Raises:
        ValueError: If the budget or `steps` is missing or out of its range.
        TypeError: If an argument is of the wrong kind.

    Examples:
        >>> from prunelimits.pruners import GMP
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> print(plan(model, GMP(rounds=2, scope="erk"), keep=10, steps=100))
        weight         weights          kept
        0.weight            32             7
        2.weight             8             3
            step          left
               0            40
              49            14
              98            10
    """
    if not isinstance(pruner, AbstractPruner):
        raise TypeError(f"pruner must be a pruner, such as SNIP(), got {pruner!r}")
    include, ignore = checked_parts("include", include), checked_parts("ignore", ignore)
    dense = prunable(model, ignore, include)
    allowed = allowed_of(dense, masks)
    pruner, budget = asked(pruner, dense, allowed, keep, sparsity, model=model)
    warn_of_left_out(model, include, ignore)
    schedule, start = pruner.combination.schedule, pruner.ranking.counts(allowed, budget)
    counted = pruner.shape.counted(budget, pruner.ranking.groups)
    sizes = {name: int(mask.sum()) for name, mask in allowed.items()}
    labels = _labels(pruner, allowed, budget)
    quotas = dict(zip(labels, budget.tolist(), strict=True)) if labels else None
    if labels and counted == "units":
        sizes = dict(zip(labels, start.tolist(), strict=True))
    if steps is not None:
        checked_integer("steps", steps, 1)
    if not schedule.acts_in_training:
        at = [0] * schedule.rounds
    elif steps is None:
        raise ValueError(f"steps is needed by {pruner.name}, which acts in training")
    elif isinstance(schedule, Rewind):
        # The first training begins at 0, the others where weights go back to.
        first = int(in_steps("to", schedule.to, steps))
        at = [first + (steps - first) * done for done in range(1, schedule.rounds + 1)]
    else:
        at = pruner.update_steps(steps)
    before = [(0, 0.0)] if schedule.acts_in_training else []
    rounds = [(step, done / schedule.rounds) for done, step in enumerate(at, start=1)]
    left = [(step, int(schedule.left(start, budget, t).sum())) for step, t in before + rounds]
    return PruningPlan(sizes, quotas, left, counted)


def _labels(pruner: AbstractPruner, masks: Masks, budget: Tensor) -> list[str] | None:
    scope = pruner.combination.scope
    if isinstance(scope, Groups):
        return list(scope.labels)
    return pruner.shape.labels(masks, budget)
