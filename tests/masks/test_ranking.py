"""Choosing among very many entries, in little memory, is choosing among all of them."""

from __future__ import annotations

import pytest
import torch

from prunelimits.masks import ranking, top


def entries(kind: str, size: int, generator: torch.Generator) -> torch.Tensor:
    if kind == "few values":
        return torch.randint(-2, 3, (size,), generator=generator).float()
    values = torch.randn(size, generator=generator)
    if kind == "sorted":
        return values.sort().values
    if kind == "pruned":
        values[torch.rand(size, generator=generator) < 0.7] = -torch.inf
    if kind == "a mean one":  # the steps of the sample fall on nothing but these
        values[::4] = 100.0
    return values


@pytest.mark.parametrize("kind", ["different", "few values", "sorted", "pruned", "a mean one"])
def test_many_entries_are_ranked_as_a_stable_sort_ranks_them(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ranking, "_MANY", 100)
    monkeypatch.setattr(ranking, "_SAMPLE", 50)
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        size = int(torch.randint(100, 400, (), generator=generator))
        scores = entries(kind, size, generator)
        keep = int(torch.randint(0, size + 1, (), generator=generator))
        order = scores.sort(descending=True, stable=True).indices[:keep]
        expected = torch.zeros(size, dtype=torch.bool).index_fill(0, order, True)
        assert torch.equal(top({"weight": scores}, keep)["weight"], expected)


@pytest.mark.parametrize("kind", ["different", "few values", "pruned", "a mean one"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_many_tensors_are_ranked_as_if_they_were_one(
    kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ranking, "_MANY", 100)
    monkeypatch.setattr(ranking, "_SAMPLE", 50)
    monkeypatch.setattr(ranking, "_AT_ONCE", 32)
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        sizes = torch.randint(0, 130, (4,), generator=generator).tolist()
        flat = entries(kind, sum(sizes), generator).to(dtype)
        flat[torch.rand(len(flat), generator=generator) < 0.02] = torch.nan
        keep = int(torch.randint(0, len(flat) + 1, (), generator=generator))
        order = flat.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        order = order.sort(descending=True, stable=True).indices[:keep]
        expected = torch.zeros(len(flat), dtype=torch.bool).index_fill(0, order, True)
        before = flat.clone()
        masks = top({str(n): part for n, part in enumerate(flat.split(sizes))}, keep)
        assert torch.equal(torch.cat(list(masks.values())), expected)
        assert torch.equal(flat.nan_to_num(nan=7.0), before.nan_to_num(nan=7.0))


def test_tensors_of_several_types_are_ranked_by_value():
    scores = {"a": torch.tensor([1, 3]), "b": torch.tensor([2.5, 3.0]), "c": torch.tensor([[9.0]])}
    masks = top({**scores, "c": scores["c"].double()}, 3)
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "a": [False, True], "b": [False, True], "c": [[True]],
    }  # fmt: skip


def test_many_models_with_many_entries_are_ranked_one_by_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ranking, "_MANY", 100)
    monkeypatch.setattr(ranking, "_SAMPLE", 50)
    scores = torch.randn(3, 200, generator=torch.Generator().manual_seed(0))
    together = torch.func.vmap(lambda one: top({"weight": one}, 30)["weight"])(scores)
    alone = [top({"weight": one}, 30)["weight"] for one in scores]
    assert torch.equal(together, torch.stack(alone))
