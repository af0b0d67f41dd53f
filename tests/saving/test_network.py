from __future__ import annotations

import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import prunelimits as pl
from prunelimits.masks import with_biases
from prunelimits.models import MLP, parameter_shapes
from prunelimits.types import Masks

WIDTHS = (2, 5, 3, 1)


def network(dtype: torch.dtype = torch.float32) -> tuple[MLP, Masks]:
    generator = torch.Generator().manual_seed(0)
    params = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        for name, shape in parameter_shapes(WIDTHS).items()
    }
    weights = {n: p.abs() > 0.5 for n, p in params.items() if n.endswith("weight")}
    return MLP.from_params(WIDTHS, params), with_biases(weights)


def saved_content(path: Path) -> Any:
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_network_and_its_masks_come_back_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    model, masks = network(dtype)
    with torch.no_grad():  # values whose bits a detour through text or float32 would lose
        model.layers[0].bias[:3] = torch.tensor([float("nan"), -0.0, float("inf")])
        model.layers[1].bias[0] = 0.1
    pl.save(model, masks, tmp_path / "net.pt")
    again, masks_again = pl.load(tmp_path / "net.pt")
    assert type(again) is MLP
    assert again.widths == WIDTHS
    assert list(again.state_dict()) == list(model.state_dict())
    for name, value in model.state_dict().items():
        copy = again.state_dict()[name]
        assert copy.dtype == dtype
        assert (
            copy.numpy(force=True).tobytes() == value.numpy(force=True).tobytes()
            if (dtype != torch.bfloat16)
            else torch.equal(copy.view(torch.int16), value.view(torch.int16))
        )
    assert list(masks_again) == list(masks)
    assert all(torch.equal(masks_again[n], masks[n]) for n in masks)
    assert all(p.requires_grad for p in again.parameters())


def test_without_masks(tmp_path: Path) -> None:
    model, _ = network()
    pl.save(model, None, str(tmp_path / "net.pt"))
    again, masks = pl.load(str(tmp_path / "net.pt"))
    assert masks == {}
    x = torch.linspace(-1, 1, 8).reshape(4, 2)
    assert torch.equal(again(x), model(x))


def test_the_file_is_a_plain_dict_for_torch_load(tmp_path: Path) -> None:
    model, masks = network()
    pl.save(model, masks, tmp_path / "net.pt")
    content = saved_content(tmp_path / "net.pt")
    assert content.keys() == {"widths", "state_dict", "masks"}
    assert content["widths"] == [2, 5, 3, 1]
    plain = torch.nn.Sequential(
        torch.nn.Linear(2, 5),
        torch.nn.ReLU(),
        torch.nn.Linear(5, 3),
        torch.nn.ReLU(),
        torch.nn.Linear(3, 1),
    )
    for layer in range(3):
        for kind in ("weight", "bias"):
            value = content["state_dict"][f"layers.{layer}.{kind}"]
            assert not value.requires_grad
            plain[2 * layer].register_parameter(kind, torch.nn.Parameter(value))
    x = torch.linspace(-1, 1, 8).reshape(4, 2)
    assert torch.equal(plain(x), model(x))


def test_views_of_large_tensors_are_saved_small(tmp_path: Path) -> None:
    model, _ = network()
    masks = {"layers.0.weight": torch.ones(10_000_000, dtype=torch.bool)[:10].reshape(5, 2)}
    pl.save(model, masks, tmp_path / "net.pt")
    assert (tmp_path / "net.pt").stat().st_size < 10_000


