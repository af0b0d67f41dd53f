"""What tells pruners apart, as text that is the same in every process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

from prunelimits.pruners.shapes import Weights


def settings(pruner: object) -> str:
    """The class of a dataclass and all its settings, the same text in every process.

    Examples:
        >>> from prunelimits.pruners import GMP, NOfM
        >>> settings(GMP(rounds=4))
        "GMP(rounds=4, until=0.995, scope='global', floor=0)"
        >>> settings(GMP(rounds=4, shape=NOfM(2, 4)))
        "GMP(rounds=4, until=0.995, scope='global', floor=0, shape=NOfM(n=2, m=4, axis=1))"
    """
    inside = ", ".join(f"{name}={text}" for name, text in fields(pruner).items())
    return f"{type(pruner).__qualname__}({inside})"


def fields(pruner: object, *, briefly: bool = False) -> dict[str, str]:
    """The settings by name, as text; shapes only where they are not single weights.

    Briefly, what a schedule or a shape has by default is not told.
    """
    own = {field.name: getattr(pruner, field.name) for field in _shown(pruner)}
    # Tables and sessions of earlier versions know no shapes.
    return {
        name: text_of(value, briefly=briefly)
        for name, value in own.items()
        if not isinstance(value, Weights)
    }


def functions_of(value: object) -> Iterator[Any]:
    """The functions and classes in a setting, whose source decides what a method does."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value)
        for field in dataclasses.fields(value):
            yield from functions_of(getattr(value, field.name))
    elif isinstance(value, tuple):
        for part in value:  # pyright: ignore[reportUnknownVariableType]
            yield from functions_of(part)  # pyright: ignore[reportUnknownArgumentType]
    elif callable(value):
        yield value


def text_of(value: object, *, briefly: bool = False) -> str:
    """Like `repr`, but a function's has no address in memory."""
    if isinstance(value, partial):
        arguments = [text_of(part) for part in value.args]
        arguments += [f"{name}={text_of(part)}" for name, part in value.keywords.items()]
        return f"partial({', '.join([text_of(value.func), *arguments])})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {field: getattr(value, field.name) for field in _shown(value)}
        inside = [
            f"{field.name}={text_of(part, briefly=briefly)}"
            for field, part in own.items()
            if not briefly or part != field.default
        ]
        return f"{type(value).__qualname__}({', '.join(inside)})"
    if isinstance(value, tuple):
        parts = [text_of(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
        return f"({', '.join(parts)}{',' * (len(parts) == 1)})"
    return getattr(value, "__qualname__", repr(value)) if callable(value) else repr(value)


def _shown(value: Any) -> list[dataclasses.Field[Any]]:  # noqa: ANN401
    return [field for field in dataclasses.fields(value) if field.repr]
