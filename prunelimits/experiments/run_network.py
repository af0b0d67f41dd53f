"""The network behind one line of a study's table, trained again."""

from __future__ import annotations

from torch import Tensor

from prunelimits.arguments import checked_instance
from prunelimits.experiments.checks import check_fits
from prunelimits.experiments.methods import SelfTraining
from prunelimits.experiments.part import eliminate_part, fit_part, parts
from prunelimits.experiments.study import Run, Study
from prunelimits.models import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.training import Loss
from prunelimits.training.task import make_task
from prunelimits.types import Masks


@in_plain_modes
def run_network(
    study: Study,
    run: Run,
    x: Tensor,
    y: Tensor,
    *,
    loss: Loss | None = None,
    initial: MLP | None = None,
) -> tuple[MLP, Masks]:
    """The network that a run of a study ends with, and its masks.

    A table keeps what a run measured, not its network, so it is trained again, together with the
    runs that it was trained with: which units can be left out of a training depends on all of them,
    and the rounding on those units. With the engine and the instruction set that made the table it
    is the same network to the last bit, unless the table was made in pieces of other budgets. Only
    `Regrowth` looks at `choose` of `run_study`: its networks of such a study are other ones.

    Args:
        study: What the run is of.
        run: Which.
        x: Inputs, as for `run_study`.
        y: Labels, or numbers.
        loss: As the study was given.
        initial: The network that the study started from, if it did.

    Raises:
        ValueError: If the study has no such run, data or the initial network do not fit, or all
            networks of an elimination diverged.
        TypeError: If an argument is of another kind.

    Examples:
        >>> from prunelimits import pruners
        >>> from prunelimits.datasets import cubist_spiral
        >>> from prunelimits.training import Recipe
        >>> study = Study(methods=(pruners.SNIP(),), widths=(4,), budgets=(12,),
        ...               recipes=(Recipe(epochs=1),))
        >>> model, masks = run_network(study, Run("SNIP", 4, 12, 0, 0), *cubist_spiral(1000))
        >>> sum(int(mask.sum()) for name, mask in masks.items() if name.endswith("weight"))
        12
    """
    checked_instance("study", study, Study, "a prunelimits.experiments.Study")
    checked_instance("run", run, Run, "a Run")
    if initial is not None:
        checked_instance("initial", initial, MLP, "a prunelimits.MLP or None")
    task = make_task(x, y, loss=loss, initial=initial)
    check_fits(study, task)
    for part in parts(study, task, frozenset()):
        if run in part.runs:
            if not isinstance(study.method(run.method), SelfTraining):
                return fit_part(task, part).ensemble.member(part.runs.index(run))
            found = eliminate_part(task, part).networks[run]
            if found is None:
                raise ValueError(f"run must end with a network, but all diverged of {run}")
            return found.placed(study.network(run.width, task.inputs, task.outputs))
    raise ValueError(f"run must be one of the study, got {run}")
