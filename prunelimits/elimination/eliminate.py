"""Backward elimination with recovery: the rounds, one after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from torch import Tensor

from prunelimits.arguments import (
    checked_callable,
    checked_file,
    checked_flag,
    checked_instance,
    checked_integer,
    checked_kept_file,
    checked_number,
    checked_sizes,
    checked_tensor,
    shown,
    warn,
)
from prunelimits.datasets.ceiling import check_reachable
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.description import Description
from prunelimits.elimination.goal import Goal, check_a_path_fits
from prunelimits.elimination.result import EliminatedNetwork, EliminationResult, Round
from prunelimits.elimination.rounds import Rounds
from prunelimits.elimination.start import Start, default_widths, starting_networks
from prunelimits.elimination.state import EliminationState
from prunelimits.elimination.state_file import StateFile, read_state
from prunelimits.elimination.trainer import Trainer
from prunelimits.models import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.training import AbstractEngine, Loss, MLPEnsemble
from prunelimits.training.margins import checked_margin, tied_samples


class NothingFoundWarning(UserWarning):
    """An elimination has ended without a network at its goal; the message says what may help."""


# Fourteen parameters, of which most callers name two or three: what to reach, what to start from,
# how to measure, and how to run.
@in_plain_modes
def eliminate(
    x: Tensor,
    y: Tensor,
    method: Elimination | None = None,
    *,
    target: float | None = None,
    nonzeros: int | None = None,
    start: Start | None = None,
    trained: bool = False,
    loss: Loss | None = None,
    measure: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
    engine: AbstractEngine | None = None,
    store: str | os.PathLike[str] | None = None,
    time_limit: float | None = None,
    on_round: Callable[[Round], None] | None = None,
) -> EliminationResult:
    """Finds small networks by removing parts of large ones, again and again.

    See `Elimination` for the method. Every round is a pure function of its number, the seed and
    the networks before it, so a run that was interrupted goes on from its store as if nothing had
    happened; what is lost is the round under way.

    Args:
        x: Inputs, `(n, inputs)`.
        y: Labels or targets, as `loss` wants them.
        method: How. None: the defaults of `Elimination`.
        target: Score to reach: accuracy, or the coefficient of determination for squared error.
            The elimination ends when no network near enough to it is left, see `Elimination.slack`.
        nonzeros: Weights and biases to get down to, at most those of the networks of `start`, and
            one for every layer at least; the elimination ends there. At least one of `target` and
            `nonzeros` must be given.
        start: Widths of the dense networks to train; or one or more networks to start from, of
            which copies make up `method.networks`. Where weights of a network are zero, all that
            is zero counts as pruned. None: three hidden layers of 16 units.
        trained: Whether the networks of `start` are trained already.
        loss: The training loss. None: binary cross-entropy for one output, cross-entropy for more.
        measure: Other data to measure the score on. None: the training data, as in the paper.
        seed: Decides initialisations, batches and noise.
        engine: Who trains. None: the fastest.
        store: A file that keeps the state after every round, and is gone on from if it exists.
        time_limit: Seconds after which no round is begun.
        on_round: Called after every round.

    Raises:
        ValueError: If data, start and options do not fit each other, a number is out of its range,
            all targets of a squared error are the same, no network can reach the target since rows
            with the same inputs have different labels, or a trained network has ties although
            there is a margin.
        TypeError: If an argument is of another kind.
        StoreError: If the store is damaged, belongs to something else, or another process is
            writing to it.

    Warns:
        NothingFoundWarning: If nothing reached the goal; the message says what may help.
        MissingClassWarning: If `y` or `measure` has no row of a class.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> from prunelimits.training import Recipe
        >>> quick = Elimination(networks=4, dense=Recipe(epochs=1), recovery=Recipe(epochs=1))
        >>> result = eliminate(*cubist_spiral(1000), quick, start=(2, 3, 1), nonzeros=6)
        >>> result.sparsest.nonzeros <= 6
        True
    """
    method = Elimination() if method is None else method
    checked_instance("method", method, Elimination, "an Elimination or None")
    goal, seed = Goal(target, nonzeros), checked_integer("seed", seed)
    checked_flag("trained", trained)
    if trained and not isinstance(start, MLP | MLPEnsemble):
        raise ValueError(f"trained needs start to be a network or an ensemble, got {shown(start)}")
    if engine is not None:
        checked_instance("engine", engine, AbstractEngine, "an engine or None")
    if time_limit is not None:
        checked_number("time_limit", time_limit, above=0)
    if store is not None:
        store = checked_kept_file("store", store)
    if on_round is not None:
        checked_callable("on_round", on_round, "a function of a Round, or None")
    with ExitStack() as stack:
        networks = starting_networks(_start(start, x, y, loss), method.networks, seed)
        _check_budget(goal, networks)
        data = EliminationData.of(x, y, measure, networks.widths, loss)
        if goal.target is not None:
            numbers = data.loss == "mse"
            check_reachable(goal.target, data.measure_x, data.measure_y, numbers=numbers)
        method = replace(method, **method.recipes(len(data.x))._asdict())
        margin = checked_margin(method.margin, data.loss)
        if trained and margin:
            _check_ties(networks, data)
        trainer = Trainer(data, seed, engine, margin)
        rounds = Rounds(method, trainer, goal, seed, networks, trained)
        description = Description.of(method, goal, data, networks, trained, seed)
        file = None if store is None else stack.enter_context(StateFile(store, description))
        state = _run(rounds, file, time_limit, on_round)
    result = _result(description, state)
    if result.hint is not None:
        warn(result.hint, NothingFoundWarning)
    return result


def read_elimination(store: str | os.PathLike[str]) -> EliminationResult:
    """The state of the elimination that a store belongs to.

    Raises:
        OSError: If the file cannot be read.
        TypeError: If `store` is no path.
        ValueError: If it is a folder.
        StoreError: If the file is damaged or no store of an elimination.
    """
    return _result(*read_state(checked_file("store", store)))


def _start(
    start: Start | None, x: Tensor, y: Tensor, loss: Loss | None
) -> MLP | MLPEnsemble | tuple[int, ...]:
    """What to start from, with widths for None."""
    if isinstance(start, MLP | MLPEnsemble):
        return start
    if start is not None:
        return checked_sizes("start", start)
    checked_tensor("x", x)
    checked_tensor("y", y)
    if x.dim() != 2 or y.dim() == 0 or len(y) == 0:
        raise ValueError(
            f"x must have shape (n, inputs) and y one entry for each, got {tuple(x.shape)} "
            f"and {tuple(y.shape)}"
        )
    return default_widths(x.shape[1], y, loss)


def _check_budget(goal: Goal, networks: MLPEnsemble) -> None:
    """Raises for a budget that no network to start from fills, or that no path fits."""
    if goal.nonzeros is None:
        return
    check_a_path_fits("nonzeros", goal.nonzeros, networks.widths)
    most = int(networks.nonzeros().max())
    if goal.nonzeros > most:
        raise ValueError(
            f"nonzeros must be at most {most:,}, the weights and biases of start with widths "
            f"{networks.widths}, got {goal.nonzeros:,}"
        )


def _check_ties(networks: MLPEnsemble, data: EliminationData) -> None:
    """Raises if trained networks leave samples on no side, where a margin is asked for."""
    for place in range(len(networks)):
        ties = tied_samples(networks.member(place)[0], data.measure_x, data.loss)
        if ties:
            raise ValueError(
                f"start must have no ties where margin is above 0, but {ties:,} of "
                f"{len(data.measure_x):,} samples have a logit of exactly zero, or two that are "
                "equal, and would count as wrong: give its output a bias and train it, or ask for "
                "margin 0"
            )


def _run(
    rounds: Rounds,
    file: StateFile | None,
    time_limit: float | None,
    on_round: Callable[[Round], None] | None,
) -> EliminationState:
    """Does rounds until nothing is left to do or the time is over; the state at the end."""
    state = EliminationState() if file is None else file.read()
    began = time.monotonic()
    while not state.finished and (time_limit is None or time.monotonic() < began + time_limit):
        state = rounds.next(state)
        if file is not None:
            file.write(state)
        if on_round is not None and not state.finished:
            on_round(state.rounds[-1])
    return state


def _result(description: Description, state: EliminationState) -> EliminationResult:
    return EliminationResult(
        method=description.method,
        target=description.goal.target,
        budget=description.goal.nonzeros,
        networks=tuple(EliminatedNetwork.of(state.front[size][:1]) for size in sorted(state.front)),
        rounds=state.rounds,
        seed=description.seed,
        samples=description.samples,
        loss=description.loss,
        finished=state.finished,
    )
