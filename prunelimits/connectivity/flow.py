"""What of a network its inputs reach, and what reaches its outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelimits.connectivity.divisors import divisors
from prunelimits.connectivity.elements import (
    REACH,
    all_of,
    any_of,
    both,
    either,
    gather,
    none_of,
    numbers,
    once,
    spread,
)
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


@dataclass(frozen=True)
class Flow:
    """Reachability in a network under masks, one bool tensor a step, of the shape of its output.

    Attributes:
        masks: What is kept of each parameter.
        live: There is a path from an input.
        free: The value depends on an input or a kept parameter.
        carries: The value need not be zero.
        reaches: There is a path to an output, of steps that vary.
        final: There is one without a further layer between, so that a constant cannot move on.
        entered: For layers, by step: the units of what comes in, live, from which a path leads
            through the layer to an output.
    """

    masks: Masks
    live: list[Tensor]
    free: list[Tensor]
    carries: list[Tensor]
    reaches: list[Tensor]
    final: list[Tensor]
    entered: dict[int, Tensor]


def find_flow(network: Network, masks: Masks) -> Flow:
    """One pass forward and two backward; each step's sums of zeros and ones are exact."""
    forward = _Forward(network.steps, masks)
    for step in network.steps:
        forward.follow(step)
    live, free, carries = forward.live, forward.free, forward.carries
    entered: dict[int, Tensor] = {}
    axes = {use.product: use.input_axis for use in network.layers}

    def enter(number: int, before: Tensor) -> None:
        if number in axes:
            inside = both(live[network.steps[number].inputs[0]], before)
            entered[number] = any_of_units(inside, axes[number])

    reaches = _backward(network, free, carries, lambda _: True, enter)
    final = _backward(network, free, carries, lambda step: not _is_layer(network, step))
    return Flow(masks, live, free, carries, reaches, final, entered)


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
        nothing, everything = none_of(step.shape), all_of(step.shape)
        if isinstance(step, Source):
            self._add(everything, everything, None)
        elif isinstance(step, Parameter):
            self._add(nothing, self.masks[step.name], None)
        elif isinstance(step, Constant):
            self._add(nothing, nothing, step.content if step.content.any() else None)
        else:
            at = [self.carries[i] for i in step.inputs]
            live = spread(step, at, [self.live[i] for i in step.inputs])
            if isinstance(step, Linear) and step.opaque:
                self._add(live, everything, None)
                return
            free = self._free(step, at, live)
            self._add(live, free, self._known(step, free))

    def _add(self, live: Tensor, free: Tensor, known: Tensor | None) -> None:
        self.live.append(live)
        self.free.append(free)
        self.known.append(known)
        self.carries.append(free if known is None else either(free, known != 0))

    def _free(self, step: AbstractStep, at: list[Tensor], live: Tensor) -> Tensor:
        free = [self.free[i] for i in step.inputs]
        if isinstance(step, Product) and any(self.known[i] is None for i in step.inputs):
            # Where both factors carry, the one without known numbers is free.
            return spread(step, at, [at[0], none_of(at[1].shape)])
        if all(f is self.live[i] for f, i in zip(free, step.inputs, strict=True)):
            return live
        return spread(step, at, free)

    def _known(self, step: AbstractStep, free: Tensor) -> Tensor | None:
        given = [self.known[i] for i in step.inputs]
        nothing = all(value is None for value in given)
        if isinstance(step, Product):
            nothing = any(value is None for value in given)
        elif isinstance(step, Linear):
            nothing = nothing and step.keeps_zero
        if nothing or not any_of(~once(free)):
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
        if not any_of(~once(live)):
            value = step.zeros()
        elif isinstance(step, Parameter):
            value = params[step.name]
        else:
            value = step.compute(*(constants[i] for i in step.inputs))
        constants.append(value.masked_fill(live, 0))
    return constants


def flow_masks(network: Network, flow: Flow, *, keep_constants: bool) -> Masks:
    """`effective_masks` of a network."""
    reached = _parameter_elements(network, flow, keep_constants=keep_constants)
    held = divisors(network.steps) if keep_constants else set[int]()
    result = {name: torch.zeros_like(mask) for name, mask in flow.masks.items()}
    for name, number in network.parameters.items():
        kept = flow.masks[name]
        result[name] = kept if number in held else reached[number] & kept
    return result


def _parameter_elements(network: Network, flow: Flow, *, keep_constants: bool) -> dict[int, Tensor]:
    """The elements of parameters, and of what is made of them, that a path to an output meets.

    Without constants it must come from an input: a factor is met if what it multiplies is live;
    what is added, if the sum is, or if it stays at the outputs.
    """
    steps = network.steps
    result = {n: none_of(step.shape) for n, step in enumerate(steps) if not step.varies}
    for number in network.outputs:
        if number in result:
            result[number] = all_of(result[number].shape)
    for number in reversed(range(len(steps))):
        step = steps[number]
        wanted = [not steps[i].varies and not isinstance(steps[i], Constant) for i in step.inputs]
        if not any(wanted):
            continue
        sources, after = flow.carries, result.get(number, flow.reaches[number])
        if step.varies and not keep_constants:
            if isinstance(step, Product):
                sources = flow.live
            else:
                after = either(both(flow.live[number], flow.reaches[number]), flow.final[number])
        after = both(after, flow.free[number])
        if not any_of(after):
            continue
        before = gather(step, [sources[i] for i in step.inputs], after, wanted)
        for i, reached in zip(step.inputs, before, strict=True):
            if reached is not None:
                result[i] = either(result[i], reached)
    return result


def any_of_units(elements: Tensor, axis: int) -> Tensor:
    """Whether a unit has a true element, bool `(units,)`."""
    lines = elements.movedim(axis, 0)
    return lines if lines.dim() == 1 else lines.flatten(1).any(1)


def _is_layer(network: Network, step: AbstractStep) -> bool:
    """Whether a weight is contracted with what comes in."""
    varying = [network.steps[i].varies for i in step.inputs]
    return isinstance(step, Product) and step.contracts and not all(varying)


def _backward(
    network: Network,
    free: list[Tensor],
    carries: list[Tensor],
    passes: Callable[[AbstractStep], bool],
    enter: Callable[[int, Tensor], None] | None = None,
) -> list[Tensor]:
    steps = network.steps
    result = [none_of(step.shape) for step in steps]
    for number in network.outputs:
        result[number] = all_of(result[number].shape)
    for number in reversed(range(len(steps))):
        step = steps[number]
        # A value that nothing changes passes nothing on.
        after = both(result[number], free[number])
        if not step.varies or not step.inputs or not passes(step) or not any_of(after):
            continue
        wanted = [steps[i].varies for i in step.inputs]
        before = gather(step, [carries[i] for i in step.inputs], after, wanted)
        for place, (i, reached) in enumerate(zip(step.inputs, before, strict=True)):
            if reached is None:
                continue
            if enter is not None and place == 0:
                enter(number, reached)
            result[i] = either(result[i], reached)
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
        at = [numbers(flow.carries[i]) for i in step.inputs]
        if number == product:
            at[0] = source.to(REACH)
        wanted = [not steps[i].varies and not isinstance(steps[i], Constant) for i in step.inputs]
        if not any(wanted):
            continue
        for i, paths in zip(step.inputs, step.gather(at, after.to(REACH), wanted), strict=True):
            if paths is not None:
                found[i] = found.get(i, torch.zeros_like(paths, dtype=torch.bool)) | (paths > 0.5)
    return found
