# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""What is recorded while a graph is read: the steps, and which of them are uses of weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from prunelimits.connectivity.following.steps import (
    AbstractStep,
    Constant,
    Parameter,
    Source,
)


@dataclass(frozen=True, eq=False)
class Followed:
    """A tensor that depends on an input or a parameter, while the graph is read.

    Attributes:
        step: The number of its step.
        shape: Its shape.
        dtype: Its type: float64 for every floating type.
        blocked: Elements that are minus infinity whatever the weights: bool. None: none.
    """

    step: int
    shape: torch.Size
    dtype: torch.dtype
    blocked: Tensor | None = None


Value: TypeAlias = "Followed | Tensor"
"""What an operation reads or gives: a tensor that is followed, or a constant."""


@dataclass
class Recorder:
    """The steps so far.

    Attributes:
        steps: The steps, each after those it reads.
        unknown: The operations that had no rule.
        layers: What is reported as a layer, in order.
    """

    steps: list[AbstractStep] = field(default_factory=list[AbstractStep])
    unknown: list[str] = field(default_factory=list[str])
    layers: list[LayerUse] = field(default_factory=list["LayerUse"])

    def add(self, step: AbstractStep, blocked: Tensor | None = None) -> Followed:
        """Appends a step."""
        self.steps.append(step)
        return Followed(len(self.steps) - 1, step.shape, step.dtype, blocked)

    def source(self, name: str, shape: Sequence[int], dtype: torch.dtype) -> Followed:
        """An input."""
        return self.add(Source(name, (), torch.Size(shape), full(dtype), True))

    def parameter(self, name: str, shape: Sequence[int], dtype: torch.dtype) -> Followed:
        """A parameter."""
        return self.add(Parameter(name, (), torch.Size(shape), full(dtype), False))

    def constant(self, content: Tensor) -> Followed:
        """A constant as a step, for what must be one."""
        return self.add(Constant("constant", (), content.shape, content.dtype, False, content))


@dataclass(frozen=True, eq=False)
class LayerUse:
    """One use of a weight that is contracted with what comes in.

    Attributes:
        source: The number of the step that comes in.
        weight: The number of the weight's step, maybe a transposed or otherwise derived one.
        product: The number of the product's step.
        output: The number of the step behind the bias; `product` if there is none.
        bias: The number of the bias's step. None: there is none.
        axis: The axis of the output that numbers its units.
        input_axis: The axis of what comes in that numbers its units.
        rows: The axis of the weight that numbers the units of the output; of a grouped convolution
            those of one group if it is transposed.
        columns: The axis of the weight that numbers what comes in; of a grouped convolution that
            of one group if it is not transposed.
    """

    source: int
    weight: int
    product: int
    output: int
    bias: int | None
    axis: int
    input_axis: int
    rows: int = 0
    columns: int = 1


def full(dtype: torch.dtype) -> torch.dtype:
    """float64 for every floating type."""
    return torch.float64 if dtype.is_floating_point else dtype


def double(value: Tensor) -> Tensor:
    """The value with float64 for every floating type."""
    return value.double() if value.is_floating_point() else value
