"""The steps of a forward pass as they are recorded, one rule for each kind of operation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeAlias

import torch
from torch import Tensor, fx, nn

from prunelimits.connectivity import known
from prunelimits.connectivity.layer_maps import (
    Convolution,
    LinearMap,
    Transposed,
    convolution_map,
)
from prunelimits.connectivity.parameters import ModelParameters
from prunelimits.connectivity.pooling import adaptive_sums, window_sums
from prunelimits.connectivity.steps import (
    AbstractStep,
    Affine,
    Elementwise,
    Normalise,
    Structural,
)
from prunelimits.connectivity.traced_call import (
    Argument,
    FollowedParameter,
    FollowedTensor,
    called_with_weight,
    mixed,
    nth_result,
)

_BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


class NotFollowed(ValueError):
    """A module or function that is not known."""


class Recorder:
    """The steps so far; every method but `refuse` and `convolution` adds some.

    Attributes:
        parameters: The model's parameters and masks.
        steps: The steps, each after those it reads.
        zeros: For each step its output for inputs of zeros.
        node: The node of the graph that is being followed, for messages.
    """

    def __init__(self, parameters: ModelParameters) -> None:
        self.parameters = parameters
        self.steps: list[AbstractStep] = []
        self.zeros: list[Tensor] = []
        self.node: fx.Node | None = None

    def layer(
        self,
        name: str,
        module: nn.Linear | Convolution | Transposed,
        x: FollowedTensor,
        axis: int,
        linear: LinearMap,
    ) -> FollowedTensor:
        """A linear or convolutional module; `linear` is its map, `axis` that of its units."""
        weight = self._parameter(f"{name}.weight")
        bias = None if module.bias is None else self._parameter(f"{name}.bias")
        return self.affine(name, x, weight, bias, axis, linear)

    def convolution(self, module: Convolution) -> LinearMap:
        """The linear map of a convolution."""
        try:
            return convolution_map(module)
        except ValueError as error:
            return self.refuse(f"{error} is not known")

    def _parameter(self, name: str) -> str:
        return self.parameters.aliases[name]

    def affine(
        self,
        name: str,
        x: FollowedTensor,
        weight: str,
        bias: str | None,
        axis: int,
        linear: LinearMap,
    ) -> FollowedTensor:
        """`linear(x, weight) + bias`, of parameters by name."""
        values, masks = self.parameters.values, self.parameters.masks
        step = Affine(
            name=name,
            inputs=(x.step,),
            weight_name=weight,
            bias_name=bias,
            weight=values[weight],
            bias=None if bias is None else values[bias],
            weight_mask=masks[weight],
            bias_mask=None if bias is None else masks[bias],
            unit_axis=axis,
            linear=linear,
        )
        return self.add(step)

    def normalise(self, name: str, module: _BatchNorm, x: FollowedTensor) -> FollowedTensor:
        """Batch normalisation in evaluation mode."""
        if module.running_mean is None or module.running_var is None:
            self.refuse("without running statistics its output depends on the whole batch")
        values, masks = self.parameters.values, self.parameters.masks
        mean = module.running_mean.detach().to("cpu", torch.float64)
        variance = module.running_var.detach().to("cpu", torch.float64)
        factor = (variance + module.eps).rsqrt()
        scale_name = shift_name = None
        scale, mask = factor, torch.ones_like(factor, dtype=torch.bool)
        shift = -mean * factor
        if module.affine:
            scale_name, shift_name = (self._parameter(f"{name}.{n}") for n in ("weight", "bias"))
            scale, mask = values[scale_name] * factor, masks[scale_name]
            shift = values[shift_name] - mean * scale
        step = Normalise(
            name=name,
            inputs=(x.step,),
            scale_name=scale_name,
            shift_name=shift_name,
            scale=scale,
            shift=shift,
            centred=mean != 0,
            scale_mask=mask,
            shift_mask=None if shift_name is None else masks[shift_name],
        )
        return self.add(step)

    def scalar_operator(
        self, node: fx.Node, name: str, call: Callable[..., Tensor], x: FollowedTensor
    ) -> FollowedTensor:
        """A function of each value by itself."""
        values = [
            call(torch.full((1,), v, dtype=torch.float64, device="cpu"))
            for v in (0.0, 1.0, -2.0, 7.0)
        ]
        if name in known.SCALAR_OPERATORS and all(torch.equal(v, values[0]) for v in values):
            self.refuse("it makes a constant of what it is given")
        return self.add(Elementwise(node.name, (x.step,), call))

    def functional_layer(
        self, function: Callable[..., Any], name: str, args: list[Any], kwargs: dict[str, Any]
    ) -> FollowedTensor:
        """`torch.nn.functional.linear` or a convolution, called with the model's parameters."""
        names = ["input", "weight", "bias", "stride", "padding", "dilation", "groups"]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        x, weight, bias = (given.pop(key, None) for key in names[:3])
        if not isinstance(x, FollowedTensor) or not isinstance(weight, FollowedParameter):
            self.refuse("its weight is not one of the model's parameters")
        if not (bias is None or isinstance(bias, FollowedParameter)):
            self.refuse("its bias is not one of the model's parameters")
        assert self.node is not None
        linear = partial(called_with_weight, function, given)
        bias_name = None if bias is None else bias.name
        axis = -1 if name == "linear" else 1
        return self.affine(self.node.name, x, weight.name, bias_name, axis, linear)

    def move(
        self,
        node: fx.Node,
        call: Callable[..., Any],
        steps: tuple[int, ...],
        tensors: list[FollowedTensor],
    ) -> Argument:
        """A function that only moves values, such as a reshape, with one result or several."""
        result = call(*(value.zeros for value in tensors))
        if isinstance(result, Tensor):
            return self.add(Structural(node.name, steps, call))
        # chunk, split and unbind give several tensors.
        return [
            self.add(Structural(f"{node.name}[{i}]", steps, partial(nth_result, call, i)))
            for i in range(len(result))
        ]

    def softmax(
        self, name: str, call: Callable[..., Tensor], x: FollowedTensor, axis: int
    ) -> FollowedTensor:
        """A function in which all values along an axis meet."""
        return self.add(Structural(name, (x.step,), call, partial(mixed, axis=axis)))

    def pool(
        self, name: str, call: Callable[..., Any], x: FollowedTensor, settings: dict[str, Any]
    ) -> FollowedTensor:
        """Pooling with windows."""
        pooled = call(x.zeros)
        if not isinstance(pooled, Tensor):
            self.refuse("pooling with return_indices is not known")
        sums = partial(
            window_sums,
            output=tuple(pooled.shape[2:]),
            kernel_size=settings["kernel_size"],
            stride=settings.get("stride"),
            padding=settings.get("padding", 0),
            dilation=settings.get("dilation", 1),
        )
        return self.add(Structural(name, (x.step,), call, sums, channels=True))

    def adaptive_pool(
        self, name: str, call: Callable[..., Any], x: FollowedTensor
    ) -> FollowedTensor:
        """Pooling to an output of a given size."""
        pooled = call(x.zeros)
        if not isinstance(pooled, Tensor):
            self.refuse("pooling with return_indices is not known")
        sums = partial(adaptive_sums, output=tuple(pooled.shape[2:]))
        return self.add(Structural(name, (x.step,), call, sums, channels=True))

    def add(self, step: AbstractStep) -> FollowedTensor:
        """Appends a step."""
        zeros = step.value(*(self.zeros[i] for i in step.inputs))
        self.steps.append(step)
        self.zeros.append(torch.zeros_like(zeros))
        return FollowedTensor(len(self.steps) - 1, self.zeros[-1])

    def refuse(self, why: str) -> NoReturn:
        """Raises that the node being followed cannot be."""
        raise NotFollowed(f"cannot follow {described(self.node)}: {why}")


def described(node: fx.Node | None) -> str:
    """A node of the graph as messages name it."""
    if node is None:
        return "the model"
    if node.op == "call_module":
        return f"module {node.target!r}"
    if node.op == "call_method":
        return f"method {node.target!r} ({node.name})"
    if node.op == "call_function":
        return f"function {getattr(node.target, '__name__', node.target)!r} ({node.name})"
    return f"{node.op} {node.target!r}"
