"""Searches for networks that predict numbers, beside a plain measure of what they explain."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prunelimits.datasets import planted_relu
from prunelimits.models import MLP
from prunelimits.search import (
    SearchConfig,
    Store,
    StoreError,
    combinatorial_search,
    make_task,
    read_result,
)
from prunelimits.search.shard import MILLIONTHS
from prunelimits.training import Recipe


@pytest.fixture
def numbers() -> tuple[Tensor, Tensor]:
    x, y = planted_relu(120, generator=torch.Generator().manual_seed(2), noise=0.02)
    return x, y[:, 0]


@pytest.fixture
def config() -> SearchConfig:
    recipes = tuple(Recipe(epochs=12, batch_size=20, lr=lr) for lr in (0.05, 0.1))
    return SearchConfig(target=0.9, width=3, widths=(1, 3, 1), recipes=recipes, seeds=2)


def explained(model: MLP, x: Tensor, y: Tensor) -> float:
    """R² in float64, sample by sample, without the library's own evaluation."""
    state = [value.double() for value in model.state_dict().values()]
    y = y.flatten()
    mean = sum(y.double().tolist()) / len(y)
    left = whole = 0.0
    for sample, number in zip(x.double(), y.double().tolist(), strict=True):
        hidden = (state[0] @ sample + state[1]).clamp(min=0)
        left += (float(state[2] @ hidden + state[3]) - number) ** 2
        whole += (number - mean) ** 2
    return 1 - left / whole


def test_every_size_has_the_network_that_explains_most(
    config: SearchConfig, numbers: tuple[Tensor, Tensor], tmp_path: Path
):
    path = tmp_path / "numbers.sqlite"
    result = combinatorial_search(config, *numbers, loss="mse", store=path)
    assert (result.loss, result.samples) == ("mse", 120)
    for found, size in zip(result.best, result.phases[0].sizes, strict=True):
        by_hand = max(0.0, explained(found.model, *numbers))
        assert found.accuracy == pytest.approx(by_hand, abs=1e-5)
        assert found.accuracy == size.accuracy
        assert found.accuracy * MILLIONTHS == pytest.approx(round(found.accuracy * MILLIONTHS))
        assert (size.reached > 0) == (size.accuracy >= config.target)
    reaching = [size.nonzeros for size in result.phases[0].sizes if size.reached]
    assert result.sparsest is not None
    assert result.sparsest.nonzeros == min(reaching)
    with Store(path, write=False) as store:
        again = read_result(store)
    assert again.phases == result.phases
    assert [n.accuracy for n in again.best] == [n.accuracy for n in result.best]
    # The same numbers as classes are another search, and so is the other way round.
    with pytest.raises((StoreError, ValueError)):
        combinatorial_search(config, numbers[0], numbers[1].gt(0).long(), store=path)


def test_held_out_numbers_are_what_is_explained(
    config: SearchConfig, numbers: tuple[Tensor, Tensor]
):
    config = dataclasses.replace(config, held_out=0.25, seed=3, halving=((4, 0.5),))
    result = combinatorial_search(config, *numbers, loss="mse")
    task = make_task(*numbers, loss="mse", held_out=0.25, seed=3)
    assert result.samples == 30
    for found in result.best:
        by_hand = max(0.0, explained(found.model, task.measure_x, task.measure_y))
        assert found.accuracy == pytest.approx(by_hand, abs=1e-5)
    sizes = result.phases[0].sizes
    assert 0 < sum(size.stopped for size in sizes) < sum(size.trainings for size in sizes)


def test_whole_numbers_are_no_classes_if_so_told(config: SearchConfig):
    x = torch.linspace(-1, 1, 60)[:, None]
    y = (10 * x[:, 0]).round().long()
    result = combinatorial_search(config, x, y, loss="mse")
    assert all(found.model.widths[-1] == 1 for found in result.best)


@pytest.mark.parametrize(
    ("changes", "y", "message"),
    [
        ({"margin": 0.1}, None, "margin must be 0 for squared error"),
        ({}, torch.ones(120), "y must vary for squared error"),
        ({"target": 0.99999}, "twice", "target must be at most .*, as equal rows have different n"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_kept(
    config: SearchConfig,
    numbers: tuple[Tensor, Tensor],
    changes: dict[str, float],
    y: Tensor | str | None,
    message: str,
    tmp_path: Path,
):
    x, targets = numbers
    if y == "twice":
        x, targets = torch.cat([x, x]), torch.cat([targets, targets + 1])
    elif isinstance(y, Tensor):
        targets = y
    path = tmp_path / "numbers.sqlite"
    with pytest.raises(ValueError, match=message):
        combinatorial_search(
            dataclasses.replace(config, **changes), x, targets, loss="mse", store=path
        )
    assert not path.exists()
