"""Elimination as a method of a study: one elimination answers for every budget of a start."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from prunelimits.elimination import (
    EliminatedNetwork,
    Elimination,
    NothingFoundWarning,
    eliminate,
)
from prunelimits.experiments.study import Run, Study
from prunelimits.training import MLPEnsemble
from prunelimits.training.task import Task

# A pass forward and back; evolution passes forward alone, so this is no less than what it takes.
OPERATIONS = 6


class Eliminated(NamedTuple):
    """The networks that one elimination has for some budgets, and what all of it took.

    Attributes:
        networks: The most accurate network within each run's budget of weights; None where all
            trainings diverged.
        parameter_samples: Kept parameters times samples, of all trainings and all of evolution.
        operations: Floating-point operations, at most.
    """

    networks: dict[Run, EliminatedNetwork | None]
    parameter_samples: float
    operations: float


def eliminated(
    task: Task, study: Study, runs: Sequence[Run], method: Elimination, seed: int
) -> Eliminated:
    """One elimination, down to the smallest of its runs' budgets.

    Args:
        task: The data, and the start if there is one.
        study: What the runs are of.
        runs: Of one width, recipe and repeat. The recipe is that of the dense training, where the
            method has none of its own.
        method: How.
        seed: Decides the start and everything else random.
    """
    width, recipe = runs[0].width, study.recipes[runs[0].recipe]
    widths = study.network(width, task.inputs, task.outputs)
    block = task.initial_block(widths, 1)
    with warnings.catch_warnings():
        # A budget without a network is told in the result.
        warnings.simplefilter("ignore", NothingFoundWarning)
        result = eliminate(
            task.x,
            task.y,
            replace(method, dense=method.dense or recipe),
            nonzeros=min(run.keep for run in runs),
            start=widths if block is None else MLPEnsemble.from_params(widths, block),
            loss=task.loss,
            seed=seed,
        )
    work = float(result.rounds[-1].work)
    found = {run: _within(result.networks, run.keep) for run in runs}
    return Eliminated(found, work, OPERATIONS * work)


def _within(networks: Sequence[EliminatedNetwork], keep: int) -> EliminatedNetwork | None:
    fitting = [network for network in networks if _weights(network) <= keep]
    return max(fitting, key=lambda n: (n.score, -n.nonzeros), default=None)


def _weights(network: EliminatedNetwork) -> int:
    return sum(int(mask.sum()) for name, mask in network.masks.items() if name.endswith("weight"))
