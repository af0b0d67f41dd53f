"""Progress is told evenly, rises to its end, and changes no result."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunelimits import lottery_ticket
from prunelimits.masks import flatten
from prunelimits.progress import reporting, stage, tracked
from prunelimits.pruners import (
    CHITA,
    FORCE,
    LOMP,
    LTH,
    NPB,
    OBC,
    OBD,
    OBS,
    SNIP,
    EdgePopup,
    GraSP,
    IterSNIP,
    ProsPr,
    RareGems,
    SparseGPT,
    SynFlow,
    Wanda,
    prune,
    prune_with_weights,
    score,
)
from prunelimits.sessions import attach


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def data(batches: int = 3) -> dict[str, Any]:
    x = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    pairs = zip(x.chunk(batches), (x[:, 0] > 0).long().chunk(batches), strict=True)
    return {"loss": functional.cross_entropy, "batches": list(pairs)}


PARTS = [
    (SNIP(), 3),
    (GraSP(), 6),  # the gradient, then the product
    (SynFlow(rounds=7), 7),
    (IterSNIP(rounds=4), 4),
    (FORCE(rounds=4), 4),
    (OBD(probes=2), 6),
    (EdgePopup(epochs=5), 15),
    (RareGems(epochs=6, freeze=2), 18),
    (LOMP(epochs=2), 6),
    (OBS(at_once=5), 3 * 2 * 2 * 3),  # 13 weights go in 3 rounds: two matrices each, in two blocks
]


@pytest.mark.parametrize(("pruner", "parts"), PARTS, ids=lambda p: type(p).__name__)
def test_every_part_is_told_once_and_the_masks_are_the_same(pruner: Any, parts: int):
    model, told = network(), list[tuple[int, int]]()
    masks = prune(model, pruner, keep=12, **data(), on_progress=lambda *at: told.append(at))
    assert told == [(done, parts) for done in range(1, parts + 1)]
    assert torch.equal(flatten(masks), flatten(prune(model, pruner, keep=12, **data())))


def test_whatever_prunes_at_once_tells():
    told = list[tuple[int, int]]()
    model = network()
    options: Any = {**data(), "on_progress": lambda *at: told.append(at)}
    score(model, SNIP(), **options)
    prune(model, ProsPr(), keep=12, **options)
    prune_with_weights(model, LOMP(epochs=1), keep=12, **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    attach(SNIP(), model, optimizer, keep=12, **options)
    thirds = [(1, 3), (2, 3), (3, 3)]
    assert told == [*thirds, (1, 1), *thirds, *thirds]
    told.clear()
    lottery_ticket(
        model, lambda *_: None, LTH(rounds=3), keep=12, on_progress=options["on_progress"]
    )
    assert told == thirds


@pytest.mark.parametrize(
    ("pruner", "thirds"),
    [
        (Wanda(), [(1, 3), (2, 3), (3, 3)]),
        (OBC(), [(1, 9), (2, 9), (3, 9), (3, 6), (4, 6), (5, 6), (6, 6)]),
        (SparseGPT(), [(1, 9), (2, 9), (3, 9), (2, 3), (7, 9), (8, 9), (9, 9)]),
        (NPB(), [(1, 2), (2, 2)]),
        (CHITA(stages=3, swaps=0), [(1, 4), (2, 4), (3, 4), (4, 4)]),
    ],
    ids=lambda p: type(p).__name__,
)
def test_methods_that_look_at_each_layer_tell_of_batches_and_layers(pruner: Any, thirds: Any):
    told = list[tuple[int, int]]()
    masks = prune(network(), pruner, keep=12, **data(), on_progress=lambda *at: told.append(at))
    assert [done / total for done, total in told] == [done / total for done, total in thirds]
    assert torch.equal(flatten(masks), flatten(prune(network(), pruner, keep=12, **data())))


def test_a_search_that_ends_early_is_told_as_done():
    told = list[tuple[int, int]]()
    prune(
        network(),
        CHITA(stages=1, swaps=500),
        keep=5,
        **data(),
        on_progress=lambda *at: told.append(at),
    )
    assert told[-1] == (2, 2)
    assert told[0] == (1, 2)


def test_loops_of_several_sizes_never_go_back():
    told = list[float]()
    with reporting(lambda done, total: told.append(done / total)):
        for size in tracked((2, 5, 1)):
            for _ in tracked(range(size)):
                for _ in tracked(range(3)):
                    pass
            for _ in tracked(range(4)):  # the same part of the outer loop again
                pass
    assert told == sorted(set(told))
    assert told[-1] == 1


def test_a_loop_that_fails_is_no_part_of_what_comes_after():
    told = list[tuple[int, int]]()
    with reporting(lambda *at: told.append(at)):
        with pytest.raises(KeyError), stage(1, of=4):
            raise KeyError
        for _ in tracked("ab"):
            pass
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize("wrong", [3, "bar", [print]])
def test_what_is_no_function_is_refused_by_name(wrong: Any):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for call in (
        lambda: prune(model, SNIP(), keep=3, **data(), on_progress=wrong),
        lambda: score(model, SNIP(), **data(), on_progress=wrong),
        lambda: attach(SNIP(), model, optimizer, keep=3, **data(), on_progress=wrong),
        lambda: lottery_ticket(model, lambda *_: None, keep=3, on_progress=wrong),
    ):
        with pytest.raises(TypeError, match="on_progress must be a function or None"):
            call()
