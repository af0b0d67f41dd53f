"""A regrowth that is stopped goes on from its file to the same result, and from no other's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from prunelimits.elimination import (
    Elimination,
    RegrowthResult,
    eliminate,
    kept_file,
    regrow,
    regrowth_file,
)
from prunelimits.elimination.regrowing_mlps import MLPRegrowing
from prunelimits.resuming import StoreError, WriterLock
from prunelimits.training import Recipe

from . import modules
from .circle import X, Y
from .test_regrowth import OTHERS, QUICK, WIDTHS

SHORT = replace(
    QUICK,
    starts=4,
    beam=2,
    finalists=3,
    first=Recipe(epochs=4, batch_size=20, lr=0.1),
    recovery=Recipe(epochs=2, batch_size=20, lr=0.05),
    last=Recipe(epochs=4, batch_size=20, lr=0.1),
)


def of_mlps(**options: Any) -> RegrowthResult[Any]:
    given = {"x": X, "y": Y, "method": SHORT, "keep": 12, "start": WIDTHS, "measure": OTHERS}
    return regrow(**{**given, "seed": 3, **options})


def of_modules(**options: Any) -> RegrowthResult[Any]:
    method = replace(modules.QUICK, cycles=2)
    x, y = modules.TRAIN
    given = {"x": x, "y": y, "method": method, "keep": 16, "measure": modules.OTHERS}
    return regrow(**{**given, "start": modules.convolutional(), "seed": 1, **options})


def with_dropout(**options: Any) -> RegrowthResult[Any]:
    start = modules.seeded(modules.Everything)
    return of_modules(**{"start": start, "method": modules.QUICK, **options})


def content(result: RegrowthResult[Any]) -> Any:
    """All of a result but the time it took."""
    network = result.network
    values = [v.tolist() for v in (*network.model.state_dict().values(), *network.masks.values())]
    return result.work, result.weights, network.nonzeros, network.score, network.origin, values


class Stopped(Exception):
    pass


def stop_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    write = kept_file.write_whole

    def writing(whole: bytes, path: Path) -> None:
        write(whole, path)
        written.append(len(whole))
        if len(written) == writes:
            raise Stopped

    monkeypatch.setattr(kept_file, "write_whole", writing)


def stopped(writes: int, call: Callable[..., object], store: Path) -> None:
    """Leaves the file of a regrowth that was stopped after so many writings."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(writes, patch)
        with pytest.raises(Stopped):
            call(store=store)


@pytest.mark.parametrize(
    "call", [of_mlps, pytest.param(of_modules), pytest.param(with_dropout, marks=pytest.mark.slow)]
)
def test_a_regrowth_that_is_stopped_after_any_training_ends_as_if_it_was_not(
    call: Callable[..., RegrowthResult[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = tmp_path / "kept.regrowth"
    undisturbed = content(call())
    stops = 0
    while stops < 100:
        with monkeypatch.context() as patch:
            # After the first writing of every call, so that each call does one training.
            stop_after(1, patch)
            try:
                found = call(store=store)
            except Stopped:
                stops += 1
                continue
        assert content(found) == undisturbed
        break
    assert stops > 5

    def none(*_: object, **__: object) -> None:
        raise AssertionError("nothing is left to train")

    monkeypatch.setattr(regrowth_file, "write_content", none)
    assert content(call(store=store)) == undisturbed


def test_a_write_that_fails_leaves_the_training_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = tmp_path / "kept.regrowth"
    stopped(4, of_mlps, store)
    before = store.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr("prunelimits.resuming.whole.os.fsync", full)
        with pytest.raises(OSError, match="no space left"):
            of_mlps(store=store)
    assert store.read_bytes() == before
    assert content(of_mlps(store=store)) == content(of_mlps())


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a regrowth in its middle."""
    store = tmp_path_factory.mktemp("kept") / "kept.regrowth"
    stopped(3, of_mlps, store)
    return store


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 13}, "keep is 12"),
        ({"seed": 4}, "seed is 3"),
        ({"x": X + 1}, "data is"),
        ({"measure": None}, "measure is"),
        ({"start": (2, 6, 6, 1)}, "widths is"),
        ({"method": replace(SHORT, cycles=1)}, "cycles is 2"),
        ({"method": replace(SHORT, last=Recipe(epochs=9, batch_size=20))}, "last.epochs is 4"),
    ],
)
def test_the_file_of_another_regrowth_is_refused_and_stays(
    kept: Path, options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
):
    before = kept.read_bytes()
    monkeypatch.setattr(MLPRegrowing, "trained", None)
    with pytest.raises(StoreError, match=rf"kept\.regrowth belongs to another regrowth.*{message}"):
        of_mlps(store=kept, **options)
    assert kept.read_bytes() == before


def test_modules_with_other_tensors_layers_or_code_are_others(tmp_path: Path):
    store = tmp_path / "kept.regrowth"
    stopped(2, of_modules, store)
    moved, frozen, other = (modules.convolutional() for _ in range(3))
    with torch.no_grad():
        moved[0].bias += 1
    frozen[0].bias.requires_grad_(False)
    other[1] = nn.Tanh()
    for start in (moved, frozen, other, [modules.convolutional()] * 2):
        with pytest.raises(StoreError, match=r"belongs to another regrowth.*start is"):
            of_modules(store=store, start=start)
    with pytest.raises(StoreError, match="belongs to another regrowth"):
        of_mlps(store=store)


def test_an_elimination_and_a_regrowth_refuse_each_others_files(tmp_path: Path, kept: Path):
    recipe = Recipe(epochs=1, batch_size=20)
    quick = Elimination(networks=2, beam=2, tries=1, dense=recipe, recovery=recipe, evolved=0)
    store = tmp_path / "circle.elimination"
    eliminate(X, Y, quick, start=WIDTHS, nonzeros=40, store=store)
    with pytest.raises(StoreError, match=r"no store of a regrowth \(it is of an elimination\)"):
        of_mlps(store=store)
    with pytest.raises(StoreError, match=r"no store of an elimination \(it is of a regrowth\)"):
        eliminate(X, Y, quick, start=WIDTHS, nonzeros=40, store=kept)


@pytest.mark.parametrize("place", [0, 30, 200, -200])
def test_a_flipped_bit_and_a_cut_file_are_refused(kept: Path, tmp_path: Path, place: int):
    whole = bytearray(kept.read_bytes())
    whole[place] ^= 1
    store = tmp_path / "kept.regrowth"
    for damaged in (bytes(whole), bytes(whole[: len(whole) // 2]), b""):
        store.write_bytes(damaged)
        with pytest.raises(StoreError, match="is damaged or no store of a regrowth"):
            of_mlps(store=store)


def test_one_regrowth_at_a_time_writes(kept: Path):
    with WriterLock(kept), pytest.raises(StoreError, match="is being written to by another run"):
        of_mlps(store=kept)


@pytest.mark.parametrize(
    ("store", "kind", "message"),
    [(3, TypeError, "store must be a path, got 3"), ("/", ValueError, "store must be a file")],
)
def test_what_is_no_file_is_refused(store: Any, kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        of_mlps(store=store)
