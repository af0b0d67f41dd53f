"""The connected core of a network as a smaller network."""

from __future__ import annotations

import copy
import operator
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from prunelimits.connectivity.constants import fold_constants
from prunelimits.connectivity.flow import find_flow, flow_masks
from prunelimits.connectivity.steps import Affine, Normalise
from prunelimits.connectivity.trace import Network, trace
from prunelimits.connectivity.unit_groups import (
    is_depthwise,
    is_flattening,
    layer_of,
    needed_units,
)
from prunelimits.masks import apply
from prunelimits.models.mlp import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks, Params


@in_plain_modes
def compact(
    model: nn.Module,
    masks: Masks | None = None,
    *,
    inputs: Tensor | tuple[Tensor, ...] | None = None,
    keep_constants: bool = False,
) -> nn.Module:
    """A smaller plain network that computes the same: units and channels that count for nothing go.

    Constants are folded first, as by `fold_constants`. What is left of a layer without any unit is
    one unit with zero weights: a network without any path is a constant. Inputs and outputs stay.

    Args:
        model: Any model that `effective_masks` follows; it stays as it is.
        masks: As for `effective_masks`.
        inputs: As for `effective_masks`.
        keep_constants: For training: only units that cannot change an output go. A unit without
            live inputs but with a trainable bias learns, and stays.

    Returns:
        An `MLP` for an `MLP`, an `nn.Sequential` with the same names for one of plain layers, else
        a `torch.fx.GraphModule`; in the mode, dtype and on the device of the model. Parameters are
        copies, zero where the masks prune.

    Raises:
        ValueError: As for `effective_masks`.
        TypeError: As for `effective_masks`.

    Examples:
        >>> model = MLP((2, 16, 16, 1))
        >>> masks = {n: torch.zeros_like(p).bool() for n, p in model.named_parameters()}
        >>> for name in masks:
        ...     masks[name].flatten()[:3] = True
        >>> compact(model, masks)
        MLP(
          widths=(2, 2, 1, 1)
          (layers): ModuleList(
            (0): Linear(in_features=2, out_features=2, bias=True)
            (1): Linear(in_features=2, out_features=1, bias=True)
            (2): Linear(in_features=1, out_features=1, bias=True)
          )
        )
    """
    if keep_constants:
        network = trace(model, masks, inputs)
        folded = network.parameters.values
    else:
        folded, masks = fold_constants(model, masks, inputs=inputs)
        network = trace(model, masks, inputs)
    flow = find_flow(network)
    left = flow_masks(network, flow, keep_constants=True)
    own = next(model.parameters())
    params = {name: v.to(own) for name, v in apply(dict(folded), left).items()}
    core = _Core(network, params, needed_units(network, flow))
    return _like(model, core).train(model.training)


class _Core:
    """The layers of the network with the units that are needed, by module path."""

    def __init__(self, network: Network, params: Params, needed: list[Tensor]) -> None:
        self.network = network
        self.layers: dict[str, nn.Module] = {}
        for number, step in enumerate(network.steps):
            if isinstance(step, Affine | Normalise):
                self._add_layer(number, step, params, needed)
        self.params = params

    def _add_layer(
        self, number: int, step: Affine | Normalise, params: Params, needed: list[Tensor]
    ) -> None:
        node = next(n for n, place in self.network.nodes.items() if place == number)
        if node.op != "call_module":
            return
        path = str(node.target)
        module = self.network.graph.get_submodule(path)
        units, inputs = needed[number], needed[step.inputs[0]]
        sliceable = layer_of(self.network, number) is not None
        tensors: dict[str, Tensor] = {}
        if isinstance(step, Affine):
            weight = params[step.weight_name]
            if sliceable and isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
                if module.weight.shape[0] == len(units):
                    weight = weight[units.to(weight.device)]
                if not is_depthwise(module) and weight.shape[1] == len(inputs):
                    weight = weight[:, inputs.to(weight.device)]
            tensors["weight"] = weight
            names = {"bias": step.bias_name}
        else:
            names = {"weight": step.scale_name, "bias": step.shift_name}
            for name, buffer in _statistics(module).items():
                kept = sliceable and buffer.dim() == 1
                tensors[name] = buffer[units.to(buffer.device)] if kept else buffer
        for attribute, name in names.items():
            if name is not None:
                value = params[name]
                whole = not sliceable or len(value) != len(units)
                tensors[attribute] = value if whole else value[units.to(value.device)]
        self.layers[path] = _with_tensors(module, tensors)


