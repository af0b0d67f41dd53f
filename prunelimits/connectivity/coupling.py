"""Which units of a network go together: followed element by element through all steps.

Every row of a layer's weight makes a unit. Each element of each tensor is told which unit it is
made of, and units that meet in one element are tied: one cannot go without the other. What belongs
to no unit (inputs, constants) ties those that meet it to the outside, and they stay whole. A layer
begins anew: its columns go with what comes in, its rows are new units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.following.recording import LayerUse
from prunelimits.connectivity.following.steps import (
    AbstractStep,
    Constant,
    Linear,
    Parameter,
    Product,
    Source,
)
from prunelimits.connectivity.moved_units import NOTHING, OUTSIDE, MovedUnits, everywhere, once
from prunelimits.connectivity.ties import Ties

# What an axis of a parameter is for its units: it gives them, goes along with them, or reads them.
GIVES, GOES_ALONG, READS = range(3)


@dataclass(frozen=True)
class ParameterUse:
    """How one step reads a parameter.

    Attributes:
        name: The parameter.
        axes: Axis -> what it is for units, and the unit of each of its indices, or a label of none.
    """

    name: str
    axes: dict[int, tuple[int, Tensor]]


class Coupling:
    """The units of a network, which of them are tied, and where they lie in parameters.

    Attributes:
        ties: The units, numbered through all layers.
        uses: Where parameters are read.
        layers: The weight of each layer, by name, and the numbers of its units.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.ties = Ties(sum(network.steps[u.product].shape[u.axis] for u in network.layers))
        self.uses: list[ParameterUse] = []
        self.layers: list[tuple[str, Tensor]] = []
        self._labels: dict[int, Tensor] = {}
        self._made = 0
        layers = {use.product: use for use in network.layers}
        needed = _needed(network)
        last = {i: n for n in sorted(needed) for i in network.steps[n].inputs}
        for number in sorted(needed):
            step = network.steps[number]
            if not step.varies:
                continue
            if isinstance(step, Source):
                self._labels[number] = everywhere(OUTSIDE, step)
            elif number in layers:
                self._layer(layers[number])
            else:
                self._step(number, step)
            for i in step.inputs:
                if last[i] == number and i not in network.outputs:
                    self._labels.pop(i, None)
        for number in network.outputs:
            if number in self._labels:
                self.ties.fix(self._labels[number], "what it gives is an output")

    def _layer(self, use: LayerUse) -> None:
        weight, product = self.network.steps[use.weight], self.network.steps[use.product]
        size = product.shape[use.axis]
        rows = torch.arange(self._made, self._made + size, device="cpu")
        self._made += size
        name = self._name(use.weight)
        if name:
            self.layers.append((name, rows))
        if size == 1:
            # A single unit is never cut, whatever it is multiplied with.
            self.ties.fix(rows, "it is the only one")
            rows = torch.full_like(rows, OUTSIDE)
        columns = self._lines(self._labels[use.source], use.input_axis, name)
        grouped = len(columns) != weight.shape[use.columns] or size != weight.shape[use.rows]
        if grouped:
            parts = self._grouped(use, rows, columns, name)
        else:
            parts = [(GIVES, _spread(rows, use.rows, weight))]
            parts.append((READS, _spread(columns, use.columns, weight)))
        self._into_parameters(use.weight, parts)
        self._labels[use.product] = _spread(rows, use.axis, product)

    def _grouped(
        self, use: LayerUse, rows: Tensor, columns: Tensor, name: str
    ) -> list[tuple[int, Tensor]]:
        """The units of a grouped convolution: all that a group reads and gives goes together."""
        weight = self.network.steps[use.weight]
        transposed = use.rows == 1
        of = weight.shape[1]
        groups = (len(rows) if transposed else len(columns)) // of
        for outputs, inputs in zip(rows.chunk(groups), columns.chunk(groups), strict=True):
            both = torch.cat([outputs, inputs])
            if bool((both < 0).any()):
                self.ties.fix(both, f"a group of {name} reads what comes from outside")
            else:
                self.ties.join(both)
        along = columns if transposed else rows
        return [(READS if transposed else GIVES, _spread(along, 0, weight))]

    def _lines(self, labels: Tensor, axis: int, name: str) -> Tensor:
        """The unit of each index along an axis; what else it holds goes with it."""
        lines = once(self.ties.roots(labels).movedim(axis, 0))
        lines = lines.reshape(len(lines), -1)
        found = lines.max(1).values
        inside = lines >= 0
        mixed = (inside & (lines != found[:, None])).any(1)
        for index in mixed.nonzero().flatten().tolist():
            self.ties.join(lines[index][inside[index]].unique())
        outside = inside.any(1) & (lines == OUTSIDE).any(1)
        if bool(outside.any()):
            self.ties.fix(found[outside], f"{name} reads it with what comes from outside")
        return found if len(found) == labels.shape[axis] else found.expand(labels.shape[axis])

    def _step(self, number: int, step: AbstractStep) -> None:
        """A step that is no layer: what meets in an element of its output is tied."""
        steps = self.network.steps
        varying = [i if steps[i].varies else None for i in step.inputs]
        hidden = isinstance(step, Linear) and step.opaque
        if hidden or (isinstance(step, Product) and step.contracts and None in varying):
            for i in step.inputs:
                if steps[i].varies:
                    self.ties.fix(self._labels[i], f"{step.name} behind it cannot do with fewer")
            for i in step.inputs:
                if not steps[i].varies:
                    self._stays(i)
            self._labels[number] = everywhere(OUTSIDE, step)
            return
        inside = [None if i is None else self.ties.roots(self._labels[i]) for i in varying]
        moved = MovedUnits(step, self._ones(step))
        units, meets = moved.labels(inside, self.ties)
        if meets:
            moved.join(inside, self.ties)
            inside = [None if i is None else self.ties.roots(self._labels[i]) for i in varying]
            units, _ = moved.labels(inside, self.ties)
        outside = moved.reached([None if x is None else x == OUTSIDE for x in inside])
        if outside is not None:
            both = outside & (units >= 0)
            if bool(both.any()):
                self._meets_outside(moved, inside, units, both, step.name)
            units = torch.where((units < 0) & outside, OUTSIDE, units)
        self._labels[number] = units
        for place, i in enumerate(step.inputs):
            if not steps[i].varies and not isinstance(steps[i], Constant):
                along = moved.back(place, units)
                self._into_parameters(i, [(GOES_ALONG, along)])

    def _meets_outside(
        self,
        moved: MovedUnits,
        inside: Sequence[Tensor | None],
        units: Tensor,
        both: Tensor,
        name: str,
    ) -> None:
        """Fixes units that meet an element from outside which is theirs alone."""
        marked = torch.where(both, units, NOTHING)
        for place, labels in enumerate(inside):
            if labels is None or not bool((once(labels) == OUTSIDE).any()):
                continue
            felt = moved.back(place, marked)[labels == OUTSIDE]
            # One that several units feel, as a mask of positions, need not be cut with any.
            if bool((felt >= 0).any()):
                self.ties.fix(felt, f"{name} ties it to an input of the model")

    def _into_parameters(self, number: int, parts: Sequence[tuple[int, Tensor]]) -> None:
        """Writes down the units of a parameter's entries, from those of what is made of it."""
        step = self.network.steps[number]
        if isinstance(step, Parameter):
            idle = all(k == GOES_ALONG and bool((once(x) == NOTHING).all()) for k, x in parts)
            if not idle:  # as what is multiplied with zeros is
                self.uses.append(ParameterUse(step.name, self._axes_of(step.name, parts)))
            return
        moved = MovedUnits(step, self._ones(step))
        for place, i in enumerate(step.inputs):
            if isinstance(self.network.steps[i], Constant):
                continue
            before: list[tuple[int, Tensor]] = []
            for kind, labels in parts:
                found, several = moved.gathered(place, labels)
                if kind != GOES_ALONG and bool(several.any()):
                    self.ties.fix(labels, f"{step.name} makes its weight of what is shared")
                before.append((kind, found))
            self._into_parameters(i, before)

    def _axes_of(
        self, name: str, parts: Sequence[tuple[int, Tensor]]
    ) -> dict[int, tuple[int, Tensor]]:
        """The axis along which each part's labels change, and they along it."""
        result: dict[int, tuple[int, Tensor]] = {}
        alike: list[tuple[int, Tensor]] = []
        for kind, labels in parts:
            small = once(labels)
            constant = kind == READS and bool((small == NOTHING).all())
            if not constant and not bool((small >= 0).any()):
                continue
            if bool((small == small.flatten()[0]).all()):
                alike.append((kind, labels))
                continue
            for axis in range(labels.dim()):
                lines = labels.movedim(axis, 0).reshape(labels.shape[axis], -1)
                if bool((lines == lines[:, :1]).all()):
                    result[axis] = kind, lines[:, 0].clone()
                    break
            else:
                self.ties.fix(labels, f"{name} is read along several axes")
        for kind, labels in alike:  # all of one unit: any axis tells it
            axis = next((a for a in range(labels.dim()) if a not in result), None)
            if axis is None:
                self.ties.fix(labels, f"{name} is read along several axes")
            else:
                result[axis] = kind, labels.flatten()[:1].expand(labels.shape[axis]).clone()
        return result

    def _ones(self, step: AbstractStep) -> list[Tensor]:
        one = torch.ones((), dtype=torch.float64, device="cpu")
        return [one.expand(self.network.steps[i].shape) for i in step.inputs]

    def _stays(self, number: int) -> None:
        """A parameter that a step reads which cannot do with less."""
        step = self.network.steps[number]
        if isinstance(step, Parameter):
            self.uses.append(ParameterUse(step.name, {}))
        for i in step.inputs:
            self._stays(i)

    def _name(self, number: int) -> str:
        step = self.network.steps[number]
        while not isinstance(step, Parameter):
            if not step.inputs:
                return ""
            step = self.network.steps[step.inputs[0]]
        return step.name


def _needed(network: Network) -> set[int]:
    """The steps that an output is made of."""
    found: set[int] = set()
    waiting = list(network.outputs)
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += network.steps[number].inputs
    return found


def _spread(labels: Tensor, axis: int, step: AbstractStep) -> Tensor:
    lengths = [1] * len(step.shape)
    lengths[axis] = -1
    return labels.reshape(lengths).expand(step.shape)
