"""The steps of any model's forward pass, followed by `torch.fx`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeAlias, cast

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from prunelimits.connectivity import known
from prunelimits.connectivity.layer_maps import (
    Convolution,
    LinearMap,
    Transposed,
    convolution_map,
    linear_map,
    transposed_map,
)
from prunelimits.connectivity.parameters import ModelParameters, model_parameters
from prunelimits.connectivity.pooling import adaptive_sums, window_sums
from prunelimits.connectivity.steps import (
    AbstractStep,
    Affine,
    Elementwise,
    Normalise,
    Source,
    Structural,
)
from prunelimits.connectivity.traced_call import (
    Argument,
    FollowedParameter,
    FollowedTensor,
    argument,
    called,
    called_with_weight,
    followed_tensors,
    leaves,
    mixed,
    nth_result,
    pads_zeros,
    summed,
)
from prunelimits.types import Masks

_BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


@dataclass(frozen=True)
class Network:
    """The steps of a forward pass, each after those it reads.

    Attributes:
        steps: The steps.
        shapes: The shape of each step's output, for one sample.
        outputs: The numbers of the steps that are outputs.
        parameters: The parameters and masks.
        graph: The traced module, which shares the model's submodules.
        nodes: The node of the graph -> the number of its step.
    """

    steps: list[AbstractStep]
    shapes: list[torch.Size]
    outputs: list[int]
    parameters: ModelParameters
    graph: fx.GraphModule
    nodes: dict[fx.Node, int]


def trace(
    model: nn.Module, masks: Masks | None, inputs: Tensor | tuple[Tensor, ...] | None
) -> Network:
    """Follows the model's forward pass in evaluation mode; the model stays as it is.

    Args:
        model: The model.
        masks: Name -> bool of its parameters. None: zeros are the mask.
        inputs: An example of what the model is called with, batch axis first; only shapes count.
            None: enough if the first layer is linear.

    Raises:
        ValueError: If a module or function cannot be followed, which the message names, if
            `inputs` is missing or does not fit, or masks or parameters are bad.
        TypeError: If `model` is no module, a mask no bool tensor or an input no tensor.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    parameters = model_parameters(model, masks)
    if isinstance(model, fx.GraphModule):
        graph = model
    else:
        try:
            graph = fx.symbolic_trace(model)
        except Exception as error:
            raise ValueError(
                f"model {type(model).__name__} cannot be followed by torch.fx: {error}"
            ) from error
    return _Tracer(graph, parameters, _examples(graph, inputs)).run()


