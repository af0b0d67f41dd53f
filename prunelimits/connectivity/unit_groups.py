"""Which units of a network are needed, where some can be left out only together."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, fx, nn

from prunelimits.connectivity.flow import Flow, any_of_units
from prunelimits.connectivity.steps import Affine, Elementwise, Normalise, Structural
from prunelimits.connectivity.trace import Network


def needed_units(network: Network, flow: Flow) -> list[Tensor]:
    """For each step the units of its output that are needed, bool `(units,)` along axis 1.

    A unit is needed if it carries something to an output. Tensors that are added, and those before
    and behind what works on each element or channel by itself, need the same units. Inputs and
    outputs stay whole, and so does what surrounds a step that cannot do with fewer. Where nothing
    is needed one unit stays, since a layer must have one.
    """
    solver = _Solver(network, flow)
    solver.spread()
    while True:
        empty = [needed for needed in solver.needed if not needed.any()]
        if not empty:
            return solver.needed
        empty[0][0] = True
        solver.spread()


class _Solver:
    """Needs only grow, so that spreading them in turn comes to an end."""

    def __init__(self, network: Network, flow: Flow) -> None:
        self.network = network
        self.needed: list[Tensor] = []
        for carries, reaches in zip(flow.carries, flow.reaches, strict=True):
            elements = carries & reaches
            self.needed.append(any_of_units(elements if elements.dim() > 1 else elements[None], 1))
        self.equal: list[tuple[int, int]] = []
        self.flattened: list[int] = []
        self.concatenated: list[int] = []
        for number in range(len(network.steps)):
            self._constrain(number)
        self._make_whole(*network.outputs)

    def _constrain(self, number: int) -> None:
        step = self.network.steps[number]
        if isinstance(step, Affine):
            module = layer_of(self.network, number)
            if module is None or not _sliceable(self.network, number, module):
                self._make_whole(number, *step.inputs)
            elif is_depthwise(module):
                self.equal.append((number, step.inputs[0]))
        elif isinstance(step, Normalise) and layer_of(self.network, number) is None:
            self._make_whole(number, *step.inputs)
        elif isinstance(step, Elementwise | Normalise) or self._same_units(number):
            self.equal += [(number, other) for other in step.inputs]
        elif is_flattening(self.network, number):
            self.flattened.append(number)
        elif self._is_concatenation(number):
            self.concatenated.append(number)
        else:
            self._make_whole(number, *step.inputs)

    def _make_whole(self, *numbers: int) -> None:
        for number in numbers:
            self.needed[number].fill_(True)

    def spread(self) -> None:
        """Until every constraint holds."""
        before = -1
        while before != (before := sum(int(needed.sum()) for needed in self.needed)):
            for left, right in self.equal:
                both = self.needed[left] | self.needed[right]
                self.needed[left], self.needed[right] = both, both.clone()
            for number in self.flattened:
                (source,) = self.network.steps[number].inputs
                features = self.needed[number].reshape(len(self.needed[source]), -1)
                channels = features.any(1) | self.needed[source]
                self.needed[source] = channels
                self.needed[number] = channels.repeat_interleave(features.shape[1])
            for number in self.concatenated:
                inputs = self.network.steps[number].inputs
                parts = self.needed[number].split([len(self.needed[i]) for i in inputs])
                for i, part in zip(inputs, parts, strict=True):
                    self.needed[i] = self.needed[i] | part
                self.needed[number] = torch.cat([self.needed[i] for i in inputs])

    def _same_units(self, number: int) -> bool:
        step, shapes = self.network.steps[number], self.network.shapes
        if not isinstance(step, Structural):
            return False
        # An addition of equal shapes; others broadcast.
        added = len(step.inputs) == 2 and step.adds
        return step.channels or (added and all(shapes[i] == shapes[number] for i in step.inputs))

    def _is_concatenation(self, number: int) -> bool:
        step, shapes = self.network.steps[number], self.network.shapes
        if not isinstance(step, Structural) or step.adds or len(step.inputs) < 2:
            return False
        shape, parts = shapes[number], [shapes[i] for i in step.inputs]
        if any(len(part) != len(shape) or part[2:] != shape[2:] for part in parts):
            return False
        sizes = [part[1] for part in parts]
        if sum(sizes) != shape[1]:
            return False
        numbers = torch.arange(shape.numel(), dtype=torch.float64, device="cpu").reshape(shape)
        return torch.equal(step.value(*numbers.split(sizes, dim=1)), numbers)


def is_flattening(network: Network, number: int) -> bool:
    """Whether a step turns `(1, channels, *positions)` into `(1, channels x positions)`."""
    step, shape = network.steps[number], network.shapes[number]
    if not isinstance(step, Structural) or len(step.inputs) != 1 or len(shape) != 2:
        return False
    before = network.shapes[step.inputs[0]]
    if step.paths is not None or len(before) < 3 or before.numel() != shape.numel():
        return False
    numbers = torch.arange(shape[1], dtype=torch.float64, device="cpu")
    return torch.equal(step.value(numbers.reshape(before)), numbers[None])


def layer_of(network: Network, number: int) -> nn.Module | None:
    """The module that a step comes from, if it is called there alone and shares no parameters."""
    graph = network.graph
    calls = Counter(node.target for node in graph.graph.nodes if node.op == "call_module")
    node = next((n for n, step in network.nodes.items() if step == number), None)
    if not isinstance(node, fx.Node) or node.op != "call_module" or calls[node.target] > 1:
        return None
    step = network.steps[number]
    aliases = Counter(network.parameters.aliases.values())
    names = (getattr(step, name, None) for name in ("weight_name", "bias_name"))
    if any(aliases[name] > 1 for name in names if name is not None):
        return None
    return graph.get_submodule(str(node.target))


def is_depthwise(module: nn.Module) -> bool:
    """Whether a convolution treats every channel by itself, one kernel each."""
    return (
        isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)
        and module.groups == module.in_channels == module.out_channels
        and module.groups > 1
    )


def _sliceable(network: Network, number: int, module: nn.Module) -> bool:
    if isinstance(module, nn.Linear):
        return len(network.shapes[number]) == 2
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return module.groups == 1 or is_depthwise(module)
    return False
