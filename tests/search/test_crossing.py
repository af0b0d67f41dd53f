"""Features of the search together: what each does alone must also hold beside the others.

Every search here is small enough to be checked against a plain loop over all its networks.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.masks import count
from prunelimits.models import parameter_shapes
from prunelimits.search import (
    EveryWidths,
    MasksOf,
    SearchConfig,
    SearchResult,
    Store,
    StoreError,
    StructuredWidths,
    combinatorial_search,
    read_result,
)
from prunelimits.training import MLPEnsemble, Recipe

Data = tuple[Tensor, Tensor]
RECIPES = (Recipe(epochs=2, batch_size=20, lr=0.1), Recipe(epochs=2, batch_size=20, lr=0.02))


@pytest.fixture(scope="module")
def data() -> Data:
    return cubist_spiral(80)


def every_mask(widths: tuple[int, ...], inputs: str) -> Counter[int]:
    """Networks by nonzeros, by trying all of them: rows of a layer sorted, every unit used."""
    sizes: list[Counter[int]] = []
    for layer, (d_in, d_out) in enumerate(itertools.pairwise(widths)):
        rows = [row for row in itertools.product((0, 1), repeat=d_in) if any(row)]
        counts: Counter[int] = Counter()
        for matrix in itertools.combinations_with_replacement(rows, d_out):
            used = all(map(any, zip(*matrix, strict=True)))
            if used or (layer == 0 and inputs == "any"):
                counts[sum(map(sum, matrix)) + d_out] += 1
        sizes.append(counts)
    total: Counter[int] = Counter({0: 1})
    for counts in sizes:
        total = Counter(
            {
                size: sum(n * counts[size - s] for s, n in total.items())
                for size in range(max(total) + max(counts) + 1)
            }
        )
    return Counter({size: n for size, n in total.items() if n})


def facts(result: SearchResult) -> list[object]:
    """All that a search found, to the last bit."""
    best = [
        (n.nonzeros, n.accuracy, n.phase, n.rank, n.recipe, n.repeat, n.seed) for n in result.best
    ]
    weights = [
        value.tolist() for network in result.best for value in network.model.state_dict().values()
    ]
    return [result.config, result.phases, best, weights]


def search_everywhere(config: SearchConfig, data: Data, folder: Path, **options: object) -> None:
    """The same in memory, in a file, in two orders, by threads, in parts and when read back."""
    expected = facts(combinatorial_search(config, *data, **options))
    ways: dict[str, dict[str, object]] = {
        "file": {},
        "shuffled": {"order": "shuffled"},
        "threads": {"executor": ThreadPoolExecutor(2), "in_flight": 3},
        "parts": {},
    }
    for name, way in ways.items():
        path = folder / f"{name}.sqlite"
        if name == "parts":
            combinatorial_search(config, *data, store=path, time_limit=1e-9, **options)
            interrupted = Interruption(after=1)
            with pytest.raises(KeyboardInterrupt):
                combinatorial_search(config, *data, store=path, on_progress=interrupted, **options)
        assert facts(combinatorial_search(config, *data, store=path, **way, **options)) == expected
        with Store(path, write=False) as store:
            assert facts(read_result(store)) == expected
        if isinstance(executor := way.get("executor"), Executor):
            executor.shutdown()


class Interruption:
    """Ctrl-C after some reports of progress."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, _: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


