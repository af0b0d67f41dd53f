# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""The steps of a model's forward pass, whatever its masks."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils import _pytree as pytree

from prunelimits.connectivity.following.bad_constants import refuse_bad_constants
from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.complex_numbers import (
    Complex,
    follow_complex,
    is_complex_call,
)
from prunelimits.connectivity.following.exporting import CHECKS, decomposed
from prunelimits.connectivity.following.failing import refuse_unknown_shapes
from prunelimits.connectivity.following.in_place import functional_forms
from prunelimits.connectivity.following.recording import Followed, LayerUse, Recorder, double
from prunelimits.connectivity.following.rules import RULES
from prunelimits.connectivity.following.steps import AbstractStep, Parameter
from prunelimits.connectivity.following.values import Argument

# What is written over comes back too: a buffer at the next call, an input to who gave it.
_OUTPUTS = (OutputKind.USER_OUTPUT, OutputKind.BUFFER_MUTATION, OutputKind.USER_INPUT_MUTATION)


@dataclass(frozen=True)
class Network:
    """The steps of a forward pass, each after those it reads.

    Attributes:
        steps: The steps.
        outputs: The numbers of the steps that are outputs.
        layers: The uses of weights, in order.
        unknown: The operations without a rule, of which the worst is assumed.
        samples: How many rows of the inputs are samples that never meet.
    """

    steps: list[AbstractStep]
    outputs: list[int]
    layers: list[LayerUse]
    unknown: tuple[str, ...]
    samples: int = 1

    @cached_property
    def parameters(self) -> dict[str, int]:
        """The parameters that the forward pass reads: name -> the number of its step."""
        return {step.name: n for n, step in enumerate(self.steps) if is_parameter(step)}


def is_parameter(step: AbstractStep) -> bool:
    """Whether a step is a parameter."""
    return isinstance(step, Parameter)


def read_program(program: ExportedProgram, names: Mapping[str, str]) -> Network:
    """The steps of an exported program.

    Args:
        program: The program.
        names: Every name of a parameter -> the name it is kept under.

    Raises:
        ValueError: If the program gives no tensor, or a size in it depends on values.
    """
    refuse_unknown_shapes(program)
    return _Reader(decomposed(program, RULES), names).run()


