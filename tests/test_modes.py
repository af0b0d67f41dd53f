"""What the public functions return does not depend on the mode that torch is in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import prunelimits as pl
from prunelimits import limits
from prunelimits.enumeration.lazy_sequence import LazySequence
from prunelimits.modes import plain_modes
from prunelimits.resuming import WriterLock
from prunelimits.search import Store

from .public_calls import NEEDS, PUBLIC_CALLS, data, loss, model, resolve


@contextmanager
def default_dtype() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


Mode = Callable[[], AbstractContextManager[object]]

MODES: dict[str, Mode] = {
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "float64 by default": default_dtype,
    "meta by default": lambda: torch.device("meta"),
    "deterministic": deterministic,
}

# Like `nn.Linear`, an MLP is made in torch's default dtype, on its default device, and at random;
# the networks of the papers in that dtype.
AS_TORCH_SAYS = {"prunelimits.models.MLP"}
IN_THE_DEFAULT_DTYPE = {
    f"prunelimits.models.{name}"
    for name in ("alexnet", "fc5", "fc12", "mlpnet", "resnet18", "resnet20", "resnet50", "vgg16")
}
# What a call takes, or where it writes.
TIMED = {"seconds"}


def digest(value: Tensor) -> str:
    return sha256(value.contiguous().numpy().tobytes()).hexdigest()


def seen(value: object) -> object:
    """A result as plain data that can be compared."""
    match value:
        case Tensor():
            plain = value.detach()
            numbers = repr(plain.tolist()) if plain.numel() < 1000 else digest(plain)
            return str(plain.dtype), str(plain.device), tuple(plain.shape), numbers
        case np.ndarray():
            return str(value.dtype), value.tolist()
        case nn.Module():
            return str(value), seen(value.state_dict()), [seen(p.grad) for p in value.parameters()]
        case pl.MLPEnsemble():
            return seen([value.params, value.masks, value.momentum])
        case pl.training.AbstractEngine():
            return value.name
        case pl.viz.Page():
            return value.html
        case limits.Hessian():
            return seen(value @ torch.ones(value.shape[1], device="cpu", dtype=torch.float32))
        case pl.training.PruningSession():
            return seen(value.masks)
        case Store():
            value.close()
            return None
        case limits.StateKeeper():
            return value.path.name
        case WriterLock():
            return None
        case LazySequence():
            return [seen(item) for item in value]
        case str() | bytes() | None | type():
            return value
        case Path():
            return value.name
        case Mapping():
            return {key: seen(item) for key, item in value.items()}
        case tuple() if hasattr(value, "_fields"):
            return seen({k: v for k, v in value._asdict().items() if k not in TIMED})
        case Sequence():
            return [seen(item) for item in value]
        case _ if dataclasses.is_dataclass(value):
            fields = [f.name for f in dataclasses.fields(value) if f.name not in TIMED]
            return {name: seen(getattr(value, name)) for name in fields}
        case _ if callable(value):
            return None
        case _:
            # NaN is NaN.
            return repr(value)


def result_of(name: str, arguments: dict[str, Any]) -> object:
    result = seen(resolve(name)(**arguments))
    # What a call changes in place counts too.
    return result, seen(arguments.get("model"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PUBLIC_CALLS.keys() - AS_TORCH_SAYS))
def test_a_call_returns_the_same_in_every_mode(name: str, tmp_path: Path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    expected = result_of(name, PUBLIC_CALLS[name](fresh(tmp_path)))
    for title, mode in MODES.items():
        if name in IN_THE_DEFAULT_DTYPE and mode is default_dtype:
            continue
        arguments = PUBLIC_CALLS[name](fresh(tmp_path))
        with mode():
            found = result_of(name, arguments)
        assert found == expected, f"with {title}"
    # Tensors that were made in inference mode can be in no graph, but for what a caller gives.
    with torch.inference_mode():
        found = result_of(name, PUBLIC_CALLS[name](fresh(tmp_path)))
    assert found == expected, "with arguments made in inference mode"


def fresh(folder: Path) -> Path:
    """An empty folder."""
    result = folder / str(len(list(folder.iterdir())))
    result.mkdir()
    return result


@pytest.mark.slow
@pytest.mark.parametrize("method", pl.pruners.all(), ids=lambda method: method.__name__)
def test_every_method_prunes_alike(method: type[pl.pruners.AbstractPruner]):
    fields = {field.name for field in dataclasses.fields(method) if field.init}
    short = {n: v for n, v in {"rounds": 2, "epochs": 2, "at_once": 23}.items() if n in fields}
    pruner = method(**short)
    x, y = data()
    keep = 23 if method.__name__ == "Dense" else 9

    def pruned() -> pl.types.Masks:
        generator = torch.Generator().manual_seed(0)
        arguments = {"keep": keep, "loss": loss, "batches": [(x, y)], "generator": generator}
        return pl.prune(network, pruner, **arguments)

    def trained() -> pl.FitResult:
        return pl.fit(ensemble, x, y, recipe, pruner=pruner, keep=keep)

    network, ensemble = model(), pl.MLPEnsemble((2, 4, 3, 1), models=2)
    recipe = pl.Recipe(epochs=1, batch_size=16)
    for call in (pruned, trained):
        if call is pruned and method.category != "at initialisation":
            continue
        expected = seen(call())
        for title, mode in MODES.items():
            with mode():
                found = seen(call())
            assert found == expected, f"{call.__name__} with {title}"


def test_plain_modes_leave_the_callers_modes_as_they_were():
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        with plain_modes():
            assert not torch.is_inference_mode_enabled()
            assert torch.is_grad_enabled()
            assert not torch.is_autocast_enabled("cpu")
        assert torch.is_inference_mode_enabled()
        assert not torch.is_grad_enabled()
        assert torch.is_autocast_enabled("cpu")


def test_networks_are_made_in_the_default_dtype_as_torchs_layers_are():
    with default_dtype():
        assert {v.dtype for v in pl.MLP((2, 3, 1)).parameters()} == {torch.float64}
        assert {v.dtype for v in pl.models.fc5(4, 2).parameters()} == {torch.float64}
    with torch.device("meta"):
        assert {v.device.type for v in pl.MLP((2, 3, 1)).parameters()} == {"meta"}
        assert {v.device.type for v in pl.models.fc5(4, 2).parameters()} == {"cpu"}
