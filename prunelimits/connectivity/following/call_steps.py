# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""A call of an operation, and the steps by which it may be followed."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from prunelimits.connectivity.following.recording import (
    Followed,
    LayerUse,
    Recorder,
    Value,
    double,
    full,
)
from prunelimits.connectivity.following.steps import Linear, Product
from prunelimits.connectivity.following.transposes import Transposed
from prunelimits.connectivity.following.values import Argument


@dataclass(frozen=True, eq=False)
class AbstractCall(ABC):
    """A call of an operation, and the steps that it may add.

    Attributes:
        name: What it is called in reports and errors.
        operation: The operation, such as `torch.ops.aten.relu.default`.
        args: Its arguments by position: tensors that are followed (`Followed`), constants
            (`torch.Tensor`) and whatever else it was given.
        kwargs: Its arguments by name.
        shapes: The shape and type of each tensor it gives.
        record: The steps so far.
        contiguous: Whether what it reads lies in memory in order.
    """

    name: str
    operation: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shapes: list[tuple[torch.Size, torch.dtype]]
    record: Recorder
    contiguous: bool = True

    def argument(self, place: int, name: str, default: object = None) -> Argument:
        """An argument given by place or by name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    @property
    def followed(self) -> list[Followed]:
        """The tensors that are followed, in order."""
        return [x for x in pytree.tree_leaves((self.args, self.kwargs)) if isinstance(x, Followed)]

    @property
    def gives_list(self) -> bool:
        """Whether the operation gives a list or tuple of tensors."""
        schema: Any = getattr(self.operation, "_schema", None)
        return schema is not None and (
            len(schema.returns) != 1
            or "[]" in str(schema.returns[0].type)
            or "List" in str(schema.returns[0].type)
        )

    def evaluate(self, *tensors: Tensor, kwargs: dict[str, Argument] | None = None) -> Argument:
        """The operation with the followed tensors replaced by those given."""
        given = iter(tensors)
        args, named = pytree.tree_map(
            lambda leaf: next(given) if isinstance(leaf, Followed) else leaf,
            (self.args, self.kwargs if kwargs is None else kwargs),
        )
        return self.operation(*args, **named)

    def product(
        self,
        left: Value,
        right: Value,
        function: Callable[[Tensor, Tensor], Tensor],
        *,
        contracts: bool = False,
        paths: Callable[[Tensor, Tensor], Tensor] | None = None,
        shape: torch.Size | None = None,
        transposed: Transposed | None = None,
    ) -> Followed:
        """A product of two tensors, linear in each; constants count where they are not zero."""
        paths = paths or function
        shape = self.shapes[0][0] if shape is None else shape
        if isinstance(left, Followed) and isinstance(right, Followed):
            varies = any(self.record.steps[x.step].varies for x in (left, right))
            step = Product(
                self.name, (left.step, right.step), shape, self._dtype(left, right), varies,
                function, paths, contracts, transposed,
            )  # fmt: skip
            return self.record.add(step)
        if isinstance(left, Tensor) and isinstance(right, Tensor):
            return self.record.constant(function(double(left), double(right)))
        if isinstance(left, Followed):
            assert isinstance(right, Tensor)
            fixed = double(right)
            marks = (fixed != 0).float()
            chosen = paths
            return self.step(
                (left,),
                lambda a: chosen(a, marks.to(a.dtype)),
                lambda a: function(a, fixed),
                keeps_zero=True,
                shape=shape,
            )
        assert isinstance(right, Followed)
        assert isinstance(left, Tensor)
        fixed = double(left)
        marks = (fixed != 0).float()
        chosen = paths
        return self.step(
            (right,),
            lambda b: chosen(marks.to(b.dtype), b),
            lambda b: function(fixed, b),
            keeps_zero=True,
            shape=shape,
        )

    def times(
        self,
        left: Value,
        right: Value,
        *,
        lines: Sequence[Sequence[int]] | None = None,
        shape: torch.Size | None = None,
    ) -> Followed:
        """A product element by element; lines are the shapes in which the factors lie."""
        first, second = map(torch.Size, lines or (left.shape, right.shape))

        def function(a: Tensor, b: Tensor) -> Tensor:
            return a.reshape(first) * b.reshape(second)

        found = self.product(left, right, function, shape=shape)
        step = self.record.steps[found.step]
        if isinstance(step, Product):
            self.record.steps[found.step] = replace(step, lines=(first, second))
        elif isinstance(step, Linear):
            fixed, line = (left, second) if isinstance(left, Tensor) else (right, first)
            if isinstance(fixed, Tensor) and bool((fixed != 0).all()):
                self.record.steps[found.step] = replace(step, lines=(line,))
        return found

    def layer(
        self,
        source: Value,
        weight: Value,
        bias: Value | None,
        function: Callable[[Tensor, Tensor], Tensor],
        axis: int,
        *,
        paths: Callable[[Tensor, Tensor], Tensor] | None = None,
        transposed: Transposed | None = None,
        inputs_first: bool = False,
    ) -> Followed:
        """A linear layer or convolution: a product that sums, and a bias along an axis.

        The weight's first axis is its outputs, or its inputs with `inputs_first`.
        """
        product = result = self.product(
            source, weight, function, contracts=True, paths=paths, transposed=transposed
        )
        if bias is not None:
            result = self.plus(result, bias, axis)
        if (
            isinstance(source, Followed)
            and isinstance(weight, Followed)
            and self._is_layer(source, weight)
        ):
            number = bias.step if isinstance(bias, Followed) else None
            rows, columns = (1, 0) if inputs_first else (0, 1)
            self.record.layers.append(
                LayerUse(
                    source.step, weight.step, product.step, result.step, number, axis, axis,
                    rows, columns,
                )
            )  # fmt: skip
        return result

    def _is_layer(self, source: Followed, weight: Followed) -> bool:
        steps = self.record.steps
        return steps[source.step].varies and not steps[weight.step].varies

    def plus(self, x: Followed, bias: Value, axis: int | None = None) -> Followed:
        """A sum; a vector given with an axis lies along it."""
        shape = x.shape
        line = bias.shape
        if axis is not None:
            long, count = axis % len(shape), bias.shape.numel()
            line = torch.Size([count if a == long else 1 for a in range(len(shape))])

        def spread(b: Tensor) -> Tensor:
            return b.reshape(line).expand(shape)

        if isinstance(bias, Followed):
            both = lambda a, b: a + spread(b)  # noqa: E731
            return self.step(
                (x, bias), both, both, keeps_zero=True, shape=shape, lines=(shape, line)
            )
        fixed = double(bias)
        return self.step(
            (x,), lambda a: a, lambda a: a + spread(fixed), shape=shape, lines=(shape,)
        )

    def unknown(self) -> Argument:
        """Nothing is known: all that it reads may matter to all that it gives."""
        inputs = self.followed
        self.record.unknown.append(str(self.operation))
        results: list[Followed] = []
        for place, (shape, dtype) in enumerate(self.shapes):

            def paths(*values: Tensor, shape: torch.Size = shape) -> Tensor:
                total = sum(
                    (v.sum() for v in values),
                    start=torch.zeros((), dtype=torch.float32, device="cpu"),
                )
                return total.expand(shape)

            def function(*values: Tensor, place: int = place) -> Tensor:
                found = self.evaluate(*values)
                return found[place] if isinstance(found, tuple | list) else found

            varies = any(self.record.steps[x.step].varies for x in inputs)
            step = Linear(
                self.name, tuple(x.step for x in inputs), shape, full(dtype), varies,
                function, paths, opaque=True,
            )  # fmt: skip
            results.append(self.record.add(step))
        return results if self.gives_list or len(results) != 1 else results[0]

    def linear(
        self,
        paths: Callable[..., Tensor],
        function: Callable[..., Tensor] | None = None,
        *,
        keeps_zero: bool = False,
        place: int = 0,
        blocked: Tensor | None = None,
        lines: Sequence[torch.Size] = (),
    ) -> Followed:
        """A step that reads all that this call reads; lines as for `step`."""
        shape, dtype = self.shapes[place]
        inputs = self.followed
        varies = any(self.record.steps[x.step].varies for x in inputs)
        step = Linear(
            self.name, tuple(x.step for x in inputs), shape, full(dtype), varies,
            function or self.evaluate, paths, keeps_zero, lines=tuple(map(torch.Size, lines)),
        )  # fmt: skip
        return self.record.add(step, blocked)

    def step(
        self,
        inputs: Sequence[Followed],
        paths: Callable[..., Tensor],
        function: Callable[..., Tensor],
        *,
        keeps_zero: bool = False,
        divides: bool = False,
        shape: torch.Size | None = None,
        lines: Sequence[torch.Size] = (),
    ) -> Followed:
        """A linear step of a rule's own; its shape is that of the call if none is given.

        If each element is made of the same element of each input, lines are the shapes in which the
        inputs lie, to be spread to that of the step.
        """
        shape = self.shapes[0][0] if shape is None else shape
        varies = any(self.record.steps[x.step].varies for x in inputs)
        step = Linear(
            self.name, tuple(x.step for x in inputs), shape, self._dtype(*inputs), varies,
            function, paths, keeps_zero, divides=divides, lines=tuple(map(torch.Size, lines)),
        )  # fmt: skip
        return self.record.add(step)

    def _dtype(self, *values: Value) -> torch.dtype:
        result = values[0].dtype
        for value in values[1:]:
            result = torch.promote_types(result, value.dtype)
        return full(result)
