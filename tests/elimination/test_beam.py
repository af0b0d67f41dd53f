"""Which networks a beam keeps."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelimits.elimination.beam import Beam, best, best_of_each, by_size, removed
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
    at_once, in_parts = Beam(6, 2), Beam(6, 2)
    at_once.offer(networks)
    for start in range(0, 60, 7):
        in_parts.offer(networks[start : start + 7])
    assert at_once.waiting.keys() == in_parts.waiting.keys()
    for size, kept in at_once.waiting.items():
        assert torch.equal(kept.score, in_parts.waiting[size].score)


def test_the_largest_go_on_first_and_wait_no_more():
    beam, networks = Beam(100, 100), scored(4)
    beam.offer(networks)
    sizes = sorted(beam.waiting, reverse=True)
    taken: list[int] = []
    while (group := beam.take(0.02)) is not None:
        taken += group.nonzeros().unique().tolist()
    assert taken == sizes


def test_sizes_that_a_removal_spans_go_on_together():
    beam, networks = Beam(100, 100), scored(4)
    beam.offer(networks)
    largest = max(beam.waiting)
    together = beam.take(0.3)
    assert together is not None
    expected = {size for size, _ in by_size(networks) if size > largest - int(0.3 * largest)}
    assert set(together.nonzeros().tolist()) == expected


def test_the_front_remembers_the_best_of_each_size():
    beam, networks = Beam(1, 1), scored(5)
    beam.remember(networks[:10])
    beam.remember(networks[10:])
    for size, same in by_size(networks):
        assert float(beam.front[size].score) == float(same.score.max())
    assert not beam.waiting


def test_the_front_remembers_several_of_other_origins():
    beam, networks = Beam(1, 1, remembered=2), scored(5, 60)
    for start in range(0, 60, 7):
        beam.remember(networks[start : start + 7])
    for size, same in by_size(networks):
        best_of = {o: float(same.score[same.origin == o].max()) for o in same.origin.unique()}
        expected = sorted(best_of.values(), reverse=True)[:2]
        assert beam.front[size].score.tolist() == expected


def test_at_least_one_parameter_is_removed():
    assert [removed(size, 0.02) for size in (1, 99, 100, 1000)] == [1, 1, 2, 20]
