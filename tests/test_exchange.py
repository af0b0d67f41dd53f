"""Networks as JSON: what is written is read, and nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.exchange import from_json, to_json
from prunelimits.models import MLP, parameter_shapes
from prunelimits.saving import load, save
from prunelimits.types import Masks


def network(widths: tuple[int, ...], seed: int = 0) -> tuple[MLP, Masks]:
    generator = torch.Generator().manual_seed(seed)
    shapes = parameter_shapes(widths)
    params = {n: torch.randn(s, generator=generator) for n, s in shapes.items()}
    masks = {n: torch.rand(s, generator=generator) < 0.5 for n, s in shapes.items()}
    return MLP.from_params(widths, params), masks


@given(st.lists(st.integers(1, 5), min_size=2, max_size=5), st.integers(0, 2**32))
def test_what_is_written_is_read_bit_for_bit(widths: list[int], seed: int):
    model, masks = network(tuple(widths), seed)
    again, read = from_json(to_json(model, masks), "here")
    assert again.widths == model.widths
    for name, value in model.named_parameters():
        assert torch.equal(dict(again.named_parameters())[name], value)
    assert list(read) == list(masks)
    assert all(torch.equal(read[name], masks[name]) for name in masks)


@pytest.mark.parametrize("value", [1e-45, 3.4028235e38, -0.0, 1 / 3, 16777217.0])
def test_every_float32_survives(value: float):
    params = {"layers.0.weight": torch.tensor([[value]]), "layers.0.bias": torch.zeros(1)}
    model, _ = from_json(to_json(MLP.from_params((1, 1), params), None), "here")
    read = model.get_parameter("layers.0.weight").detach()
    assert torch.equal(read.view(torch.int32), params["layers.0.weight"].view(torch.int32))


def test_the_model_is_not_changed_and_masks_may_be_absent():
    model, _ = network((2, 3, 1))
    assert json.loads(to_json(model, None))["masks"] == {}
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_json_cannot_hold_is_refused(value: float):
    model, _ = network((2, 3, 1))
    with torch.no_grad():
        model.get_parameter("layers.1.bias")[0] = value
    with pytest.raises(ValueError, match=r"must be finite, 'layers\.1\.bias' is not"):
        to_json(model, None)


def test_other_models_and_unfit_masks_are_refused():
    model, _ = network((2, 3, 1))
    with pytest.raises(TypeError, match=r"model must be a prunelimits\.MLP, got Linear"):
        to_json(torch.nn.Linear(2, 1), None)
    with pytest.raises(ValueError, match=r"masks\['layers\.0\.bias'\] must have shape \(3,\)"):
        to_json(model, {"layers.0.bias": torch.ones(2, dtype=torch.bool)})


@pytest.mark.parametrize("text", ["", "{", "PK\x03\x04", "[" * 100_000, b"\xff\xfe\xfa"])
def test_what_is_not_json_is_refused(text: str | bytes):
    with pytest.raises(ValueError, match=r"net\.json is damaged or not JSON"):
        from_json(text, "net.json")


def changed(**changes: object) -> str:
    return json.dumps(json.loads(to_json(*network((2, 2, 1)))) | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "format must be 'prunelimits network'"),
        ("{}", "format must be 'prunelimits network'"),
        (changed(version=2), "version must be 1, got 2"),
        (changed(widths=[2, 3, 1]), "must have shape"),
        (changed(widths=[2, 0, 1]), r"widths\[1\] must be at least 1"),
        (changed(widths=[2, "2", 1]), r"widths\[1\] must be an integer"),
        (changed(widths=None), "not a prunelimits network"),
        (changed(parameters={}), "must name"),
        (changed(parameters=[1, 2]), "not a prunelimits network"),
        (changed(parameters={"layers.0.weight": [[1, 2], [3]]}), "not a prunelimits network"),
        (changed(parameters={"layers.0.weight": [["a"]]}), "not a prunelimits network"),
        (changed(masks={"layers.0.bias": [1, 0]}), "must be a bool tensor"),
        (changed(masks={"layers.9.bias": [True]}), r"masks names 'layers\.9\.bias'"),
        (changed(masks={"layers.0.bias": [True]}), "must have shape"),
    ],
)
def test_what_is_no_network_is_refused(text: str, message: str):
    with pytest.raises(
        ValueError,
        match=rf"net\.json is not a prunelimits network: .*{message}|"
        rf"net\.json is {message}",
    ):
        from_json(text, "net.json")


@pytest.mark.parametrize("value", ["1e39", "1e999", "NaN", "1" * 400])
def test_numbers_beyond_float32_are_refused(value: str):
    text = '{"format": "prunelimits network", "version": 1, "widths": [1, 1], "masks": {},'
    text += f'"parameters": {{"layers.0.weight": [[{value}]], "layers.0.bias": [0]}}}}'
    with pytest.raises(ValueError, match=r"net\.json is not a prunelimits network"):
        from_json(text, "net.json")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    text = to_json(MLP((2, 3, 1)), None)
    for content in (text.encode("utf-8-sig"), b"  \n" + text.encode()):
        path.write_bytes(content)
        assert load(path)[0].widths == (2, 3, 1)
        assert from_json(content, "here")[0].widths == (2, 3, 1)
    assert from_json(content.decode(), "here")[0].widths == (2, 3, 1)


def test_bytes_that_are_no_utf_8_are_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_bytes(b'{"format": "\xff"}')
    with pytest.raises(ValueError, match=r"net\.json is damaged or not JSON.*utf-8"):
        load(path)


def named(inputs: object, width: int = 2) -> str:
    """What the page that trains downloads where its network is given `inputs`."""
    model, _ = network((width, 3, 1))
    return json.dumps(json.loads(to_json(model, None)) | {"inputs": inputs})


def test_a_network_of_other_inputs_than_the_coordinates_is_read_for_these_alone(tmp_path: Path):
    path = tmp_path / "net.json"
    path.write_text(named(["x1x1", "x2x2"]))
    told = (
        r"inputs of .*net\.json are \('x1x1', 'x2x2'\), .* load it with inputs=\('x1x1', 'x2x2'\)"
    )
    for inputs in (None, ("x1", "x2"), ("x2x2", "x1x1")):
        with pytest.raises(ValueError, match=told):
            load(path, inputs=inputs)
        with pytest.raises(ValueError, match=told):
            load(path, MLP((2, 3, 1)), inputs=inputs)
    model, _ = load(path, inputs=["x1x1", "x2x2"])
    assert model.widths == (2, 3, 1)
    filled, _ = load(path, MLP((2, 3, 1)), inputs=("x1x1", "x2x2"))
    assert torch.equal(filled.layers[0].weight, model.layers[0].weight)


def test_a_network_that_names_no_inputs_is_one_of_coordinates(tmp_path: Path):
    path = tmp_path / "net.json"
    for text in (named(["x1", "x2"]), named(None), to_json(network((2, 3, 1))[0], None)):
        path.write_text(text)
        for inputs in (None, ("x1", "x2")):
            assert load(path, inputs=inputs)[0].widths == (2, 3, 1)
        with pytest.raises(ValueError, match=r"are \('x1', 'x2'\), .* and not \('x1x1', 'x2'\)"):
            load(path, inputs=("x1x1", "x2"))
    archive = tmp_path / "net.pt"
    save(network((2, 3, 1))[0], None, archive)
    with pytest.raises(ValueError, match=r"inputs must be None: .*net\.pt names no inputs"):
        load(archive, inputs=("x1", "x2"))


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (["x1", "cosx1"], "its inputs must be different ones of x1, x2"),
        (["x1", "x1"], "its inputs must be different ones of x1, x2"),
        (["x1"], "its inputs must be 2 names, got 1"),
        ([], "its inputs must be different ones of x1, x2"),
        ("x1", "its inputs must"),
        (5, "its inputs must"),
        ([1, 2], "its inputs"),
    ],
)
def test_inputs_that_no_page_writes_are_refused(inputs: object, reason: str):
    with pytest.raises(ValueError, match=f"here is not a prunelimits network: .*{reason}"):
        from_json(named(inputs), "here")


def test_inputs_that_cannot_be_given_are_refused():
    with pytest.raises(ValueError, match="inputs must be different ones of x1, x2"):
        from_json(named(["x1", "x2"]), "here", ["x1", "x3"])
    with pytest.raises(TypeError, match="inputs"):
        from_json(named(["x1", "x2"]), "here", 5)  # type: ignore[arg-type]
