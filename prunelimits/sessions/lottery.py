"""Lottery tickets: train, prune, start again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from prunelimits.arguments import checked_callable, checked_generator, checked_instance, shown
from prunelimits.modes import in_plain_modes
from prunelimits.problem import params_of, problem_of
from prunelimits.progress import OnProgress
from prunelimits.pruners import LTH, AbstractPruner, Keep, Normalise, Part, Rewind, prunable
from prunelimits.pruners.budgets import asked
from prunelimits.pruners.coverage import warn_of_left_out
from prunelimits.pruners.noise import draw_noise
from prunelimits.pruners.parts import checked_parts
from prunelimits.pruners.task import allowed_of, check_needs
from prunelimits.sharding import sharded_names
from prunelimits.structure import copied
from prunelimits.types import Masks, Params


# As for `attach`: one place for all that may be told.
def lottery_ticket(
    model: nn.Module,
    train: Callable[..., object],
    pruner: AbstractPruner | None = None,
    *,
    keep: Keep | None = None,
    sparsity: float | None = None,
    loss: Callable[[Any, Any], Tensor] | None = None,
    batches: Iterable[Any] = (),
    step: Callable[[nn.Module, Any], Tensor] | None = None,
    include: Iterable[Part] = (),
    ignore: Iterable[Part] = (),
    masks: Masks | None = None,
    normalise: Normalise | None = None,
    generator: torch.Generator | None = None,
    on_progress: OnProgress | None = None,
) -> Masks:  # as many arguments as choices: a method, a budget, data, a selection
    """The masks of a winning ticket: found by whole trainings, for the weights the model has now.

    Iterative magnitude pruning of [The lottery ticket hypothesis](
    https://arxiv.org/abs/1803.03635). Every training starts from a copy of the model as it is now,
    in parameters, buffers, mode and everything else; the model stays as it is. The last training,
    of the ticket itself, is the caller's:

        masks = lottery_ticket(model, train, keep=1000)
        make_permanent(model, masks)
        train(model, masks)

    To rewind to a later step ([Linear mode connectivity](https://arxiv.org/abs/1912.05671)), take a
    schedule `Rewind(to=500)`: then `train` is called with `start` and `stop` by name, first for
    steps 0 to 500 of the whole model, then once a round from there to the end (`stop=None`); the
    ticket belongs to the weights of that step, and its training goes on from it.

    Args:
        model: Where every training starts.
        train: Trains the network it is given in place, from start to end, and holds what the masks
            prune at zero, such as by `attach(masks, model, optimizer)`. Called once a round.
        pruner: How to prune between trainings: a method whose schedule is `Rewind`. None: `LTH()`,
            four rounds.
        keep: How many weights survive. Exactly one of this and `sparsity`.
        sparsity: The share of the weights that is removed.
        loss: As in `prune`, for methods of one's own that score with data.
        batches: As in `prune`.
        step: As in `prune`.
        include: As in `prune`.
        ignore: As in `prune`.
        masks: What is pruned already, as in `prune`; it never comes back.
        normalise: As in `prune`.
        generator: As in `prune`, for methods of one's own that draw.
        on_progress: As in `prune`: how many trainings are done, of how many.

    Raises:
        ValueError: If the budget is missing, given twice or out of its range, there is nothing to
            prune, the model is sharded over processes, or a training ends in NaN.
        TypeError: If `pruner` is no pruner that rewinds, or the model cannot be copied.

    Examples:
        >>> def train(model: nn.Module, masks: Masks) -> None:
        ...     model.weight.data = torch.tensor([[1.0, 5.0, 3.0]])
        >>> model = nn.Linear(3, 1)
        >>> lottery_ticket(model, train, keep=1)
        {'weight': tensor([[False,  True, False]])}
    """
    checked_instance("model", model, nn.Module, "a module")
    pruner = LTH() if pruner is None else pruner
    schedule = pruner.combination.schedule if isinstance(pruner, AbstractPruner) else None
    if not isinstance(schedule, Rewind):
        raise TypeError(f"pruner must be one that rewinds, such as LTH(), got {pruner!r}")
    if isinstance(schedule.to, float) and schedule.to:
        raise ValueError(
            "to must be optimizer steps, since the training's length is not known here, got "
            f"{schedule.to}"
        )
    checked_callable("train", train, "a function of a model and masks")
    if on_progress is not None:
        checked_callable("on_progress", on_progress, "a function or None")
    if sharded_names(model):
        raise ValueError(
            "model is sharded over processes (DTensor), which cannot be copied: find the ticket "
            "before it is sharded, and attach the masks afterwards"
        )
    generator = checked_generator("generator", generator) or torch.Generator().manual_seed(0)
    include, ignore = checked_parts("include", include), checked_parts("ignore", ignore)
    dense = prunable(model, ignore, include)
    allowed = allowed_of(dense, masks)
    pruner, budget = asked(pruner, dense, allowed, keep, sparsity, model=model)
    warn_of_left_out(model, include, ignore)
    statistics = normalise or pruner.normalise
    problem, params = problem_of(model, loss, batches, step=step, normalise=statistics)
    check_needs(pruner, problem, loss, step)
    late: dict[str, int | None] = {}
    if schedule.to:
        early = _restarted(model, params, allowed)
        _train(train, early, allowed, start=0, stop=schedule.to)
        params, late = params_of(early), {"start": int(schedule.to), "stop": None}
    state = pruner.init(problem, params, allowed, budget)
    rewound = params
    for number in range(1, schedule.rounds + 1):
        trainee = _restarted(model, rewound, state.masks)
        _train(train, trainee, state.masks, **late)
        trained = _checked(params_of(trainee), state.masks, number)
        noise = draw_noise(state.masks, generator) if pruner.needs_noise else None
        with torch.no_grad():
            rewound, state = pruner.update(problem, state, trained, noise=noise)
        if on_progress is not None:
            on_progress(number, schedule.rounds)
    return state.masks


def _train(
    train: Callable[..., object], trainee: nn.Module, masks: Masks, **part: float | None
) -> None:
    """Trains in place; the masks are copies, which the training may change.

    Raises:
        TypeError: If it gives another module: what it has trained would not be looked at.
    """
    found = train(trainee, {name: mask.clone() for name, mask in masks.items()}, **part)
    if isinstance(found, nn.Module) and found is not trainee:
        raise TypeError(
            f"train must train the model that it is given, in place, got another: {shown(found)}"
        )


@in_plain_modes
@torch.no_grad()
def _restarted(model: nn.Module, params: Params, masks: Masks) -> nn.Module:
    """A copy of the model with these values, zero where the masks prune."""
    trainee = copied(model)
    own = {**dict(trainee.named_parameters()), **dict(trainee.named_buffers())}
    for name, value in own.items():
        value.copy_(params[name])
        if name in masks:
            value.masked_fill_(~masks[name].to(value.device), 0)
    return trainee


def _checked(params: Params, masks: Masks, number: int) -> Params:
    for name in masks:
        if not params[name].isfinite().all():
            what = "NaN" if params[name].isnan().any() else "infinity"
            raise ValueError(f"training {number} of the ticket has ended with {what} in {name!r}")
    return params
