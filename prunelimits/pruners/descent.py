"""Gradient descent as pure functions, for methods that train by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from prunelimits.progress import tracked
from prunelimits.pruners.schedules.curves import half_cosine
from prunelimits.types import Params, Problem


def cosine_rates(lr: float, epochs: int) -> list[float]:
    """The learning rate of every epoch e (from 0) of E: `lr (1 + cos(pi e / E)) / 2`.

    Examples:
        >>> cosine_rates(0.4, 2)
        [0.4, 0.2]
    """
    return [lr * float(half_cosine(epoch / epochs)) for epoch in range(epochs)]


def single_batches(problem: Problem) -> Iterator[Problem]:
    """The problem with each of its batches alone, in their order: an epoch."""
    for batch in tracked(problem.batches):
        yield problem._replace(batches=[batch])


def sgd_step(
    values: Params, grads: Params, velocity: Params | None, *, rate: float, momentum: float
) -> tuple[Params, Params]:
    """The values and momentum buffers after a step, as `torch.optim.SGD` defines it.

    Args:
        values: Before the step.
        grads: The gradient there.
        velocity: The momentum buffers before; None at first.
        rate: The learning rate.
        momentum: Without dampening.
    """
    if velocity is None:
        velocity = grads
    else:
        velocity = {name: momentum * velocity[name] + grad for name, grad in grads.items()}
    return {name: value - rate * velocity[name] for name, value in values.items()}, velocity
