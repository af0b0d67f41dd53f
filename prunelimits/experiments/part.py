"""A part of a study: runs of one method and width, trained together. Pure, so any process can."""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import groupby

from torch import Tensor

from prunelimits.connectivity import effective_masks
from prunelimits.elimination import EliminatedNetwork, Elimination, Regrowth
from prunelimits.experiments.eliminated import Eliminated, eliminated
from prunelimits.experiments.methods import SelfTraining, StudyMethod
from prunelimits.experiments.regrown import regrown
from prunelimits.experiments.study import Run, Study
from prunelimits.experiments.table import RunResult
from prunelimits.experiments.trim import trim
from prunelimits.models import parameter_shapes
from prunelimits.pruners import ProsPr
from prunelimits.randomness import derive
from prunelimits.training import FitResult, Loss, MLPEnsemble, Recipe, evaluate, fit
from prunelimits.training.determination import determination
from prunelimits.training.live_units import without_dead_units
from prunelimits.training.task import Task

# Parameters of all networks of a part: bounds the memory. Each takes about 50 bytes.
_PART_PARAMETERS = 1 << 25
# A part has at least so many runs, whatever their size: as many as fill a vector of the native
# engine.
_SMALLEST_PART = 16


@dataclass(frozen=True, eq=False)
class Part:
    """What a worker needs to know, beside the task.

    Attributes:
        study: What the runs are of.
        runs: Of one method, width and repeat; of ProsPr also of one learning rate and momentum,
            with which it looks ahead, of elimination also of one recipe; of regrowth one run.
    """

    study: Study
    runs: tuple[Run, ...]


