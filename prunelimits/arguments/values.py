"""Numbers, choices, objects and paths as arguments."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from prunelimits.arguments.shown import shown

Kind = TypeVar("Kind")

LARGEST_SIZE = 2**31 - 1
"""What nothing that a tensor has an axis for may be more than; memory ends far below."""


def checked_integer(
    name: str, value: object, least: int | None = None, most: int | None = None
) -> int:
    """`value` as an int, if it is an integer from `least` to `most`; either may be absent.

    NumPy's integers are integers; a bool, a float and a tensor are not.

    Raises:
        TypeError: If `value` is not an integer.
        ValueError: If it is out of its range.

    Examples:
        >>> checked_integer("keep", 5, 0)
        5
    """
    # NumPy 2.0's bools still have an index.
    if isinstance(value, bool | np.bool_ | Tensor):
        raise TypeError(f"{name} must be an integer, got {shown(value)}")
    try:
        number = operator.index(value)  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {shown(value)}") from None
    if least is not None and most is not None and not least <= number <= most:
        raise ValueError(f"{name} must be from {least} to {most}, got {shown(number)}")
    if least is not None and number < least:
        raise ValueError(f"{name} must be at least {least}, got {shown(number)}")
    if most is not None and number > most:
        raise ValueError(f"{name} must be at most {most}, got {shown(number)}")
    return number


def checked_size(name: str, value: object, least: int = 1) -> int:
    """`value` as an int, if it can be the length of a tensor's axis and is at least `least`.

    Raises:
        TypeError: If `value` is not an integer.
        ValueError: If it is below `least` or above 2^31 - 1.

    Examples:
        >>> checked_size("classes", 10)
        10
    """
    # One after the other: who gave too little need not read of the largest.
    return checked_integer(name, checked_integer(name, value, least), most=LARGEST_SIZE)


def checked_sizes(name: str, values: object) -> tuple[int, ...]:
    """`values` as a tuple of ints, if each can be the length of a tensor's axis, at least 1.

    Raises:
        TypeError: If `values` is no sequence, see `checked_integers`, of integers.
        ValueError: If one is below 1 or above 2^31 - 1.
    """
    items = checked_integers(name, values)
    return tuple(checked_size(f"{name}[{place}]", item) for place, item in enumerate(items))


def checked_integers(
    name: str, values: object, least: int | None = None, *, length: int | None = None
) -> tuple[int, ...]:
    """`values` as a tuple of ints: a list, tuple, range or one-dimensional NumPy array of integers.

    Args:
        name: Of the argument.
        values: What the caller gave.
        least: The smallest integer allowed; None: any.
        length: How many there must be; None: any number, none too.

    Raises:
        TypeError: If `values` is no such sequence, or holds something that is not an integer.
        ValueError: If an integer is too small, or their number is another.

    Examples:
        >>> checked_integers("widths", [2, 3, 1], 1)
        (2, 3, 1)
    """
    items = checked_sequence(name, values, "integers")
    if length is not None and len(items) != length:
        raise ValueError(f"{name} must hold {length} integers, got {len(items)}: {shown(values)}")
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        items = tuple(values.tolist())
    # Seeds come by the hundred thousand: plain ints all at once, and only others one by one.
    if set(map(type, items)) == {int} and (least is None or min(items) >= least):
        return items
    return tuple(checked_integer(f"{name}[{n}]", item, least) for n, item in enumerate(items))


def checked_sequence(name: str, values: object, of_what: str) -> tuple[Any, ...]:
    """`values` as a tuple, if it is a finite sequence; text and tensors are not.

    Raises:
        TypeError: If it is not.
    """
    is_array = hasattr(values, "__array__") and getattr(values, "ndim", None) == 1
    if isinstance(values, str | bytes | Tensor) or not (isinstance(values, Sequence) or is_array):
        raise TypeError(f"{name} must be a sequence of {of_what}, got {shown(values)}")
    return tuple(values)  # pyright: ignore[reportArgumentType]


def checked_number(
    name: str,
    value: object,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """`value` as a float, if it is a finite real number within the bounds that are given.

    Args:
        name: Of the argument.
        value: What the caller gave: an int or a float, NumPy's too.
        least: Smallest value allowed.
        most: Largest value allowed.
        above: A value that is too small itself.
        below: A value that is too large itself.

    Raises:
        TypeError: If `value` is not a real number.
        ValueError: If it is NaN, infinite or out of its range.

    Examples:
        >>> checked_number("share", 0.5, above=0, most=1)
        0.5
    """
    numeric = isinstance(value, int | float) or hasattr(value, "__array_interface__")
    if isinstance(value, bool | Tensor | str | bytes) or not numeric:
        raise TypeError(f"{name} must be a number, got {shown(value)}")
    if getattr(value, "shape", ()) or isinstance(getattr(value, "item", float)(), complex | bool):
        raise TypeError(f"{name} must be a number, got {shown(value)}")
    try:
        number = float(value)  # pyright: ignore[reportArgumentType]
    except OverflowError:  # an integer beyond all floats
        number = math.inf
    low = [(above is None or number > above), (least is None or number >= least)]
    high = [(below is None or number < below), (most is None or number <= most)]
    if math.isfinite(number) and all(low + high):
        return number
    bounds = [
        text
        for text, bound in (
            (f"at least {least}", least),
            (f"above {above}", above),
            (f"at most {most}", most),
            (f"below {below}", below),
        )
        if bound is not None
    ]
    # Infinity is at least 0, and still not allowed.
    within = math.isinf(number) and all(low + high)
    allowed = " and ".join(["finite", *bounds] if within or not bounds else bounds)
    raise ValueError(f"{name} must be {allowed}, got {shown(value)}")


def checked_choice(name: str, value: Kind, allowed: Iterable[Kind]) -> Kind:
    """`value`, if it is one of those allowed, such as `get_args` of a `Literal`.

    Raises:
        ValueError: If it is not.

    Examples:
        >>> checked_choice("order", "fewest", ("fewest", "shuffled"))
        'fewest'
    """
    options = list(allowed)
    # Not `in`: a tensor or an array beside a text compares to something that is no bool.
    if any(type(value) is type(option) and value == option for option in options):
        return value
    raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {shown(value)}")


def checked_flag(name: str, value: object) -> bool:
    """`value`, if it is True or False.

    Raises:
        TypeError: If it is not.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return value


