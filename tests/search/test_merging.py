"""A search in parts, joined, is the search in one piece."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch

import prunelimits as pl
from prunelimits.resuming import StoreError
from prunelimits.search import (
    SearchConfig,
    SearchResult,
    Store,
    combinatorial_search,
    merge_stores,
    read_result,
)

X = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] * X[:, 1] > 0).float()
RECIPES = (pl.Recipe(epochs=2, batch_size=20),)
MASKS = SearchConfig(target=0.6, widths=(2, 2, 2, 1), recipes=RECIPES, shard_size=2)
PHASES = SearchConfig(target=0.5, hidden_layers=2, width=2, recipes=RECIPES, shard_size=1)


def content(path: Path) -> object:
    """All that a search found, but for the times."""
    with Store(path, write=False) as store:
        phases = store.phases()
        shards = {p: {s: c.tolist() for s, c in store.shards(p)} for p in phases}
        return store.description(), shards, {p: store.best(p) for p in phases}


def read(path: Path) -> SearchResult:
    with Store(path, write=False) as store:
        return read_result(store)


def search(config: SearchConfig, path: Path, **options) -> SearchResult:
    return combinatorial_search(config, X, Y, store=path, **options)


@pytest.mark.slow
@pytest.mark.parametrize("of", [1, 2, 5])
@pytest.mark.parametrize("order", ["fewest", "shuffled"])
def test_parts_joined_in_any_order_are_the_whole(of: int, order, tmp_path: Path):
    whole = search(MASKS, tmp_path / "whole")
    assert len(content(tmp_path / "whole")[1][whole.phases[0].phase]) >= 5  # shards
    paths = [tmp_path / f"part-{number}" for number in range(1, of + 1)]
    for number, path in enumerate(paths, start=1):
        search(MASKS, path, part=(number, of), order=order)
        [here] = content(path)[1].values()
        assert all(shard % of == number - 1 for shard in here)
    for turn, order_of_parts in enumerate(itertools.islice(itertools.permutations(paths), 4)):
        merge_stores(order_of_parts, tmp_path / f"joined-{turn}")
        assert content(tmp_path / f"joined-{turn}") == content(tmp_path / "whole")
    joined = read(tmp_path / "joined-0").phases[0].sizes
    assert [z.networks for z in joined] == [z.networks for z in whole.phases[0].sizes]


def test_two_phases_in_parts(tmp_path: Path):
    search(PHASES, tmp_path / "whole")
    first = [tmp_path / "1", tmp_path / "2"]
    for number, path in enumerate(first, start=1):
        assert len(search(PHASES, path, part=(number, 2)).phases) == 1
    # Phase two begins in stores that hold all of phase one.
    for path in first:
        merge_stores([first[1] if path == first[0] else first[0]], path)
    for number, path in enumerate(first, start=1):
        assert len(search(PHASES, path, part=(number, 2)).phases) == 2
    merge_stores(first, tmp_path / "joined")
    assert content(tmp_path / "joined") == content(tmp_path / "whole")
    # The whole search, asked for in the joined store, finds nothing left to do.
    search(PHASES, tmp_path / "joined", time_limit=1e-9)
    assert content(tmp_path / "joined") == content(tmp_path / "whole")


def test_a_joined_store_goes_on(tmp_path: Path):
    search(MASKS, tmp_path / "whole")
    search(MASKS, tmp_path / "part", part=(2, 3))
    merge_stores([tmp_path / "part"], tmp_path / "joined")
    search(MASKS, tmp_path / "joined")
    assert content(tmp_path / "joined") == content(tmp_path / "whole")


def test_what_does_not_belong_together_is_refused_and_changes_nothing(tmp_path: Path):
    search(MASKS, tmp_path / "part", part=(1, 2))
    search(PHASES, tmp_path / "other")
    for parts, named in (([tmp_path / "part", tmp_path / "other"], "other"),
                         ([tmp_path / "other"], "into")):  # fmt: skip
        search(MASKS, tmp_path / "into", part=(2, 2))
        before = content(tmp_path / "into")
        with pytest.raises(StoreError, match=rf"{named} belongs to another"):
            merge_stores(parts, tmp_path / "into")
        assert content(tmp_path / "into") == before
        (tmp_path / "into").unlink()
    (tmp_path / "text").write_text("no store")
    with pytest.raises(StoreError, match="text"):
        merge_stores([tmp_path / "part", tmp_path / "text"], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_another_result_of_a_shard_is_refused(tmp_path: Path):
    search(MASKS, tmp_path / "a", part=(1, 2))
    search(MASKS, tmp_path / "b", part=(2, 2))
    with Store(tmp_path / "a", write=False) as a, Store(tmp_path / "c", write=True) as c:
        c.describe(a.description())
        [phase] = a.phases()
        c.begin_phase(phase)
        number, correct = next(a.shards(phase))
        row = next(a.rows_of(phase))
        c._insert_shard(row[0], row[1], bytes(len(row[2])), *row[3:])
    assert (number, len(correct)) == (0, 2)
    with pytest.raises(StoreError, match=r"shard 0 of phase 2 is there already with another"):
        merge_stores([tmp_path / "a", tmp_path / "c"], tmp_path / "joined")
    with Store(tmp_path / "joined", write=False) as joined:
        assert joined.description() == {}


@pytest.mark.parametrize(
    ("option", "there", "here"),
    [
        ({"margin": 0.01}, "margin is 0.01", "asked for 0.0"),
        ({"subset_order": "published"}, 'subset_order is "published"', 'asked for "ascending"'),
        ({"first_per_count": {1: 1}}, "first_per_count is ", "asked for "),
    ],
)
def test_a_part_of_another_protocol_is_named_and_nothing_written(
    option: dict, there: str, here: str, tmp_path: Path
):
    search(MASKS, tmp_path / "own", part=(1, 2))
    search(dataclasses.replace(MASKS, **option), tmp_path / "other", part=(2, 2))
    with pytest.raises(StoreError, match=f"other belongs to another search.*{there}.*{here}"):
        merge_stores([tmp_path / "own", tmp_path / "other"], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()
