from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelimits import masks
from prunelimits.pruners.selection import counts, select
from prunelimits.types import Masks, Params

VALUES = st.sampled_from([0.0, 1.0, 2.0, -1.0, math.inf, -math.inf, math.nan])


@st.composite
def problems(draw: st.DrawFn) -> tuple[Params, Masks, int]:
    """Scores full of ties, what may be kept, and a floor."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    scores = {
        f"p{i}": torch.tensor(draw(st.lists(VALUES, min_size=n, max_size=n)))
        for i, n in enumerate(sizes)
    }
    allowed = {
        name: torch.tensor(draw(st.lists(st.booleans(), min_size=len(s), max_size=len(s))))
        for name, s in scores.items()
    }
    return scores, allowed, draw(st.integers(0, 2))


def plain(value: float) -> float:
    if math.isnan(value) or value == -math.inf:
        return -1e38
    return 1e38 if value == math.inf else value


def plain_select(scores: Params, allowed: Masks, keep: int, floor: int) -> set[tuple[str, int]]:
    """First the floor of each layer, then the best of the rest, one weight at a time."""
    order = [(name, i) for name, mask in allowed.items() for i in range(len(mask)) if mask[i]]
    place = {weight: position for position, weight in enumerate(order)}

    def key(weight: tuple[str, int]) -> tuple[float, int]:
        return -plain(float(scores[weight[0]][weight[1]])), place[weight]

    chosen: list[tuple[str, int]] = []
    for name in allowed:
        chosen += sorted([w for w in order if w[0] == name], key=key)[:floor]
    rest = sorted([w for w in order if w not in chosen], key=key)
    return set(chosen + rest[: keep - len(chosen)])


def as_set(found: Masks) -> set[tuple[str, int]]:
    return {(name, i) for name, mask in found.items() for i in range(len(mask)) if mask[i]}


def selected(scores: Params, allowed: Masks, budget: torch.Tensor, floor: int = 0) -> Masks:
    """`select`, by way of an ensemble of one where a score is NaN, which alone is refused."""
    if not any(bool((score.isnan() & allowed[name]).any()) for name, score in scores.items()):
        return select(scores, allowed, budget, floor=floor)
    with pytest.raises(ValueError, match=r"scores\['p\d'\] must be numbers, got NaN"):
        select(scores, allowed, budget, floor=floor)
    one = torch.func.vmap(partial(select, floor=floor))
    many = ({n: v[None] for n, v in part.items()} for part in (scores, allowed))
    return {name: mask[0] for name, mask in one(*many, budget[None]).items()}


@given(problems())
def test_one_ranking_equals_a_plain_loop_for_every_budget(case: tuple[Params, Masks, int]):
    scores, allowed, floor = case
    least = sum(min(floor, int(mask.sum())) for mask in allowed.values())
    for keep in range(least, masks.count(allowed) + 1):
        found = selected(scores, allowed, torch.tensor([keep]), floor)
        assert as_set(found) == plain_select(scores, allowed, keep, floor)


@given(problems(), st.data())
def test_a_ranking_a_layer_equals_a_plain_loop(
    case: tuple[Params, Masks, int], data: st.DataObject
):
    scores, allowed, _ = case
    budget = [data.draw(st.integers(0, int(mask.sum()))) for mask in allowed.values()]
    found = selected(scores, allowed, torch.tensor(budget))
    expected = set[tuple[str, int]]()
    for (name, mask), keep in zip(allowed.items(), budget, strict=True):
        expected |= plain_select({name: scores[name]}, {name: mask}, keep, 0)
    assert as_set(found) == expected
    assert counts(found, torch.tensor(budget)).tolist() == budget
    assert counts(found, torch.tensor([0])).tolist() == [sum(budget)]


def test_scores_that_do_not_fit_are_named():
    allowed = {"a": torch.ones(2, 3).bool()}
    with pytest.raises(ValueError, match=r"scores\['a'\] must have shape \(2, 3\), got none"):
        select({"b": torch.ones(2, 3)}, allowed, torch.tensor([1]))
    with pytest.raises(ValueError, match=r"scores\['a'\] must have shape \(2, 3\), got \(3, 2\)"):
        select({"a": torch.ones(3, 2)}, allowed, torch.tensor([1]))


def test_whole_numbers_can_be_scores():
    allowed = {"a": torch.ones(4).bool()}
    found = select({"a": torch.tensor([3, 1, 3, 2])}, allowed, torch.tensor([3]))
    assert found["a"].tolist() == [True, False, True, True]


def test_many_models_have_allowed_weights_and_budgets_of_their_own():
    generator = torch.Generator().manual_seed(0)
    scores = {
        "a": torch.randn(9, 4, 3, generator=generator).round(),
        "b": torch.randn(9, 2, generator=generator).round(),
    }
    allowed = {name: torch.rand(s.shape, generator=generator) < 0.7 for name, s in scores.items()}
    layers = torch.stack([mask.flatten(1).sum(1) for mask in allowed.values()], 1)
    for budget in (layers.sum(1, keepdim=True) // 2, layers // 2):
        together = torch.func.vmap(select)(scores, allowed, budget)
        for index in range(9):
            alone = select(
                {n: s[index] for n, s in scores.items()},
                {n: m[index] for n, m in allowed.items()},
                budget[index],
            )
            assert all(torch.equal(mask, together[name][index]) for name, mask in alone.items())
            assert torch.equal(counts(alone, budget[index]), budget[index])
