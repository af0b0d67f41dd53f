"""Which networks are kept: of every size the best, few from one starting network, none twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.stack import AnyStack, Stack, join_all

BySize: TypeAlias = Mapping[int, NetworkStack]
"""Nonzeros -> networks of this size, the best first. A value: functions return a changed copy."""


def offer(
    waiting: Mapping[int, AnyStack], networks: AnyStack, width: int, per_origin: int
) -> dict[int, AnyStack]:
    """The waiting networks together with others; of every size only the best stay.

    Args:
        waiting: Networks to go on from.
        networks: The others, of any sizes.
        width: How many networks of a size wait at most, the width of the beam.
        per_origin: How many of them may descend from one starting network.
    """
    result = dict(waiting)
    for size, same in by_size(networks):
        known = [result[size]] if size in result else []
        result[size] = best(join_all([*known, same]), width, per_origin)
    return result


def take(
    waiting: Mapping[int, AnyStack], step: float, width: int, per_origin: int
) -> tuple[AnyStack | None, Mapping[int, AnyStack]]:
    """The largest networks that wait, and what waits without them; None if nothing waits.

    Sizes that differ by less than what one candidate loses are taken together.
    """
    if not waiting:
        return None, waiting
    largest = max(waiting)
    sizes = [size for size in waiting if size > largest - removed(largest, step)]
    taken = best(join_all([waiting[size] for size in sizes]), width, per_origin)
    return taken, {size: waiting[size] for size in waiting if size not in sizes}


def remember(front: Mapping[int, AnyStack], networks: AnyStack, most: int) -> dict[int, AnyStack]:
    """The `most` best networks of every size ever seen, each of another origin."""
    result = dict(front)
    for size, same in by_size(networks):
        chosen = _best_of_origins(same, most)
        if size in result:
            known = result[size]
            if len(known) == most and chosen.score[0] <= known.score[-1]:
                continue
            chosen = _best_of_origins(join_all([known, chosen]), most)
        result[size] = chosen
    return result


def _best_of_origins(networks: AnyStack, most: int) -> AnyStack:
    return networks[best_of_each(networks.origin, networks.score, 1)[:most]]


def removed(size: int, step: float) -> int:
    """How many parameters a candidate of a network of this size lacks, at least one."""
    return max(1, int(step * size))


def best(networks: AnyStack, most: int, per_origin: int) -> AnyStack:
    """At most `most` of the networks by descending score, of each origin its `per_origin` best.

    Networks of one origin that are the same, see `Stack.signatures`, count once.
    """
    order = networks.score.argsort(descending=True, stable=True)
    ordered = networks[order]
    ordered = ordered[first_of_each(identities(ordered))]
    return ordered[best_of_each(ordered.origin, ordered.score, per_origin)[:most]]


def identities(networks: Stack) -> Tensor:
    """Equal numbers for equal networks of one origin, int64 `(models,)`."""
    return networks.signatures() * 1_000_003 + networks.origin


def by_size(networks: AnyStack) -> Iterator[tuple[int, AnyStack]]:
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
