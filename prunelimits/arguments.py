"""Checks of arguments that several parts of the library take."""

from __future__ import annotations


def checked_integer(name: str, value: object, least: int) -> int:
    """`value`, if it is an integer of at least `least`.

    Raises:
        TypeError: If `value` is not an integer.
        ValueError: If it is less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return value
