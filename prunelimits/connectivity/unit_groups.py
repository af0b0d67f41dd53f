"""Which units of a network are needed, where some can be left out only together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunelimits.connectivity.attention_heads import needed_heads
from prunelimits.connectivity.cuts import Cut, Cuts
from prunelimits.connectivity.flow import Flow, any_of_units
from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.following.recording import LayerUse
from prunelimits.connectivity.following.steps import AbstractStep, Parameter, Product
from prunelimits.connectivity.unit_labels import units_behind

Plain = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class _Tie:
    """Units of a step and of one that it reads, which are needed together.

    Unit u of the step is unit `labels[u]` of the other; -1: of none.
    """

    step: int
    other: int
    labels: Tensor


def needed_units(
    network: Network, flow: Flow, modules: Mapping[str, nn.Module], *, flatten: bool = True
) -> Cuts:
    """For each module that can be cut what of it is needed, by path, and why others stay whole.

    A unit is needed if it carries something to an output. Tensors that are added or multiplied, and
    those before and behind what works on each element or channel by itself, need the same units.
    Inputs and outputs stay whole, and so does what surrounds a step that cannot do with fewer.
    Where nothing is needed one unit stays, since a layer must have one.

    Args:
        network: The steps.
        flow: What carries and reaches.
        modules: The modules that hold the parameters, by path.
        flatten: Whether units may be cut through reshapes that join or split axes.
    """
    solver = _Solver(network, flow, modules, flatten=flatten)
    solver.spread()
    while True:
        empty = [n for n, needed in solver.needed.items() if not needed.any()]
        if not empty:
            heads, whole = needed_heads(network, flow, modules)
            return Cuts(solver.cuts(), heads, {**solver.kept_whole(), **whole})
        solver.needed[empty[0]][0] = True
        solver.spread()


class _Solver:
    """Needs only grow, so that spreading them in turn comes to an end."""

    def __init__(
        self, network: Network, flow: Flow, modules: Mapping[str, nn.Module], *, flatten: bool
    ) -> None:
        self.network = network
        self.flow = flow
        self.modules = modules
        self.flatten = flatten
        self.reads = Counter(i for step in network.steps for i in step.inputs)
        self.layers: dict[int, tuple[str, LayerUse]] = {}
        for use in network.layers:
            path = self._module_of(use)
            if path is not None:
                self.layers[use.product] = path, use
        self.axis: dict[int, int] = {}
        self.needed: dict[int, Tensor] = {}
        self.ties: list[_Tie] = []
        self.reasons: dict[int, str] = {}
        for number in range(len(network.steps)):
            if network.steps[number].varies:
                self._constrain(number)
        for number in network.outputs:
            self._whole(number, "what it gives is an output")

    def _module_of(self, use: LayerUse) -> str | None:
        """The module whose weight and bias a layer reads, if it can be cut."""
        names = [self._parameter(use.weight)]
        if use.bias is not None:
            names.append(self._parameter(use.bias))
        if any(name is None for name in names):
            return None
        parent = self.modules.get(str(names[0]).rpartition(".")[0].rpartition(".")[0])
        if isinstance(parent, nn.MultiheadAttention):
            return None
        paths = {str(name).rpartition(".")[0] for name in names}
        module = self.modules.get(paths.pop()) if len(paths) == 1 else None
        if isinstance(module, Plain):
            whole = isinstance(module, nn.Linear) or module.groups == 1 or is_depthwise(module)
        else:
            whole = isinstance(module, _TRANSPOSED) and module.groups == 1
        return str(names[0]).rpartition(".")[0] if whole else None

    def _parameter(self, number: int) -> str | None:
        """The parameter that a step is, but for a transposition, if nothing else reads it."""
        step = self.network.steps[number]
        while not isinstance(step, Parameter):
            if len(step.inputs) != 1 or not step.name.startswith(("permute", "t", "numpy_t")):
                return None
            number = step.inputs[0]
            step = self.network.steps[number]
        return step.name if self.reads[number] == 1 else None

    def _constrain(self, number: int) -> None:
        step = self.network.steps[number]
        if number in self.layers:
            path, use = self.layers[number]
            self._set(number, use.axis)
            source = use.source
            aligned = self.axis.get(source) == use.input_axis % self._dims(source)
            if not aligned:
                self._whole(source, f"{path} reads it along another axis")
            elif is_depthwise(self.modules[path]):
                self.ties.append(
                    _Tie(number, source, torch.arange(len(self.needed[number]), device="cpu"))
                )
            return
        varying = [i for i in step.inputs if self.network.steps[i].varies]
        found = [None if i not in self.axis else self._labels(step, i) for i in varying]
        known = [place for place in found if place is not None]
        fits = bool(known) and len(known) == len(varying) and len({a for a, _ in known}) == 1
        if not fits or not self._own_parameters(step):
            for i in varying:
                self._whole(i, f"{step.name} behind it cannot do with fewer")
            return
        self._set(number, known[0][0])
        for i, (_, labels) in zip(varying, known, strict=True):
            self.ties.append(_Tie(number, i, labels))

    def _own_parameters(self, step: AbstractStep) -> bool:
        """Whether the parameters that a step reads are cut with it."""
        for i in step.inputs:
            reads = self.network.steps[i]
            if reads.varies:
                continue
            name = self._parameter(i)
            if name is None:
                return False
            path = name.rpartition(".")[0]
            layer = any(path == own for own, _ in self.layers.values())
            if not layer and not isinstance(self.modules.get(path), _NORMS):
                return False
        return True

    def _labels(self, step: AbstractStep, other: int) -> tuple[int, Tensor] | None:
        shapes = [self.network.steps[i].shape for i in step.inputs]
        return units_behind(
            step, step.inputs.index(other), shapes, self.axis[other], flatten=self.flatten
        )

    def _set(self, number: int, axis: int) -> None:
        axis %= self._dims(number)
        self.axis[number] = axis
        elements = self.flow.carries[number] & self.flow.reaches[number]
        self.needed[number] = any_of_units(elements, axis)

    def _whole(self, number: int, reason: str) -> None:
        if number in self.needed:
            self.needed[number].fill_(True)
            self.reasons.setdefault(number, reason)

    def _dims(self, number: int) -> int:
        return len(self.network.steps[number].shape)

    def spread(self) -> None:
        """Until every constraint holds."""
        before = -1
        while before != (before := sum(int(needed.sum()) for needed in self.needed.values())):
            for tie in self.ties:
                self._spread_tie(tie)

    def _spread_tie(self, tie: _Tie) -> None:
        here, there = self.needed[tie.step], self.needed[tie.other]
        if bool((tie.labels < -1).all()):
            block = len(there) // len(here)
            both = here | there.reshape(-1, block).any(1)
            self.needed[tie.step] = both
            self.needed[tie.other] = both.repeat_interleave(block)
            return
        made = tie.labels >= 0
        back = torch.zeros_like(there).index_put((tie.labels[made],), here[made], accumulate=True)
        both = there | back
        self.needed[tie.other] = both
        self.needed[tie.step] = here | torch.where(made, both[tie.labels.clamp(min=0)], False)

    def kept_whole(self) -> dict[str, str]:
        """The layers that keep units which count for nothing, and why."""
        found = dict(self.reasons)
        # A reason holds for all that is needed together.
        for tie in [*self.ties, *reversed(self.ties)]:
            for here, there in ((tie.step, tie.other), (tie.other, tie.step)):
                if here in found:
                    found.setdefault(there, found[here])
        result: dict[str, str] = {}
        for number, (path, use) in self.layers.items():
            elements = self.flow.carries[number] & self.flow.reaches[number]
            idle = ~any_of_units(elements, use.axis) & self.needed[number]
            if number in found and bool(idle.any()):
                result[path] = found[number]
        for use in self.network.layers:
            if use.product in self.layers:
                continue
            elements = self.flow.carries[use.product] & self.flow.reaches[use.product]
            path, reason = self._not_cut(use)
            if path and not bool(any_of_units(elements, use.axis).all()):
                result.setdefault(path, reason)
        return result

    def _not_cut(self, use: LayerUse) -> tuple[str, str]:
        """The module of a layer that cannot be cut, and why."""
        number = use.weight
        while self.network.steps[number].inputs:
            number = self.network.steps[number].inputs[0]
        path = self.network.steps[number].name.rpartition(".")[0]
        module = self.modules.get(path)
        owner = self.modules.get(path.rpartition(".")[0])
        if any(isinstance(part, nn.MultiheadAttention) for part in (module, owner)):
            return "", ""
        if not isinstance(module, Plain) and not isinstance(module, _TRANSPOSED):
            return path, f"{type(module).__name__} is not cut"
        if self.reads[number] > 1 or self._parameter(use.weight) is None:
            return path, "its weight is read in several places, or not as it is"
        return path, "grouped convolutions are cut only if depthwise"

    def cuts(self) -> dict[str, Cut]:
        """What is kept of each module."""
        result: dict[str, Cut] = {}
        for number, (path, use) in self.layers.items():
            source = use.source
            aligned = self.axis.get(source) == use.input_axis % self._dims(source)
            result[path] = Cut(self.needed[number], self.needed[source] if aligned else None)
        for number, step in enumerate(self.network.steps):
            for i in step.inputs:
                name = self._parameter(i) if isinstance(self.network.steps[i], Parameter) else None
                path = "" if name is None else name.rpartition(".")[0]
                norm = isinstance(self.modules.get(path), _NORMS)
                if norm and number in self.needed and isinstance(step, Product):
                    result[path] = Cut(self.needed[number], None)
        return result


def is_depthwise(module: nn.Module) -> bool:
    """Whether a convolution treats every channel by itself, one kernel each."""
    return (
        isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)
        and module.groups == module.in_channels == module.out_channels
        and module.groups > 1
    )