def _statistics(module: nn.Module) -> dict[str, Tensor]:
    return {name: b.detach() for name, b in module.named_buffers() if not name.endswith("_mask")}


def _with_tensors(module: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    """A new layer with the settings of another one and these tensors, whose sizes it takes."""
    # On the meta device nothing is drawn from the global random state.
    with torch.device("meta"):
        result = _sized(module, tensors)
    for name, value in tensors.items():
        if name in dict(result.named_parameters()):
            setattr(result, name, nn.Parameter(value.detach().clone()))
        else:
            result.register_buffer(name, value.clone())
    return result.train(module.training)


def _sized(module: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    bias = "bias" in tensors
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        kind = _base(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d))
        return kind(len(tensors["running_mean"]), module.eps, module.momentum, affine=bias)
    shape = tensors["weight"].shape
    if isinstance(module, nn.Linear):
        return nn.Linear(shape[1], shape[0], bias=bias)
    settings = {
        name: getattr(module, name)
        for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    }
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        kind = _base(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
        groups = shape[0] if is_depthwise(module) else module.groups
        return kind(shape[1] * groups, shape[0], groups=groups, bias=bias, **settings)
    assert isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    kind = _base(module, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
    settings |= {"output_padding": module.output_padding, "groups": module.groups}
    return kind(shape[0], shape[1] * module.groups, bias=bias, **settings)


def _base(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Callable[..., nn.Module]:
    """The class of torch itself: a subclass may want other arguments."""
    return next(kind for kind in kinds if isinstance(module, kind))


def _like(model: nn.Module, core: _Core) -> nn.Module:
    if isinstance(model, MLP):
        state: Params = {}
        for path, layer in core.layers.items():
            state |= {f"{path}.{n}": p for n, p in layer.named_parameters()}
        weights = [state[f"{path}.weight"] for path in core.layers]
        widths = [weights[0].shape[1], *(len(weight) for weight in weights)]
        return MLP.from_params(widths, state)
    plain = type(model) is nn.Sequential and all(n.op != "call_method" for n in core.network.nodes)
    if plain and not any("." in path for path in core.layers):
        return nn.Sequential(
            OrderedDict(
                (name, core.layers.get(name) or copy.deepcopy(module))
                for name, module in model.named_children()
            )
        )
    return _graph_module(core)


def _graph_module(core: _Core) -> fx.GraphModule:
    graph, network = fx.Graph(), core.network
    attributes: dict[str, Any] = {}
    copies: dict[fx.Node, Any] = {}
    for node in network.graph.graph.nodes:
        number = network.nodes.get(node)
        if number is not None and node.op.startswith("call_") and is_flattening(network, number):
            # A view may name the number of features, which is another one now.
            source = next(arg for arg in node.all_input_nodes if arg in network.nodes)
            copies[node] = graph.call_function(torch.flatten, (copies[source], 1))
            continue
        copies[node] = graph.node_copy(node, copies.__getitem__)
        target = str(node.target)
        if node.op == "call_module":
            module = network.graph.get_submodule(target)
            attributes[target] = core.layers.get(target) or copy.deepcopy(module)
        elif node.op == "get_attr":
            attributes[target] = _attribute(core, target)
    result = fx.GraphModule(attributes, graph)
    # The sizes that a replaced view read are no longer used.
    graph.eliminate_dead_code()
    result.recompile()
    return result


def _attribute(core: _Core, target: str) -> object:
    aliases = core.network.parameters.aliases
    if target in aliases:
        return nn.Parameter(core.params[aliases[target]].detach().clone())
    return copy.deepcopy(operator.attrgetter(target)(core.network.graph))
