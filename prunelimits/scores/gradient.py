"""The loss of a batch, and its gradient at a masked network: what scores with data build on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_callable,
    checked_instance,
    checked_loss,
    checked_tensors,
    shown,
)
from prunelimits.masks import apply, check_masks
from prunelimits.modes import in_plain_modes, many_at_once
from prunelimits.nested import tensors_in
from prunelimits.progress import stage
from prunelimits.samples import sample_counts
from prunelimits.scores.derivatives import gradient_of
from prunelimits.types import Masks, Params, Problem

Batch: TypeAlias = tuple[Any, Any]

_RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def batch_loss(problem: Problem, params: Params, batch: Batch) -> Tensor:
    """The loss of one batch: a tensor without axes.

    Raises:
        ValueError: If the loss is not one number.
    """
    x, y = batch
    return checked_loss("loss", problem.loss(problem.apply(params, x), y))


def mean_over_batches(problem: Problem, part: Callable[[Batch], Params]) -> Params:
    """The mean of `part(batch)`, weighted by `sample_counts`, one batch in memory at a time.

    Raises:
        ValueError: If the problem has no batches.
    """
    first, *others = check_batches(problem)
    with stage(1, of=1 + len(others)):
        total = part(first)
    if not others:
        return total  # no copy of it
    counts = sample_counts(problem.batches)
    if len(set(counts)) > 1:
        total = {name: counts[0] * value for name, value in total.items()}
        for number, batch in zip(counts[1:], _after_the_first(others), strict=True):
            total = {n: number * value + total[n] for n, value in part(batch).items()}
        return {name: value / sum(counts) for name, value in total.items()}
    for batch in _after_the_first(others):
        total = {name: value + total[name] for name, value in part(batch).items()}
    return {name: value / len(problem.batches) for name, value in total.items()}


def _after_the_first(others: Sequence[Batch]) -> Iterator[Batch]:
    for number, batch in enumerate(others, start=2):
        with stage(number, of=1 + len(others)):
            yield batch


def check_batches(problem: Problem, name: str = "batches") -> tuple[Batch, ...]:
    """The batches; an error that calls them `name` if there are none, or one is empty.

    Raises:
        ValueError: If so.
    """
    check_problem(problem)
    if not isinstance(problem.batches, Sequence):
        raise TypeError(f"{name} must be pairs (x, y), got {shown(problem.batches)}")
    if not len(problem.batches):
        raise ValueError(f"{name} must hold at least one pair (x, y), got none")
    for index, batch in enumerate(problem.batches):
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise TypeError(f"{name} must hold pairs (x, y), got {shown(batch)}")
        x = next(tensors_in(batch[0]), None)
        if x is not None and not x.numel():
            raise ValueError(f"{name} must hold samples, got {tuple(x.shape)} in batch {index}")
    return tuple(problem.batches)


def masked(params: Params, masks: Masks) -> Params:
    """The parameters named in `masks`, zero where the masks prune, in the order of the masks.

    Raises:
        ValueError: If a mask names no parameter or has another shape.
        TypeError: If a mask is not a bool tensor, or a weight is complex.
    """
    check_real(params, masks)
    zeroed = apply(params, masks)
    return {name: zeroed[name] for name in masks}


def live(params: Params, masks: Masks) -> Params:
    """As `masked`, but what the masks leave whole is no copy: for reading only.

    Raises:
        ValueError: As `masked` does.
        TypeError: As `masked` does.
    """
    check_real(params, masks)
    pruned = {name: mask for name, mask in masks.items() if not _is_whole(mask)}
    zeroed = apply({name: params[name] for name in masks}, pruned)
    return {name: zeroed[name] for name in masks}


def _is_whole(mask: Tensor) -> bool:
    """Whether a mask prunes nothing; False where many models are mapped."""
    return not many_at_once() and int(mask.count_nonzero()) == mask.numel()


def check_problem(problem: Problem) -> None:
    """Raises `TypeError` unless it is a `Problem` with two functions."""
    checked_instance("problem", problem, Problem, "a Problem, such as problem_of makes")
    checked_callable("problem.apply", problem.apply, "a function of parameters and inputs")
    checked_callable("problem.loss", problem.loss, "a function of outputs and targets")


def check_some(masks: Masks) -> None:
    """Raises `ValueError` if masks name no weight."""
    if not masks:
        raise ValueError("masks must name at least one weight, got none")


def check_real(params: Params, masks: Masks) -> None:
    """Raises if the masks do not fit, or a weight that they name is complex: no score ranks those.

    Raises:
        TypeError: If a mask is not a bool tensor, or a weight is complex.
        ValueError: If a mask names no parameter or has another shape.
    """
    check_masks(params, masks)
    for name in masks:
        if params[name].is_complex():
            raise TypeError(f"params[{name!r}] must be real, got {params[name].dtype}")


@in_plain_modes
@torch.no_grad()  # the caller's graph is cut off; what is differentiated here is not affected
def loss_gradient(problem: Problem, params: Params, masks: Masks) -> Params:
    """The gradient of the loss at the masked network, by every weight named in `masks`.

    A pruned weight has a gradient too: how the loss changes when it starts to come back. The loss
    is the mean over the samples of all batches.

    Raises:
        ValueError: If the problem has no batches, the loss is not one number, or the masks do not
            fit.
        TypeError: If a mask is not a bool tensor.
    """
    check_problem(problem)
    check_some(masks)
    weights = live(params, masks)

    def gradient(batch: Batch) -> Params:
        def loss(weights: Params) -> Tensor:
            return batch_loss(problem, {**params, **weights}, batch)

        return gradient_of(loss, weights)

    return mean_over_batches(problem, gradient)


def check_noise(noise: Params | None, masks: Mapping[str, Tensor]) -> Params:
    """The noise of every weight named in `masks`, clear of 0 and 1; an error if there is none.

    Raises:
        ValueError: If noise is missing, or missing for a name, or of another shape.
    """
    if noise is None:
        raise ValueError("noise is needed by this score: uniform numbers shaped like the masks")
    checked_tensors("noise", noise)
    for name, mask in masks.items():
        if name not in noise:
            raise ValueError(f"noise must have {name!r}, got {sorted(noise)}")
        if noise[name].shape != mask.shape:
            raise ValueError(
                f"noise[{name!r}] must have shape {tuple(mask.shape)}, "
                f"got {tuple(noise[name].shape)}"
            )
    return {name: noise[name] for name in masks}


def trainable(problem: Problem, params: Params) -> Params:
    """The floating-point ones that a training changes: no buffers, and nothing frozen."""
    return {
        name: value
        for name, value in params.items()
        if value.is_floating_point()
        and name not in problem.constants
        and not name.endswith(_RUNNING_STATISTICS)  # of a problem made by hand
    }


def check_outputs(problem: Problem, score: str) -> None:
    """Raises `ValueError` if the problem gives its loss alone, and a score looks at the outputs."""
    if not problem.has_outputs:
        raise ValueError(
            f"step gives the loss alone, but {score} looks at the model's outputs: give loss"
        )
