# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Operations on each element by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.recording import Followed, double
from prunelimits.connectivity.following.ruling_out import ruled_out
from prunelimits.connectivity.following.table import aten, rule
from prunelimits.connectivity.following.values import Argument

_OF_ONE = (
    "relu", "relu6", "sigmoid", "tanh", "gelu", "silu", "mish", "elu", "selu", "celu", "leaky_relu",
    "hardtanh", "hardswish", "hardsigmoid", "hardshrink", "softshrink", "softplus", "log_sigmoid",
    "threshold", "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt", "rsqrt",
    "reciprocal", "abs", "neg", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "floor", "ceil", "round", "trunc", "frac",
    "sign", "sgn", "square", "logical_not", "bitwise_not", "isnan", "isinf", "isfinite",
    "isneginf", "isposinf", "nan_to_num", "sinc", "lgamma", "digamma", "logit", "clamp",
    "clamp_min", "clamp_max", "positive", "special_expit", "i0", "signbit", "polygamma",
    "special_airy_ai", "special_erfcx", "special_i0e", "special_i1", "special_i1e", "special_ndtri",
    "special_log_ndtr", "special_bessel_j0", "special_bessel_j1", "special_bessel_y0",
    "special_bessel_y1", "special_modified_bessel_i0", "special_modified_bessel_i1",
    "special_modified_bessel_k0", "special_modified_bessel_k1", "special_spherical_bessel_j0",
)  # fmt: skip
_OF_TWO = (
    "add", "sub", "rsub", "maximum", "minimum", "fmax", "fmin", "fmod", "remainder", "atan2",
    "hypot", "eq", "ne", "lt", "le", "gt", "ge", "logical_or", "logical_xor", "bitwise_or",
    "bitwise_xor", "__or__", "__xor__", "logaddexp", "logaddexp2", "lerp", "floor_divide",
    "copysign", "nextafter", "div.Tensor_mode", "div.Scalar_mode", "bitwise_left_shift",
    "bitwise_right_shift",
    "heaviside", "isclose", "gcd", "lcm", "igamma", "igammac", "special_zeta",
)  # fmt: skip


@rule(*aten(*_OF_ONE, *_OF_TWO))
def each_element(call: Call) -> Argument:
    """Each element by itself, those of several tensors together."""
    if call.kwargs.get("alpha", 1) == 0 and "rsub" not in str(call.operation):
        # A sum of one, and nothing of the other.
        shape = call.shapes[0][0]
        spread = lambda v: v.expand(shape)  # noqa: E731
        x = call.args[0]
        return call.step((x,), spread, spread) if isinstance(x, Followed) else spread(x)
    return call.elementwise()


@rule(*aten("pow"))
def power(call: Call) -> Argument:
    """A power; to the power of nothing everything is one."""
    if call.args[1] == 0 if isinstance(call.args[1], int | float) else False:
        return torch.ones(call.shapes[0][0], dtype=torch.float64, device="cpu")
    return call.elementwise()


@rule(*aten("clone", "alias", "detach", "contiguous", "lift_fresh_copy", "dropout",
            "feature_dropout", "alpha_dropout", "native_dropout"))  # fmt: skip
def same(call: Call) -> Argument:
    """What comes in."""
    if call.operation is torch.ops.aten.native_dropout.default:
        return call.unknown() if call.args[2] else [call.args[0], None]
    if "dropout" in str(call.operation) and call.args[2]:
        return call.unknown()
    return call.args[0]


@rule(*aten("_to_copy", "to"))
def converted(call: Call) -> Argument:
    """Another type: the same among floating types, whose rounding does not count."""
    (x,) = call.followed
    dtype = call.shapes[0][1]
    if dtype.is_floating_point and x.dtype.is_floating_point:
        return x
    lines = (call.shapes[0][0],)
    return call.linear(lambda v: v, lambda v: double(v.to(dtype)), keeps_zero=True, lines=lines)


@rule(*aten("mul.Tensor", "mul.Scalar", "logical_and"))
def product(call: Call) -> Argument:
    """A product element by element."""
    left, right = call.args
    scalar = next((x for x in call.args if isinstance(x, int | float)), None)
    if scalar is not None:
        left, right = call.followed[0], float(scalar)
        if right == 0:
            return torch.zeros(call.shapes[0][0], dtype=torch.float64, device="cpu")
        if right > 0 and isinstance(left, Followed) and left.blocked is not None:
            return call.elementwise()
        lines = (call.shapes[0][0],)
        return call.linear(lambda v: v, lambda v: v * right, keeps_zero=True, lines=lines)
    if "logical" in str(call.operation):
        return call.product(left, right, torch.logical_and, paths=torch.mul)
    return call.times(left, right)


@rule(*aten("bitwise_and", "__and__"))
def bits(call: Call) -> Argument:
    """Of bools a product."""
    if call.shapes[0][1] is torch.bool:
        left, right = call.args
        return call.product(left, right, torch.logical_and, paths=torch.mul)
    return call.elementwise()


@rule(*aten("div.Tensor", "div.Scalar", "true_divide"))
def quotient(call: Call) -> Argument:
    """A product with the divisor's reciprocal, which is never nothing."""
    left, right = call.args[:2]
    if isinstance(right, int | float):
        lines = (call.shapes[0][0],)
        return call.linear(lambda v: v, lambda v: v / right, keeps_zero=True, lines=lines)
    if isinstance(right, Followed):
        inverse = call.step(
            (right,), lambda v: v, lambda v: v.double().reciprocal(), divides=True,
            shape=right.shape, lines=(right.shape,),
        )  # fmt: skip
    else:
        inverse = double(right.double().reciprocal())
    if not isinstance(left, Tensor | Followed):
        left = torch.tensor(float(left), dtype=torch.float64, device="cpu")
    return call.times(left, inverse)


