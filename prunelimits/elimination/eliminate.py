"""Backward elimination with recovery: the rounds, one after the other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from prunelimits.elimination.beam import Beam
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.goal import check_goal
from prunelimits.elimination.result import (
    EliminatedNetwork,
    EliminationResult,
    Round,
)
from prunelimits.elimination.rounds import NARROW, Rounds
from prunelimits.elimination.state import State, read_state, write_state
from prunelimits.elimination.trainer import Trainer
from prunelimits.models import MLP, check_widths
from prunelimits.modes import in_plain_modes
from prunelimits.resuming import StoreError
from prunelimits.training import AbstractEngine, Loss, MLPEnsemble, Recipe
from prunelimits.training.data import check_data, default_loss

# Hidden widths of the network that is started from where the caller names none.
_HIDDEN = (16, 16, 16)
# However wide they are, so many dense networks are trained, if the method wants as many.
_FEWEST = 16

Start = MLP | MLPEnsemble | Sequence[int]


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
            The elimination ends when no network within reach of it is left.
        nonzeros: Weights and biases to get down to; the elimination ends there. At least one of
            `target` and `nonzeros` must be given.
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
        ValueError: If data, start and options do not fit each other.
        TypeError: If something counted is not an integer.
        StoreError: If the store is damaged or belongs to something else.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> from prunelimits.training import Recipe
        >>> quick = Elimination(networks=4, dense=Recipe(epochs=1), recovery=Recipe(epochs=1))
        >>> result = eliminate(*cubist_spiral(1000), quick, start=(2, 3, 1), nonzeros=6)
        >>> result.sparsest.nonzeros <= 6
        True
    """
    method = method or Elimination()
    target, nonzeros = check_goal(target, nonzeros)
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be positive, got {time_limit}")
    if trained and not isinstance(start, MLP | MLPEnsemble):
        raise ValueError("trained needs start to be a network or an ensemble")
    ensemble = _ensemble(start, x, y, loss, method, seed)
    if len(ensemble.widths) < 3:
        raise ValueError(f"start must have a hidden layer, got widths {ensemble.widths}")
    loss = loss or default_loss(ensemble.widths[-1])
    data = [
        check_data(a, b, inputs=ensemble.widths[0], outputs=ensemble.widths[-1], loss=loss)
        for a, b in ((x, y), *([] if measure is None else [measure]))
    ]
    trainer = Trainer(*data[0], *data[-1], loss=loss, seed=seed, engine=engine)
    run = Rounds(method, trainer, target, nonzeros, seed, starts=len(ensemble))
    description = _describe(method, target, nonzeros, seed, ensemble, trained, data)
    if store is not None and Path(store).exists():
        _resume(run, store, description)
    earlier, began = run.seconds, time.monotonic()
    while time_limit is None or time.monotonic() < began + time_limit:
        if not run.next(ensemble, trained):
            run.state.finished = True
            break
        run.note(earlier + time.monotonic() - began)
        if store is not None:
            write_state(store, description, run.state)
        if on_round is not None:
            on_round(run.state.rounds[-1])
    if store is not None and run.state.finished:
        write_state(store, description, run.state)
    return _result(method, description, run.state)


def read_elimination(store: str | os.PathLike[str]) -> EliminationResult:
    """The state of the elimination that a store belongs to.

    Raises:
        OSError: If the file cannot be read.
        StoreError: If it is damaged or no store of an elimination.
    """
    state = State(Beam(1, 1))
    description = read_state(store, state)
    values: dict[str, Any] = {f.name: description[f.name] for f in dataclasses.fields(Elimination)}
    for name in ("dense", "recovery"):
        values[name] = Recipe(**values[name])
    method = Elimination(**values)
    return _result(method, description, state)


def _ensemble(
    start: Start | None, x: Tensor, y: Tensor, loss: Loss | None, method: Elimination, seed: int
) -> MLPEnsemble:
    """The networks to start from, on the CPU in float32."""
    if isinstance(start, MLPEnsemble):
        params = {name: value.detach().cpu().float() for name, value in start.params.items()}
        masks = {name: mask.cpu() for name, mask in start.masks.items()}
        return MLPEnsemble.from_params(start.widths, params, masks)
    if isinstance(start, MLP):
        one = {n: p.detach().cpu().float()[None] for n, p in start.named_parameters()}
        # Biases often start at zero: they are not pruned unless weights are.
        dense = all(bool((value != 0).all()) for n, value in one.items() if n.endswith("weight"))
        masks = {name: (value != 0) | dense for name, value in one.items()}
        return MLPEnsemble.from_params(start.widths, one, masks)
    if start is None:
        if x.dim() != 2 or y.dim() == 0 or len(y) == 0:
            raise ValueError(
                f"x must have shape (n, inputs) and y one entry for each, got {tuple(x.shape)} "
                f"and {tuple(y.shape)}"
            )
        start = (x.shape[1], *_HIDDEN, _outputs(y, loss))
    # Wide networks are what costs: fewer of them, and copies once they are narrow.
    widths = check_widths(start)
    widest = max(widths[1:-1], default=1)
    few = max(_FEWEST, method.networks * NARROW // widest)
    return MLPEnsemble(widths, min(method.networks, few), seed=seed)


def _outputs(y: Tensor, loss: Loss | None) -> int:
    if loss == "mse":
        return 1 if y.dim() == 1 else y.shape[1]
    classes = int(y.max()) + 1
    return 1 if loss != "cross_entropy" and classes <= 2 else classes


def _result(method: Elimination, description: dict[str, Any], state: State) -> EliminationResult:
    front = state.beam.front
    return EliminationResult(
        method=method,
        target=description["target"],
        budget=description["nonzeros"],
        networks=tuple(EliminatedNetwork.of(front[size][:1]) for size in sorted(front)),
        rounds=tuple(state.rounds),
        seed=description["seed"],
        samples=description["samples"],
        finished=state.finished,
    )


def _describe(
    method: Elimination,
    target: float | None,
    nonzeros: int | None,
    seed: int,
    ensemble: MLPEnsemble,
    trained: bool,
    data: Sequence[tuple[Tensor, Tensor]],
) -> dict[str, Any]:
    """What a store is for: all that decides the result."""
    digest = hashlib.sha256()
    for tensor in (*(t for pair in data for t in pair), *ensemble.params.values()):
        digest.update(repr((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return {
        **dataclasses.asdict(method),
        "target": target,
        "nonzeros": nonzeros,
        "seed": seed,
        "start": list(ensemble.widths),
        "trained": trained,
        "data": digest.hexdigest(),
        "samples": len(data[-1][0]),
    }


def _resume(run: Rounds, store: str | os.PathLike[str], description: dict[str, Any]) -> None:
    recorded = read_state(store, run.state)
    # As JSON has it: no tuples.
    wanted = json.loads(json.dumps(description))
    differences = [
        f"{name} is {recorded.get(name)!r}, asked for {value!r}"
        for name, value in wanted.items()
        if recorded.get(name) != value
    ]
    if differences:
        raise StoreError(
            f"{store} belongs to another elimination ({'; '.join(differences)}): "
            "ask for the same, or use another store"
        )
    if run.state.rounds:
        run.trainer.epochs, run.trainer.work = (
            run.state.rounds[-1].epochs,
            run.state.rounds[-1].work,
        )
