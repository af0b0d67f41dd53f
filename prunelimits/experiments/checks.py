"""Whether a study fits what it is run on."""

from __future__ import annotations

from itertools import pairwise

from prunelimits.elimination import Elimination, Regrowth
from prunelimits.experiments.study import Study
from prunelimits.training.margins import checked_margin
from prunelimits.training.plan import check_batch_size
from prunelimits.training.task import Task


def check_fits(study: Study, task: Task) -> None:
    """Raises for whatever could only fail, or mislead, when some of the runs are done.

    Raises:
        ValueError: If there are fewer samples than in a batch, the start is too narrow or of other
            inputs, outputs or depth, nothing is left to prune, or an elimination has a margin where
            there are no classes.
    """
    check_batch_size(study.recipes[0].batch_size, len(task.x))
    if task.initial is not None:
        needed, given = (
            study.network(max(study.widths), task.inputs, task.outputs),
            task.initial.widths,
        )
        ends = [(widths[0], widths[-1], len(widths)) for widths in (needed, given)]
        if ends[0] != ends[1] or min(given[1:-1]) < max(study.widths):
            raise ValueError(f"initial must have widths {needed} or wider hidden ones, got {given}")
    for method in study.methods:
        if isinstance(method, Elimination):
            checked_margin(method.margin, task.loss)
        if isinstance(method, Regrowth) and task.initial is not None:
            raise ValueError(
                "initial must be None for Regrowth, which draws starts of its own, got widths "
                f"{task.initial.widths}"
            )
    if not any(study.runs(task.inputs, task.outputs)):
        widths = study.network(max(study.widths), task.inputs, task.outputs)
        weights = sum(a * b for a, b in pairwise(widths))
        raise ValueError(
            "budgets must leave something to prune: one at least must be below the "
            f"{weights:,} weights of the widest network, {widths}, got {study.budgets}"
        )
