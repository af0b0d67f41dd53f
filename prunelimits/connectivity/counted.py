"""A field of a frozen dataclass that is counted when it is first read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class Counted(Generic[T]):
    """A field that is given either its value, or a function that counts it when it is asked for.

    Examples:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Report:
        ...     paths: Counted[int] = Counted()
        >>> Report(lambda: 3).paths, Report(3) == Report(lambda: 3)
        (3, True)
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object, owner: type) -> Self | T:
        if instance is None:
            # So that the field has no default.
            raise AttributeError(self._name)
        value: Any = vars(instance)[self._name]
        if callable(value):
            value = vars(instance)[self._name] = value()
        return value

    def __set__(self, instance: object, value: T | Callable[[], T]) -> None:
        vars(instance)[self._name] = value


class WithCounted:
    """What has counted fields is copied and saved with their values."""

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in vars(self)}