class _Tracer:
    def __init__(
        self, graph: fx.GraphModule, parameters: ModelParameters, examples: list[Tensor]
    ) -> None:
        self.graph = graph
        self.parameters = parameters
        self.examples = iter(examples)
        self.steps: list[AbstractStep] = []
        self.zeros: list[Tensor] = []
        self.nodes: dict[fx.Node, int] = {}
        self.node: fx.Node | None = None

    def run(self) -> Network:
        values: dict[fx.Node, Any] = {}
        outputs: list[int] = []
        for node in self.graph.graph.nodes:
            self.node = node
            args: Any = map_arg(node.args, values.__getitem__)
            kwargs: Any = map_arg(node.kwargs, values.__getitem__)
            if node.op == "output":
                outputs = [value.step for value in followed_tensors(args)]
                break
            try:
                values[node] = self._follow(node, list(args), dict(kwargs))
            except _NotFollowed:
                raise
            except (RuntimeError, IndexError, AssertionError) as error:
                raise ValueError(f"inputs do not fit at {_described(node)}: {error}") from error
            if isinstance(values[node], FollowedTensor):
                self.nodes[node] = values[node].step
        if not outputs:
            raise ValueError("model must return a tensor, or a tuple, list or dict of tensors")
        shapes = [zeros.shape for zeros in self.zeros]
        return Network(self.steps, shapes, outputs, self.parameters, self.graph, self.nodes)

    def _follow(self, node: fx.Node, args: list[Any], kwargs: dict[str, Any]) -> Argument:
        if node.op == "placeholder":
            example = next(self.examples, None)
            if example is None:
                return node.args[0] if node.args else self._refuse("it has no example in inputs")
            return self._add(Source(node.name, (), example.to(torch.float64)))
        if node.op == "get_attr":
            return self._attribute(str(node.target))
        if node.op == "call_module":
            module = self.graph.get_submodule(str(node.target))
            return self._module(str(node.target), module, args, kwargs)
        return self._function(node, args, kwargs)

    def _attribute(self, name: str) -> Argument:
        if name in self.parameters.aliases:
            return FollowedParameter(self.parameters.aliases[name])
        value: object = self.graph
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def _module(
        self, name: str, module: nn.Module, args: list[Any], kwargs: dict[str, Any]
    ) -> Argument:
        x: Argument = args[0] if args else next(iter(kwargs.values()), None)
        if not isinstance(x, FollowedTensor):
            self._refuse("its input is not followed from an input of the model")
        if isinstance(module, nn.Linear):
            return self._layer(name, module, x, -1, linear_map)
        if isinstance(module, Convolution):
            return self._layer(name, module, x, 1, self._convolution(module))
        if isinstance(module, Transposed):
            return self._layer(name, module, x, 1, transposed_map(module))
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            return self._normalise(name, module, x)
        if isinstance(module, known.ACTIVATIONS):
            return self._add(Elementwise(name, (x.step,), module))
        if isinstance(module, known.IDENTITIES):
            return x
        if isinstance(module, known.MOVES):
            return self._add(Structural(name, (x.step,), module))
        if isinstance(module, (nn.Softmax, nn.LogSoftmax)) and module.dim is not None:
            return self._softmax(name, module, x, module.dim)
        if isinstance(module, known.POOLS):
            return self._pool(name, module, x, vars(module))
        if isinstance(module, known.ADAPTIVE_POOLS):
            return self._adaptive_pool(name, module, x)
        return self._refuse(f"modules of type {type(module).__name__} are not known")

    def _layer(
        self,
        name: str,
        module: nn.Linear | Convolution | Transposed,
        x: FollowedTensor,
        axis: int,
        linear: LinearMap,
    ) -> FollowedTensor:
        weight = self._parameter(f"{name}.weight")
        bias = None if module.bias is None else self._parameter(f"{name}.bias")
        return self._affine(name, x, weight, bias, axis, linear)

    def _convolution(self, module: Convolution) -> LinearMap:
        try:
            return convolution_map(module)
        except ValueError as error:
            return self._refuse(f"{error} is not known")

    def _parameter(self, name: str) -> str:
        return self.parameters.aliases[name]

    def _affine(
        self,
        name: str,
        x: FollowedTensor,
        weight: str,
        bias: str | None,
        axis: int,
        linear: LinearMap,
    ) -> FollowedTensor:
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
        return self._add(step)

    def _normalise(self, name: str, module: _BatchNorm, x: FollowedTensor) -> FollowedTensor:
        if module.running_mean is None or module.running_var is None:
            self._refuse("without running statistics its output depends on the whole batch")
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
        return self._add(step)

    def _function(self, node: fx.Node, args: list[Any], kwargs: dict[str, Any]) -> Argument:
        if node.op == "call_method":
            name = str(node.target)
            function: Callable[..., Any] = getattr(torch.Tensor, name)
        else:
            function = cast("Callable[..., Any]", node.target)
            name = function.__name__
        tensors = followed_tensors([args, kwargs])
        if not tensors or name in known.SHAPE_NAMES:
            return called(function, args, kwargs, *(value.zeros for value in tensors))
        if name in ("linear", "conv1d", "conv2d", "conv3d"):
            return self._functional_layer(function, name, args, kwargs)
        if any(isinstance(value, (FollowedParameter, Tensor)) for value in leaves([args, kwargs])):
            return self._refuse("it takes a tensor that is not followed from an input")
        x = tensors[0]
        # A call of one tensor, with everything else as it was written.
        call = partial(called, function, args, kwargs)
        if name in known.ACTIVATION_NAMES or (len(tensors) == 1 and name in known.SCALAR_OPERATORS):
            return self._scalar_operator(node, name, call, x)
        if name in known.IDENTITY_NAMES:
            return x
        steps = tuple(value.step for value in tensors)
        if name in ("add", "iadd", "add_") and len(tensors) == 2 and "alpha" not in kwargs:
            return self._add(Structural(node.name, steps, torch.add, adds=True))
        if name in ("sub", "isub", "sub_") and len(tensors) == 2 and "alpha" not in kwargs:
            return self._add(Structural(node.name, steps, torch.sub, torch.add, adds=True))
        if name in known.MOVE_NAMES or (name == "pad" and pads_zeros(args, kwargs)):
            return self._move(node, call, steps, tensors)
        if name in ("mean", "sum"):
            axes = argument(args, kwargs, 1, "dim", None)
            keep = argument(args, kwargs, 2, "keepdim", False)
            sums = partial(summed, axes=axes, keepdim=keep)
            spatial = _only_spatial(axes, x.zeros.dim())
            return self._add(Structural(node.name, steps, call, sums, channels=spatial))
        if name in known.SOFTMAX_NAMES:
            axis = argument(args, kwargs, 1, "dim", None)
            if isinstance(axis, int):
                return self._softmax(node.name, call, x, axis)
        if name in known.POOL_NAMES:
            settings = dict(zip(known.POOL_ARGUMENTS[name[:3]], args[1:], strict=False))
            return self._pool(node.name, call, x, {**settings, **kwargs})
        if name in known.ADAPTIVE_NAMES:
            return self._adaptive_pool(node.name, call, x)
        return self._refuse("this function is not known")

    def _scalar_operator(
        self, node: fx.Node, name: str, call: Callable[..., Tensor], x: FollowedTensor
    ) -> FollowedTensor:
        values = [call(torch.full((1,), v, dtype=torch.float64)) for v in (0.0, 1.0, -2.0, 7.0)]
        if name in known.SCALAR_OPERATORS and all(torch.equal(v, values[0]) for v in values):
            self._refuse("it makes a constant of what it is given")
        return self._add(Elementwise(node.name, (x.step,), call))

    def _functional_layer(
        self, function: Callable[..., Any], name: str, args: list[Any], kwargs: dict[str, Any]
    ) -> FollowedTensor:
        names = ["input", "weight", "bias", "stride", "padding", "dilation", "groups"]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        x, weight, bias = (given.pop(key, None) for key in names[:3])
        if not isinstance(x, FollowedTensor) or not isinstance(weight, FollowedParameter):
            self._refuse("its weight is not one of the model's parameters")
        if not (bias is None or isinstance(bias, FollowedParameter)):
            self._refuse("its bias is not one of the model's parameters")
        assert self.node is not None
        linear = partial(called_with_weight, function, given)
        bias_name = None if bias is None else bias.name
        axis = -1 if name == "linear" else 1
        return self._affine(self.node.name, x, weight.name, bias_name, axis, linear)

    def _move(
        self,
        node: fx.Node,
        call: Callable[..., Any],
        steps: tuple[int, ...],
        tensors: list[FollowedTensor],
    ) -> Argument:
        result = call(*(value.zeros for value in tensors))
        if isinstance(result, Tensor):
            return self._add(Structural(node.name, steps, call))
        # chunk, split and unbind give several tensors.
        return [
            self._add(Structural(f"{node.name}[{i}]", steps, partial(nth_result, call, i)))
            for i in range(len(result))
        ]

    def _softmax(
        self, name: str, call: Callable[..., Tensor], x: FollowedTensor, axis: int
    ) -> FollowedTensor:
        return self._add(Structural(name, (x.step,), call, partial(mixed, axis=axis)))

    def _pool(
        self, name: str, call: Callable[..., Any], x: FollowedTensor, settings: dict[str, Any]
    ) -> FollowedTensor:
        pooled = call(x.zeros)
        if not isinstance(pooled, Tensor):
            self._refuse("pooling with return_indices is not known")
        sums = partial(
            window_sums,
            output=tuple(pooled.shape[2:]),
            kernel_size=settings["kernel_size"],
            stride=settings.get("stride"),
            padding=settings.get("padding", 0),
            dilation=settings.get("dilation", 1),
        )
        return self._add(Structural(name, (x.step,), call, sums, channels=True))

    def _adaptive_pool(
        self, name: str, call: Callable[..., Any], x: FollowedTensor
    ) -> FollowedTensor:
        pooled = call(x.zeros)
        if not isinstance(pooled, Tensor):
            self._refuse("pooling with return_indices is not known")
        sums = partial(adaptive_sums, output=tuple(pooled.shape[2:]))
        return self._add(Structural(name, (x.step,), call, sums, channels=True))

    def _add(self, step: AbstractStep) -> FollowedTensor:
        zeros = step.value(*(self.zeros[i] for i in step.inputs))
        self.steps.append(step)
        self.zeros.append(torch.zeros_like(zeros))
        return FollowedTensor(len(self.steps) - 1, self.zeros[-1])

    def _refuse(self, why: str) -> NoReturn:
        raise _NotFollowed(f"cannot follow {_described(self.node)}: {why}")