MASKS = SearchConfig(
    target=0.5, width=4, widths=(2, 3, 2, 1), recipes=RECIPES, seeds=2, shard_size=30
)
BOTH = dataclasses.replace(MASKS, widths=None, width=3, hidden_layers=2, target=0.45)
EVERY = dataclasses.replace(
    MASKS, widths=None, every_widths=True, width=8, hidden_layers=2, max_nonzeros=12
)
SEARCHES: dict[str, SearchConfig] = {
    "masks": MASKS,
    "masks, filtered": dataclasses.replace(MASKS, min_nonzeros=15, max_nonzeros=17),
    "masks, any inputs": dataclasses.replace(MASKS, inputs="any"),
    "masks, any inputs, network": dataclasses.replace(
        MASKS, inputs="any", symmetry="network", max_nonzeros=15
    ),
    "masks, any inputs, first": dataclasses.replace(
        MASKS, inputs="any", first_per_count={0: 1, 1: 2}, held_out=0.25
    ),
    "masks, any inputs, halving": dataclasses.replace(MASKS, inputs="any", halving=((1, 0.4),)),
    "both phases": BOTH,
    "both phases, any inputs": dataclasses.replace(BOTH, inputs="any", held_out=0.25),
    "both phases, nothing left above": dataclasses.replace(BOTH, max_nonzeros=5),
    "both phases, nothing left below": dataclasses.replace(BOTH, min_nonzeros=90, inputs="any"),
    "both phases, halving": dataclasses.replace(BOTH, halving=((1, 0.4),), max_nonzeros=9),
    "every widths": EVERY,
    "every widths, any inputs": dataclasses.replace(EVERY, inputs="any", halving=((1, 0.6),)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_every_way_to_run_a_search_finds_the_same(name: str, data: Data, tmp_path: Path):
    search_everywhere(SEARCHES[name], data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("inputs", ["all", "any"])
@pytest.mark.parametrize("config", [MASKS, BOTH, EVERY], ids=["masks", "both", "every"])
def test_every_way_finds_the_same_from_one_start(
    config: SearchConfig, inputs: str, data: Data, tmp_path: Path
):
    initial = MLPEnsemble((2, 8, 8, 1), seeds=[7]).member(0)[0]
    shared = dataclasses.replace(
        config, seeds=1, inputs=inputs, held_out=0.25, shard_size=max(8, config.shard_size // 2)
    )
    search_everywhere(shared, data, tmp_path, initial=initial)


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=2),
    st.sampled_from(["all", "any"]),
    st.none() | st.integers(1, 30),
    st.none() | st.integers(1, 30),
    st.integers(1, 40),
)
def test_phase_two_trains_what_trying_all_masks_finds(
    hidden: list[int], inputs: str, least: int | None, most: int | None, shard_size: int
):
    widths = (2, *hidden, 1)
    if least is not None and most is not None and least > most:
        least, most = most, least
    low, high = least or 0, 1000 if most is None else most
    expected = {n: c for n, c in every_mask(widths, inputs).items() if low <= n <= high}
    config = SearchConfig(
        target=0.5,
        widths=widths,
        inputs=inputs,
        min_nonzeros=least,
        max_nonzeros=most,
        recipes=(Recipe(epochs=1, batch_size=20),),
        shard_size=shard_size,
    )
    if not expected:
        with pytest.raises(ValueError, match="there are no masks of widths"):
            combinatorial_search(config, *cubist_spiral(20))
        return
    (phase,) = combinatorial_search(config, *cubist_spiral(20)).phases
    assert phase.phase == config.masks_of(widths)
    assert {size.nonzeros: size.networks for size in phase.sizes} == expected
    assert phase.trained == phase.trainings == sum(expected.values())


@pytest.mark.parametrize(
    "nothing", [{"max_nonzeros": 3}, {"min_nonzeros": 500}, {"max_nonzeros": 4, "inputs": "any"}]
)
@pytest.mark.parametrize("stop_at_target", [False, True])
def test_an_empty_second_phase_ends_the_search_with_the_first(
    nothing: dict[str, object], stop_at_target: bool, data: Data, tmp_path: Path
):
    path = tmp_path / "a.sqlite"
    alone = SearchConfig(target=0.4, width=3, hidden_layers=2, recipes=RECIPES, shard_size=6)
    config = dataclasses.replace(alone, **nothing)
    first = combinatorial_search(alone, *data, first_phase_only=True, stop_at_target=stop_at_target)
    result = combinatorial_search(config, *data, store=path, stop_at_target=stop_at_target)
    one, two = result.phases
    assert one == first.phases[0]
    assert isinstance(one.phase, StructuredWidths)
    assert isinstance(two.phase, MasksOf)
    assert (two.networks, two.trainings, two.trained, two.sizes) == (0, 0, 0, ())
    assert [(n.nonzeros, n.rank) for n in result.best] == [(n.nonzeros, n.rank) for n in first.best]
    assert result.sparsest is not None
    for target in (0.3, 0.99):
        with Store(path, write=False) as store:
            assert [p.networks for p in read_result(store, target=target).phases] == [9, 0]


def test_another_argument_is_refused_in_the_middle_and_changes_nothing(data: Data, tmp_path: Path):
    path = tmp_path / "a.sqlite"
    initial = MLPEnsemble((2, 8, 8, 1), seeds=[7]).member(0)[0]
    one = dataclasses.replace(BOTH, seeds=1)
    with pytest.raises(KeyboardInterrupt):
        combinatorial_search(one, *data, store=path, on_progress=Interruption(after=3))
    changes: list[tuple[dict[str, object], str]] = [
        ({"inputs": "any"}, "inputs"),
        ({"max_nonzeros": 9}, "max_nonzeros"),
        ({"first_per_count": {1: 1}}, "first_per_count"),
        ({"symmetry": "network"}, "symmetry"),
        ({"seed": 1}, "seed"),
        ({"held_out": 0.5}, "held_out"),
        ({"shard_size": 7}, "shard_size"),
        ({"halving": ((1, 0.5),)}, "halving"),
        ({"recipes": RECIPES[:1]}, "recipes"),
        ({"target": 0.44}, "target"),
    ]
    before = path.read_bytes()
    for change, name in changes:
        with pytest.raises(StoreError, match=rf"belongs to another search .*{name} is"):
            combinatorial_search(dataclasses.replace(one, **change), *data, store=path)
    with pytest.raises(StoreError, match="initial is"):
        combinatorial_search(one, *data, store=path, initial=initial)
    assert path.read_bytes() == before
    expected = facts(combinatorial_search(one, *data))
    # What does not decide the result may differ.
    result = combinatorial_search(one, *data, store=path, order="shuffled", in_flight=1)
    assert facts(result) == expected


def test_a_second_driver_is_refused_while_the_first_goes_on(data: Data, tmp_path: Path):
    path = tmp_path / "a.sqlite"
    refused: list[str] = []

    def second(_: object) -> None:
        if len(refused) < 2:
            with pytest.raises(StoreError, match=r"a\.sqlite") as error:
                combinatorial_search(MASKS, *data, store=path)
            refused.append(str(error.value))
            with Store(path, write=False) as store:
                read_result(store)

    first = combinatorial_search(MASKS, *data, store=path, on_progress=second)
    assert len(refused) == 2
    assert facts(first) == facts(combinatorial_search(MASKS, *data))


def test_threads_search_side_by_side_as_they_do_alone(data: Data, tmp_path: Path):
    """Two searches of one space and one of another: what they share in memory does not mix."""
    configs = [MASKS, dataclasses.replace(MASKS, seed=1), EVERY, BOTH]
    expected = [facts(combinatorial_search(config, *data)) for config in configs]
    with ThreadPoolExecutor(len(configs)) as pool:
        runs = [
            pool.submit(combinatorial_search, config, *data, store=tmp_path / f"{n}.sqlite")
            for n, config in enumerate(configs)
        ]
        assert [facts(run.result()) for run in runs] == expected


@pytest.mark.parametrize("stop_at_target", [False, True])
def test_a_sample_of_a_space_beyond_64_bits(data: Data, tmp_path: Path, stop_at_target: bool):
    path = tmp_path / "a.sqlite"
    config = SearchConfig(target=0.3, widths=(2, 8, 8, 8, 1), recipes=RECIPES, shard_size=8)
    with pytest.raises(KeyboardInterrupt):
        combinatorial_search(
            config,
            *data,
            store=path,
            order="shuffled",
            stop_at_target=stop_at_target,
            on_progress=Interruption(after=4),
        )
    with Store(path, write=False) as store:
        (phase,) = store.phases()
        finished = store.finished(phase)
        (summary,) = read_result(store).phases
    assert summary.networks > 2**63
    assert len(finished) == 4
    assert summary.trained == 4 * 8
    assert max(finished) > 2**63


def test_every_widths_is_checked_before_anything_is_kept(data: Data, tmp_path: Path):
    path = tmp_path / "a.sqlite"
    narrow = dataclasses.replace(EVERY, max_nonzeros=40)
    with pytest.raises(ValueError, match="width must be at least 12, the widest hidden layer"):
        combinatorial_search(narrow, *data, store=path)
    with pytest.raises(ValueError, match="there are no networks of every widths with 0 to 3"):
        combinatorial_search(dataclasses.replace(EVERY, max_nonzeros=3), *data, store=path)
    assert not list(tmp_path.iterdir())
    assert EveryWidths(40, 2).widest(2, 1) == 12


def test_the_sparsest_network_of_a_table_leaves_columns_out():
    """Labels that depend on two of four columns: five nonzeros, where all inputs take seven."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(300, 4, generator=generator) * 2 - 1
    y = (x[:, 0] + x[:, 1] > 0).long()
    recipes = (Recipe(epochs=20, batch_size=20, lr=0.1),)
    searches: list[dict[str, object]] = [
        {"widths": (4, 1, 1)},
        {"width": 2, "hidden_layers": 1},
        {"every_widths": True, "max_nonzeros": 8, "hidden_layers": 1},
        {"widths": (4, 1, 1), "symmetry": "network", "held_out": 0.2},
    ]
    for options in searches:
        for inputs, smallest in (("all", 7), ("any", 5)):
            config = SearchConfig(target=0.95, recipes=recipes, inputs=inputs, seeds=8, **options)
            found = combinatorial_search(config, x, y).sparsest
            assert found is not None
            assert (found.nonzeros, count(found.masks)) == (smallest, smallest)
            used = found.masks["layers.0.weight"].any(0).tolist()
            assert used == ([True] * 4 if inputs == "all" else [True, True, False, False])
            assert found.model.widths == (4, 1, 1)
            assert set(found.masks) == set(parameter_shapes((4, 1, 1)))
