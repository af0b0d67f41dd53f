"""Checks of a pruner's hyperparameters, from its `__post_init__`: each field by one rule.

A field is replaced by what the check returns, so that NumPy's numbers become Python's and equal
pruners have equal `repr`s.
"""

from __future__ import annotations

from collections.abc import Iterable

from prunelimits.arguments import checked_choice, checked_flag, checked_integer, checked_number

# What a signed integer of 64 bits holds: budgets and rounds are tensors of them.
_MOST = 2**63 - 1


def integer_setting(pruner: object, name: str, least: int, most: int | None = None) -> None:
    """Raises unless the field is an integer from `least` to `most`, and of 64 bits.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is out of its range.
    """
    number = checked_integer(name, getattr(pruner, name), least, most)
    _set(pruner, name, checked_integer(name, number, most=_MOST))


def number_setting(
    pruner: object,
    name: str,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """Raises unless the field is a finite number within the bounds; see `checked_number`.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is NaN, infinite or out of its range.
    """
    value = getattr(pruner, name)
    number = checked_number(name, value, least=least, most=most, above=above, below=below)
    _set(pruner, name, number)


def flag_setting(pruner: object, name: str) -> None:
    """Raises `TypeError` unless the field is True or False."""
    checked_flag(name, getattr(pruner, name))


def choice_setting(pruner: object, name: str, allowed: Iterable[object]) -> None:
    """Raises `ValueError` unless the field is one of those allowed."""
    checked_choice(name, getattr(pruner, name), allowed)


def _set(pruner: object, name: str, value: object) -> None:
    object.__setattr__(pruner, name, value)  # the dataclass is frozen
