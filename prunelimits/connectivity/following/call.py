# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""A call of an operation, and the ways in which a rule may follow it."""

from __future__ import annotations

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
    ruled_out,
)
from prunelimits.connectivity.following.steps import Linear, Product
from prunelimits.connectivity.following.values import Argument


@dataclass(frozen=True, eq=False)
class Call:
    """A call of an operation, and the ways to follow it; a rule returns what one of them gives.

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

    def evaluate(self, *tensors: Tensor, kwargs: dict[str, Argument] | None = None) -> Argument:
        """The operation with the followed tensors replaced by those given."""
        given = iter(tensors)
        args, named = pytree.tree_map(
            lambda leaf: next(given) if isinstance(leaf, Followed) else leaf,
            (self.args, self.kwargs if kwargs is None else kwargs),
        )
        return self.operation(*args, **named)

    def elementwise(self) -> Followed:
        """Each element by itself; what comes in together is spread to the same shape first."""
        shape, blocked = self.shapes[0][0], self._blocked()
        open_ = None if blocked is None else (~blocked).float()

        def paths(*inputs: Tensor) -> Tensor:
            result = inputs[0].expand(shape)
            for x in inputs[1:]:
                result = result + x
            return result if open_ is None else result * open_

        return self.linear(paths, blocked=blocked)

    def moves(self) -> Argument:
        """Each output element is an input element, a constant or a sum of such: a linear map."""
        # A type that the operation is asked for holds for what it computes and not for paths.
        kwargs = {k: v for k, v in self.kwargs.items() if k not in ("dtype", "memory_format")}

        joins = any(name in str(self.operation) for name in ("cat", "stack", "scatter"))

        def emptied(leaf: Argument, dtype: torch.dtype) -> Argument:
            # No path begins in a constant; an index says where the others go.
            held = isinstance(leaf, Tensor) and (leaf.is_floating_point() or joins)
            if not held or (leaf.dtype in (torch.int64, torch.bool) and leaf is self.index):
                return leaf
            return torch.zeros_like(leaf, dtype=dtype)

        def paths(*inputs: Tensor) -> Argument:
            args, named = pytree.tree_map(
                lambda leaf: emptied(leaf, inputs[0].dtype), (self.args, kwargs)
            )
            return replace(self, args=args, kwargs=named).evaluate(*inputs)

        if len(self.shapes) == 1 and not self.gives_list:
            blocked = None
            if any(x.blocked is not None for x in self.followed):
                marks = [
                    torch.zeros(x.shape, dtype=torch.float32, device="cpu")
                    if x.blocked is None
                    else x.blocked.float()
                    for x in self.followed
                ]
                blocked = paths(*marks) > 0.5
            return self.linear(paths, keeps_zero=self._keeps_zero(), blocked=blocked)
        return [
            self.linear(
                lambda *x, place=place: paths(*x)[place],
                lambda *x, place=place: self.evaluate(*x)[place],
                keeps_zero=True,
                place=place,
            )
            for place in range(len(self.shapes))
        ]

    @property
    def index(self) -> Tensor | None:
        """The constant that says where values are put, as `scatter` takes it."""
        found = self.args[2] if len(self.args) > 2 else None
        return found if isinstance(found, Tensor) else None

    @property
    def gives_list(self) -> bool:
        """Whether the operation gives a list or tuple of tensors."""
        schema: Any = getattr(self.operation, "_schema", None)
        return schema is not None and (
            len(schema.returns) != 1
            or "[]" in str(schema.returns[0].type)
            or "List" in str(schema.returns[0].type)
        )

    def mixes(self, axes: Sequence[int] | None = None, *, keeps_zero: bool = False) -> Argument:
        """Every element depends on every other along some axes, or along all."""
        (x,) = self.followed
        axes = [
            axis % max(1, len(x.shape)) for axis in (range(len(x.shape)) if axes is None else axes)
        ]

        def paths(v: Tensor) -> Tensor:
            total = v.sum(axes, keepdim=True) if axes else v
            return total.expand(x.shape)

        return self._each(paths, keeps_zero=keeps_zero)

    def reduces(
        self, axes: Sequence[int] | int | None = None, *, keepdim: bool = False
    ) -> Argument:
        """Some axes, or all, are taken together to one element, which depends on all of them."""
        given = [axes] if isinstance(axes, int) else list(axes or [])

        def paths(v: Tensor) -> Tensor:
            chosen = given or list(range(v.dim()))
            return v.sum(chosen, keepdim=keepdim) if v.dim() else v

        return self._each(paths)

    def _each(self, paths: Callable[..., Tensor], *, keeps_zero: bool = False) -> Argument:
        if len(self.shapes) == 1 and not self.gives_list:
            return self.linear(paths, keeps_zero=keeps_zero)
        return [
            self.linear(paths, lambda *v, i=place: self.evaluate(*v)[i], place=place)
            for place in range(len(self.shapes))
        ]

    def product(
        self,
        left: Value,
        right: Value,
        function: Callable[[Tensor, Tensor], Tensor],
        *,
        contracts: bool = False,
        paths: Callable[[Tensor, Tensor], Tensor] | None = None,
        shape: torch.Size | None = None,
    ) -> Followed:
        """A product of two tensors, linear in each; constants count where they are not zero."""
        paths = paths or function
        shape = self.shapes[0][0] if shape is None else shape
        if isinstance(left, Followed) and isinstance(right, Followed):
            varies = any(self.record.steps[x.step].varies for x in (left, right))
            step = Product(
                self.name, (left.step, right.step), shape, self._dtype(left, right), varies,
                function, paths, contracts,
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

    def layer(
        self,
        source: Value,
        weight: Value,
        bias: Value | None,
        function: Callable[[Tensor, Tensor], Tensor],
        axis: int,
        input_axis: int,
    ) -> Followed:
        """A linear layer or convolution: a product that sums, and a bias along an axis."""
        product = result = self.product(source, weight, function, contracts=True)
        if bias is not None:
            result = self.plus(result, bias, axis)
        if (
            isinstance(source, Followed)
            and isinstance(weight, Followed)
            and self._is_layer(source, weight)
        ):
            number = bias.step if isinstance(bias, Followed) else None
            self.record.layers.append(
                LayerUse(
                    source.step, weight.step, product.step, result.step, number, axis, input_axis
                )
            )
        return result

    def _is_layer(self, source: Followed, weight: Followed) -> bool:
        steps = self.record.steps
        return steps[source.step].varies and not steps[weight.step].varies

    def plus(self, x: Followed, bias: Value, axis: int | None = None) -> Followed:
        """A sum; a vector given with an axis lies along it."""
        shape = x.shape

        def spread(b: Tensor) -> Tensor:
            if axis is None:
                return b.expand(shape)
            lengths = [1] * len(shape)
            lengths[axis] = -1
            return b.reshape(lengths).expand(shape)

        if isinstance(bias, Followed):
            return self.step(
                (x, bias),
                lambda a, b: a + spread(b),
                lambda a, b: a + spread(b),
                keeps_zero=True,
                shape=shape,
            )
        fixed = double(bias)
        return self.step((x,), lambda a: a, lambda a: a + spread(fixed), shape=shape)

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
    ) -> Followed:
        """A step that reads all that this call reads."""
        shape, dtype = self.shapes[place]
        inputs = self.followed
        varies = any(self.record.steps[x.step].varies for x in inputs)
        step = Linear(
            self.name, tuple(x.step for x in inputs), shape, full(dtype), varies,
            function or self.evaluate, paths, keeps_zero,
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
    ) -> Followed:
        """A linear step of a rule's own; its shape is that of the call if none is given."""
        shape = self.shapes[0][0] if shape is None else shape
        varies = any(self.record.steps[x.step].varies for x in inputs)
        step = Linear(
            self.name, tuple(x.step for x in inputs), shape, self._dtype(*inputs), varies,
            function, paths, keeps_zero, divides=divides,
        )  # fmt: skip
        return self.record.add(step)

    def _dtype(self, *values: Value) -> torch.dtype:
        result = values[0].dtype
        for value in values[1:]:
            result = torch.promote_types(result, value.dtype)
        return full(result)

    def _keeps_zero(self) -> bool:
        """Whether zeros give zeros: found by trying it, if there is anything else to give."""
        others = [x for x in pytree.tree_leaves((self.args, self.kwargs)) if isinstance(x, Tensor)]
        floating = any(x.is_floating_point() for x in others)
        if not floating and self.operation is not torch.ops.aten.constant_pad_nd.default:
            return True
        zeros = [torch.zeros(x.shape, dtype=x.dtype, device="cpu") for x in self.followed]
        return not bool(self.evaluate(*zeros).any())

    def _blocked(self) -> Tensor | None:
        """Where a sum or a choice is minus infinity whatever comes in."""
        packet = getattr(self.operation, "overloadpacket", None)
        aten = torch.ops.aten
        shape = self.shapes[0][0]
        tensors = [x for x in self.args if isinstance(x, Tensor | Followed)]
        if packet not in (aten.add, aten.sub, aten.maximum, aten._to_copy, aten.clone, aten.mul):
            return None
        if len(self.followed) != 1 and packet is not aten.add:
            return None
        parts = [ruled_out(x) for x in tensors]
        if all(part is None for part in parts):
            return None
        if packet is aten.sub and isinstance(tensors[-1], Tensor):
            return None
        if packet is aten.mul:
            scalar = self.args[1]
            positive = isinstance(scalar, int | float) and scalar > 0.01
            return parts[0].expand(shape) if positive and parts[0] is not None else None
        spread = [
            torch.zeros(shape, dtype=torch.bool, device="cpu")
            if part is None
            else part.expand(shape)
            for part in parts
        ]
        result = spread[0]
        for part in spread[1:]:
            result = result & part if packet is aten.maximum else result | part
        return result if result.any() else None
