from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunelimits.masks import top
from prunelimits.problem import problem_of
from prunelimits.scores import lamp

from .cases import flat

LAYER = st.lists(st.integers(-4, 4), min_size=1, max_size=8)  # small integers: many ties


def shares(weights: list[int]) -> list[float]:
    """One weight after another, with the rank written out."""
    found: list[float] = []
    for place, weight in enumerate(weights):
        above = sum(
            other**2
            for index, other in enumerate(weights)
            if abs(other) > abs(weight) or (abs(other) == abs(weight) and index <= place)
        )
        found.append(weight**2 / above if weight else 0.0)
    return found


def scored(*layers: list[int]) -> dict[str, torch.Tensor]:
    params = {str(i): torch.tensor([layer], dtype=torch.float32) for i, layer in enumerate(layers)}
    masks = {name: torch.ones_like(value).bool() for name, value in params.items()}
    return lamp(problem_of(nn.Linear(1, 1))[0], params, masks)


@given(LAYER, LAYER)
def test_lamp_by_definition(first: list[int], second: list[int]) -> None:
    found = scored(first, second)
    expected = {"0": [shares(first)], "1": [shares(second)]}
    for name, value in found.items():
        wanted = torch.tensor(expected[name], dtype=torch.float64)
        torch.testing.assert_close(value, wanted, rtol=1e-14, atol=0)


@given(st.lists(LAYER.filter(any), min_size=1, max_size=4), st.data())
def test_a_layer_s_ranking_is_that_of_magnitude_and_none_empties(
    layers: list[list[int]], data: st.DataObject
) -> None:
    keep = data.draw(st.integers(len(layers), sum(map(len, layers))))
    masks = top(scored(*layers), keep)
    for name, mask in masks.items():
        sizes = torch.tensor([layers[int(name)]]).abs()
        kept = int(mask.sum())
        assert kept >= 1
        assert torch.equal(mask, top({name: sizes}, kept)[name])


def test_tiny_and_large_weights_do_not_vanish() -> None:
    problem, _ = problem_of(nn.Linear(1, 1))
    params = {"a": torch.tensor([[1e-30, 2e-30]]), "b": torch.tensor([[1e30, 3e30]])}
    found = lamp(problem, params, {n: torch.ones(1, 2, dtype=torch.bool) for n in params})
    expected = torch.tensor([0.2, 1.0, 0.1, 1.0], dtype=torch.float64)
    torch.testing.assert_close(flat(found), expected, rtol=1e-6, atol=0)


def test_a_weight_that_is_not_a_number_is_not_hidden() -> None:
    problem, _ = problem_of(nn.Linear(1, 1))
    params = {"a": torch.tensor([[1.0, torch.nan]])}
    found = lamp(problem, params, {"a": torch.ones(1, 2, dtype=torch.bool)})
    assert found["a"].isnan().all()
