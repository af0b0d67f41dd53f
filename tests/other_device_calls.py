"""On a device that is not the CPU, public functions give what they give on the CPU.

Whatever is made on the CPU there, and meets a tensor of the device, is refused by `OtherDevice`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import prunelimits as pl

from .other_device import DEVICE, OnDevice, OtherDevice, moved, on_cpu
from .public_calls import PUBLIC_CALLS, data, loss, masks, model, resolve

pytestmark = pytest.mark.skipif(DEVICE is None, reason="torch here has no backend in Python")

ROOMS = ("connectivity", "masks", "pruners", "scores", "training")
NAMES = [name for name in PUBLIC_CALLS if name.split(".")[1] in ROOMS]


def tensors(value: object) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(on_cpu(value)) if isinstance(leaf, Tensor)]


def assert_same(found: object, expected: object) -> None:
    for mine, its in zip(tensors(found), tensors(expected), strict=True):
        torch.testing.assert_close(mine, its, equal_nan=True)


def test_tensors_of_two_devices_do_not_mix():
    with OtherDevice():
        there = torch.ones(3, device=DEVICE)
        assert isinstance(there, OnDevice)
        assert (there + 1).device == DEVICE
        with pytest.raises(RuntimeError, match="of tensors on other:0 and on cpu"):
            there + torch.ones(3)
        with pytest.raises(TypeError, match="can't convert"):
            there.numpy()
        generator = torch.Generator().manual_seed(0)
        with pytest.raises(RuntimeError, match="with a generator of cpu"):
            torch.rand(3, device=DEVICE, generator=generator)
        there += torch.ones(3, device=DEVICE)
        assert there.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("name", NAMES)
def test_a_call_with_tensors_of_another_device_gives_the_same(name: str, tmp_path: Path):
    expected = resolve(name)(**PUBLIC_CALLS[name](tmp_path))
    with OtherDevice():
        assert_same(resolve(name)(**moved(PUBLIC_CALLS[name](tmp_path))), expected)


@pytest.mark.parametrize("method", pl.pruners.all(), ids=lambda method: method.__name__)
def test_every_method_prunes_there_as_on_the_cpu(method: type[pl.pruners.AbstractPruner]):
    fields = {field.name for field in dataclasses.fields(method) if field.init}
    short = {n: v for n, v in {"rounds": 2, "epochs": 2, "at_once": 23}.items() if n in fields}
    pruner = method(**short)
    keep = sum(mask.numel() for mask in masks().values()) if method.__name__ == "Dense" else 9

    def pruned(network: nn.Module, x: Tensor, y: Tensor) -> object:
        return pl.prune(network, pruner, keep=keep, loss=loss, batches=[(x, y)])

    def trained(ensemble: pl.MLPEnsemble, x: Tensor, y: Tensor) -> list[object]:
        recipe = pl.Recipe(epochs=1, batch_size=16)
        engine = pl.training.TorchEngine()
        result = pl.fit(ensemble, x, y, recipe, pruner=pruner, keep=keep, engine=engine)
        return [result.ensemble, result.loss, result.accuracy]

    for call, start in ((pruned, model), (trained, lambda: pl.MLPEnsemble((2, 4, 3, 1), models=2))):
        if call is pruned and pruner.until:
            continue
        if call is trained and method.__name__ == "CHITA":
            continue  # Its solver under vmap takes no tensors that wrap others.
        expected = call(start(), *data())
        with OtherDevice():
            assert_same(call(moved(start()), *moved(data())), expected)


@pytest.mark.parametrize("pruner", [pl.pruners.GMP(rounds=2), pl.pruners.RigL(rounds=2)])
def test_a_session_prunes_there_as_on_the_cpu(pruner: pl.pruners.AbstractPruner):
    def trained(network: nn.Module, x: Tensor, y: Tensor) -> Any:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, foreach=False)
        with pl.attach(pruner, network, optimizer, keep=9, steps=6) as session:
            for _ in range(6):
                optimizer.zero_grad()
                loss(network(x), y).backward()
                optimizer.step()
        return [network, session.masks]

    expected = trained(model(), *data())
    with OtherDevice():
        assert_same(trained(moved(model()), *moved(data())), expected)
