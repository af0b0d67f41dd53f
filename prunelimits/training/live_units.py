"""Leaving out the units that no training can change: what makes wide sparse networks cheap."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.types import Masks, Params

Train = Callable[[MLPEnsemble], MLPEnsemble]


def train_live_units(ensemble: MLPEnsemble, train: Train) -> MLPEnsemble:
    """`train(ensemble)`, computed without the hidden units from which no output can be reached.

    Their gradient is zero. The parameters of such units are returned as they were, where training
    would have let them decay; all others come out as if every unit had been there, because what is
    left out only ever adds zero. A unit without inputs that reaches an output stays: its bias
    learns.

    Args:
        ensemble: Where to start from.
        train: Any training of an ensemble that keeps its members and masks.
    """
    live = _live_units(ensemble.masks)
    if all(bool(units.all()) for units in live):
        return train(ensemble)
    places = _places(live)
    trained = train(_part(ensemble, places))
    return ensemble.replace(
        params=_scattered(ensemble.params, trained.params, places, live),
        momentum=_scattered(ensemble.momentum, trained.momentum, places, live),
    )


def without_dead_units(ensemble: MLPEnsemble) -> MLPEnsemble:
    """The same functions by as few hidden units as all members can do with.

    Units from which no output can be reached are left out, as far as another member does not need
    the place. Units keep their order.
    """
    return _part(ensemble, _places(_live_units(ensemble.masks)))


def _places(live: list[Tensor]) -> list[Tensor]:
    """For each hidden layer, which units make up the narrow network, int64 `(models, width)`."""
    # Live units first, in their order, so that sums keep theirs.
    return [
        units.int()
        .sort(dim=1, descending=True, stable=True)
        .indices[:, : int(units.sum(1).max().clamp(min=1))]
        for units in live
    ]


def _part(ensemble: MLPEnsemble, places: list[Tensor]) -> MLPEnsemble:
    hidden = [place.shape[1] for place in places]
    return MLPEnsemble.from_params(
        (ensemble.widths[0], *hidden, ensemble.widths[-1]),
        _gathered(ensemble.params, places),
        _gathered(ensemble.masks, places),
    ).replace(momentum=_gathered(ensemble.momentum, places))


def _live_units(masks: Masks) -> list[Tensor]:
    """Which units of each hidden layer reach an output, bool `(models, width)`."""
    weights = [mask for name, mask in masks.items() if name.endswith("weight")]
    reaches = torch.ones_like(weights[-1][:, :, 0])
    live: list[Tensor] = []
    for mask in reversed(weights[1:]):
        reaches = (mask & reaches.unsqueeze(2)).any(1)
        live.insert(0, reaches)
    return live


def _index(name: str, shape: torch.Size, places: list[Tensor]) -> tuple[Tensor, ...]:
    """Where the live part of a stacked parameter is."""
    layer, is_bias = int(name.split(".")[1]), name.endswith("bias")
    models = torch.arange(shape[0], device=places[0].device).unsqueeze(1)
    everything = torch.arange(shape[1], device=models.device).unsqueeze(0)
    rows = places[layer] if layer < len(places) else everything
    if is_bias:
        return models, rows
    columns = torch.arange(shape[2], device=models.device).unsqueeze(0)
    columns = places[layer - 1] if layer else columns
    return models.unsqueeze(2), rows.unsqueeze(2), columns.unsqueeze(1)


def _gathered(values: Params, places: list[Tensor]) -> Params:
    return {name: value[_index(name, value.shape, places)] for name, value in values.items()}


def _scattered(values: Params, parts: Params, places: list[Tensor], live: list[Tensor]) -> Params:
    """`values` with the parts in their places, but for dead units that filled up a member."""
    result: Params = {}
    for name, value in values.items():
        index = _index(name, value.shape, places)
        result[name] = value.clone()
        result[name][index] = parts[name]
        layer = int(name.split(".")[1])
        if layer < len(live):
            rows = live[layer].view(*live[layer].shape, *(1 for _ in value.shape[2:]))
            result[name] = result[name].where(rows, value)
    return result
