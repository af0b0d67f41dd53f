"""The trainings of the study of real tasks: each method on one split, as rows of its table."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from itertools import pairwise

from real_methods import LONG, Variant
from real_rows import Row
from real_tasks import RealTask
from torch import Tensor

from prunelimits import MLP, MLPEnsemble, evaluate, fit
from prunelimits.connectivity import effective_masks
from prunelimits.datasets import Parts
from prunelimits.elimination import Elimination, EliminationResult, Regrowth, eliminate, regrow
from prunelimits.pruners import AbstractPruner, ProsPr
from prunelimits.randomness import derive
from prunelimits.training import Recipe
from prunelimits.training.fit import diverged_members
from prunelimits.training.live_units import without_dead_units


def trained(task: RealTask, parts: Parts, split: int, variant: Variant) -> list[Row]:
    """The rows of one method on one split."""
    began = time.monotonic()
    (x, y), choose, test = parts
    widths = task.widths(parts)
    recipe = task.recipe(variant.times)
    budgets = task.budgets if variant.pruner is not None else (_weights(widths),)
    starts = [(start, keep) for start in variant.starts for keep in budgets]
    ensemble = MLPEnsemble(widths, seeds=[start_seed(split, start) for start, _ in starts])
    if variant.pruner is None:
        result = fit(ensemble, x, y, recipe, seed=split)
    else:
        result = fit(
            ensemble, x, y, recipe, seed=split, pruner=_fitted(variant.pruner, recipe),
            keep=[keep for _, keep in starts],
            pruner_seeds=[start_seed(split, start, keep) for start, keep in starts],
        )  # fmt: skip
    alike = without_dead_units(result.ensemble)
    bad = diverged_members(result.ensemble)
    right = [_right(alike, bad, part) for part in (choose, test)]
    nonzeros = result.ensemble.nonzeros()
    connected = result.ensemble.replace(masks=effective_masks(result.ensemble.masks)).nonzeros()
    seconds = time.monotonic() - began
    rows: list[Row] = []
    for place, keep in enumerate(budgets):
        mine = slice(place, None, len(budgets))
        columns = [tuple(v[mine].tolist()) for v in (nonzeros, connected, *right)]
        cost = float(result.parameter_samples[mine].mean())
        rows.append(
            Row(task.name, split, variant.method, variant.times,
                variant.starts.start, keep, cost, *columns,
                len(choose[0]), len(test[0]), round(seconds, 1))
        )  # fmt: skip
    return rows


def eliminated(
    task: RealTask, parts: Parts, split: int, name: str, method: Elimination
) -> list[Row]:
    """Elimination's best within every budget, of weights and biases, then of weights alone."""
    (x, y), choose, test = parts
    result = eliminate(
        x, y, method, nonzeros=min(task.budgets), start=task.widths(parts),
        measure=choose, seed=split,
    )  # fmt: skip
    rows: list[Row] = []
    for counted, size in (
        (name, lambda n: n.nonzeros),
        (f"{name}, weights", lambda n: _kept_weights(n.masks)),
    ):
        for keep in task.budgets:
            within = [network for network in result.networks if size(network) <= keep]
            if not within:
                continue
            best = max(within, key=lambda network: network.score)
            chosen = round(best.score * len(choose[0]))
            right = right_of(best.model, test)
            rows.append(
                Row(task.name, split, counted, 1, 0, keep, _work_until(result, keep),
                    (best.nonzeros,), (best.nonzeros,), (chosen,), (right,),
                    len(choose[0]), len(test[0]), round(result.seconds, 1))
            )  # fmt: skip
    return rows


def regrown(
    task: RealTask, parts: Parts, split: int, budgets: Sequence[int], name: str, method: Regrowth
) -> list[Row]:
    """A regrowth to every one of some budgets, each for itself."""
    (x, y), choose, test = parts
    method = dataclasses.replace(method, first=task.recipe(1), last=task.recipe(LONG))
    rows: list[Row] = []
    for keep in budgets:
        result = regrow(
            x, y, method, keep=keep, start=task.widths(parts), measure=choose,
            seed=start_seed(split, keep),
        )  # fmt: skip
        best = result.network
        kept = (best.nonzeros,)
        rows.append(
            Row(task.name, split, name, 1, 0, keep, result.work, kept, kept,
                (round(best.score * len(choose[0])),), (right_of(best.model, test),),
                len(choose[0]), len(test[0]), round(result.seconds, 1))
        )  # fmt: skip
    return rows


def start_seed(*path: int) -> int:
    """Of a split's start, or of what is random about it: `(split, start)`, and the budget."""
    return int(derive(*path)[0] >> 1)


def _right(ensemble: MLPEnsemble, diverged: Tensor, part: tuple[Tensor, Tensor]) -> Tensor:
    """Rows that every member gets right, int64; none for one that diverged."""
    accuracy = evaluate(ensemble, *part).accuracy.masked_fill(diverged, 0.0)
    return (accuracy * len(part[0])).round().long()


def right_of(model: MLP, part: tuple[Tensor, Tensor]) -> int:
    """Rows of a part that a network gets right."""
    logits = model(part[0]).detach()
    labels = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    return int((labels == part[1]).sum())


def _fitted(pruner: AbstractPruner, recipe: Recipe) -> AbstractPruner:
    """ProsPr looks ahead by the steps of the training to come."""
    if isinstance(pruner, ProsPr):
        return dataclasses.replace(pruner, lr=recipe.lr, momentum=recipe.momentum)
    return pruner


def _work_until(result: EliminationResult, nonzeros: int) -> float:
    """What elimination had cost when it first had networks of that size."""
    return float(next((r.work for r in result.rounds if r.nonzeros <= nonzeros),
                      result.rounds[-1].work))  # fmt: skip


def _kept_weights(masks: dict[str, Tensor]) -> int:
    return sum(int(mask.sum()) for name, mask in masks.items() if name.endswith("weight"))


def _weights(widths: Sequence[int]) -> int:
    return sum(a * b for a, b in pairwise(widths))
