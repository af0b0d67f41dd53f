"""Which networks are kept: of every size the best, few of one origin, none twice."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from prunelimits.elimination.network_stack import NetworkStack, join
from prunelimits.elimination.signatures import signatures


class Beam:
    """Networks by size, and the best of every size ever seen.

    Args:
        width: How many networks of a size wait.
        per_origin: How many of them may be of one origin.
        remembered: How many of a size are remembered, each of another origin.

    Attributes:
        waiting: Nonzeros -> networks of this size to go on from, the best first.
        front: Nonzeros -> the best networks of this size, the best first.
    """

    def __init__(self, width: int, per_origin: int, remembered: int = 1) -> None:
        self.width, self.per_origin, self.remembered = width, per_origin, remembered
        self.waiting: dict[int, NetworkStack] = {}
        self.front: dict[int, NetworkStack] = {}

    def offer(self, networks: NetworkStack) -> None:
        """Takes in networks of any sizes; what falls behind is dropped."""
        for size, same in by_size(networks):
            known = [self.waiting[size]] if size in self.waiting else []
            self.waiting[size] = best(join([*known, same]), self.width, self.per_origin)

    def remember(self, networks: NetworkStack) -> None:
        """Notes the best networks of each size, without keeping them to go on from."""
        for size, same in by_size(networks):
            chosen = self._best_of_origins(same)
            if size in self.front:
                known = self.front[size]
                if len(known) == self.remembered and chosen.score[0] <= known.score[-1]:
                    continue
                chosen = self._best_of_origins(join([known, chosen]))
            self.front[size] = chosen

    def _best_of_origins(self, networks: NetworkStack) -> NetworkStack:
        return networks[best_of_each(networks.origin, networks.score, 1)[: self.remembered]]

    def take(self, step: float) -> NetworkStack | None:
        """The networks to go on from, which no longer wait: the largest.

        Sizes that one candidate's removals span are taken together. None: nothing waits.
        """
        if not self.waiting:
            return None
        largest = max(self.waiting)
        sizes = [size for size in self.waiting if size > largest - removed(largest, step)]
        return best(join([self.waiting.pop(s) for s in sizes]), self.width, self.per_origin)


def removed(size: int, step: float) -> int:
    """How many parameters a candidate of a network of this size lacks, at least one."""
    return max(1, int(step * size))


def best(networks: NetworkStack, most: int, per_origin: int) -> NetworkStack:
    """At most `most` of the networks by descending score, of each origin its `per_origin` best.

    Networks of one origin that are the same up to the order of hidden units count once.
    """
    order = networks.score.argsort(descending=True, stable=True)
    ordered = networks[order]
    ordered = ordered[first_of_each(identities(ordered))]
    return ordered[best_of_each(ordered.origin, ordered.score, per_origin)[:most]]


def identities(networks: NetworkStack) -> Tensor:
    """Equal numbers for equal networks of one origin, int64 `(models,)`."""
    return signatures(networks.masks) * 1_000_003 + networks.origin


def by_size(networks: NetworkStack) -> Iterator[tuple[int, NetworkStack]]:
    """The networks of each number of nonzeros, sizes ascending."""
    sizes = networks.nonzeros()
    for size in sizes.unique().tolist():
        yield size, networks[sizes == size]


def first_of_each(keys: Tensor) -> Tensor:
    """Where each key occurs first, ascending.

    Examples:
        >>> first_of_each(torch.tensor([7, 5, 7, 5, 1]))
        tensor([0, 1, 4])
    """
    return best_of_each(keys, torch.zeros(len(keys), device="cpu"), 1).sort().values


def best_of_each(group: Tensor, score: Tensor, most: int) -> Tensor:
    """The places of the `most` best of each group, by descending score; ties go to the first.

    Args:
        group: int64 `(n,)`.
        score: `(n,)`.
        most: How many of each group.

    Examples:
        >>> best_of_each(torch.tensor([0, 0, 1, 0]), torch.tensor([1.0, 3.0, 0.0, 2.0]), 2)
        tensor([1, 3, 2])
    """
    order = score.argsort(descending=True, stable=True)
    grouped = order[group[order].argsort(stable=True)]
    _, sizes = group[grouped].unique_consecutive(return_counts=True)
    starts = sizes.cumsum(0) - sizes
    place = torch.arange(len(group), device="cpu") - starts.repeat_interleave(sizes)
    rank = torch.empty_like(order).scatter(0, grouped, place)
    return order[rank[order] < most]