def checked_instance(name: str, value: object, kind: type[Kind], what: str) -> Kind:
    """`value`, if it is an instance of `kind`; `what` tells the caller what that is.

    Raises:
        TypeError: If it is not.

    Examples:
        >>> checked_instance("model", torch.nn.ReLU(), torch.nn.Module, "a torch.nn.Module")
        ReLU()
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {what}, got {shown(value)}")
    return value


def checked_callable(
    name: str, value: object, what: str, *, arguments: int | None = None
) -> Callable[..., Any]:
    """`value`, if it can be called; `what` tells the caller what it should be.

    Args:
        name: Of the argument.
        value: What the caller gave.
        what: What it should be.
        arguments: With how many, by position, it will be called; None: not checked.

    Raises:
        TypeError: If it cannot be called, or not so.

    Examples:
        >>> checked_callable("curve", max, "a function of two numbers", arguments=2)
        <built-in function max>
    """
    if not callable(value):
        raise TypeError(f"{name} must be {what}, got {shown(value)}")
    if arguments is None:
        return value
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # some of C have none
        return value
    try:
        signature.bind(*[None] * arguments)
    except TypeError as error:
        raise TypeError(f"{name} must be {what}, got {shown(value)}: {error}") from None
    return value


def checked_text(name: str, value: object, *, absent: bool = True) -> str | None:
    """`value`, if it is a text, or None where it may be `absent`.

    Raises:
        TypeError: If it is not.
    """
    if not isinstance(value, str) and not (absent and value is None):
        raise TypeError(f"{name} must be a text{' or None' * absent}, got {shown(value)}")
    return value


def checked_items(name: str, values: object, kind: type[Kind]) -> list[Kind]:
    """`values` as a list, if they can be iterated over and are all instances of `kind`.

    Raises:
        TypeError: If not.
    """
    if isinstance(values, str | bytes | Mapping | Tensor) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must hold {kind.__name__}s, got {shown(values)}")
    return [
        checked_instance(f"{name}[{place}]", value, kind, f"a {kind.__name__}")
        for place, value in enumerate(values)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    ]


def checked_generator(name: str, value: object) -> torch.Generator | None:
    """`value`, if it is a `torch.Generator` or None.

    Raises:
        TypeError: If it is neither.
    """
    if value is not None and not isinstance(value, torch.Generator):
        raise TypeError(f"{name} must be a torch.Generator or None, got {shown(value)}")
    return value
