"""The recurrence's file: whole, of one run, trusted by nobody."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import prunelimits as pl
from prunelimits.limits import (
    LanczosState,
    StateKeeper,
    lanczos,
    lanczos_start,
    load_state,
    save_state,
)
from prunelimits.resuming import StoreError

DESCRIPTION = {"network": "ab" * 32, "seed": 0, "double": False}


def product(vectors: torch.Tensor) -> torch.Tensor:
    return vectors * torch.arange(1.0, 13.0, dtype=torch.float64)


def state(steps: int = 4) -> LanczosState:
    generator = torch.Generator().manual_seed(0)
    start = lanczos_start(torch.randn(2, 12, generator=generator, dtype=torch.float64))
    return lanczos(product, start, steps)


def same(left: LanczosState, right: LanczosState) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_a_state_is_of_what_it_was_made_for(tmp_path: Path):
    path = tmp_path / "state.pt"
    save_state(state(), path, description=DESCRIPTION)
    assert same(load_state(path, description=DESCRIPTION), state())
    assert same(load_state(path), state())
    with pytest.raises(StoreError, match=r"state\.pt belongs to another spectrum \(seed is"):
        load_state(path, description={**DESCRIPTION, "seed": 1})
    # As earlier versions wrote it.
    save_state(state(), path)
    assert same(load_state(path, description=DESCRIPTION), state())


def test_every_flipped_bit_of_a_number_is_told(tmp_path: Path):
    path = tmp_path / "state.pt"
    save_state(state(), path)
    content, chance = path.read_bytes(), random.Random(0)
    data = state().basis.numpy().tobytes()
    begin = content.index(data)
    for _ in range(150):
        damaged = bytearray(content)
        damaged[begin + chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"state\.pt is damaged"):
            load_state(path)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {},
        state()._asdict() | {"basis": torch.zeros(2, 9, 12)},
        state()._asdict() | {"basis": torch.zeros(3, 5, 12)},
        state()._asdict() | {"diagonal": torch.zeros(2, 4).long()},
        state()._asdict() | {"diagonal": [1.0]},
        state()._asdict() | {"diagonal": torch.full((2, 4), float("nan"))},
        state()._asdict() | {"more": 1},
        state()._asdict() | {"description": "[]"},
        state()._asdict() | {"description": 3},
        state()._asdict() | {"description": "[" * 100_000},
    ],
)
def test_other_content_is_told(tmp_path: Path, content: object):
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(ValueError, match=r"state\.pt is damaged or no"):
        load_state(tmp_path / "state.pt")


def test_a_keeper_saves_when_it_is_interrupted_and_goes_on(tmp_path: Path):
    path = tmp_path / "state.pt"
    start = lanczos_start(state(1).basis[:, 0])

    def interrupted(done: LanczosState) -> None:
        keeper.note(done)
        if done.steps == 5:
            raise KeyboardInterrupt

    keeper = StateKeeper(path, DESCRIPTION)
    with pytest.raises(KeyboardInterrupt), keeper:
        lanczos(product, start, 9, on_step=interrupted)
    assert keeper.resumed is None
    with StateKeeper(path, DESCRIPTION) as keeper:
        assert keeper.resumed is not None
        assert keeper.resumed.steps == 5
        with pytest.raises(StoreError, match=r"state\.pt is being written to by another run"):
            StateKeeper(path, DESCRIPTION).__enter__()
        end = lanczos(product, keeper.resumed, 4, on_step=keeper.note)
    assert same(end, lanczos(product, start, 9))
    assert same(load_state(path), end)
    with pytest.raises(StoreError, match="double is False, asked for True"):
        StateKeeper(path, {**DESCRIPTION, "double": True}).__enter__()
    # What was refused holds no lock.
    with StateKeeper(path, DESCRIPTION):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_the_command_keeps_what_is_finished_when_it_is_stopped(tmp_path: Path, kind: int):
    torch.manual_seed(0)
    pl.save(pl.MLP((2, 40, 30, 1)), None, tmp_path / "net.pt")
    x, y = pl.datasets.cubist_spiral(300)
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=y.numpy())
    state_file = tmp_path / "state.pt"
    command = [
        sys.executable, "-m", "prunelimits.cli", "limit", "net.pt", "--state", "state.pt",
        "--probes", "2", "--steps", "1300", "--data", "data.npz",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(pl.__file__).parents[1])}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert "1300 steps of 2 probes" in process.stdout.readline()
    time.sleep(1.5)
    process.send_signal(kind)
    printed, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "Interrupted. What is finished is kept" in printed
    assert load_state(state_file).steps > 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "net.pt", "data.npz", "state.pt", "state.pt.lock",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ([("seed", 0)], "description must be texts and numbers by name, got"),
        ({1: "seed"}, "description must be texts and numbers by name, got 1"),
        ({"seed": [0]}, r"description\['seed'\] must be a number, got \[0\]"),
        ({"seed": 1j}, r"description\['seed'\] must be a number, got 1j"),
    ],
)
def test_a_description_is_texts_and_numbers(tmp_path: Path, description, message: str):
    path = tmp_path / "state.pt"
    save_state(state(), path, description=DESCRIPTION)
    before = path.read_bytes()
    for call in (
        lambda: save_state(state(), path, description=description),
        lambda: load_state(path, description=description),
        lambda: StateKeeper(path, description),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match=r"description\['x'\] must be finite, got nan"):
        save_state(state(), path, description={"x": float("nan")})


def test_numpy_s_numbers_are_numbers_of_a_description(tmp_path: Path):
    path = tmp_path / "state.pt"
    save_state(state(), path, description={"seed": np.int64(2**62 + 1), "x": np.float32(0.5)})
    assert same(load_state(path, description={"seed": 2**62 + 1, "x": 0.5}), state())