class _Reader:
    def __init__(self, program: ExportedProgram, names: Mapping[str, str]) -> None:
        self.program = program
        self.names = names
        self.record = Recorder()
        self.values: dict[fx.Node, Any] = {}
        self.held = {s.arg.name: s.target or "" for s in program.graph_signature.input_specs}
        self.parameters: dict[str, Followed] = {}
        self.written = functional_forms(program.graph, RULES)

    def run(self) -> Network:
        signature = self.program.graph_signature
        kinds = {spec.arg.name: spec for spec in signature.input_specs}
        # What the forward pass writes into a buffer comes back at the next call.
        written = set(signature.buffers_to_mutate.values())
        outputs: list[int] = []
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self._input(node, kinds[node.name], written)
            elif node.op == "get_attr":
                self.values[node] = operator.attrgetter(str(node.target))(self.program.graph_module)
            elif node.op == "call_function":
                self.values[node] = self._call(node)
            elif node.op == "output":
                outputs = self._outputs(node)
        if not outputs:
            raise ValueError("model must return a tensor, or tensors in tuples, lists or dicts")
        record = self.record
        unknown = tuple(sorted(set(record.unknown)))
        return Network(record.steps, outputs, record.layers, unknown)

    def _input(self, node: fx.Node, spec: Argument, written: set[str]) -> Argument:
        example: Any = node.meta.get("val")
        if spec.kind is InputKind.PARAMETER:
            name = self.names.get(spec.target, spec.target)
            if name not in self.parameters:
                self.parameters[name] = self.record.parameter(name, example.shape, example.dtype)
            return self.parameters[name]
        if spec.kind is InputKind.BUFFER and spec.target not in written:
            if spec.persistent:
                return _held(self.program.state_dict[spec.target])
            return _held(self.program.constants[spec.target])
        if spec.kind is InputKind.CONSTANT_TENSOR:
            return _held(self.program.constants[spec.target])
        if spec.kind is InputKind.TOKEN:
            return None
        if isinstance(example, Tensor) and example.is_complex():
            parts = [
                self.record.source(f"{part} part of {node.name}", example.shape, torch.float64)
                for part in ("real", "imaginary")
            ]
            return Complex(*parts)
        if isinstance(example, Tensor):
            return self.record.source(node.name, example.shape, example.dtype)
        # An int, a bool or a text is what it was in the example.
        return getattr(spec.arg, "value", example)

    def _outputs(self, node: fx.Node) -> list[int]:
        specs = self.program.graph_signature.output_specs
        given: Any = node.args[0]
        result: list[int] = []
        for spec, out in zip(specs, given, strict=True):
            kept = spec.kind in _OUTPUTS
            value = self.values.get(out) if isinstance(out, fx.Node) else None
            for part in (value.real, value.imag) if isinstance(value, Complex) else (value,):
                if kept and isinstance(part, Tensor):
                    result.append(self.record.constant(part).step)
                elif kept and isinstance(part, Followed):
                    result.append(part.step)
        return result

    def _call(self, node: fx.Node) -> Argument:
        args, kwargs = pytree.tree_map(
            lambda leaf: self.values[leaf] if isinstance(leaf, fx.Node) else leaf,
            (tuple(node.args), dict(node.kwargs)),
        )
        function: Any = self.written.get(node, node.target)
        if function is operator.getitem:
            return args[0][args[1]]
        if function in CHECKS:
            return None
        leaves = pytree.tree_leaves((args, kwargs))
        random = torch.Tag.nondeterministic_seeded in getattr(function, "tags", ())
        is_fixed = not any(isinstance(leaf, Followed | Complex) for leaf in leaves)
        if random and is_fixed:
            shapes = _shapes(node)
            drawn = [self.record.source(node.name, *shape) for shape in shapes]
            return drawn if len(drawn) != 1 else drawn[0]
        if is_fixed:
            return _evaluated(function, args, kwargs)
        refuse_bad_constants(node, function, self.values, self.held)
        read = [n.meta.get("val") for n in node.all_input_nodes]
        ordered = all(x.is_contiguous() for x in read if isinstance(x, Tensor))
        call = Call(node.name, function, args, kwargs, _shapes(node), self.record, ordered)
        if is_complex_call(call):
            return _as_given(follow_complex(call), node.meta.get("val"))
        rule = RULES.get(function)
        if rule is not None:
            return rule(call)
        return _as_given(call.unknown(), node.meta.get("val"))


def _as_given(found: Argument, example: Argument) -> Argument:
    """The list that an unknown operation gives, with None for what is no tensor."""
    if not isinstance(example, tuple | list):
        return found
    given = iter(found if isinstance(found, list) else [found])
    return [next(given, None) if isinstance(x, Tensor) else None for x in example]


def _shapes(node: fx.Node) -> list[tuple[torch.Size, torch.dtype]]:
    leaves = pytree.tree_leaves(node.meta.get("val"))
    return [(leaf.shape, leaf.dtype) for leaf in leaves if isinstance(leaf, Tensor)]


def _held(value: Argument) -> Tensor:
    # A copy would cost its size again: buffers are read and never written here.
    return double(value.detach().cpu())


def _evaluated(function: Argument, args: Argument, kwargs: dict[str, Argument]) -> Argument:
    """What depends on no input and no parameter, computed on the CPU."""
    if "device" in kwargs:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    with torch.device("cpu"):
        found: Any = function(*args, **kwargs)
    return pytree.tree_map(lambda x: double(x) if isinstance(x, Tensor) else x, found)
