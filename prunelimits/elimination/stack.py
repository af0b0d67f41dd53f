"""What networks side by side must tell of themselves for a beam to choose among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, TypeVar

from torch import Tensor


class Stack(Protocol):
    """Networks of one kind along a leading axis, with their scores."""

    @property
    def origin(self) -> Tensor:
        """Which start each descends from, int64 `(models,)`."""
        ...

    @property
    def score(self) -> Tensor:
        """The metric, larger is better, float64 `(models,)`."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, members: Tensor | slice) -> Self: ...

    def nonzeros(self) -> Tensor:
        """How large each is, in kept parameters, int64 `(models,)`."""
        ...

    def signatures(self) -> Tensor:
        """Equal numbers for networks that keep the same, int64 `(models,)`."""
        ...

    def joined(self, others: Sequence[Self]) -> Self:
        """These networks, then the others."""
        ...


AnyStack = TypeVar("AnyStack", bound=Stack)


def join_all(parts: Sequence[AnyStack]) -> AnyStack:
    """All networks of one or more stacks."""
    return parts[0].joined(parts[1:])
