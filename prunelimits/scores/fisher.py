"""The loss's gradient at each sample alone: what the empirical Fisher matrix is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from prunelimits.arguments import checked_integer
from prunelimits.masks import flatten
from prunelimits.modes import in_plain_modes, many_at_once
from prunelimits.nested import map_tensors, tensors_in
from prunelimits.scores.derivatives import gradient_of
from prunelimits.scores.gradient import (
    Batch,
    batch_loss,
    check_batches,
    check_problem,
    check_some,
    masked,
)
from prunelimits.types import Masks, Params, Problem

# Samples whose gradients are computed at once, where torch can map the model over them.
_AT_ONCE = 32


@in_plain_modes
@torch.no_grad()
def sample_gradients(
    problem: Problem, params: Params, masks: Masks, *, samples: int | None = None
) -> Tensor:
    """The gradient of the loss of each sample by the weights in `masks`, `(samples, weights)`.

    With these rows `g` the mean of `g g^T` is the empirical Fisher matrix, which stands in for the
    Hessian of a trained classifier; in this form it takes `samples` times the memory of the model,
    not the square of that.

    Args:
        problem: Loss and batches, whose inputs and targets have the samples along their first axis.
        params: Parameters and buffers by name.
        masks: Which weights, in flat order; what is pruned has a gradient as well.
        samples: At most how many, evenly spread over all; None: all.

    Raises:
        ValueError: If there are no batches, the masks do not fit, inputs and targets are not as
            many, or the loss is not one number.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> x, y = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0], [1.0]])
        >>> model, mse = torch.nn.Linear(2, 1, bias=False), torch.nn.functional.mse_loss
        >>> problem, params = problem_of(model, mse, [(x, y)])
        >>> params["weight"] = torch.tensor([[3.0, -1.0]])  # 2 (output - target) input
        >>> sample_gradients(problem, params, {"weight": torch.ones(1, 2).bool()})
        tensor([[6., 0.],
                [2., 2.]])
    """
    check_problem(problem)
    check_some(masks)
    if samples is not None:
        checked_integer("samples", samples, 1)
    weights = masked(params, masks)

    def gradient(batch: Batch) -> Tensor:
        def loss(weights: Params) -> Tensor:
            return batch_loss(problem, {**params, **weights}, batch)

        return flatten(gradient_of(loss, weights))

    def mapped(x: Tensor, y: Tensor) -> Tensor:
        return gradient((x[None], y[None]))

    found: list[Tensor] = []
    for x, y in _chosen(check_batches(problem), samples):
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            try:
                found.append(torch.func.vmap(mapped)(x, y))
                continue
            except RuntimeError:  # what torch cannot map is run sample by sample
                if many_at_once():
                    raise
        found += [gradient((_some(x, [i]), _some(y, [i])))[None] for i in range(_length(x))]
    return torch.cat(found)


def _chosen(batches: tuple[Batch, ...], samples: int | None) -> Iterator[Batch]:
    """Some samples at a time, evenly spread over all."""
    lengths = [_checked_length(batch) for batch in batches]
    total, before = sum(lengths), 0
    number = total if samples is None else min(samples, total)
    wanted = [index * total // number for index in range(number)]
    for (x, y), length in zip(batches, lengths, strict=True):
        places = [index - before for index in wanted if before <= index < before + length]
        before += length
        for begin in range(0, len(places), _AT_ONCE):
            part = places[begin : begin + _AT_ONCE]
            yield _some(x, part), _some(y, part)


def _checked_length(batch: Batch) -> int:
    shapes = [tuple(value.shape) for value in tensors_in(list(batch))]
    if not all(shapes) or len({shape[0] for shape in shapes}) != 1:
        raise ValueError(
            "batches must have their samples along the first axis of inputs and targets for the "
            f"Fisher matrix, got the shapes {shapes}"
        )
    return shapes[0][0]


def _some(value: Any, places: list[int]) -> Any:  # noqa: ANN401
    return map_tensors(lambda tensor: tensor[places], value)


def _length(value: Any) -> int:  # noqa: ANN401
    return len(next(tensors_in(value)))