class Payload:
    """Unpickled without care, it creates the file `marker`."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("form", ["torch", "old torch", "pickle", "masks"])
def test_code_in_a_file_is_never_executed(tmp_path: Path, form: str) -> None:
    path, marker = tmp_path / "stranger.pt", tmp_path / "executed"
    payload: object = Payload(marker)
    if form == "masks":
        pl.save(*network(), path)
        payload = {**saved_content(path), "masks": payload}
    if form == "pickle":
        path.write_bytes(pickle.dumps(payload))
    else:
        torch.save(payload, path, _use_new_zipfile_serialization=form != "old torch")
    with pytest.raises(ValueError, match=r"stranger\.pt"):
        pl.load(path)
    assert not marker.exists()
    # The payload is live: a careless reader does run it.
    if form == "pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert marker.exists()


def test_a_truncated_file_is_told_at_every_length(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    pl.save(*network(), path)
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 97), *range(len(whole) - 30, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"net\.pt is damaged"):
            pl.load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"net\.pt is damaged"):
        pl.load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_byte_is_told_or_harmless_but_never_another_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "net.pt"
    pl.save(*network(), path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        model, _ = pl.load(path)
    except ValueError as error:
        assert "net.pt" in str(error)  # noqa: PT017
    else:
        assert model.widths == WIDTHS


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: {k: v for k, v in content.items() if k != key}


def changed(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: {**content, key: value}


def in_state(**changes: object) -> Callable[[dict[str, Any]], object]:
    new = {name.replace("_", "."): value for name, value in changes.items()}
    return lambda content: {**content, "state_dict": {**content["state_dict"], **new}}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(without("widths"), id="no widths"),
        pytest.param(without("state_dict"), id="no state_dict"),
        pytest.param(without("masks"), id="no masks"),
        pytest.param(lambda _: torch.zeros(3), id="a tensor"),
        pytest.param(lambda _: [1, 2], id="a list"),
        pytest.param(lambda _: None, id="None"),
        pytest.param(lambda content: content["state_dict"], id="a state dict"),
        pytest.param(changed("widths", 5), id="widths no list"),
        pytest.param(changed("widths", []), id="no width"),
        pytest.param(changed("widths", [2, -5, 3, 1]), id="negative width"),
        pytest.param(changed("widths", [2, 5.0, 3, 1]), id="fractional width"),
        pytest.param(changed("widths", [2, 5, 4, 1]), id="other widths"),
        pytest.param(changed("widths", [10**9, 10**9]), id="widths too large for any memory"),
        pytest.param(changed("state_dict", {}), id="empty state_dict"),
        pytest.param(changed("state_dict", torch.zeros(2)), id="state_dict a tensor"),
        pytest.param(in_state(layers_0_bias=[0.0] * 5), id="a parameter no tensor"),
        pytest.param(in_state(layers_0_bias=torch.zeros(5).long()), id="integer parameter"),
        pytest.param(in_state(layers_0_bias=torch.zeros(4)), id="parameter of another shape"),
        pytest.param(in_state(more=torch.zeros(4)), id="one parameter more"),
        pytest.param(changed("masks", None), id="masks None"),
        pytest.param(changed("masks", 3), id="masks a number"),
        pytest.param(changed("masks", {"layers.0.bias": torch.ones(5)}), id="float mask"),
        pytest.param(changed("masks", {"layers.0.bias": [True] * 5}), id="mask no tensor"),
        pytest.param(changed("masks", {"layers.0.bias": torch.ones(4).bool()}), id="mask shape"),
        pytest.param(changed("masks", {"other": torch.ones(4).bool()}), id="mask name"),
        pytest.param(changed("masks", {3: torch.ones(4).bool()}), id="mask name no string"),
    ],
)
def test_other_content_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    path = tmp_path / "net.pt"
    pl.save(*network(), path)
    torch.save(change(saved_content(path)), path)
    with pytest.raises(ValueError, match=r"net\.pt is not a prunelimits network"):
        pl.load(path)


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt"):
        pl.load(tmp_path / "nowhere.pt")


def test_save_refuses_what_is_no_network(tmp_path: Path) -> None:
    model, _ = network()
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, got 'text'"):
        pl.save("text", None, tmp_path / "net.pt")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'nothing', which is not among"):
        pl.save(model, {"nothing": torch.ones(1).bool()}, tmp_path / "net.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.write_text("old")
    pl.save(*network(), path)
    assert pl.load(path)[0].widths == WIDTHS
    assert [p.name for p in tmp_path.iterdir()] == ["net.pt"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            pl.save(*network(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["net.pt"]


def test_a_folder_that_is_missing_or_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        pl.save(*network(), tmp_path / "missing" / "net.pt")
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        pl.save(*network(), tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_the_network_and_the_random_state_stay_as_they_were(tmp_path: Path) -> None:
    model, masks = network()
    model.train()
    state, parameter = torch.get_rng_state(), model.layers[0].weight
    pl.save(model, masks, tmp_path / "net.pt")
    again, _ = pl.load(tmp_path / "net.pt")
    assert torch.equal(torch.get_rng_state(), state)
    assert model.layers[0].weight is parameter
    assert model.training
    with torch.no_grad():
        again.layers[0].weight.fill_(7.0)
    assert not (parameter == 7.0).any()


def test_a_state_dict_and_a_whole_model_of_torch_are_told(tmp_path: Path):
    model = torch.nn.Linear(2, 1)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    with pytest.raises(ValueError, match=r"state\.pt is not a prunelimits network, but a state d"):
        pl.load(tmp_path / "state.pt")
    torch.save(model, tmp_path / "whole.pt")
    with pytest.raises(ValueError, match=r"such as a whole model: save its state_dict\(\)"):
        pl.load(tmp_path / "whole.pt")
