"""Regrowth as a method of a study: a regrowth of its own for every run."""

from __future__ import annotations

import warnings
from dataclasses import replace

from prunelimits.elimination import AllDivergedError, NothingFoundWarning, Regrowth, regrow
from prunelimits.experiments.eliminated import OPERATIONS, Eliminated
from prunelimits.experiments.study import Run, Study
from prunelimits.training.task import Task


def regrown(task: Task, study: Study, run: Run, method: Regrowth, seed: int) -> Eliminated:
    """The regrowth of one run.

    Args:
        task: The data; where there are rows to choose by, regrowth chooses by them.
        study: What the run is of.
        run: Which. Its recipe is that of the first training, where the method has none of its own.
        method: How.
        seed: Decides everything random.
    """
    recipe = study.recipes[run.recipe]
    try:
        with warnings.catch_warnings():
            # A network without weights is told in the result.
            warnings.simplefilter("ignore", NothingFoundWarning)
            found = regrow(
                task.x,
                task.y,
                replace(method, first=method.first or recipe),
                keep=run.keep,
                start=study.network(run.width, task.inputs, task.outputs),
                loss=task.loss,
                measure=None if task.test is None else (task.measure_x, task.measure_y),
                seed=seed,
            )
    except AllDivergedError as error:
        return Eliminated({run: None}, error.work, OPERATIONS * error.work)
    return Eliminated({run: found.network}, float(found.work), OPERATIONS * float(found.work))
