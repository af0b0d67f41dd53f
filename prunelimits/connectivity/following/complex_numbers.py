# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Complex tensors as pairs of real ones: what is done to each part, and to both together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.recording import Followed, Value, double
from prunelimits.connectivity.following.steps import Linear
from prunelimits.connectivity.following.table import RULES
from prunelimits.connectivity.following.values import Argument


@dataclass(frozen=True, eq=False)
class Complex:
    """A complex tensor of which a part is followed."""

    real: Value
    imag: Value

    @property
    def shape(self) -> torch.Size:
        """Its shape."""
        return self.real.shape


COMPLEX_RULES: dict[str, Callable[[Call], Any]] = {}
"""The name of torch's operation, in all its forms -> what it does; None: that is not known."""


def complex_rule(*names: str) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
    """Registers a rule for operations of torch by name."""

    def register(function: Callable[[Call], Any]) -> Callable[[Call], Any]:
        COMPLEX_RULES.update(dict.fromkeys(names, function))
        return function

    return register


def is_complex_call(call: Call) -> bool:
    """Whether a call reads or gives complex tensors."""
    leaves = pytree.tree_leaves((call.args, call.kwargs))
    return any(isinstance(leaf, Complex) for leaf in leaves) or any(
        dtype.is_complex for _, dtype in call.shapes
    )


def follow_complex(call: Call) -> Argument:
    """What a call gives that reads or gives complex tensors."""
    name = str(getattr(call.operation, "overloadpacket", "")).removeprefix("aten.")
    rule = COMPLEX_RULES.get(name)
    found = None if rule is None else rule(call)
    return _unknown(call) if found is None else found


def halves(value: Argument) -> tuple[Any, Any]:
    """The real and the imaginary part; None for an imaginary part that is nothing."""
    if isinstance(value, Complex):
        return value.real, None if _is_nothing(value.imag) else value.imag
    if isinstance(value, Tensor) and value.is_complex():
        imag = double(value.imag)
        return double(value.real), None if _is_nothing(imag) else imag
    return (value.real, value.imag) if isinstance(value, complex) else (value, None)


def _is_nothing(value: Value) -> bool:
    return isinstance(value, Tensor) and not bool(value.any())


def of_parts(call: Call, operation: Argument, *args: Argument, **named: Argument) -> Argument:
    """An operation on real tensors, followed by its own rule."""
    if not any(isinstance(leaf, Followed) for leaf in pytree.tree_leaves((args, named))):
        found: Any = operation(*args, **named)
        return pytree.tree_map(lambda x: double(x) if isinstance(x, Tensor) else x, found)
    shapes = [(shape, torch.float64) for shape, _ in call.shapes]
    part = replace(call, operation=operation, args=args, kwargs=named, shapes=shapes)
    return RULES[operation](part) if operation in RULES else part.unknown()


def joined(call: Call, real: Argument, imag: Argument) -> Argument:
    """A complex tensor of its parts, of which either may be nothing; a constant if both are."""
    shape = call.shapes[0][0]
    nothing = torch.zeros(shape, dtype=torch.float64, device="cpu")
    real, imag = (nothing if part is None else part for part in (real, imag))
    if isinstance(real, Tensor) and isinstance(imag, Tensor):
        return torch.complex(real.expand(shape).double(), imag.expand(shape).double())
    return Complex(real, imag)


# Which arguments, beside the first, are tensors of the same kind: the others say where and how.
_ALIKE = {
    "add": (0, 1), "sub": (0, 1), "rsub": (0, 1), "where": (1, 2), "constant_pad_nd": (0, 2),
    "slice_scatter": (0, 1), "select_scatter": (0, 1), "diagonal_scatter": (0, 1), "copy": (0, 1),
    "index_put": (0, 2), "_unsafe_index_put": (0, 2), "scatter": (0, 3), "scatter_add": (0, 3),
    "index_add": (0, 3), "index_copy": (0, 3),
}  # fmt: skip


