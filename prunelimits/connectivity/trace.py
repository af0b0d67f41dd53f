"""The steps of any model's forward pass, followed by `torch.fx`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from prunelimits.connectivity import known
from prunelimits.connectivity.layer_maps import (
    Convolution,
    Transposed,
    linear_map,
    transposed_map,
)
from prunelimits.connectivity.parameters import ModelParameters, model_parameters
from prunelimits.connectivity.recorder import NotFollowed, Recorder, described
from prunelimits.connectivity.steps import AbstractStep, Elementwise, Source, Structural
from prunelimits.connectivity.traced_call import (
    Argument,
    FollowedParameter,
    FollowedTensor,
    argument,
    called,
    followed_tensors,
    leaves,
    pads_zeros,
    summed,
)
from prunelimits.types import Masks


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
        self.aliases = parameters.aliases
        self.examples = iter(examples)
        self.recorder = Recorder(parameters)
        self.nodes: dict[fx.Node, int] = {}

    def run(self) -> Network:
        values: dict[fx.Node, Any] = {}
        outputs: list[int] = []
        for node in self.graph.graph.nodes:
            self.recorder.node = node
            args: Any = map_arg(node.args, values.__getitem__)
            kwargs: Any = map_arg(node.kwargs, values.__getitem__)
            if node.op == "output":
                outputs = [value.step for value in followed_tensors(args)]
                break
            try:
                values[node] = self._follow(node, list(args), dict(kwargs))
            except NotFollowed:
                raise
            except (RuntimeError, IndexError, AssertionError) as error:
                raise ValueError(f"inputs do not fit at {described(node)}: {error}") from error
            if isinstance(values[node], FollowedTensor):
                self.nodes[node] = values[node].step
        if not outputs:
            raise ValueError("model must return a tensor, or a tuple, list or dict of tensors")
        record = self.recorder
        shapes = [zeros.shape for zeros in record.zeros]
        return Network(record.steps, shapes, outputs, record.parameters, self.graph, self.nodes)

    def _follow(self, node: fx.Node, args: list[Any], kwargs: dict[str, Any]) -> Argument:
        if node.op == "placeholder":
            example = next(self.examples, None)
            if example is None and node.args:
                return node.args[0]
            if example is None:
                return self.recorder.refuse("it has no example in inputs")
            return self.recorder.add(Source(node.name, (), example.to(torch.float64)))
        if node.op == "get_attr":
            return self._attribute(str(node.target))
        if node.op == "call_module":
            module = self.graph.get_submodule(str(node.target))
            return self._module(str(node.target), module, args, kwargs)
        return self._function(node, args, kwargs)

    def _attribute(self, name: str) -> Argument:
        if name in self.aliases:
            return FollowedParameter(self.aliases[name])
        value: object = self.graph
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def _module(
        self, name: str, module: nn.Module, args: list[Any], kwargs: dict[str, Any]
    ) -> Argument:
        record = self.recorder
        x: Argument = args[0] if args else next(iter(kwargs.values()), None)
        if not isinstance(x, FollowedTensor):
            record.refuse("its input is not followed from an input of the model")
        if isinstance(module, nn.Linear):
            return record.layer(name, module, x, -1, linear_map)
        if isinstance(module, Convolution):
            return record.layer(name, module, x, 1, record.convolution(module))
        if isinstance(module, Transposed):
            return record.layer(name, module, x, 1, transposed_map(module))
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            return record.normalise(name, module, x)
        if isinstance(module, known.ACTIVATIONS):
            return record.add(Elementwise(name, (x.step,), module))
        if isinstance(module, known.IDENTITIES):
            return x
        if isinstance(module, known.MOVES):
            return record.add(Structural(name, (x.step,), module))
        if isinstance(module, (nn.Softmax, nn.LogSoftmax)) and module.dim is not None:
            return record.softmax(name, module, x, module.dim)
        if isinstance(module, known.POOLS):
            return record.pool(name, module, x, vars(module))
        if isinstance(module, known.ADAPTIVE_POOLS):
            return record.adaptive_pool(name, module, x)
        return record.refuse(f"modules of type {type(module).__name__} are not known")

    def _function(self, node: fx.Node, args: list[Any], kwargs: dict[str, Any]) -> Argument:
        record = self.recorder
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
            return record.functional_layer(function, name, args, kwargs)
        if any(isinstance(value, (FollowedParameter, Tensor)) for value in leaves([args, kwargs])):
            return record.refuse("it takes a tensor that is not followed from an input")
        x = tensors[0]
        # A call of one tensor, with everything else as it was written.
        call = partial(called, function, args, kwargs)
        if name in known.ACTIVATION_NAMES or (len(tensors) == 1 and name in known.SCALAR_OPERATORS):
            return record.scalar_operator(node, name, call, x)
        if name in known.IDENTITY_NAMES:
            return x
        steps = tuple(value.step for value in tensors)
        if name in ("add", "iadd", "add_") and len(tensors) == 2 and "alpha" not in kwargs:
            return record.add(Structural(node.name, steps, torch.add, adds=True))
        if name in ("sub", "isub", "sub_") and len(tensors) == 2 and "alpha" not in kwargs:
            return record.add(Structural(node.name, steps, torch.sub, torch.add, adds=True))
        if name in known.MOVE_NAMES or (name == "pad" and pads_zeros(args, kwargs)):
            return record.move(node, call, steps, tensors)
        if name in ("mean", "sum"):
            axes = argument(args, kwargs, 1, "dim", None)
            keep = argument(args, kwargs, 2, "keepdim", False)
            sums = partial(summed, axes=axes, keepdim=keep)
            spatial = _only_spatial(axes, x.zeros.dim())
            return record.add(Structural(node.name, steps, call, sums, channels=spatial))
        if name in known.SOFTMAX_NAMES:
            axis = argument(args, kwargs, 1, "dim", None)
            if isinstance(axis, int):
                return record.softmax(node.name, call, x, axis)
        if name in known.POOL_NAMES:
            settings = dict(zip(known.POOL_ARGUMENTS[name[:3]], args[1:], strict=False))
            return record.pool(node.name, call, x, {**settings, **kwargs})
        if name in known.ADAPTIVE_NAMES:
            return record.adaptive_pool(node.name, call, x)
        return record.refuse("this function is not known")


def _only_spatial(axes: Argument, dim: int) -> bool:
    """Whether a reduction leaves the axes of samples and channels alone."""
    reduced = [axes] if isinstance(axes, int) else axes or range(dim)
    return all(axis % dim >= 2 for axis in reduced)


def _examples(graph: fx.GraphModule, inputs: Tensor | tuple[Tensor, ...] | None) -> list[Tensor]:
    """Zeros of each input's shape, with one sample."""
    if inputs is None:
        first = next((m for m in graph.modules() if not list(m.children())), None)
        if not isinstance(first, nn.Linear):
            raise ValueError(
                "inputs is needed: an example of what the model is called with, batch axis first"
            )
        return [torch.zeros(1, first.in_features, device="cpu")]
    result: list[Tensor] = []
    for example in inputs if isinstance(inputs, tuple) else (inputs,):
        if not isinstance(example, Tensor):
            raise TypeError(f"inputs must be a tensor or a tuple of them, got {example!r}")
        if example.dim() < 2 or 0 in example.shape:
            raise ValueError(
                f"inputs must have a batch axis and at least another, got {tuple(example.shape)}"
            )
        result.append(torch.zeros(1, *example.shape[1:], device="cpu"))
    return result
