"""Points of a training, as optimizer steps or as shares of it."""

from __future__ import annotations

from fractions import Fraction
from numbers import Integral
from typing import TypeAlias

from prunelimits.arguments import checked_integer, checked_number

Time: TypeAlias = int | float
"""A point of a training: an integer is optimizer steps, a float the share of the training."""


def checked_time(name: str, value: object) -> Time:
    """A point of a training.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is negative, or a share above 1.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        return checked_integer(name, value, 0)
    return checked_number(name, value, least=0, most=1)


def in_steps(name: str, time: Time, steps: int) -> Fraction:
    """The point in optimizer steps, exactly.

    Raises:
        ValueError: If it lies behind the training.
    """
    checked_integer("steps", steps, 1)
    if isinstance(time, int):
        if time > steps:
            raise ValueError(f"{name} must be at most the training's {steps} steps, got {time}")
        return Fraction(time)
    # By the decimal that it prints as: 0.07 * 100 is more than 7 in floating point.
    return Fraction(str(time)) * steps


def spread(start: Time, end: Time, rounds: int, steps: int) -> list[int]:
    """After which steps (from 1) the rounds fall, between two points of a training of `steps`.

    Round r falls after step `start + r * interval`. A time too short for that has them spread
    evenly, several after one step, so that there are always `rounds` of them.

    Raises:
        ValueError: If `steps` is below 1, `end` lies behind them or `start` not before `end`.

    Examples:
        >>> spread(0, 0.75, 3, 100), spread(40, 100, 3, 100), spread(0, 1.0, 4, 2)
        ([25, 50, 75], [60, 80, 100], [1, 1, 2, 2])
    """
    begin, reach = _window(start, end, steps)
    if reach >= rounds:
        return [begin + r * interval(start, end, rounds, steps) for r in range(1, rounds + 1)]
    return [begin - int(-r * reach // rounds) for r in range(1, rounds + 1)]


def interval(start: Time, end: Time, rounds: int, steps: int) -> int:
    """The optimizer steps between two rounds: `int((end - start) * steps / rounds)`, at least 1."""
    return max(1, int(_window(start, end, steps)[1] / rounds))


def _window(start: Time, end: Time, steps: int) -> tuple[int, Fraction]:
    begin, last = int(in_steps("start", start, steps)), in_steps("end", end, steps)
    if begin >= last:
        raise ValueError(
            f"start must be before end, got {start} and {end}: steps {begin} and {float(last):g} "
            f"of {steps}"
        )
    return begin, last - begin


def check_window(schedule: object) -> None:
    """Checks and normalises the fields `start` and `end` of a schedule.

    Raises:
        TypeError: If one is not a number.
        ValueError: If one is out of its range, or `start` not before `end`.
    """
    start, end = (checked_time(name, getattr(schedule, name)) for name in ("start", "end"))
    if type(start) is type(end) and start >= end and (start or end):
        raise ValueError(f"start must be before end, got {start} and {end}")
    object.__setattr__(schedule, "start", start)  # the dataclass is frozen
    object.__setattr__(schedule, "end", end)
