"""A search so small that it ends in a second."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.search import SearchConfig
from prunelimits.training import Recipe

RECIPES = (
    Recipe(epochs=2, batch_size=50, lr=0.1, schedule="constant"),
    Recipe(epochs=2, batch_size=50, lr=0.05, schedule="cosine"),
)


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    return cubist_spiral(300)


@pytest.fixture
def config() -> SearchConfig:
    """104 networks, each trained twice by two recipes, in shards of 3 networks."""
    return SearchConfig(
        target=0.55, width=4, widths=(2, 3, 2, 1), recipes=RECIPES, seeds=2, shard_size=12
    )


@pytest.fixture
def contents() -> Callable[[Path], dict[str, list[tuple[object, ...]]]]:
    """Reads everything in a store but the times taken."""
    return _contents


def _contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything in a store but the times taken."""
    queries = {
        "description": "SELECT * FROM description ORDER BY 1",
        "phases": "SELECT * FROM phases ORDER BY 1",
        "shards": "SELECT phase, shard, correct, engine, version FROM shards ORDER BY 1, 2",
        "best": "SELECT * FROM best ORDER BY 1, 2",
    }
    database = sqlite3.connect(path)
    result = {name: database.execute(query).fetchall() for name, query in queries.items()}
    database.close()
    return result
