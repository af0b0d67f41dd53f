# Modules are taken apart and put together here, which torch has no public names for.
# pyright: reportPrivateUsage=false
"""Taking units out of modules, and literal sizes out of a model's code."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from prunelimits.connectivity.cuts import Cut
from prunelimits.connectivity.fewer_heads import FewerHeads
from prunelimits.connectivity.following.exporting import TRACING
from prunelimits.connectivity.following.values import Argument


def cut_modules(model: nn.Module, cuts: Mapping[str, Cut]) -> None:
    """Leaves out, in place, what is not kept of each module by path."""
    for path, cut in cuts.items():
        module = model.get_submodule(path)
        grouped = getattr(module, "groups", 1) != 1
        transposed = isinstance(
            module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
        )
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is None or tensor.dim() == 0:
                    continue
                value = tensor.detach()
                if transposed and grouped and name == "weight":
                    # Its rows are inputs, and its columns the outputs of one group.
                    value = _kept(value, _inputs_of_groups(cut.outputs, module), 0)
                else:
                    value = _kept(value, cut.outputs, int(transposed and name == "weight"))
                if cut.inputs is not None and name == "weight" and not grouped:
                    value = _kept(value, cut.inputs, 0 if transposed else 1)
                if value.shape != tensor.shape:
                    trainable = tensor.requires_grad
                    new: Any = (
                        nn.Parameter(value, trainable) if table is module._parameters else value
                    )
                    table[name] = new
        _name_sizes(module, cut)


def lose_heads(model: nn.Module, heads: Mapping[str, Tensor]) -> None:
    """Puts attention with fewer heads, in place, wherever a module by path is used."""
    for path, kept in heads.items():
        whole = model.get_submodule(path)
        assert isinstance(whole, nn.MultiheadAttention)
        fewer = FewerHeads(whole, kept)
        for module in model.modules():
            for name, part in module._modules.items():
                if part is whole:
                    module._modules[name] = fewer


def _kept(value: Tensor, kept: Tensor, axis: int) -> Tensor:
    return value.index_select(axis, kept.nonzero().flatten().to(value.device))


def _inputs_of_groups(outputs: Tensor, module: Argument) -> Tensor:
    """Which inputs the groups read whose outputs are kept; whole groups are."""
    return outputs.view(module.groups, -1)[:, 0].repeat_interleave(
        module.in_channels // module.groups
    )


def _name_sizes(module: Argument, cut: Cut) -> None:
    """The sizes that a module tells of itself."""
    outputs = int(cut.outputs.sum())
    inputs = None if cut.inputs is None else int(cut.inputs.sum())
    if isinstance(module, nn.Linear):
        module.out_features = outputs
        module.in_features = module.in_features if inputs is None else inputs
    elif isinstance(module, nn.GroupNorm):
        module.num_groups = module.num_groups * outputs // module.num_channels
        module.num_channels = outputs
    elif hasattr(module, "num_features"):
        module.num_features = outputs
    elif module.groups != 1:  # whole groups go, with all that they read
        whole = module.out_channels
        module.groups = module.groups * outputs // whole
        module.in_channels = module.in_channels * outputs // whole
        module.out_channels = outputs
    else:
        module.out_channels = outputs
        module.in_channels = module.in_channels if inputs is None else inputs


class _ThreadTracer(fx.Tracer):
    """A tracer that leaves modules alone that other threads call meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def call_module(
        self, m: Argument, forward: Argument, args: Argument, kwargs: Argument
    ) -> Argument:
        """As `fx.Tracer`, in its own thread."""
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Argument, parameter_proxy_cache: Argument) -> Argument:
        """As `fx.Tracer`, in its own thread."""
        if threading.get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def rewritten(
    core: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> fx.GraphModule | None:
    """The model as a graph whose reshapes take any number of features, channels or heads.

    Reshapes to `(samples, features)`, and those that split the last axis into heads or join them;
    and splits into parts of one size, such as queries, keys and values.

    None: if `torch.fx` cannot follow it, or it is called with arguments by name.
    """
    if kwargs or not all(isinstance(x, Tensor) for x in args):
        return None
    modes = [module.training for module in core.modules()]
    for module in core.modules():
        module.training = False
    tracer = _ThreadTracer()
    try:
        with TRACING:
            graph = tracer.trace(core)
    except Exception:
        return None
    finally:
        for module, mode in zip(core.modules(), modes, strict=True):
            module.training = mode
    result = fx.GraphModule(core, graph)
    shapes = _Shapes(result)
    try:
        with torch.no_grad():
            shapes.run(*args)
    except Exception:
        return None
    for node in list(graph.nodes):
        if node.op not in ("call_method", "call_function") or not node.all_input_nodes:
            continue
        before, after = shapes.found.get(node.all_input_nodes[0]), shapes.found.get(node)
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        if before is not None and name == "split":
            _take_any_parts(node, before)
        if before is None or after is None:
            continue
        joins = len(before) > 2 and len(after) == 2
        if name in ("view", "reshape", "flatten") and joins and before[0] == after[0]:
            with graph.inserting_before(node):
                new = graph.call_function(torch.flatten, (node.all_input_nodes[0], 1))
            node.replace_all_uses_with(new)
            graph.erase_node(node)
        elif name in ("view", "reshape", "unflatten"):
            _take_any_heads(node, name, before, after)
    graph.eliminate_dead_code()
    result.recompile()
    return result


def _take_any_heads(node: fx.Node, name: str, before: torch.Size, after: torch.Size) -> None:
    """Leaves open, in place, how many heads a reshape splits the last axis into, or joins."""
    source, *given = node.args
    first = given[0] if given else None
    if name == "unflatten":
        is_last = first in (-1, len(before) - 1) and len(given) == 2
        if is_last and isinstance(given[1], tuple | list) and len(given[1]) == 2:
            node.args = (source, first, (-1, given[1][1]))
        return
    sizes: list[Any] = list(first) if isinstance(first, tuple | list) else given
    splits = before[:-1] == after[:-2] and len(after) == len(before) + 1
    joins = after[:-1] == before[:-2] and len(before) == len(after) + 1
    if (splits or joins) and len(sizes) == len(after) and -1 not in sizes:
        sizes[-2 if splits else -1] = -1
        node.args = (source, *sizes)


def _take_any_parts(node: fx.Node, before: torch.Size) -> None:
    """Leaves open, in place, how large the parts of a split are where all are alike."""
    sizes = [node.kwargs.get(name) for name in ("split_size", "split_size_or_sections")]
    size = node.args[1] if len(node.args) > 1 else next(filter(None, sizes), None)
    axis = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
    if not node.args or not isinstance(size, int) or not isinstance(axis, int):
        return
    if before[axis] % size:
        return
    node.target = "chunk" if node.op == "call_method" else torch.chunk
    node.args, node.kwargs = (node.args[0], before[axis] // size, axis), {}


class _Shapes(fx.Interpreter):
    """Runs a graph and writes down the shape of every tensor."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[fx.Node, torch.Size] = {}

    def run_node(self, n: fx.Node) -> Argument:
        """As `fx.Interpreter`."""
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.found[n] = result.shape
        return result
