"""The steps of a network's forward pass, each as a linear map on numbers of paths.

A step knows two maps of its input tensors, which have a batch axis of length one: `count`, which is
linear with coefficients 0 and 1 and takes the number of paths that reach each element of its inputs
to those that reach each element of its output, and `value`, which is the computation itself. Paths
to an output are counted by the transposed map, which automatic differentiation gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelimits.connectivity.layer_maps import LinearMap


@dataclass(frozen=True, eq=False)
class AbstractStep(ABC):
    """One step.

    Attributes:
        name: What errors and reports call it.
        inputs: The numbers of the steps it reads.
    """

    name: str
    inputs: tuple[int, ...]

    @abstractmethod
    def count(self, *inputs: Tensor) -> Tensor:
        """Paths that reach each element, kept weights counting one each."""

    @abstractmethod
    def value(self, *inputs: Tensor) -> Tensor:
        """What the step computes."""

    def emits(self, output: Tensor) -> Tensor:
        """Where the output need not be zero though all inputs are: bool, of the output's shape."""
        return torch.zeros_like(output, dtype=torch.bool)


@dataclass(frozen=True, eq=False)
class Source(AbstractStep):
    """An input of the network."""

    example: Tensor

    def count(self, *inputs: Tensor) -> Tensor:
        """One path reaches each element."""
        return torch.ones_like(self.example)

    def value(self, *inputs: Tensor) -> Tensor:
        """Nothing is known of it."""
        return torch.zeros_like(self.example)


@dataclass(frozen=True, eq=False)
class Affine(AbstractStep):
    """A linear layer or a convolution.

    Attributes:
        weight_name: The weight's name.
        bias_name: The bias's name. None: there is none.
        weight: The weight, zero outside its mask.
        bias: The bias, zero outside its mask.
        weight_mask: What is kept of the weight.
        bias_mask: What is kept of the bias.
        unit_axis: The axis of the output that numbers its units.
        linear: The layer without bias.
    """

    weight_name: str
    bias_name: str | None
    weight: Tensor
    bias: Tensor | None
    weight_mask: Tensor
    bias_mask: Tensor | None
    unit_axis: int
    linear: LinearMap

    def count(self, *inputs: Tensor) -> Tensor:
        """The layer with ones for its kept weights."""
        return self.linear(inputs[0], self.weight_mask.to(inputs[0].dtype))

    def value(self, *inputs: Tensor) -> Tensor:
        """The layer."""
        result = self.linear(inputs[0], self.weight)
        return result if self.bias is None else result + along(self.bias, result, self.unit_axis)

    def emits(self, output: Tensor) -> Tensor:
        """Units with a kept bias."""
        if self.bias_mask is None:
            return torch.zeros_like(output, dtype=torch.bool)
        return along(self.bias_mask, output, self.unit_axis)


@dataclass(frozen=True, eq=False)
class Normalise(AbstractStep):
    """A batch normalisation in evaluation mode: a scale and a shift a channel.

    Attributes:
        scale_name: The scale's name. None: there is none.
        shift_name: The shift's name. None: there is none.
        scale: What channels are multiplied by.
        shift: What is added then, the running mean's part included.
        centred: Channels with a running mean, of which the scale makes a constant: bool.
        scale_mask: Channels that are not cut: bool.
        shift_mask: What is kept of the shift parameter. None: there is none.
    """

    scale_name: str | None
    shift_name: str | None
    scale: Tensor
    shift: Tensor
    centred: Tensor
    scale_mask: Tensor
    shift_mask: Tensor | None

    def count(self, *inputs: Tensor) -> Tensor:
        """A zero scale cuts a channel."""
        return inputs[0] * along(self.scale_mask.to(inputs[0].dtype), inputs[0], 1)

    def value(self, *inputs: Tensor) -> Tensor:
        """Scale and shift."""
        x = inputs[0]
        return x * along(self.scale, x, 1) + along(self.shift, x, 1)

    def emits(self, output: Tensor) -> Tensor:
        """Channels with a kept shift, or one from a running mean."""
        emits = self.centred & self.scale_mask
        if self.shift_mask is not None:
            emits = emits | self.shift_mask
        return along(emits, output, 1)


@dataclass(frozen=True, eq=False)
class Elementwise(AbstractStep):
    """An activation."""

    function: Callable[[Tensor], Tensor]

    def count(self, *inputs: Tensor) -> Tensor:
        """The identity."""
        return inputs[0]

    def value(self, *inputs: Tensor) -> Tensor:
        """The activation."""
        # A copy: the activation may work in place.
        return self.function(inputs[0].clone())

    def emits(self, output: Tensor) -> Tensor:
        """Everything, if zero does not stay zero."""
        at_zero = self.function(torch.zeros(1, dtype=torch.float64, device="cpu"))
        return (at_zero != 0).expand(output.shape)


@dataclass(frozen=True, eq=False)
class Structural(AbstractStep):
    """What moves elements, adds or collects them.

    Attributes:
        function: The computation.
        paths: Its count. None: the computation itself, which then has coefficients 0 and 1.
        channels: Whether axis 1 has the same channels as in every input.
        adds: Whether it adds or subtracts its inputs.
    """

    function: Callable[..., Tensor]
    paths: Callable[..., Tensor] | None = None
    channels: bool = False
    adds: bool = False

    def count(self, *inputs: Tensor) -> Tensor:
        """The computation, or what stands for it."""
        return (self.paths or self.function)(*inputs)

    def value(self, *inputs: Tensor) -> Tensor:
        """The computation."""
        return self.function(*inputs)


def along(vector: Tensor, output: Tensor, axis: int) -> Tensor:
    """A vector with an entry a unit, spread over an output whose units are numbered by `axis`."""
    shape = [1] * output.dim()
    shape[axis] = -1
    return vector.reshape(shape).expand(output.shape)
