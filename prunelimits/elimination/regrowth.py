"""Regrowth: elimination from pruned networks, again and again after weights grew back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import overload

from torch import Tensor, nn
from typing_extensions import override

from prunelimits.arguments import (
    checked_instance,
    checked_integer,
    checked_kept_file,
    checked_sizes,
    checked_tensor,
    shown,
    warn,
)
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.eliminate import NothingFoundWarning
from prunelimits.elimination.goal import check_a_path_fits
from prunelimits.elimination.module_data import checked_starts, data_of_modules
from prunelimits.elimination.regrowing import AbstractRegrowing
from prunelimits.elimination.regrowing_mlps import MLPRegrowing, dense_weights
from prunelimits.elimination.regrowing_modules import ModuleRegrowing
from prunelimits.elimination.regrowth_config import Regrowth
from prunelimits.elimination.regrowth_file import RegrowthFile
from prunelimits.elimination.regrowth_result import RegrownModule, RegrowthResult
from prunelimits.elimination.result import EliminatedNetwork
from prunelimits.elimination.stack import AnyStack
from prunelimits.masks import count
from prunelimits.modes import in_plain_modes
from prunelimits.pruners import prunable
from prunelimits.pruners.coverage import warn_of_left_out
from prunelimits.training import AbstractEngine, Loss
from prunelimits.types import Masks


class AllDivergedError(ValueError):
    """A regrowth has nothing to choose from, as every training diverged.

    Attributes:
        work: What was trained until then, kept parameters times samples.
    """

    def __init__(self, work: int) -> None:
        super().__init__("first must be a training that does not diverge: lower its learning rate")
        self.work = float(work)

    @override
    def __reduce__(self) -> tuple[type[AllDivergedError], tuple[int]]:
        # As it is raised in another process.
        return AllDivergedError, (int(self.work),)


@overload
def regrow(
    x: Tensor,
    y: Tensor,
    method: Regrowth | None = None,
    *,
    keep: int,
    start: Sequence[int],
    loss: Loss | None = None,
    measure: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
    engine: AbstractEngine | None = None,
    store: str | os.PathLike[str] | None = None,
) -> RegrowthResult[EliminatedNetwork]: ...


@overload
def regrow(
    x: Tensor,
    y: Tensor,
    method: Regrowth | None = None,
    *,
    keep: int,
    start: nn.Module | Sequence[nn.Module],
    loss: Loss | None = None,
    measure: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
    engine: None = None,
    store: str | os.PathLike[str] | None = None,
) -> RegrowthResult[RegrownModule]: ...


# What to reach, what to start from, how to measure and how to run: a caller names three or four.
@in_plain_modes
def regrow(
    x: Tensor,
    y: Tensor,
    method: Regrowth | None = None,
    *,
    keep: int,
    start: Sequence[int] | nn.Module | Sequence[nn.Module],
    loss: Loss | None = None,
    measure: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
    engine: AbstractEngine | None = None,
    store: str | os.PathLike[str] | None = None,
) -> RegrowthResult[EliminatedNetwork] | RegrowthResult[RegrownModule]:
    """The best network of at most `keep` weights that `Regrowth` finds: an MLP, or any module.

    Weights count as for the pruners: biases come on top, those of hidden units in use and of all
    outputs of an MLP, all there are of a module.

    MLPs are drawn anew for every start, and trained side by side by an engine. Modules are trained
    by torch, side by side where that comes to the same, on the device of `start`: copies of it, in
    training mode, with dropout and BatchNorm at work, and measured in evaluation mode; what is
    frozen stays. They start from the weights that they have, so several starts of one module differ
    by the order of the rows alone: give several, with weights drawn anew, for more. What is pruned
    is what `pruners.prunable` names; what then lies on no path from an input to an output is pruned
    too, for which the forward pass is followed as by `connectivity.effective_masks`.

    Args:
        x: Inputs to train on, `(n, inputs)`, or rows of any shape that the module takes.
        y: Labels or targets, as `loss` wants them.
        method: How. None: the defaults of `Regrowth`.
        keep: Weights that survive, at most; a path from an input to an output needs one in every
            layer.
        start: Widths of the MLPs to start from; or a module, or several of one form, at which the
            starts begin in turn. They stay as they are.
        loss: The training loss. None: binary cross-entropy for one output, cross-entropy for more.
        measure: Inputs and labels to choose by. None: the training data.
        seed: Decides initialisations, batches and noise.
        engine: Who trains MLPs. None: the fastest.
        store: A file that keeps the state after every training, and is gone on from if it exists:
            the result is that of an uninterrupted run.

    Raises:
        ValueError: If data, start and `keep` do not fit each other, a number is out of its range,
            or a module's forward pass cannot be followed.
        AllDivergedError: If every training diverged; it is a ValueError.
        TypeError: If an argument is of another kind, or a module cannot be copied.
        StoreError: If the store is damaged, belongs to something else, or another process is
            writing to it.

    Warns:
        NothingFoundWarning: If the best network found keeps no weight: it is a constant.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> from prunelimits.training import Recipe
        >>> quick = Regrowth(starts=4, cycles=1, first=Recipe(epochs=2), recovery=Recipe(epochs=1))
        >>> result = regrow(*cubist_spiral(1000), quick, keep=12, start=(2, 6, 4, 1))
        >>> result.weights <= 12
        True

        Bright on the left or on the right, seen by a small convolutional network:

        >>> import torch
        >>> x = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        >>> y = (x[..., :2].sum((1, 2, 3)) > x[..., 2:].sum((1, 2, 3))).long()
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))
        >>> quick = Regrowth(starts=2, beam=2, tries=2, finalists=2, cycles=1,
        ...                  first=Recipe(epochs=5, batch_size=16))
        >>> network = regrow(x, y, quick, keep=12, start=model).network
        >>> sum(int(mask.sum()) for mask in network.masks.values()) <= 12, network.score > 0.8
        (True, True)
    """
    began = time.monotonic()
    method = Regrowth() if method is None else method
    checked_instance("method", method, Regrowth, "a Regrowth or None")
    seed, keep = checked_integer("seed", seed), checked_integer("keep", keep, 1)
    if engine is not None:
        checked_instance("engine", engine, AbstractEngine, "an engine or None")
    if store is not None:
        store = checked_kept_file("store", store)
    modules = checked_starts(start)
    if modules is None:
        widths = _checked_widths(start, y, keep, loss)
        data = EliminationData.of(x, y, measure, widths, loss)
        run = MLPRegrowing(method, data, keep, seed, engine)
        chosen = _best(run, lambda: run.starts(widths), widths, store)
        network, weights = EliminatedNetwork.of(chosen), int(run.weights(chosen))
        _warn_of_a_constant(weights)
        return RegrowthResult(network, weights, method, run.work, time.monotonic() - began)
    if engine is not None:
        raise ValueError(f"engine must be None for modules, which torch trains, got {engine!r}")
    whole = _checked_weights(modules[0], keep)
    data = data_of_modules(x, y, measure, modules[0], loss)
    of_modules = ModuleRegrowing(method, data, modules, whole, keep, seed)
    regrown = of_modules.network(_best(of_modules, of_modules.starts, modules, store))
    weights, seconds = count(regrown.masks), time.monotonic() - began
    _warn_of_a_constant(weights)
    return RegrowthResult(regrown, weights, method, of_modules.work, seconds)


def _best(
    run: AbstractRegrowing[AnyStack],
    starts: Callable[[], AnyStack],
    start: Sequence[int] | Sequence[nn.Module],
    store: str | os.PathLike[str] | None,
) -> AnyStack:
    """The chosen network, after all trainings that the store does not know yet."""
    with ExitStack() as stack:
        file = None if store is None else stack.enter_context(RegrowthFile(store, run, start))
        state = None if file is None else file.read()
        if state is None:
            state = run.begun(starts())
            if file is not None:
                file.write(state)
        while not state.finished:
            state = run.next(state)
            if file is not None:
                file.write(state)
    run.take_up(state.done)
    if not len(state.best_networks):
        raise AllDivergedError(run.work)
    return run.chosen(state.best_networks)


def _warn_of_a_constant(weights: int) -> None:
    if not weights:
        warn(
            "the best network found keeps no weight at all: train longer (epochs of first, "
            "recovery and last), or keep more",
            NothingFoundWarning,
        )


def _checked_widths(start: object, y: object, keep: int, loss: Loss | None) -> tuple[int, ...]:
    """Widths of MLPs with more weights than are kept, and outputs for the labels."""
    widths = checked_sizes("start", start)
    if len(widths) < 3:
        raise ValueError(f"start must have a hidden layer, got widths {widths}")
    if loss is None and widths[-1] > 1:
        kind = checked_tensor("y", y).dtype
        if kind.is_floating_point:
            raise ValueError(
                "start must end in 1 output, or y be integer labels, got widths "
                f"{widths} and {kind}"
            )
    weights = dense_weights(widths)
    if keep >= weights:
        raise ValueError(
            f"keep must be below the {weights} weights of widths {widths}, got {shown(keep)}"
        )
    check_a_path_fits("keep", keep, widths)
    return widths


def _checked_weights(module: nn.Module, keep: int) -> Masks:
    """Masks of all weights of a module that may be pruned, more than are kept."""
    try:
        whole = prunable(module)
    except ValueError as error:
        raise ValueError(f"start cannot be pruned: {error}") from error
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError("start must have parameters to train, but all are frozen")
    weights = count(whole)
    if keep >= weights:
        raise ValueError(f"keep must be below the {weights} weights of start, got {shown(keep)}")
    warn_of_left_out(module, (), ())
    return whole