@rule(*aten("xlogy.Tensor", "xlogy.Scalar_Other"))
def times_logarithm(call: Call) -> Argument:
    """A product with a logarithm."""
    left, right = call.args[:2]
    if isinstance(right, Followed):
        right = call.step((right,), lambda v: v, lambda v: v.log(), shape=right.shape)
    else:
        right = torch.as_tensor(right, dtype=torch.float64, device="cpu").log()
    return call.product(left, right, torch.mul)


@rule(*aten("where.self", "where.ScalarSelf", "where.ScalarOther", "where.Scalar"))
def choice(call: Call) -> Argument:
    """One of two by a condition: where that is a constant, only the chosen one matters."""
    condition, left, right = call.args
    if isinstance(condition, Followed):
        return call.elementwise()
    shape = call.shapes[0][0]
    chosen = condition.bool()
    open_ = [
        mask for value, mask in ((left, chosen), (right, ~chosen)) if isinstance(value, Followed)
    ]

    def paths(*inputs: Tensor) -> Tensor:
        total = torch.zeros(shape, dtype=torch.float32, device="cpu")
        for x, mask in zip(inputs, open_, strict=True):
            total = total + x * mask.to(x.dtype)
        return total

    blocked = torch.zeros(shape, dtype=torch.bool, device="cpu")
    for value, mask in ((left, chosen), (right, ~chosen)):
        if isinstance(value, int | float):
            value = torch.tensor(float(value), device="cpu")
        part = ruled_out(value)
        if part is not None:
            blocked = blocked | (part & mask)
    return call.linear(paths, blocked=blocked if blocked.any() else None)


@rule(*aten("rrelu_with_noise_functional"))
def random_leaky(call: Call) -> Argument:
    """In evaluation a leaky ReLU by the middle of its slopes, beside the noise it was given."""
    x, noise = call.args[:2]
    if not isinstance(x, Followed) or call.argument(4, "training", False):
        return call.unknown()
    slope = (call.argument(2, "lower", 1 / 8) + call.argument(3, "upper", 1 / 3)) / 2
    leaky = call.step(
        (x,), lambda v: v, lambda v: torch.nn.functional.leaky_relu(v, slope), keeps_zero=True
    )
    return [leaky, noise]


@rule(*aten("log_sigmoid_forward"))
def log_sigmoid(call: Call) -> Argument:
    """The function, and what its gradient needs."""
    first = call.linear(lambda v: v, torch.nn.functional.logsigmoid)
    return [first, None]


@rule(*aten("prelu", "_prelu_kernel"))
def prelu(call: Call) -> Argument:
    """A leaky ReLU with slopes to learn: relu(x) + slope x min(x, 0), and so a sum of two."""
    x, slope = call.args
    if not isinstance(x, Followed):
        x = call.record.constant(x)
    shape = call.shapes[0][0]
    above = call.step((x,), lambda v: v, torch.relu, keeps_zero=True, shape=shape)
    below = call.step((x,), lambda v: v, lambda v: v.clamp(max=0), keeps_zero=True, shape=shape)
    lengths = [1] * len(shape)
    if len(shape) > 1:
        lengths[1] = -1
    else:
        lengths = [-1] if shape else []

    def scaled(a: Tensor, b: Tensor) -> Tensor:
        return a * (b if b.dim() == a.dim() else b.reshape(lengths))

    product = call.product(below, slope, scaled)
    return call.step((above, product), torch.add, torch.add, keeps_zero=True)


@rule(*aten("glu"))
def glu(call: Call) -> Argument:
    """One half times the sigmoid of the other."""
    x = call.args[0]
    axis = call.argument(1, "dim", -1)
    half = x.shape[axis] // 2
    shape = call.shapes[0][0]
    first = call.step(
        (x,), lambda v: v.narrow(axis, 0, half), lambda v: v.narrow(axis, 0, half),
        keeps_zero=True, shape=shape,
    )  # fmt: skip
    gate = call.step(
        (x,), lambda v: v.narrow(axis, half, half), lambda v: v.narrow(axis, half, half).sigmoid(),
        shape=shape,
    )  # fmt: skip
    return call.product(first, gate, torch.mul)


@rule(*aten("addcmul", "addcdiv"))
def add_product(call: Call) -> Argument:
    """A sum with a product of two more."""
    x, left, right = call.args[:3]
    scale = call.argument(3, "value", 1)
    if "addcdiv" in str(call.operation):
        if isinstance(right, Followed):
            right = call.step(
                (right,), lambda v: v, lambda v: v.reciprocal(), divides=True, shape=right.shape
            )
        else:
            right = right.reciprocal()
    if not (isinstance(left, Followed) or isinstance(right, Followed)):
        right = left * right * scale
        return call.step((x,), lambda v: v.expand(call.shapes[0][0]), lambda v: v + right)
    shape = torch.broadcast_shapes(left.shape, right.shape)
    product = call.product(left, right, lambda a, b: a * b * scale, paths=torch.mul, shape=shape)
    total = call.shapes[0][0]
    if isinstance(x, Followed):
        return call.step((x, product), lambda a, b: (a + b).expand(total), torch.add)
    return call.step((product,), lambda b: b.expand(total), lambda b: x + b)