@complex_rule(
    *_ALIKE, "permute", "transpose", "t", "squeeze", "unsqueeze", "expand", "slice", "select",
    "cat", "stack", "split", "split_with_sizes", "chunk", "unbind", "flip", "roll", "repeat",
    "diagonal", "tril", "triu", "unfold", "movedim", "cumsum", "sum", "mean", "view",
    "_unsafe_view", "reshape", "flatten", "unflatten", "narrow", "clone", "alias", "detach",
    "contiguous", "lift_fresh_copy", "neg", "index", "_unsafe_index", "index_select", "gather",
    "view_copy", "permute_copy", "slice_copy", "select_copy", "expand_copy", "unsqueeze_copy",
)  # fmt: skip
def each_part(call: Call) -> Argument:
    """The same to either part."""
    name = str(getattr(call.operation, "overloadpacket", "")).removeprefix("aten.")
    places = _ALIKE.get(name, (0,))
    if "dtype" in call.kwargs or any(isinstance(x, torch.dtype) for x in call.args):
        return None

    def of(side: int) -> Argument:
        def part(leaf: Argument) -> Argument:
            found = halves(leaf)[side]
            if found is not None or leaf is None:
                return found
            # A real tensor among complex ones has nothing there.
            shape = getattr(leaf, "shape", None)
            return 0.0 if shape is None else torch.zeros(shape, dtype=torch.float64, device="cpu")

        args = [
            pytree.tree_map(part, x) if place in places else x for place, x in enumerate(call.args)
        ]
        return of_parts(call, call.operation, *args, **call.kwargs)

    real, imag = of(0), of(1)
    if isinstance(real, list | tuple):
        return [
            joined(replace(call, shapes=[shape]), a, b)
            for a, b, shape in zip(real, imag, call.shapes, strict=True)
        ]
    return joined(call, real, imag)


@complex_rule("mul", "mm", "bmm", "matmul", "mv", "dot", "outer")
def product(call: Call) -> Argument:
    """Of two complex tensors: real parts less imaginary ones, and each with the other."""
    return _product(call, call.operation, *call.args[:2])


def _product(call: Call, operation: Argument, left: Argument, right: Argument) -> Argument:
    (a, b), (c, d) = halves(left), halves(right)

    def times(x: Argument, y: Argument) -> Argument:
        return None if x is None or y is None else of_parts(call, operation, x, y)

    aten = torch.ops.aten
    real = _sum(call, aten.sub.Tensor, times(a, c), times(b, d))
    return joined(call, real, _sum(call, aten.add.Tensor, times(a, d), times(b, c)))


def _sum(call: Call, operation: Argument, x: Argument, y: Argument) -> Argument:
    if y is None:
        return x
    if x is None:
        negative = operation is torch.ops.aten.sub.Tensor
        return of_parts(call, torch.ops.aten.neg.default, y) if negative else y
    return of_parts(call, operation, x, y)


@complex_rule("pow", "square")
def squared(call: Call) -> Argument:
    """A product with itself."""
    if call.argument(1, "exponent", 2) != 2:
        return None
    return _product(call, torch.ops.aten.mul.Tensor, call.args[0], call.args[0])


@complex_rule("div")
def quotient(call: Call) -> Argument:
    """By a real tensor each part; by a complex constant, a product."""
    left, right = call.args[:2]
    if isinstance(right, Complex):
        return None
    if isinstance(right, complex) or (isinstance(right, Tensor) and right.is_complex()):
        inverse = 1 / right if isinstance(right, complex) else right.reciprocal()
        return _product(call, torch.ops.aten.mul.Tensor, left, inverse)
    parts = [None if x is None else of_parts(call, call.operation, x, right) for x in halves(left)]
    return joined(call, *parts)


@complex_rule("view_as_real")
def as_real(call: Call) -> Argument:
    """Both parts, side by side."""
    z = call.args[0]
    return of_parts(call, torch.ops.aten.stack.default, [z.real, z.imag], -1)


@complex_rule("view_as_complex")
def as_complex(call: Call) -> Argument:
    """Two numbers side by side, as one."""
    select = torch.ops.aten.select.int
    return joined(call, *(of_parts(call, select, call.args[0], -1, side) for side in (0, 1)))


