"""What of a network its inputs reach, what reaches its outputs, and by how many paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelimits.connectivity.big_counts import added, carried
from prunelimits.connectivity.divisors import divisors
from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.following.steps import (
    AbstractStep,
    Constant,
    Linear,
    Parameter,
    Product,
    Source,
)
from prunelimits.types import Masks, Params

# Zeros and ones add up to whole numbers, which even single precision cannot take across one half.
_REACH = torch.float32


@dataclass(frozen=True)
class Flow:
    """Reachability in a network under masks, one bool tensor a step, of the shape of its output.

    Attributes:
        masks: What is kept of each parameter.
        live: There is a path from an input.
        free: The value depends on an input or a kept parameter.
        carries: The value need not be zero.
        reaches: There is a path to an output.
        final: There is one without a further layer between, so that a constant cannot move on.
    """

    masks: Masks
    live: list[Tensor]
    free: list[Tensor]
    carries: list[Tensor]
    reaches: list[Tensor]
    final: list[Tensor]


def find_flow(network: Network, masks: Masks) -> Flow:
    """One pass forward and two backward; each step's sums of zeros and ones are exact."""
    forward = _Forward(network.steps, masks)
    for step in network.steps:
        forward.follow(step)
    live, free, carries = forward.live, forward.free, forward.carries
    reaches = _backward(network, free, carries, lambda _: True)
    final = _backward(network, free, carries, lambda step: not _is_layer(network, step))
    return Flow(masks, live, free, carries, reaches, final)


class _Forward:
    """The forward pass: what is live, free and carries, and what is known and not zero."""

    def __init__(self, steps: list[AbstractStep], masks: Masks) -> None:
        self.steps = steps
        self.masks = masks
        self.live: list[Tensor] = []
        self.free: list[Tensor] = []
        self.carries: list[Tensor] = []
        # Numbers that no weight and no input changes, where not free. None: all are zero.
        self.known: list[Tensor | None] = []

    def follow(self, step: AbstractStep) -> None:
        """One more step."""
        nothing = torch.zeros((), dtype=torch.bool, device="cpu").expand(step.shape)
        everything = torch.ones((), dtype=torch.bool, device="cpu").expand(step.shape)
        if isinstance(step, Source):
            self._add(everything, everything, None)
        elif isinstance(step, Parameter):
            self._add(nothing, self.masks[step.name], None)
        elif isinstance(step, Constant):
            self._add(nothing, nothing, step.content if step.content.any() else None)
        else:
            at = [self.carries[i].to(_REACH) for i in step.inputs]
            live = _spread(step, at, [self.live[i] for i in step.inputs])
            if isinstance(step, Linear) and step.opaque:
                self._add(live, everything, None)
                return
            free = self._free(step, at, live)
            self._add(live, free, self._known(step, free))

    def _add(self, live: Tensor, free: Tensor, known: Tensor | None) -> None:
        self.live.append(live)
        self.free.append(free)
        self.known.append(known)
        self.carries.append(free if known is None else free | (known != 0))

    def _free(self, step: AbstractStep, at: list[Tensor], live: Tensor) -> Tensor:
        free = [self.free[i] for i in step.inputs]
        if isinstance(step, Product) and any(self.known[i] is None for i in step.inputs):
            # Where both factors carry, the one without known numbers is free.
            return step.spread(at, [at[0], None]) > 0.5
        if all(f is self.live[i] for f, i in zip(free, step.inputs, strict=True)):
            return live
        return _spread(step, at, free)

    def _known(self, step: AbstractStep, free: Tensor) -> Tensor | None:
        given = [self.known[i] for i in step.inputs]
        nothing = all(value is None for value in given)
        if isinstance(step, Product):
            nothing = any(value is None for value in given)
        elif isinstance(step, Linear):
            nothing = nothing and step.keeps_zero
        if nothing or bool(free.all()):
            return None
        values = [
            self.steps[i].zeros() if value is None else value
            for i, value in zip(step.inputs, given, strict=True)
        ]
        value = step.compute(*values).masked_fill(free, 0)
        return value if bool((value != 0).any()) else None


