"""What of a traced network its inputs reach, what reaches its outputs, and by how many paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from prunelimits.connectivity.big_counts import added, carried
from prunelimits.connectivity.steps import AbstractStep, Affine, Normalise, along
from prunelimits.connectivity.trace import Network
from prunelimits.types import Masks

# Zeros and ones add up to whole numbers, which even single precision cannot take across one half.
_REACH = torch.float32


@dataclass(frozen=True)
class Flow:
    """Reachability in a network, one bool tensor a step, of the shape of its output.

    Attributes:
        live: There is a path from an input.
        carries: There is one from an input, a kept bias or another source of a constant.
        reaches: There is a path to an output.
        final: There is one without a further layer between, so that a constant cannot move on.
    """

    live: list[Tensor]
    carries: list[Tensor]
    reaches: list[Tensor]
    final: list[Tensor]


def find_flow(network: Network) -> Flow:
    """One pass forward and one backward; each step's sums of zeros and ones are exact."""
    live: list[Tensor] = []
    carries: list[Tensor] = []
    for step in network.steps:
        reached = _any_path(step, [live[i] for i in step.inputs])
        live.append(reached)
        emitted = step.emits(reached)
        carries.append(_any_path(step, [carries[i] for i in step.inputs]) | emitted)
    reaches = _backward(network, lambda _: True)
    final = _backward(network, lambda step: not isinstance(step, Affine))
    return Flow(live, carries, reaches, final)


def find_constants(network: Network, live: list[Tensor]) -> list[Tensor]:
    """What each step computes where no input reaches, and zero elsewhere: float64."""
    constants: list[Tensor] = []
    for step, reached in zip(network.steps, live, strict=True):
        value = step.value(*(constants[i] for i in step.inputs))
        constants.append(value.masked_fill(reached, 0))
    return constants


def flow_masks(network: Network, flow: Flow, *, keep_constants: bool) -> Masks:
    """`effective_masks` of a traced network."""
    result = {name: torch.zeros_like(mask) for name, mask in network.parameters.masks.items()}
    sources = flow.carries if keep_constants else flow.live
    for number, step in enumerate(network.steps):
        on_path = flow.live[number] & flow.reaches[number]
        counted = flow.reaches[number] if keep_constants else on_path | flow.final[number]
        if isinstance(step, Affine):
            used = weight_paths(step, sources[step.inputs[0]], flow.reaches[number])
            result[step.weight_name] |= used & step.weight_mask
            if step.bias_name is not None and step.bias_mask is not None:
                bias = any_of_units(counted, step.unit_axis)
                result[step.bias_name] |= bias & step.bias_mask
        elif isinstance(step, Normalise):
            scaled = sources[step.inputs[0]]
            if keep_constants:
                scaled = scaled | along(step.centred, scaled, 1)
            scaled = scaled & flow.reaches[number]
            if step.scale_name is not None:
                result[step.scale_name] |= any_of_units(scaled, 1) & step.scale_mask
            if step.shift_name is not None and step.shift_mask is not None:
                result[step.shift_name] |= any_of_units(counted, 1) & step.shift_mask
    return result


def any_of_units(elements: Tensor, axis: int) -> Tensor:
    """Whether a unit has a true element, bool `(units,)`."""
    return elements.movedim(axis, 0).flatten(1).any(1)


def input_elements(network: Network, flow: Flow, number: int) -> Tensor:
    """The elements of a step's first input from which a path leads through it to an output."""
    step = network.steps[number]
    source = flow.live[step.inputs[0]]
    like = [torch.zeros(network.shapes[i], dtype=_REACH, device="cpu") for i in step.inputs]
    after = flow.reaches[number].to(_REACH)
    return source & (_transposed(step, like, after)[0] > 0.5)


def count_paths(network: Network) -> tuple[list[Tensor], list[Tensor]]:
    """Paths from the inputs to each element and from each element to the outputs, by step.

    In digits of `big_counts`, `(digits, 1, *shape)`.
    """
    steps = network.steps
    forward: list[Tensor] = []
    for step in steps:
        forward += _by_digits(partial(_counted, step), [forward[i] for i in step.inputs])
    backward: list[Tensor | None] = [None] * len(steps)
    for number in network.outputs:
        ones = torch.ones_like(forward[number][:1])
        backward[number] = _plus(backward[number], ones)
    for number in reversed(range(len(steps))):
        step, after = steps[number], backward[number]
        if after is None:
            backward[number] = torch.zeros_like(forward[number][:1])
        elif step.inputs:
            shapes = [forward[i][0] for i in step.inputs]
            before = _by_digits(partial(_transposed, step, shapes), [after])
            for i, paths in zip(step.inputs, before, strict=True):
                backward[i] = _plus(backward[i], paths)
    return forward, [paths for paths in backward if paths is not None]


def _any_path(step: AbstractStep, inputs: Sequence[Tensor]) -> Tensor:
    return step.count(*(reached.to(_REACH) for reached in inputs)) > 0.5


def _backward(network: Network, passes: Callable[[AbstractStep], bool]) -> list[Tensor]:
    steps = network.steps
    result = [torch.zeros(shape, dtype=torch.bool, device="cpu") for shape in network.shapes]
    for number in network.outputs:
        result[number] = torch.ones_like(result[number])
    for number in reversed(range(len(steps))):
        step = steps[number]
        if not step.inputs or not passes(step):
            continue
        like = [torch.zeros(network.shapes[i], dtype=_REACH, device="cpu") for i in step.inputs]
        before = _transposed(step, like, result[number].to(_REACH))
        for i, paths in zip(step.inputs, before, strict=True):
            result[i] = result[i] | (paths > 0.5)
    return result


def _transposed(step: AbstractStep, like: Sequence[Tensor], after: Tensor) -> list[Tensor]:
    """The transposed count: what arrives at the inputs of what stands at the output."""
    # Called without auxiliary output, so two results come back, though the types leave it open.
    pull = torch.func.vjp(step.count, *like)[1]
    return list(pull(after))


def _counted(step: AbstractStep, *inputs: Tensor) -> list[Tensor]:
    return [step.count(*inputs)]


def weight_paths(step: Affine, source: Tensor, reaches: Tensor) -> Tensor:
    """The weights that lead from a source to an element that reaches an output."""
    x = source.to(_REACH)
    pull = torch.func.vjp(partial(step.linear, x), step.weight_mask.to(_REACH))[1]
    return pull(reaches.to(_REACH))[0] > 0.5


def _by_digits(linear: Callable[..., list[Tensor]], inputs: Sequence[Tensor]) -> list[Tensor]:
    """A linear map of integers, digit by digit."""
    digits = max((len(x) for x in inputs), default=1)
    columns: list[list[Tensor]] = []
    for place in range(digits):
        x = [v[place] if place < len(v) else torch.zeros_like(v[0]) for v in inputs]
        columns.append(linear(*x))
    return [carried(torch.stack(list(column))) for column in zip(*columns, strict=True)]


def _plus(left: Tensor | None, right: Tensor) -> Tensor:
    return right if left is None else added(left, right)