def _only_spatial(axes: Argument, dim: int) -> bool:
    """Whether a reduction leaves the axes of samples and channels alone."""
    reduced = [axes] if isinstance(axes, int) else axes or range(dim)
    return all(axis % dim >= 2 for axis in reduced)


class _NotFollowed(ValueError):
    """A module or function that is not known."""


def _described(node: fx.Node | None) -> str:
    if node is None:
        return "the model"
    if node.op == "call_module":
        return f"module {node.target!r}"
    if node.op == "call_method":
        return f"method {node.target!r} ({node.name})"
    if node.op == "call_function":
        return f"function {getattr(node.target, '__name__', node.target)!r} ({node.name})"
    return f"{node.op} {node.target!r}"


def _examples(graph: fx.GraphModule, inputs: Tensor | tuple[Tensor, ...] | None) -> list[Tensor]:
    """Zeros of each input's shape, with one sample."""
    if inputs is None:
        first = next((m for m in graph.modules() if not list(m.children())), None)
        if not isinstance(first, nn.Linear):
            raise ValueError(
                "inputs is needed: an example of what the model is called with, batch axis first"
            )
        return [torch.zeros(1, first.in_features)]
    result: list[Tensor] = []
    for example in inputs if isinstance(inputs, tuple) else (inputs,):
        if not isinstance(example, Tensor):
            raise TypeError(f"inputs must be a tensor or a tuple of them, got {example!r}")
        if example.dim() < 2 or 0 in example.shape:
            raise ValueError(
                f"inputs must have a batch axis and at least another, got {tuple(example.shape)}"
            )
        result.append(torch.zeros(1, *example.shape[1:]))
    return result