def find_constants(network: Network, flow: Flow, params: Params) -> list[Tensor]:
    """What each step computes where no input reaches, and zero elsewhere: float64."""
    constants: list[Tensor] = []
    for step, live in zip(network.steps, flow.live, strict=True):
        if bool(live.all()):
            value = step.zeros()
        elif isinstance(step, Parameter):
            value = params[step.name]
        else:
            value = step.compute(*(constants[i] for i in step.inputs))
        constants.append(value.masked_fill(live, 0))
    return constants


def flow_masks(network: Network, flow: Flow, *, keep_constants: bool) -> Masks:
    """`effective_masks` of a network."""
    reached = flow.reaches if keep_constants else _useful(network, flow)
    held = divisors(network.steps) if keep_constants else set[int]()
    result = {name: torch.zeros_like(mask) for name, mask in flow.masks.items()}
    for name, number in network.parameters.items():
        kept = flow.masks[name]
        result[name] = kept if number in held else reached[number] & kept
    return result


def _useful(network: Network, flow: Flow) -> list[Tensor]:
    """The elements of parameters, and of what is made of them, that a path from an input meets.

    A factor is met if what it multiplies is live; what is added, if the sum is, or if it stays at
    the outputs.
    """
    steps = network.steps
    result = [torch.zeros((), dtype=torch.bool, device="cpu").expand(step.shape) for step in steps]
    for number in network.outputs:
        if not steps[number].varies:
            result[number] = torch.ones((), dtype=torch.bool, device="cpu").expand(
                steps[number].shape
            )
    for number in reversed(range(len(steps))):
        step = steps[number]
        wanted = [not steps[i].varies and not isinstance(steps[i], Constant) for i in step.inputs]
        if not any(wanted):
            continue
        sources, after = flow.carries, result[number]
        if step.varies and isinstance(step, Product):
            sources, after = flow.live, flow.reaches[number]
        elif step.varies:
            after = (flow.live[number] & flow.reaches[number]) | flow.final[number]
        after = after & flow.free[number]
        if not bool(after.any()):
            continue
        before = step.gather([sources[i].to(_REACH) for i in step.inputs], after.to(_REACH), wanted)
        for i, paths in zip(step.inputs, before, strict=True):
            if paths is not None:
                result[i] = result[i] | (paths > 0.5)
    return result


def any_of_units(elements: Tensor, axis: int) -> Tensor:
    """Whether a unit has a true element, bool `(units,)`."""
    lines = elements.movedim(axis, 0)
    return lines if lines.dim() == 1 else lines.flatten(1).any(1)


def input_elements(network: Network, flow: Flow, number: int) -> Tensor:
    """The elements of a step's first input from which a path leads through it to an output."""
    step = network.steps[number]
    at = [flow.carries[i].to(_REACH) for i in step.inputs]
    wanted = [place == 0 for place in range(len(step.inputs))]
    before = step.gather(at, flow.reaches[number].to(_REACH), wanted)[0]
    assert before is not None
    return flow.live[step.inputs[0]] & (before > 0.5)


