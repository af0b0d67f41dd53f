"""Networks as JSON, for programs other than Python: what the playground's pages write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch

from prunelimits.arguments import checked_text, shown
from prunelimits.datasets.plane_features import PLANE, checked_features
from prunelimits.masks import check_masks
from prunelimits.models.mlp import MLP, check_widths
from prunelimits.types import Masks, Params

FORMAT = "prunelimits network"
VERSION = 1


def to_json(model: MLP, masks: Masks | None) -> str:
    """The network as JSON text; numbers have all their digits.

    The object is `{"format": "prunelimits network", "version": 1, "widths": [...], "parameters":
    {name: nested list}, "masks": {name: nested list}}`.

    Raises:
        ValueError: If a mask names no parameter or has another shape, or a parameter is not finite:
            JSON has no NaN.
        TypeError: If `model` is no `MLP` or a mask is not a bool tensor.

    Examples:
        >>> params = {"layers.0.weight": torch.ones(1, 1), "layers.0.bias": torch.tensor([-0.5])}
        >>> text = to_json(MLP.from_params((1, 1), params), None)
        >>> text[text.index('"parameters"') :]
        '"parameters": {"layers.0.weight": [[1.0]], "layers.0.bias": [-0.5]}, "masks": {}}'
    """
    if not isinstance(model, MLP):
        raise TypeError(f"model must be a prunelimits.MLP, got {type(model).__name__}")
    masks = masks or {}
    parameters: Params = {name: value.detach() for name, value in model.named_parameters()}
    check_masks(parameters, masks)
    for name, value in parameters.items():
        if not value.isfinite().all():
            raise ValueError(f"parameters of the model must be finite, {name!r} is not")
    content = {
        "format": FORMAT,
        "version": VERSION,
        "widths": model.widths,
        "parameters": {name: value.tolist() for name, value in parameters.items()},
        "masks": {name: mask.tolist() for name, mask in masks.items()},
    }
    return json.dumps(content, allow_nan=False)


def from_json(
    text: str | bytes, source: str, inputs: Sequence[str] | None = None
) -> tuple[MLP, Masks]:
    """The network that JSON text describes, in float32; `source` names the text in errors.

    A page names under `inputs` which functions of the plane its network is given, where these are
    not the coordinates: on other inputs it would be another network.

    Args:
        text: The JSON text.
        source: What to call it.
        inputs: What the network will be given, by names in `prunelimits.datasets.plane_features`.
            None: what the text does not name, such as coordinates.

    Raises:
        TypeError: If `text` or `source` is no text, or `inputs` are no texts.
        ValueError: If the text is not JSON or no network that `to_json` or a page wrote, or if it
            names other inputs.

    Examples:
        >>> model, masks = from_json(to_json(MLP((2, 3, 1)), None), "here")
        >>> model.widths, masks
        ((2, 3, 1), {})
    """
    if not isinstance(text, str | bytes):
        raise TypeError(f"text must be a JSON text, got {shown(text)}")
    checked_text("source", source, absent=False)
    wanted = PLANE if inputs is None else checked_features("inputs", inputs)
    # A text nested deeply enough ends the parser's recursion instead.
    try:
        if isinstance(text, bytes):
            text = text.decode()
        content: Any = json.loads(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} is damaged or not JSON: {error}") from error
    try:
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"its format must be {FORMAT!r}")
        if content["version"] != VERSION:
            raise ValueError(f"its version must be {VERSION}, got {content['version']!r}")
        widths = check_widths(content["widths"])
        parameters = {
            str(name): torch.tensor(value, dtype=torch.float32, device="cpu")
            for name, value in content["parameters"].items()
        }
        for name, value in parameters.items():
            if not value.isfinite().all():
                raise ValueError(f"parameters must be finite float32 numbers, {name!r} is not")
        model = MLP.from_params(widths, parameters)
        masks: Masks = {
            str(name): torch.tensor(m, device="cpu") for name, m in content["masks"].items()
        }
        check_masks(parameters, masks)
        named = PLANE
        if (names := content.get("inputs")) is not None:
            named = checked_features("its inputs", names)
            if len(named) != widths[0]:
                raise ValueError(f"its inputs must be {widths[0]} names, got {len(named)}")
    except (AttributeError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{source} is not a prunelimits network: {error}") from error
    if named != wanted:
        raise ValueError(
            f"the inputs of {source} are {named}, functions of points in the plane, and not "
            f"{wanted}: load it with inputs={named} and give it "
            f"prunelimits.datasets.plane_features(x, {named})"
        )
    return model, masks
