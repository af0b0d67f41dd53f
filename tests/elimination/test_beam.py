"""Which networks a beam keeps."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelimits.elimination.beam import (
    best,
    best_of_each,
    by_size,
    offer,
    remember,
    removed,
    take,
)
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.settling import settle

from .oracle import one, random_networks, same_up_to_order


def scored(seed: int, models: int = 30) -> NetworkStack:
    generator = torch.Generator().manual_seed(seed)
    networks = settle(random_networks((2, 2, 2, 1), models, seed, 0.8), "free")
    return replace(
        networks,
        score=torch.rand(models, generator=generator, dtype=torch.float64),
        origin=torch.randint(0, 4, (models,), generator=generator),
    )


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), most=st.integers(1, 30), per_origin=st.integers(1, 8))
def test_the_best_are_what_a_plain_loop_keeps(seed, most, per_origin):
    networks = scored(seed)
    kept: list[int] = []
    for i in networks.score.argsort(descending=True).tolist():
        origin = networks.origin[i]
        family = [j for j in kept if networks.origin[j] == origin]
        masks = one(networks.masks, i)
        twin = any(same_up_to_order(one(networks.masks, j), masks) for j in family)
        if not twin and len(family) < per_origin:
            kept.append(i)
    expected = networks.score[kept[:most]]
    assert torch.equal(best(networks, most, per_origin).score, expected)


@settings(max_examples=40)
@given(
    groups=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30),
    most=st.integers(1, 4),
)
def test_best_of_each_is_what_a_plain_loop_finds(groups, most):
    group, score = (torch.tensor(column) for column in zip(*groups, strict=True))
    order = sorted(range(len(groups)), key=lambda i: (-groups[i][1], i))
    expected: list[int] = []
    for i in order:
        if sum(groups[j][0] == groups[i][0] for j in expected) < most:
            expected.append(i)
    assert best_of_each(group, score, most).tolist() == expected


def test_what_is_offered_in_parts_is_kept_as_if_it_had_come_at_once():
    networks = scored(3, 60)
    at_once, in_parts = offer({}, networks, 6, 2), {}
    for start in range(0, 60, 7):
        in_parts = offer(in_parts, networks[start : start + 7], 6, 2)
    assert at_once.keys() == in_parts.keys()
    for size, kept in at_once.items():
        assert torch.equal(kept.score, in_parts[size].score)


def test_the_largest_go_on_first_and_wait_no_more():
    waiting = offer({}, scored(4), 100, 100)
    sizes = sorted(waiting, reverse=True)
    taken: list[int] = []
    while True:
        group, waiting = take(waiting, 0.02, 100, 100)
        if group is None:
            break
        taken += group.nonzeros().unique().tolist()
    assert taken == sizes
    assert not waiting


def test_sizes_that_a_removal_spans_go_on_together():
    networks = scored(4)
    waiting = offer({}, networks, 100, 100)
    largest = max(waiting)
    together, left = take(waiting, 0.3, 100, 100)
    assert together is not None
    expected = {size for size, _ in by_size(networks) if size > largest - int(0.3 * largest)}
    assert set(together.nonzeros().tolist()) == expected
    assert left.keys() == waiting.keys() - expected


def test_what_waited_and_what_was_remembered_stay_as_they_were():
    networks = scored(6)
    waiting, front = offer({}, networks[:15], 100, 100), remember({}, networks[:15], 1)
    sizes, scores = list(waiting), [float(n.score[0]) for n in front.values()]
    offer(waiting, networks[15:], 100, 100)
    take(waiting, 0.3, 100, 100)
    remember(front, networks[15:], 1)
    assert list(waiting) == sizes
    assert [float(n.score[0]) for n in front.values()] == scores


def test_the_front_remembers_the_best_of_each_size():
    networks = scored(5)
    front = remember(remember({}, networks[:10], 1), networks[10:], 1)
    for size, same in by_size(networks):
        assert float(front[size].score) == float(same.score.max())


def test_the_front_remembers_several_of_other_origins():
    networks, front = scored(5, 60), {}
    for start in range(0, 60, 7):
        front = remember(front, networks[start : start + 7], 2)
    for size, same in by_size(networks):
        best_of = {o: float(same.score[same.origin == o].max()) for o in same.origin.unique()}
        expected = sorted(best_of.values(), reverse=True)[:2]
        assert front[size].score.tolist() == expected


def test_at_least_one_parameter_is_removed():
    assert [removed(size, 0.02) for size in (1, 99, 100, 1000)] == [1, 1, 2, 20]
