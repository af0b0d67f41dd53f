"""Leaving out the hidden units that reach no output: what makes wide sparse networks cheap."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from prunelimits.models import parameter_shapes
from prunelimits.training.engine import Plan
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.types import Masks, Params

# Leaving out units costs a copy, worth it where at most this share of the parameters is left.
_WORTHWHILE = 0.75


def train_live_units(
    ensemble: MLPEnsemble, plan: Plan, train: Callable[[MLPEnsemble], MLPEnsemble]
) -> MLPEnsemble:
    """`train(ensemble)`, computed without the hidden units from which no output can be reached.

    Their gradient is zero, so their parameters do nothing but decay, which takes no samples; all
    others come out as if every unit had been there, because what is left out only ever adds zero.
    A unit without inputs that reaches an output stays: its bias learns.

    Args:
        ensemble: Where to start from.
        plan: The training.
        train: The plan's training of an ensemble that keeps its members and masks.
    """
    live = _live_units(ensemble.masks)
    places = _places(live)
    narrow, wide = (_parameters(w) for w in (_widths(ensemble, places), ensemble.widths))
    if narrow > _WORTHWHILE * wide:
        return train(ensemble)
    trained = train(_part(ensemble, places))
    params, momentum = _decayed(ensemble, plan)
    return ensemble.replace(
        params=_scattered(params, trained.params, places, live),
        momentum=_scattered(momentum, trained.momentum, places, live),
    )


def _parameters(widths: Sequence[int]) -> int:
    return sum(math.prod(shape) for shape in parameter_shapes(widths).values())


def _widths(ensemble: MLPEnsemble, places: list[Tensor]) -> tuple[int, ...]:
    """The widths of the narrow network, which has the units at `places`."""
    return (ensemble.widths[0], *(place.shape[1] for place in places), ensemble.widths[-1])


def _decayed(ensemble: MLPEnsemble, plan: Plan) -> tuple[Params, Params]:
    """Parameters and momentum after the plan's steps, were all gradients zero."""
    one = torch.ones_like(plan.momentum)
    # (p, v) after any number of steps is a matrix times (p, v) before.
    total = torch.eye(2, dtype=one.dtype, device=one.device).expand(len(one), 2, 2)
    for epoch in range(plan.start // plan.steps_per_epoch, -(-plan.stop // plan.steps_per_epoch)):
        first, stop = (
            min(max(step - epoch * plan.steps_per_epoch, 0), plan.steps_per_epoch)
            for step in (plan.start, plan.stop)
        )
        lr, decay, momentum = plan.lr[epoch], plan.weight_decay, plan.momentum
        step = torch.stack([one - lr * decay, -lr * momentum, decay, momentum], -1).view(-1, 2, 2)
        total = torch.linalg.matrix_power(step, stop - first) @ total
    total = total.to(ensemble.device, ensemble.dtype)

    def combined(row: int) -> Params:
        result: Params = {}
        for name, value in ensemble.params.items():
            factors = total[:, row].view(len(one), 2, *(1 for _ in value.shape[1:]))
            result[name] = factors[:, 0] * value + factors[:, 1] * ensemble.momentum[name]
        return result

    return combined(0), combined(1)


def without_dead_units(ensemble: MLPEnsemble) -> MLPEnsemble:
    """The same functions by as few hidden units as all members can do with.

    Units from which no output can be reached are left out. Members have the same widths, so each
    layer keeps as many units as the member that needs most of them. Units keep their order.
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
    return MLPEnsemble.from_params(
        _widths(ensemble, places),
        _gathered(ensemble.params, places),
        _gathered(ensemble.masks, places),
        momentum=_gathered(ensemble.momentum, places),
    )


def _live_units(masks: Masks) -> list[Tensor]:
    """Which units of each hidden layer reach an output, bool `(models, width)`."""
    weights = [mask for name, mask in masks.items() if name.endswith("weight")]
    reaches = torch.ones_like(weights[-1][:, :, 0])
    live: list[Tensor] = []
    for mask in reversed(weights[1:]):
        reaches = (mask & reaches.unsqueeze(2)).any(1)
        live.insert(0, reaches)
    return live


def _index(name: str, value: Tensor, places: list[Tensor]) -> tuple[Tensor, ...]:
    """Where the live part of a stacked parameter is."""
    layer, is_bias = int(name.split(".")[1]), name.endswith("bias")
    models = torch.arange(value.shape[0], device=value.device).unsqueeze(1)
    everything = torch.arange(value.shape[1], device=value.device).unsqueeze(0)
    rows = places[layer] if layer < len(places) else everything
    if is_bias:
        return models, rows
    columns = torch.arange(value.shape[2], device=value.device).unsqueeze(0)
    columns = places[layer - 1] if layer else columns
    return models.unsqueeze(2), rows.unsqueeze(2), columns.unsqueeze(1)


def _gathered(values: Params, places: list[Tensor]) -> Params:
    return {name: value[_index(name, value, places)] for name, value in values.items()}


def _scattered(values: Params, parts: Params, places: list[Tensor], live: list[Tensor]) -> Params:
    """`values` with the parts in their places, without dead units that only filled up a member."""
    result: Params = {}
    for name, value in values.items():
        index = _index(name, value, places)
        result[name] = value.clone()
        result[name][index] = parts[name]
        layer = int(name.split(".")[1])
        if layer < len(live):
            rows = live[layer].view(*live[layer].shape, *(1 for _ in value.shape[2:]))
            result[name] = result[name].where(rows, value)
    return result