@complex_rule("complex", "polar", "exp")
def made_of_two(call: Call) -> Argument:
    """Of parts; of a length and an angle; or of the logarithm of a length and an angle."""
    aten = torch.ops.aten
    one = call.args[0]
    first, second = halves(one) if len(call.args) == 1 else (one, call.args[1])
    if "complex" in str(call.operation):
        return joined(call, first, second)
    if "exp" in str(call.operation):
        first = of_parts(call, aten.exp.default, first)
        if second is None:
            return joined(call, first, None)
    turned = [of_parts(call, turn.default, second) for turn in (aten.cos, aten.sin)]
    return joined(call, *(of_parts(call, aten.mul.Tensor, first, turn) for turn in turned))


@complex_rule("real", "imag", "abs", "angle", "_conj", "_conj_physical", "conj_physical", "conj",
              "resolve_conj", "_to_copy", "to")  # fmt: skip
def of_one(call: Call) -> Argument:
    """A part, the length, the angle, the conjugate, or the same in another type."""
    aten = torch.ops.aten
    name = str(getattr(call.operation, "overloadpacket", "")).removeprefix("aten.")
    real, imag = halves(call.args[0])
    if imag is None:
        imag = torch.zeros(call.args[0].shape, dtype=torch.float64, device="cpu")
    if name in ("real", "imag"):
        return real if name == "real" else imag
    if name == "abs":
        return of_parts(call, aten.hypot.default, real, imag)
    if name == "angle":
        return of_parts(call, aten.atan2.default, imag, real)
    if name in ("_to_copy", "to"):
        return joined(call, real, imag) if call.shapes[0][1].is_complex else real
    if name != "resolve_conj":
        imag = of_parts(call, aten.neg.default, imag)
    return joined(call, real, imag)


@complex_rule("zeros_like", "ones_like", "new_zeros", "new_ones", "empty_like", "new_empty")
def of_the_shape(call: Call) -> Argument:
    """Only the shape of what comes in is read."""
    shape, dtype = call.shapes[0]
    value = 1 if "ones" in str(call.operation) else 0
    kind = torch.complex128 if dtype.is_complex else torch.float64
    return torch.full(shape, value, dtype=kind, device="cpu")


def _unknown(call: Call) -> Argument:
    """As `Call.unknown`, for what reads or gives complex tensors."""
    leaves = pytree.tree_leaves((call.args, call.kwargs))
    parts = [v for x in leaves for v in ((x.real, x.imag) if isinstance(x, Complex) else (x,))]
    inputs = [x for x in parts if isinstance(x, Followed)]
    call.record.unknown.append(str(call.operation))
    varies = any(call.record.steps[x.step].varies for x in inputs)

    def one(place: int, side: str) -> Followed:
        shape, dtype = call.shapes[place]

        def paths(*values: Tensor) -> Tensor:
            return torch.stack([v.sum() for v in values]).sum().expand(shape)

        def function(*values: Tensor) -> Tensor:
            found = _evaluated(call, *values)
            found = found[place] if isinstance(found, tuple | list) else found
            return double(getattr(found, side) if side else found)

        kind = torch.float64 if dtype.is_complex or dtype.is_floating_point else dtype
        numbers = tuple(x.step for x in inputs)
        step = Linear(call.name, numbers, shape, kind, varies, function, paths, opaque=True)
        return call.record.add(step)

    results = [
        Complex(one(place, "real"), one(place, "imag")) if dtype.is_complex else one(place, "")
        for place, (_, dtype) in enumerate(call.shapes)
    ]
    return results if call.gives_list or len(results) != 1 else results[0]


def _evaluated(call: Call, *values: Tensor) -> Argument:
    given = iter(values)

    def filled(leaf: Argument) -> Argument:
        if isinstance(leaf, Complex):
            return torch.complex(*(filled(part).double() for part in (leaf.real, leaf.imag)))
        return next(given) if isinstance(leaf, Followed) else leaf

    args, named = pytree.tree_map(filled, (call.args, call.kwargs))
    return call.operation(*args, **named)
