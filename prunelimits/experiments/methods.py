"""What tells pruning methods apart: names, settings, and the source of those of users."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from prunelimits.pruners import AbstractPruner
from prunelimits.resuming import digest, source_of


def method_names(methods: Sequence[AbstractPruner]) -> tuple[str, ...]:
    """A name for each method: of its class, and of the settings that others of the class have not.

    Examples:
        >>> from prunelimits.pruners import LTH, SNIP
        >>> method_names((SNIP(), LTH(rounds=2), LTH(rounds=5)))
        ('SNIP', 'LTH(rounds=2)', 'LTH(rounds=5)')
    """
    return tuple(_name(pruner, methods) for pruner in methods)


def _name(pruner: AbstractPruner, methods: Sequence[AbstractPruner]) -> str:
    alike = [_fields(other) for other in methods if type(other) is type(pruner)]
    own = _fields(pruner)
    differing = [name for name in own if len({fields[name] for fields in alike}) > 1]
    inside = ", ".join(f"{name}={own[name]}" for name in differing)
    return type(pruner).__name__ + (f"({inside})" if inside else "")


def settings(pruner: AbstractPruner) -> str:
    """The class and all its settings, the same text in every process."""
    inside = ", ".join(f"{name}={text}" for name, text in _fields(pruner).items())
    return f"{type(pruner).__qualname__}({inside})"


def source(pruner: AbstractPruner) -> str | None:
    """A digest of the code behind a method; None for one of this library."""
    code = [source_of(type(pruner)), *(source_of(v) for v in _values(pruner) if callable(v))]
    return None if all(text.startswith("prunelimits.") for text in code) else digest(*code)


def _fields(pruner: AbstractPruner) -> dict[str, str]:
    names = [field.name for field in dataclasses.fields(pruner) if field.repr]
    return {name: _text(getattr(pruner, name)) for name in names}


def _values(pruner: AbstractPruner) -> list[Any]:
    return [getattr(pruner, field.name) for field in dataclasses.fields(pruner)]


def _text(value: object) -> str:
    """Like `repr`, but a function's has no address in memory."""
    return getattr(value, "__qualname__", repr(value)) if callable(value) else repr(value)
