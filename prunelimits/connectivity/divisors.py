"""Parameters that something is divided by: without them there is no number."""

from __future__ import annotations

from torch import Tensor

from prunelimits.connectivity.following.steps import AbstractStep, Linear, Parameter


def divisors(steps: list[AbstractStep]) -> set[int]:
    """Parameters that something is divided by if they are zero, such as a row by its own norm.

    Even where nothing reads the quotient: zero by zero is no number, and no number times zero too.
    """
    found: set[int] = set()
    zeros: dict[int, Tensor] = {}
    for number, step in enumerate(steps):
        if not (isinstance(step, Linear) and step.divides) or step.varies:
            continue
        before = _before(steps, number)
        for i in sorted(before):
            if i not in zeros:
                zeros[i] = steps[i].compute(*(zeros[j] for j in steps[i].inputs))
        if not bool(zeros[step.inputs[0]].all()):
            found |= {i for i in before if isinstance(steps[i], Parameter)}
    return found


def _before(steps: list[AbstractStep], number: int) -> set[int]:
    """The steps that a step is made of."""
    found, open_ = set[int](), list(steps[number].inputs)
    while open_:
        i = open_.pop()
        if i not in found:
            found.add(i)
            open_ += steps[i].inputs
    return found
