# Modules are taken apart and put together here, which torch has no public names for.
# pyright: reportPrivateUsage=false
"""A model's forward pass as a graph of torch's own operations, by `torch.export`."""

from __future__ import annotations

import dataclasses
import logging
import operator
import threading
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx.experimental import proxy_tensor
from torch.nn.utils import prune
from torch.utils import _pytree as pytree

from prunelimits.connectivity.following.failing import why_not_exported
from prunelimits.connectivity.following.in_place import functional_forms
from prunelimits.connectivity.following.table import aten
from prunelimits.connectivity.following.values import Argument
from prunelimits.modes import differentiable
from prunelimits.structure import copied
from prunelimits.versions import export_decompositions

# Checks that a graph carries: nothing comes out of them, and types are other ones here.
CHECKS = aten("_assert_tensor_metadata", "_assert_async", "_assert_scalar")

# torch.export and torch.fx change torch.nn.Module itself while they trace: one thread at a time.
TRACING = threading.RLock()


def export(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ExportedProgram:
    """The forward pass in evaluation mode, in operations; the model stays as it is.

    Raises:
        ValueError: If torch cannot export the model, with its reason, or is too old.
    """
    export_decompositions()  # before anything is done
    twin = evaluation_copy(model)
    twin.register_forward_hook(_opened_output)
    with (
        TRACING, _other_threads_untraced(), unlogged(), warnings.catch_warnings(), torch.no_grad()
    ):  # fmt: skip
        warnings.simplefilter("ignore")
        state = torch.random.get_rng_state()
        try:
            return torch.export.export(twin, args, kwargs, strict=False)
        except Exception as error:
            raise ValueError(why_not_exported(model, twin, args, kwargs, error)) from error
        finally:
            torch.random.set_rng_state(state)


def decomposed(program: ExportedProgram, known: Mapping[Any, object]) -> ExportedProgram:
    """The program in fewer kinds of operations; those that are known stay whole."""
    if is_plain(program, known):
        return program
    with TRACING, _other_threads_untraced(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        table = export_decompositions()
        for operation in known:
            table.pop(operation, None)
        return program.run_decompositions(table)


def is_plain(program: ExportedProgram, known: Mapping[Any, object]) -> bool:
    """Whether a program can be read as it is, which saves as long as an export takes.

    It can if all that inputs or parameters reach is done by known operations, and what is written
    over is read no more.
    """
    written = functional_forms(program.graph, known)
    kinds = {spec.arg.name: spec.kind for spec in program.graph_signature.input_specs}
    fixed: set[fx.Node] = set()
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if kinds[node.name] in (InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
                fixed.add(node)
        elif node.op == "get_attr":
            return False
        elif node.op == "call_function":
            schema = getattr(node.target, "_schema", None)
            is_fixed = all(i in fixed for i in node.all_input_nodes)
            if is_fixed:
                fixed.add(node)
            if node.target is operator.getitem or node in written or node.target in CHECKS:
                continue
            if schema is None or schema.is_mutable or not (is_fixed or node.target in known):
                return False
    return True


def evaluation_copy(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode that shares the tensors, with what torch pruned made plain."""
    twin = plain_copy(model)
    for module in twin.modules():
        # A graph that torch exported has no modes, and refuses to be put into one.
        module.training = False
    return twin


def plain_copy(model: nn.Module) -> nn.Module:
    """A copy that shares the tensors, with what torch pruned made plain."""
    shared: dict[int, Any] = {}
    for module in model.modules():
        own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
        # Plain attributes too: deepcopy refuses tensors with a history.
        for value in (*own, *vars(module).values()):
            if isinstance(value, Tensor):
                shared[id(value)] = _differentiable(value)
    with TRACING, warnings.catch_warnings():
        # Graphs that torch exported hold types that it warns of itself.
        warnings.simplefilter("ignore", FutureWarning)
        twin = copied(model, shared)
    for module in twin.modules():
        for key, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, prune.BasePruningMethod):
                _make_plain(module, key, hook)
    return twin


def _differentiable(value: Tensor) -> Tensor:
    """The tensor itself, or a copy where it was made in inference mode."""
    if isinstance(value, nn.Parameter) and value.is_inference():
        return nn.Parameter(value.detach().clone(), requires_grad=value.requires_grad)
    # What was computed keeps its number, and not what it was computed from.
    return differentiable(value if value.is_leaf else value.detach())


def _make_plain(module: nn.Module, key: int, hook: Argument) -> None:
    """The parameter as it was named before pruning: `compute_weight` without its hook."""
    name = hook._tensor_name
    value = hook.apply_mask(module).detach()
    del module._forward_pre_hooks[key]
    original = module._parameters.pop(f"{name}_orig")
    module._buffers.pop(f"{name}_mask")
    vars(module).pop(name, None)
    trainable = original is None or original.requires_grad
    module.register_parameter(name, nn.Parameter(value, requires_grad=trainable))


@contextmanager
def unlogged() -> Generator[None]:
    """What torch logs of a failure, traceback and all: the error that is raised says it."""
    own = threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != own

    # Each part of torch has a logger with a handler of its own.
    loggers = [logging.getLogger(n) for n in logging.root.manager.loggerDict if n[:5] == "torch"]
    handlers = [handler for logger in loggers for handler in logger.handlers]
    for handler in handlers:
        handler.addFilter(of_others)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(of_others)


@contextmanager
def _other_threads_untraced() -> Generator[None]:
    """Modules that other threads call meanwhile are theirs, and not part of what is traced.

    The tracer replaces `nn.Module.__call__` for all threads and refuses modules it does not know.
    """
    tracer: Any = proxy_tensor._ModuleStackTracer
    call_module, getattr_ = tracer.call_module, tracer.getattr
    own = threading.get_ident()

    def call(
        self: Argument, m: Argument, forward: Argument, args: Argument, kwargs: Argument
    ) -> Argument:
        if threading.get_ident() != own:
            return forward(*args, **kwargs)
        return call_module(self, m, forward, args, kwargs)

    def get(self: Argument, attr: str, value: Argument, cache: Argument) -> Argument:
        if threading.get_ident() != own:
            return value
        return getattr_(self, attr, value, cache)

    tracer.call_module, tracer.getattr = call, get
    try:
        yield
    finally:
        tracer.call_module, tracer.getattr = call_module, getattr_


def flat_tensors(tree: object) -> list[Tensor]:
    """The tensors in nested containers, dataclasses among them, in torch's order."""
    return [leaf for leaf in pytree.tree_leaves(opened(tree)) if isinstance(leaf, Tensor)]


def opened(tree: Argument) -> Argument:
    """The same with dicts for dataclasses and mappings that torch knows nothing of."""

    def of_leaf(leaf: Argument) -> Argument:
        if isinstance(leaf, Mapping):
            return {name: opened(value) for name, value in leaf.items()}
        if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
            return {f.name: opened(getattr(leaf, f.name)) for f in dataclasses.fields(leaf)}
        return leaf

    return pytree.tree_map(of_leaf, tree)


def _opened_output(module: nn.Module, args: Argument, output: Argument) -> Argument:
    return opened(output)


__all__ = ["TRACING", "decomposed", "evaluation_copy", "export", "flat_tensors", "fx", "unlogged"]
