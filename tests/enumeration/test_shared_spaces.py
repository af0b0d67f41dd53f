"""Threads that share one space find what a space of their own would give."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from prunelimits.enumeration import EligibleMasks, ModelMasks, eligible, model_masks
from prunelimits.enumeration.eligible_tables import eligible_bits

THREADS = 8


@pytest.fixture(autouse=True)
def many_switches() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def by_all_threads(call: Callable[[int], Tensor]) -> list[Tensor]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(call, range(THREADS)))


@pytest.mark.slow
@pytest.mark.parametrize("bytes_", [400, 2_000, 3_000, 4_000, 2**26])
def test_a_layers_tables_are_dropped_under_other_threads(
    bytes_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = EligibleMasks(4, 3).take(range(400))
    monkeypatch.setattr(eligible, "TABLE_BYTES", bytes_)

    def slowly(*arguments, **options):
        # Between looking for a table and having made it, other threads drop theirs.
        time.sleep(1e-4)
        return eligible_bits(*arguments, **options)

    monkeypatch.setattr(eligible, "eligible_bits", slowly)
    shared = EligibleMasks(4, 3)

    def some(seed: int) -> Tensor:
        order = random.Random(seed)
        found = torch.zeros_like(expected)
        for _ in range(40):
            ranks = [order.randrange(400) for _ in range(20)]
            found[ranks] = shared.take(ranks)
            assert [shared.index(shared[rank]) for rank in ranks[:3]] == ranks[:3]
        return found

    for found in by_all_threads(some):
        taken = found.any(2).any(1)
        assert torch.equal(found[taken], expected[taken])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        {"symmetry": "layer"},
        {"symmetry": "network"},
        {"symmetry": "network", "max_nonzeros": 26},
        {"symmetry": "layer", "inputs": "any", "order": "published"},
    ],
)
def test_spaces_of_networks_are_shared(arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eligible, "TABLE_BYTES", 200)
    fresh = ModelMasks((2, 3, 3, 2, 1), **arguments)
    ranks = range(0, fresh.count, 3)
    expected = fresh.take(ranks)
    for _ in range(2):
        shared = ModelMasks((2, 3, 3, 2, 1), **arguments)

        def everything(seed: int, shared: ModelMasks = shared) -> Tensor:
            found = torch.zeros_like(expected)
            places = list(range(len(ranks)))
            random.Random(seed).shuffle(places)
            for start in range(0, len(places), 50):
                part = places[start : start + 50]
                found[part] = shared.take([ranks[place] for place in part])
                assert shared.nonzeros([ranks[place] for place in part]).tolist() == (
                    found[part].sum(1).tolist()
                )
            assert shared.ranks(found[:20]).tolist() == list(ranks[:20])
            return found

        assert all(torch.equal(found, expected) for found in by_all_threads(everything))


def test_tables_are_built_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    real = model_masks.NetworkOrbits

    def counted(*arguments):
        built.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(model_masks, "NetworkOrbits", counted)
    space = ModelMasks((2, 4, 3, 2, 1), "network")
    by_all_threads(lambda seed: space.take([seed]))
    assert len(built) == 1
