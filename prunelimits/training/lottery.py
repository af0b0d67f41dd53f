"""Lottery tickets: train, prune, start again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import nn

from prunelimits.masks import count
from prunelimits.problem import problem_of
from prunelimits.pruners import LTH, Rewind, prunable
from prunelimits.pruners.prune import checked_keep
from prunelimits.types import Masks


def lottery_ticket(
    model: nn.Module,
    train: Callable[[nn.Module, Masks], object],
    pruner: Rewind | None = None,
    *,
    keep: int | None = None,
    sparsity: float | None = None,
    ignore: Iterable[str | nn.Module] = (),
) -> Masks:
    """The masks of a winning ticket: found by whole trainings, for the weights the model has now.

    Iterative magnitude pruning of [The lottery ticket hypothesis](
    https://arxiv.org/abs/1803.03635). Every training starts from the model's present parameters and
    buffers, on a copy; the model stays as it is. The last training, of the ticket itself, is the
    caller's:

        masks = lottery_ticket(model, train, keep=1000)
        make_permanent(model, masks)
        train(model, masks)

    Args:
        model: Where every training starts.
        train: Trains the network it is given in place, from start to end, and holds what the masks
            prune at zero, such as by `attach(masks, model, optimizer)`. Called once a round.
        pruner: How to prune between trainings. None: `LTH()`, four rounds.
        keep: How many weights survive. Exactly one of this and `sparsity`.
        sparsity: The share of the weights that is removed.
        ignore: As in `prune`.

    Raises:
        ValueError: If the budget is missing, given twice or out of its range, or there is nothing
            to prune.
        TypeError: If `pruner` is no pruner that rewinds.

    Examples:
        >>> def train(model: nn.Module, masks: Masks) -> None:
        ...     model.weight.data = torch.tensor([[1.0, 5.0, 3.0]])
        >>> model = nn.Linear(3, 1)
        >>> lottery_ticket(model, train, keep=1)
        {'weight': tensor([[False,  True, False]])}
    """
    pruner = LTH() if pruner is None else pruner
    if not isinstance(pruner, Rewind):
        raise TypeError(f"pruner must be one that rewinds, such as LTH(), got {pruner!r}")
    dense = prunable(model, ignore)
    budget = pruner.budget(dense, checked_keep(keep, sparsity, count(dense)))
    trainee = copy.deepcopy(model)
    problem, live = problem_of(trainee)
    state = pruner.init(problem, live, dense, budget)
    for _ in range(pruner.rounds):
        train(trainee, {name: mask.clone() for name, mask in state.masks.items()})
        trained = {**dict(trainee.named_parameters()), **dict(trainee.named_buffers())}
        with torch.no_grad():
            rewound, state = pruner.update(problem, state, trained)
            for name, value in trained.items():
                value.copy_(rewound[name])
    return state.masks