def parts(study: Study, task: Task, done: Set[Run] = frozenset()) -> Iterator[Part]:
    """The parts of a study that are left to do, narrow networks first."""

    def together(run: Run) -> tuple[int, int, StudyMethod, int | None, int | None]:
        method = _method(study, run)
        recipe = run.recipe if isinstance(method, SelfTraining) else None
        return (
            run.width,
            run.repeat,
            method,
            recipe,
            run.keep if isinstance(method, Regrowth) else None,
        )

    left = [run for run in study.runs(task.inputs, task.outputs) if run not in done]
    for (width, *_), group in groupby(left, together):
        shapes = parameter_shapes(study.network(width, task.inputs, task.outputs))
        parameters = sum(math.prod(shape) for shape in shapes.values())
        # Runs from one initialisation keep much the same weights. The native engine is fastest when
        # these share a vector, and LTH trains them as one network until its first round.
        runs = sorted(group, key=lambda run: (run.recipe, run.keep))
        size = max(_SMALLEST_PART, _PART_PARAMETERS // parameters)
        for first in range(0, len(runs), size):
            yield Part(study, tuple(runs[first : first + size]))


def train_part(task: Task, part: Part) -> list[RunResult]:
    """Prunes, trains and measures the networks of a part, all from `task.initial` if it has one."""
    if isinstance(_method(part.study, part.runs[0]), SelfTraining):
        return _eliminated_results(task, part)
    return fitted_results(task, part, fit_part(task, part))


def fitted_results(task: Task, part: Part, result: FitResult) -> list[RunResult]:
    """Measures what `fit_part` pruned and trained."""
    # Wide sparse networks are small without what no output depends on.
    trained = without_dead_units(result.ensemble)
    trained = trained.replace(masks=effective_masks(trained.masks, keep_constants=True))
    connected = trained.replace(masks=effective_masks(trained.masks))
    trimmed = trim(trained, task.x, task.y, loss=task.loss)
    sizes = [e.nonzeros().tolist() for e in (result.ensemble, connected, trimmed)]
    accuracy = share_right(result.accuracy, result.loss, task.y, task.loss)
    measures = [m.tolist() for m in (accuracy, result.parameter_samples, result.operations)]
    if task.test is not None:
        measures += [
            measured(trained, pair, task.loss).masked_fill(result.diverged, 0.0).tolist()
            for pair in ((task.measure_x, task.measure_y), task.test)
        ]
    return [RunResult(*row) for row in zip(part.runs, *sizes, *measures, strict=True)]


def _eliminated_results(task: Task, part: Part) -> list[RunResult]:
    """What elimination has for each budget; zeros for a budget without a network."""
    networks, *cost = eliminate_part(task, part)
    return [_eliminated_result(task, run, found, *cost) for run, found in networks.items()]


def _eliminated_result(
    task: Task, run: Run, found: EliminatedNetwork | None, samples: float, operations: float
) -> RunResult:
    aside = [] if task.test is None else [(task.measure_x, task.measure_y), task.test]
    if found is None:
        choose, test = (0.0, 0.0) if aside else (None, None)
        return RunResult(run, 0, 0, 0, 0.0, samples, operations, choose, test)
    params = {name: value.detach()[None] for name, value in found.model.named_parameters()}
    network = MLPEnsemble.from_params(found.model.widths, params, found.masks)
    connected = network.replace(masks=effective_masks(network.masks))
    trimmed = trim(network, task.x, task.y, loss=task.loss)
    nonzeros, effective, left = (int(e.nonzeros()) for e in (network, connected, trimmed))
    accuracy, *others = (
        float(measured(network, pair, task.loss)[0]) for pair in [(task.x, task.y), *aside]
    )
    choose, test = others or (None, None)
    return RunResult(run, nonzeros, effective, left, accuracy, samples, operations, choose, test)


def measured(ensemble: MLPEnsemble, data: tuple[Tensor, Tensor], loss: Loss) -> Tensor:
    """`share_right` of every member on some data, float64 `(models,)`."""
    found = evaluate(ensemble, *data, loss=loss)
    return share_right(found.accuracy, found.loss, data[1], loss)


def share_right(accuracy: Tensor, squared_error: Tensor, y: Tensor, loss: Loss) -> Tensor:
    """The accuracy; for squared error the share of the targets' variance that is explained.

    That is 0 for networks that are no better than the targets' mean, and for diverged ones.
    """
    if loss != "mse":
        return accuracy
    return determination(squared_error, y).nan_to_num(nan=0.0).clamp(min=0.0)


def eliminate_part(task: Task, part: Part) -> Eliminated:
    """The elimination that a part of the method `Elimination` is, or the regrowth of `Regrowth`."""
    method = _method(part.study, part.runs[0])
    if isinstance(method, Regrowth):
        (run,) = part.runs
        return regrown(task, part.study, run, method, _seed(part.study, run, run.keep))
    if not isinstance(method, Elimination):
        raise TypeError(
            f"part must be of Elimination or Regrowth, got one of {part.runs[0].method}"
        )
    return eliminated(task, part.study, part.runs, method, _seed(part.study, part.runs[0]))


def fit_part(task: Task, part: Part) -> FitResult:
    """Prunes and trains the networks of a part, of any method but elimination."""
    study, runs = part.study, part.runs
    pruner = _method(study, runs[0])
    if isinstance(pruner, SelfTraining):
        raise TypeError(f"part must be of a pruner, got one of {runs[0].method}")
    return fit(
        _start(task, part),
        task.x,
        task.y,
        [study.recipes[run.recipe] for run in runs],
        loss=task.loss,
        # Repeats differ in the order of the batches even where all start from `task.initial`.
        seed=_word(study.seed, runs[0].repeat),
        pruner=pruner,
        keep=[run.keep for run in runs],
        pruner_seeds=[_seed(study, run, run.keep, _class_number(study, run)) for run in runs],
    )


def _start(task: Task, part: Part) -> MLPEnsemble:
    study, runs = part.study, part.runs
    widths = study.network(runs[0].width, task.inputs, task.outputs)
    start = task.initial_block(widths, len(runs))
    if start is not None:
        return MLPEnsemble.from_params(widths, start)
    return MLPEnsemble(widths, seeds=[_seed(study, run) for run in runs])


def _seed(study: Study, run: Run, *more: int) -> int:
    return _word(study.seed, run.width, run.recipe, run.repeat, *more)


def _class_number(study: Study, run: Run) -> int:
    """A number for the method's class: the same for methods that differ in settings alone."""
    return zlib.crc32(type(study.method(run.method)).__name__.encode())


def _word(seed: int, *path: int) -> int:
    return int(derive(seed, *path)[0] >> 1)


def _method(study: Study, run: Run) -> StudyMethod:
    """The run's method; ProsPr looks ahead with the learning rate and momentum of the training."""
    pruner = study.method(run.method)
    recipe: Recipe = study.recipes[run.recipe]
    if isinstance(pruner, ProsPr):
        return dataclasses.replace(pruner, lr=recipe.lr, momentum=recipe.momentum)
    return pruner
