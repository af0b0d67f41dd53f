"""What tells pruning methods apart: names, settings, and the source code of users' own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from prunelimits.elimination import Elimination, Regrowth
from prunelimits.pruners import AbstractPruner
from prunelimits.pruners.described import fields, functions_of
from prunelimits.resuming import digest, source_of

SelfTraining: TypeAlias = Elimination | Regrowth
"""What trains its networks by itself."""
StudyMethod: TypeAlias = AbstractPruner | SelfTraining
"""What a study compares: a pruner whose masks are trained, or what trains by itself."""


def method_names(methods: Sequence[StudyMethod]) -> tuple[str, ...]:
    """A name for each method: its own, with the settings in which those of one class differ.

    Examples:
        >>> from prunelimits.pruners import LTH, SNIP
        >>> method_names((SNIP(), LTH(rounds=2), LTH(rounds=5)))
        ('SNIP', 'LTH(rounds=2)', 'LTH(rounds=5)')
    """
    return tuple(_name(pruner, methods) for pruner in methods)


def _class(method: StudyMethod) -> str:
    return method.name if isinstance(method, AbstractPruner) else type(method).__name__


def _name(pruner: StudyMethod, methods: Sequence[StudyMethod]) -> str:
    alike = [fields(other, briefly=True) for other in methods if _class(other) == _class(pruner)]
    own = fields(pruner, briefly=True)
    differing = [name for name in own if len({known.get(name) for known in alike}) > 1]
    inside = ", ".join(f"{name}={own[name]}" for name in differing)
    return _class(pruner) + (f"({inside})" if inside else "")


def source(pruner: StudyMethod) -> str | None:
    """A digest of the code behind a method; None for one of this library."""
    code = [source_of(part) for part in functions_of(pruner)]
    return None if all(text.startswith("prunelimits.") for text in code) else digest(*code)
