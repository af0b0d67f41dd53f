"""Many starts of each network, fewer at every rung: what thousands of starts cost when few count.

A rung trains what is left by a recipe, on all the data or on some of it, and lets the best starts
of each network go on. Rungs that stop within a recipe share it: the next one goes on at the step
where this one stopped. So the same training is had whole, or only for the starts that show promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import prunelimits as pl
from prunelimits.training.data import default_loss
from prunelimits.training.engine import AbstractEngine, Plan
from prunelimits.training.engines import default_engine
from prunelimits.training.plan import make_plan, sample_order


@dataclass(frozen=True)
class Rung:
    """Trains what is left and lets each network's best starts go on.

    Attributes:
        recipe: How to train.
        keep: How many starts of each network go on: those of the smallest loss where the recipe is
            not at its end yet, else those of the best accuracy.
        samples: Trained and measured on so many random samples; None: on all.
        until: The share of the recipe's steps after which it stops.
        judged: Measured on the first so many of these samples; None: on all of them.
    """

    recipe: pl.Recipe
    keep: int
    samples: int | None = None
    until: float = 1.0
    judged: int | None = None


@dataclass(frozen=True)
class Climbed:
    """What a rung left.

    Attributes:
        ensemble: The starts that go on, a network's side by side, its best first.
        accuracy: Theirs on what they were measured on, `(networks * keep,)`.
    """

    ensemble: pl.MLPEnsemble
    accuracy: Tensor


def climb(
    ensemble: pl.MLPEnsemble,
    x: Tensor,
    y: Tensor,
    rungs: Sequence[Rung],
    *,
    starts: int,
    seed: int = 0,
    engine: AbstractEngine | None = None,
) -> list[Climbed]:
    """What each rung leaves of so many starts of each network, which stand side by side.

    `seed` decides which samples a rung takes and their order, the same for all networks, so that
    what becomes of a start depends on no other network.
    """
    loss = default_loss(ensemble.widths[-1])
    engine = default_engine(ensemble) if engine is None else engine
    order = sample_order(len(x), seed, -1)
    first, left, result = 0, starts, list[Climbed]()
    for rung in rungs:
        own = slice(None) if rung.samples is None else order[: rung.samples]
        some_x, some_y = x[own], y[own]
        steps = rung.recipe.epochs * (len(some_x) // rung.recipe.batch_size)
        stop = round(rung.until * steps)
        alone = make_plan([rung.recipe], len(some_x), loss=loss, seed=seed, start=first, stop=stop)
        plan = for_all(alone, len(ensemble))
        trained = engine.train(ensemble, some_x, some_y, plan)
        measured = engine.evaluate(trained, some_x[: rung.judged], some_y[: rung.judged], loss)
        first = stop if stop < steps else 0
        score = -measured.loss if first else measured.accuracy
        chosen = best(score, left, rung.keep)
        ensemble, left = trained[chosen], rung.keep
        result.append(Climbed(ensemble, measured.accuracy[chosen]))
    return result


def for_all(plan: Plan, members: int) -> Plan:
    """One member's plan for many: tens of thousands of recipes would take longer to compare."""
    return replace(
        plan,
        lr=plan.lr.expand(-1, members),
        momentum=plan.momentum.expand(members),
        weight_decay=plan.weight_decay.expand(members),
    )


def best(score: Tensor, starts: int, keep: int) -> Tensor:
    """The indices of every network's best starts, its best first, `(networks * keep,)`.

    A score that is NaN is worse than all others; of equal ones the first are taken.
    """
    each = score.nan_to_num(nan=-torch.inf).view(-1, starts)
    firsts = torch.arange(len(each)).unsqueeze(1) * starts
    order = each.sort(dim=1, descending=True, stable=True).indices
    return (order[:, :keep] + firsts).flatten()
