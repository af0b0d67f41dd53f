"""Folding constants in a traced network, wherever a layer's bias can take them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from prunelimits.connectivity.flow import (
    Flow,
    any_of_units,
    find_constants,
    find_flow,
    weight_paths,
)
from prunelimits.connectivity.following.recording import LayerUse
from prunelimits.connectivity.following.steps import Parameter
from prunelimits.connectivity.trace import Traced
from prunelimits.types import Masks, Params

# Of what it adds, to call a constant the same at every position.
_ROUNDING = 1e-12


def fold_model(traced: Traced, others: Callable[[], Sequence[Traced]]) -> tuple[Params, Masks]:
    """Constants moved into biases: float64 parameters on the CPU, and masks of what is not moved.

    Args:
        traced: The model.
        others: Gives it as it is called at other sizes; asked only if there is anything to move.
            What is no constant there, or another one, is not moved.
    """
    values, kept = dict(traced.parameters.values), dict(traced.parameters.masks)
    sizes = [_Constants(traced)]
    for names, use in sizes[0].layers.items():
        moved, folded = _movable([(sizes[0], use)])
        if not bool(folded.any()):
            continue
        if len(sizes) == 1:
            sizes += [_Constants(other) for other in others()]
        if any(names not in size.layers for size in sizes):
            continue
        if len(sizes) > 1:
            moved, folded = _movable([(size, size.layers[names]) for size in sizes])
        weight, bias = names
        values[bias] = values[bias] + moved
        kept[bias] = kept[bias] | (moved != 0)
        kept[weight] = kept[weight] & ~folded
    return values, kept


@dataclass(frozen=True)
class _Constants:
    """What is constant in a traced model."""

    traced: Traced

    @cached_property
    def flow(self) -> Flow:
        return find_flow(self.traced.network, self.traced.parameters.masks)

    @cached_property
    def values(self) -> list[Tensor]:
        """What each step gives where no input reaches."""
        return find_constants(self.traced.network, self.flow, self.traced.parameters.values)

    @cached_property
    def layers(self) -> dict[tuple[str, str], LayerUse]:
        """The layers whose bias can take constants up, by the names of weight and bias."""
        # A shared weight or bias would take up a constant wherever else it is used.
        uses = Counter(i for step in self.traced.network.steps for i in step.inputs)
        named = [(_names(self.traced, use, uses), use) for use in self.traced.network.layers]
        return {names: use for names, use in named if names is not None}

    def by_channel(self, use: LayerUse) -> tuple[Tensor, Tensor, Tensor]:
        """Which channels of what comes in are constants, the least and the largest value of each.

        A channel is one if no position of it is live, for one weight serves them all, and weights
        or numbers make it other than zero.
        """
        live, carries = self.flow.live[use.source], self.flow.carries[use.source]
        constant = any_of_units(carries, use.input_axis) & ~any_of_units(live, use.input_axis)
        value = _by_unit(self.values[use.source].double(), use.input_axis)
        return constant, value.amin(1), value.amax(1)

    def added(self, use: LayerUse, channels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What some channels add to each unit, the least and the most of all positions.

        And which elements of what comes in they are.
        """
        source = self.values[use.source]
        inside = _along(channels, use.input_axis, source.shape)
        product = self.traced.network.steps[use.product]
        found = product.compute(source.masked_fill(~inside, 0).double(), _weight(self.traced, use))
        units = _by_unit(found, use.axis)
        return units.amin(1), units.amax(1), inside

    def weights(self, use: LayerUse, inside: Tensor, units: Tensor) -> Tensor:
        """The entries of the weight that lead from elements of the source to some units."""
        steps = self.traced.network.steps
        reached = _along(units, use.axis, steps[use.product].shape)
        found = weight_paths(self.traced.network, self.flow, use.product, inside, reached)
        (paths,) = (mask for n, mask in found.items() if isinstance(steps[n], Parameter))
        return paths


def _names(traced: Traced, use: LayerUse, uses: Counter[int]) -> tuple[str, str] | None:
    """The parameters that a layer's weight and bias are, if it alone reads them."""
    steps = traced.network.steps
    if use.bias is None or uses[use.bias] > 1:
        return None
    bias, number = steps[use.bias], use.weight
    # Through what only moves it, such as a transposition.
    while not isinstance(steps[number], Parameter):
        if len(steps[number].inputs) != 1 or uses[number] > 1:
            return None
        (number,) = steps[number].inputs
    if uses[number] > 1 or not isinstance(bias, Parameter):
        return None
    return steps[number].name, bias.name


def _movable(sizes: Sequence[tuple[_Constants, LayerUse]]) -> tuple[Tensor, Tensor]:
    """What constant units add to each unit, and the weights by which they do, at all sizes."""
    found = [constants.by_channel(use) for constants, use in sizes]
    channels, least, most = found[0]
    for other, other_least, other_most in found[1:]:
        channels = channels & other & _equal(least, other_least) & _equal(most, other_most)
    moved = torch.zeros((), dtype=torch.float64, device="cpu")
    units = torch.ones((), dtype=torch.bool, device="cpu")
    inside: list[Tensor] = []
    for constants, use in sizes:
        low, high, elements = constants.added(use, channels)
        inside.append(elements)
        # Beside padding a constant adds less at the border, and one bias cannot say so.
        units = units & _equal(low, high)
        if len(inside) > 1:
            units = units & _equal(high, moved)
        else:
            moved = high
    folded = [
        constants.weights(use, elements, units)
        for (constants, use), elements in zip(sizes, inside, strict=True)
    ]
    return torch.where(units, moved, 0.0), torch.stack(folded).any(0)


def _by_unit(elements: Tensor, axis: int) -> Tensor:
    """A row a unit: `(units, positions)`."""
    return elements.movedim(axis, 0).unsqueeze(-1).flatten(1)


def _along(units: Tensor, axis: int, shape: torch.Size) -> Tensor:
    """What is said of each unit, for all its elements."""
    axis %= len(shape)
    return units.reshape([-1 if a == axis else 1 for a in range(len(shape))]).expand(shape)


def _equal(a: Tensor, b: Tensor) -> Tensor:
    """Up to rounding."""
    return (a - b).abs() <= _ROUNDING * torch.maximum(a.abs(), b.abs())


def _weight(traced: Traced, use: LayerUse) -> Tensor:
    """The weight as the layer reads it."""
    steps = traced.network.steps
    chain = [use.weight]
    while not isinstance(steps[chain[-1]], Parameter):
        chain.append(steps[chain[-1]].inputs[0])
    value = traced.parameters.values[steps[chain.pop()].name]
    for number in reversed(chain):
        value = steps[number].compute(value)
    return value