def count_paths(network: Network, flow: Flow) -> tuple[list[Tensor], list[Tensor]]:
    """Paths from the inputs to each element and from each element to the outputs, by step.

    In digits of `big_counts`, `(digits, *shape)`.
    """
    steps = network.steps
    none = [
        torch.zeros((), dtype=torch.float64, device="cpu").expand(1, *step.shape) for step in steps
    ]
    forward = list(none)
    for number, step in enumerate(steps):
        if isinstance(step, Source):
            forward[number] = torch.ones(1, *step.shape, dtype=torch.float64, device="cpu")
        elif step.varies:
            at = [flow.carries[i].double() for i in step.inputs]
            coming = [forward[i] if steps[i].varies else None for i in step.inputs]
            forward[number] = _by_digits(step, at, coming)
    backward = list(none)
    for number in network.outputs:
        backward[number] = added(backward[number], torch.ones_like(backward[number][:1]))
    for number in reversed(range(len(steps))):
        step, after = steps[number], backward[number]
        wanted = [steps[i].varies for i in step.inputs]
        if not any(wanted) or not bool(after.any()):
            continue
        at = [flow.carries[i].double() for i in step.inputs]
        digits = [step.gather(at, digit, wanted) for digit in after]
        for place, i in enumerate(step.inputs):
            parts = [digit[place] for digit in digits]
            found = [part for part in parts if part is not None]
            if found:
                backward[i] = added(backward[i], carried(torch.stack(found)))
    return forward, backward


def _by_digits(step: AbstractStep, at: list[Tensor], coming: Sequence[Tensor | None]) -> Tensor:
    """A linear map of integers, digit by digit."""
    digits = max(len(x) for x in coming if x is not None)
    columns = [
        step.spread(at, [x[place] if x is not None and place < len(x) else None for x in coming])
        for place in range(digits)
    ]
    return carried(torch.stack([column.double().expand(step.shape) for column in columns]))


def _spread(step: AbstractStep, at: list[Tensor], reached: list[Tensor]) -> Tensor:
    paths = [x.to(_REACH) if bool(x.any()) else None for x in reached]
    return step.spread(at, paths) > 0.5


def _is_layer(network: Network, step: AbstractStep) -> bool:
    """Whether a weight is contracted with what comes in."""
    varying = [network.steps[i].varies for i in step.inputs]
    return isinstance(step, Product) and step.contracts and not all(varying)


def _backward(
    network: Network,
    free: list[Tensor],
    carries: list[Tensor],
    passes: Callable[[AbstractStep], bool],
) -> list[Tensor]:
    steps = network.steps
    result = [torch.zeros((), dtype=torch.bool, device="cpu").expand(step.shape) for step in steps]
    for number in network.outputs:
        result[number] = torch.ones((), dtype=torch.bool, device="cpu").expand(steps[number].shape)
    for number in reversed(range(len(steps))):
        step = steps[number]
        # A value that nothing changes passes nothing on.
        after = result[number] & free[number]
        if not step.inputs or not passes(step) or not bool(after.any()):
            continue
        at = [carries[i].to(_REACH) for i in step.inputs]
        wanted = [not isinstance(steps[i], Constant) for i in step.inputs]
        before = step.gather(at, after.to(_REACH), wanted)
        for i, paths in zip(step.inputs, before, strict=True):
            if paths is not None:
                result[i] = result[i] | (paths > 0.5)
    return result


def weight_paths(
    network: Network, flow: Flow, product: int, source: Tensor, reaches: Tensor
) -> dict[int, Tensor]:
    """The elements of parameters that lead from a source to given elements of a layer's output."""
    steps = network.steps
    found: dict[int, Tensor] = {product: reaches}
    for number in range(product, -1, -1):
        after = found.pop(number, None)
        if after is None:
            continue
        step = steps[number]
        if isinstance(step, Parameter):
            found[number] = after
            continue
        at = [flow.carries[i].to(_REACH) for i in step.inputs]
        if number == product:
            at[0] = source.to(_REACH)
        wanted = [not steps[i].varies and not isinstance(steps[i], Constant) for i in step.inputs]
        if not any(wanted):
            continue
        for i, paths in zip(step.inputs, step.gather(at, after.to(_REACH), wanted), strict=True):
            if paths is not None:
                found[i] = found.get(i, torch.zeros_like(paths, dtype=torch.bool)) | (paths > 0.5)
    return found


__all__ = ["Flow", "any_of_units", "count_paths", "find_constants", "find_flow", "flow_masks"]
