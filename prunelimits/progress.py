"""How far long work is, told to whoever asked.

`reporting` asks; loops that take long are `tracked`, wherever they are. Nothing is passed through
the functions in between, whose results do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import TypeAlias, TypeVar

from prunelimits.arguments import checked_callable

OnProgress: TypeAlias = Callable[[int, int], object]
"""Called with how much is done and how much there is in all, in parts of about equal length."""

Item = TypeVar("Item")


@dataclass(eq=False)
class _Loop:
    done: int
    size: int


@dataclass
class _Watch:
    on_progress: OnProgress
    loops: list[_Loop] = field(default_factory=list[_Loop])  # outermost first
    told: Fraction = Fraction(0)

    def tell(self) -> None:
        done, total = 0, prod(loop.size for loop in self.loops)
        inside = total
        for loop in self.loops:
            inside //= loop.size
            done += loop.done * inside
        if Fraction(done, total) > self.told:  # the last of an inner loop ends an outer one's, too
            self.told = Fraction(done, total)
            self.on_progress(done, total)


_WATCH: ContextVar[_Watch | None] = ContextVar("_WATCH", default=None)


@contextmanager
def reporting(on_progress: OnProgress | None) -> Generator[None]:
    """Until the end of the block, what is `tracked` is told to `on_progress`; None: to nobody new.

    Raises:
        TypeError: If `on_progress` is neither a function nor None.

    Examples:
        >>> with reporting(lambda done, total: print(done, "of", total)):
        ...     for _ in tracked(range(2)):
        ...         for _ in tracked("abc"):
        ...             pass
        1 of 6
        2 of 6
        3 of 6
        4 of 6
        5 of 6
        6 of 6
    """
    if on_progress is None:
        yield
        return
    checked_callable("on_progress", on_progress, "a function or None")
    token = _WATCH.set(_Watch(on_progress))
    try:
        yield
    finally:
        _WATCH.reset(token)


@contextmanager
def stage(number: int, of: int) -> Generator[None]:
    """The block is part `number` (from 1) of so many that take about equally long.

    Examples:
        >>> with reporting(lambda done, total: print(done, "of", total)), stage(1, of=4):
        ...     pass
        1 of 4
    """
    watch = _WATCH.get()
    if watch is None:
        yield
        return
    loop = _Loop(number - 1, of)
    watch.loops.append(loop)
    try:
        yield
        loop.done = number
        watch.tell()
    finally:
        watch.loops.remove(loop)


def tracked(items: Sequence[Item]) -> Iterator[Item]:
    """The items, one after the other: each is done when the next one is asked for.

    Examples:
        >>> list(tracked("ab"))
        ['a', 'b']
    """
    for number, item in enumerate(items, start=1):
        with stage(number, of=len(items)):
            yield item
