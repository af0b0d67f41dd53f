"""What a page shows, as JSON: networks, data, and how they stand together."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Literal, TypeAlias, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.masks import check_masks
from prunelimits.models import MLP
from prunelimits.training.data import check_data, default_loss
from prunelimits.types import Masks
from prunelimits.viz.class_names import checked_classes, class_labels
from prunelimits.viz.pages.records import KnownNetworks
from prunelimits.viz.subnetwork import subnetwork

Data: TypeAlias = tuple[Tensor, Tensor]
"""Inputs `(samples, inputs)` and classes `(samples,)`, from 0."""

MOST_PARAMETERS = 200_000
_EXTENT = 2.25  # half the side of the paper's plane, Appendix I

Mode: TypeAlias = Literal["single", "comparison", "gallery", "film"]


class EncodedNetwork(TypedDict):
    """A network on a page; numbers are base64 of little-endian bytes."""

    label: str
    widths: list[int]
    values: str
    kept: str
    nonzeros: int
    accuracy: float | None


class EncodedData(TypedDict):
    """Data on a page: float32 inputs, point by point, and uint16 classes."""

    x: str
    y: str


class Content(TypedDict):
    """All that a page shows.

    `first` is the network of a gallery that is open at first; `target` its target accuracy;
    `measure` what the accuracies of the networks are called, `"R²"` where they predict numbers.
    `classes` are what the classes are called, in a line each; None: by their numbers.
    """

    mode: Mode
    title: str
    about: str
    inputs: int
    outputs: int
    extent: float
    networks: list[EncodedNetwork]
    data: EncodedData | None
    target: float | None
    measure: str
    first: int
    classes: list[str] | None


class Preset(TypedDict):
    """What the page that trains can begin with: settings by the names in its address, a network."""

    id: str
    group: str
    label: str
    about: str
    settings: dict[str, str | int | float | list[int]]
    network: EncodedNetwork | None


class PlayContent(TypedDict):
    """What the page that trains begins with; `settings` by the names in its address."""

    mode: Literal["play"]
    title: str
    about: str
    settings: dict[str, str | int | float | list[int] | list[str]]
    network: EncodedNetwork | None
    data: EncodedData | None
    classes: list[str] | None
    records: list[KnownNetworks]
    presets: list[Preset]


def checked(model: MLP, data: Data | None) -> Data | None:
    """The data as float32 inputs and classes, if they and the model can be shown together.

    Raises:
        ValueError: If the data do not fit the model, the model is too large, or there are no data
            although the model's inputs are not a plane.
        TypeError: If the model is no `MLP` or the data are not tensors.
    """
    if not isinstance(model, MLP):
        raise TypeError(f"model must be a prunelimits.MLP, got {type(model).__name__}")
    size = sum(parameter.numel() for parameter in model.parameters())
    if size > MOST_PARAMETERS:
        raise ValueError(
            f"the model has {size:,} parameters, more than the {MOST_PARAMETERS:,} that a page can "
            "hold and move: make a narrower model of the units that its masks leave connected"
        )
    inputs, outputs = model.widths[0], model.widths[-1]
    if data is None:
        if inputs != 2:
            raise ValueError(
                f"data is needed for a model of {inputs} inputs: there is no plane to show its "
                "units over, so they are shown on the data"
            )
        return None
    if not isinstance(data, tuple) or len(data) != 2:
        raise TypeError(f"data must be a pair of tensors (x, y), got {type(data).__name__}")
    return check_data(*data, inputs=inputs, outputs=outputs, loss=default_loss(outputs))


def extent_of(data: Data | None, inputs: int) -> float:
    """Half the side of the plane to show: the paper's, or what the points need.

    Examples:
        >>> extent_of((torch.tensor([[1.0, -2.0]]), torch.zeros(1)), inputs=2)
        2.25
        >>> round(extent_of((torch.tensor([[1.0, -20.0]]), torch.zeros(1)), inputs=2), 6)
        22.0
    """
    if data is None or inputs != 2:
        return _EXTENT
    largest = float(data[0].abs().max())
    fits = _EXTENT / 3 <= largest <= _EXTENT or largest == 0
    return _EXTENT if fits else 1.1 * largest


def encode_data(data: Data | None) -> EncodedData | None:
    """The data in the form that a page holds."""
    if data is None:
        return None
    x, y = (part.detach().cpu().numpy() for part in data)
    return {"x": _base64(x.astype("<f4")), "y": _base64(y.astype("<u2"))}


def shown_classes(classes: Sequence[str] | None, outputs: int) -> list[str] | None:
    """What the classes of a model of so many outputs are called on a page.

    Raises:
        TypeError: If `classes` are no texts.
        ValueError: If they are more than the model tells apart.
    """
    count = max(2, outputs)
    names = checked_classes(classes, count)
    return None if names is None else class_labels(names, count)


def encode_network(
    label: str, model: MLP, masks: Masks | None, data: Data | None
) -> EncodedNetwork:
    """A network in the form that a page holds, in float32, with its accuracy on `data`.

    Raises:
        ValueError: If a kept parameter is not finite in float32, or a mask does not fit.
        TypeError: If the model is no `MLP` or a mask is not a bool tensor.
    """
    if not isinstance(model, MLP):
        raise TypeError(f"model must be a prunelimits.MLP, got {type(model).__name__}")
    masks = masks or {}
    single = MLP.from_params(model.widths, {n: p.float() for n, p in model.named_parameters()})
    parameters = dict(single.named_parameters())
    check_masks(parameters, masks)
    network = subnetwork(single, masks)
    kept = [
        masks.get(n, torch.ones(p.shape, dtype=torch.bool, device="cpu"))
        for n, p in parameters.items()
    ]
    flags = torch.cat([mask.flatten().cpu() for mask in kept]).numpy()
    values = torch.cat([p.detach().flatten().cpu() for p in parameters.values()])
    # What was pruned keeps its value, to come back with; where that is none, zero.
    values = values.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).numpy()
    return {
        "label": label,
        "widths": list(model.widths),
        "values": _base64(values.astype("<f4")),
        "kept": _base64(np.packbits(flags, bitorder="little")),
        "nonzeros": network.nonzeros,
        "accuracy": None if data is None else _accuracy(network.network, data),
    }


def _accuracy(model: MLP, data: Data) -> float:
    """The share of points classified right: one output by its sign, several by the largest."""
    x, y = data
    with torch.no_grad():
        outputs = model(x.to(next(model.parameters()).device)).cpu()
    classes = outputs[:, 0] > 0 if outputs.shape[1] == 1 else outputs.argmax(1)
    return float((classes == y.cpu()).double().mean())


def _base64(array: NDArray[np.generic]) -> str:
    return b64encode(array.tobytes()).decode("ascii")
