"""The file of an elimination: bound to its task, checked to the bit, written by one at a time."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prunelimits.elimination import kept_file as module
from prunelimits.elimination import read_elimination
from prunelimits.elimination.state_file import is_state_file, read_state, write_state
from prunelimits.resuming import StoreError
from prunelimits.training import MLPEnsemble, TorchEngine
from tests.processes import Running

from .circle import X, Y
from .small import QUICK, START, content, run


@pytest.fixture(scope="module")
def undisturbed():
    return content(run())


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> bytes:
    """The file of an elimination in its middle: networks wait, some have lost all their units."""
    store, rounds = tmp_path_factory.mktemp("kept") / "circle.elimination", []

    class Stopped(Exception):
        pass

    def stop(round_):
        rounds.append(round_)
        if [r.stage for r in rounds[-2:]] == ["units", "parameters"]:
            raise Stopped

    with pytest.raises(Stopped):
        run(store=store, on_round=stop)
    return store.read_bytes()


def test_a_write_that_fails_leaves_the_round_before(tmp_path: Path, monkeypatch, undisturbed):
    store = tmp_path / "circle.elimination"
    run(store=store, time_limit=1e-9)
    assert not store.exists()
    written: list[int] = []

    def failing(whole: bytes, path: Path) -> None:
        written.append(len(whole))
        if len(written) == 4:
            raise OSError("no space left")
        path.write_bytes(whole)

    monkeypatch.setattr(module, "write_whole", failing)
    with pytest.raises(OSError, match="no space"):
        run(store=store)
    monkeypatch.undo()
    assert content(run(store=store)) == undisturbed


def _other_masks() -> MLPEnsemble:
    """Parameters that the masks leave alone: zero where another start has them pruned."""
    ensemble = MLPEnsemble(START, 3, seed=9)
    params = {name: value.clone() for name, value in ensemble.params.items()}
    params["layers.1.weight"][:, 0, 0] = 0
    return MLPEnsemble.from_params(START, params)


def _pruned() -> MLPEnsemble:
    start = _other_masks()
    masks = {name: mask.clone() for name, mask in start.masks.items()}
    masks["layers.1.weight"][:, 0, 0] = False
    return start.replace(masks=masks)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second", "differs"),
    [
        ({}, {"seed": 1}, "seed is 0, asked for 1"),
        ({}, {"target": 0.9}, "target is 0.85, asked for 0.9"),
        ({}, {"nonzeros": 9}, "nonzeros is None, asked for 9"),
        ({}, {"method": dataclasses.replace(QUICK, beam=7)}, "beam is 6, asked for 7"),
        ({}, {"method": dataclasses.replace(QUICK, recovery=None)}, r"recovery\.epochs is"),
        ({}, {"start": (2, 4, 4, 1)}, r"widths is \[2, 5, 4, 1\], asked for \[2, 4, 4, 1\]"),
        ({}, {"measure": (X[::8], Y[::8])}, "measure is"),
        (
            {"start": _other_masks()},
            {"start": _pruned()},
            r"another elimination \(start is [^;]*\)",
        ),
        (
            {"start": _pruned()},
            {"start": _other_masks()},
            r"another elimination \(start is [^;]*\)",
        ),
        (
            {"start": _pruned()},
            {"start": _pruned(), "trained": True},
            r"another elimination \(trained is False, asked for True\)",
        ),
        ({}, {"loss": "mse"}, "loss is binary_cross_entropy, asked for mse"),
    ],
)
def test_the_file_of_another_elimination_is_refused(tmp_path: Path, first, second, differs: str):
    store = tmp_path / "circle.elimination"
    run(**first, store=store)
    before = store.read_bytes()
    with pytest.raises(StoreError, match=differs):
        run(**second, store=store)
    assert store.read_bytes() == before


def test_other_samples_are_another_elimination_and_another_engine_is_not(tmp_path: Path):
    from prunelimits.elimination import eliminate

    store = tmp_path / "circle.elimination"
    result = run(store=store)
    with pytest.raises(StoreError, match="data is"):
        eliminate(X[:300], Y[:300], QUICK, start=START, target=0.85, store=store)
    with pytest.raises(StoreError, match="data is"):
        eliminate(X, 1 - Y, QUICK, start=START, target=0.85, store=store)
    assert content(run(store=store, engine=TorchEngine())) == content(result)


def test_every_flipped_bit_is_refused(tmp_path: Path, kept: bytes):
    store = tmp_path / "circle.elimination"
    generator = np.random.default_rng(0)
    places = {*range(80), *generator.integers(len(kept), size=200).tolist(), len(kept) - 1}
    for place in sorted(places):
        damaged = bytearray(kept)
        damaged[place] ^= 1 << int(generator.integers(8))
        store.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"circle\.elimination is damaged or no store"):
            read_elimination(store)


@pytest.mark.parametrize("damage", [b"", b"SQLite format 3", b"PK", slice(-200), slice(80)])
def test_a_damaged_file_is_refused(tmp_path: Path, kept: bytes, damage: bytes | slice):
    store = tmp_path / "circle.elimination"
    store.write_bytes(kept[damage] if isinstance(damage, slice) else damage)
    for read in (lambda: run(store=store), lambda: read_elimination(store)):
        with pytest.raises(StoreError, match="damaged or no store"):
            read()


def sealed(loaded: object) -> bytes:
    """Content as a file with the right checksum."""
    buffer = io.BytesIO()
    torch.save(loaded, buffer)
    return module.ELIMINATION.head + module._checksum(buffer.getvalue()) + buffer.getvalue()


def opened(kept: bytes) -> Any:
    start = len(module.ELIMINATION.head) + len(module._checksum(b""))
    return torch.load(io.BytesIO(kept[start:]), weights_only=True)


def every_place(value: object, path: tuple[Any, ...] = ()):
    """The path to every part of nested dicts, lists and tuples."""
    yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from every_place(part, (*path, key))
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from every_place(part, (*path, index))


def changed(value: Any, path: tuple[Any, ...], change) -> Any:
    if not path:
        return change(value)
    key, *rest = path
    if isinstance(value, dict):
        return {k: changed(v, tuple(rest), change) if k == key else v for k, v in value.items()}
    items = [changed(v, tuple(rest), change) if i == key else v for i, v in enumerate(value)]
    return items if isinstance(value, list) else tuple(items)


def removed(value: Any, path: tuple[Any, ...]) -> Any:
    *parents, key = path

    def without(parent: Any) -> Any:
        if isinstance(parent, dict):
            return {k: v for k, v in parent.items() if k != key}
        items = [v for i, v in enumerate(parent) if i != key]
        return items if isinstance(parent, list) else tuple(items)

    return changed(value, tuple(parents), without)


@pytest.mark.slow
def test_a_file_that_was_edited_and_sealed_again_is_refused_or_read(tmp_path: Path, kept: bytes):
    """Whatever stands in a file, reading it ends in a result or in a StoreError."""
    store, refused, read = tmp_path / "circle.elimination", 0, 0
    loaded = opened(kept)
    assert min(len(loaded[name]) for name in ("waiting", "front", "rounds")) > 0
    generator = np.random.default_rng(1)
    places = list(every_place(loaded))
    chosen = [places[i] for i in generator.choice(len(places), 40, replace=False)]
    for path in chosen:
        edits = [
            changed(loaded, path, lambda _, new=new: new)
            for new in (
                None,
                "text",
                -3,
                2.5,
                [],
                {},
                torch.zeros(2),
                torch.zeros(2, device="meta"),
            )
        ]
        edits += [removed(loaded, path)] if path else []
        for edited in edits:
            store.write_bytes(sealed(edited))
            try:
                read_elimination(store)
                read += 1
            except StoreError:
                refused += 1
    assert refused > 4 * read


def test_descriptions_that_were_edited_are_refused(tmp_path: Path, kept: bytes):
    store, loaded = tmp_path / "circle.elimination", opened(kept)
    description = json.loads(loaded["description"])
    for name in description.keys() - {"margin"}:  # which earlier versions did not know
        without = {key: value for key, value in description.items() if key != name}
        store.write_bytes(sealed({**loaded, "description": json.dumps(without)}))
        with pytest.raises(StoreError):
            read_elimination(store)
    edited_fields = ("networks", "slack", "target", "seed", "trained", "dense", "widths", "samples")
    for name in (*edited_fields, "loss"):
        edited = json.dumps({**description, name: "nonsense"})
        store.write_bytes(sealed({**loaded, "description": edited}))
        with pytest.raises(StoreError):
            read_elimination(store)


def test_tensors_that_claim_to_be_large_are_refused(tmp_path: Path, kept: bytes):
    store, loaded = tmp_path / "circle.elimination", opened(kept)
    size = max(loaded["waiting"])
    huge = torch.zeros(1, dtype=torch.int64).expand(10**9)
    edited = changed(loaded, ("waiting", size, "origin"), lambda _: huge)
    store.write_bytes(sealed(edited))
    assert store.stat().st_size < 10**6
    with pytest.raises(StoreError):
        read_elimination(store)


def test_a_file_never_runs_code(tmp_path: Path):
    store, trap = tmp_path / "circle.elimination", tmp_path / "trap"

    class Trap:
        def __reduce__(self):
            return (Path.touch, (trap,))

    store.write_bytes(sealed({"description": Trap()}))
    with pytest.raises(StoreError):
        run(store=store)
    assert not trap.exists()


def test_what_is_written_is_read(tmp_path: Path, kept: bytes):
    store, again = tmp_path / "circle.elimination", tmp_path / "again.elimination"
    store.write_bytes(kept)
    description, state = read_state(store)
    write_state(again, description, state)
    assert read_state(again)[0] == description
    assert content(read_elimination(again)) == content(read_elimination(store))
    assert is_state_file(store)
    assert not is_state_file(tmp_path / "missing")


def test_a_second_writer_is_refused_and_readers_are_not(tmp_path: Path, undisturbed):
    store, told = tmp_path / "circle.elimination", []

    def second(_) -> None:
        with pytest.raises(StoreError, match=r"circle\.elimination is being written to"):
            run(store=store)
        told.append(len(read_elimination(store).rounds))

    assert content(run(store=store, on_round=second)) == undisturbed
    assert told == list(range(1, len(undisturbed[1]) + 1))


SCRIPT = """
import sys
sys.path.insert(0, arguments[0])
from tests.elimination.small import run
run(store=arguments[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_processes_leave_a_run_that_goes_on_as_if_undisturbed(
    tmp_path: Path, end: signal.Signals, undisturbed
):
    store, generator = tmp_path / "circle.elimination", np.random.default_rng(int(end))
    root = Path(__file__).parents[2]
    for _ in range(2):
        before = store.stat().st_mtime_ns if store.exists() else 0
        process = Running(SCRIPT, str(root), str(store))
        # Once it has kept something new, or is done.
        while process.runs() and (not store.exists() or store.stat().st_mtime_ns == before):
            time.sleep(0.002)
        time.sleep(float(generator.uniform(0, 0.05)))
        process.kill(end)
    assert content(run(store=store)) == undisturbed
    # The lock stays beside the file; no half-written file does.
    assert {path.name for path in tmp_path.iterdir()} == {store.name, f"{store.name}.lock"}
