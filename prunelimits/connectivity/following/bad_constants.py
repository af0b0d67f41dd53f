"""Refusing constants that are no numbers: what a model computes with them is NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, fx

from prunelimits.connectivity.following.failing import place_of
from prunelimits.connectivity.following.table import aten

_BATCH_NORMS = frozenset(
    aten(
        "batch_norm", "native_batch_norm", "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "_batch_norm_no_update",
    )
)  # fmt: skip
# An infinite constant may be added, as attention's masks are; as a factor of nothing it gives NaN.
_MULTIPLY = _BATCH_NORMS.union(
    aten(
        "mul", "linear", "addmm", "addmv", "addbmm", "baddbmm", "mm", "bmm", "mv", "dot", "outer",
        "matmul", "convolution", "_convolution", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
        "conv_transpose2d", "conv_transpose3d", "addcmul", "layer_norm", "native_layer_norm",
        "group_norm", "native_group_norm",
    )
)  # fmt: skip
# Other operations take NaN to choose it, or to put it in a place.
_COMPUTE = _MULTIPLY.union(aten("add", "sub", "rsub", "div", "pow"))


def refuse_bad_constants(
    node: fx.Node, operation: object, values: Mapping[fx.Node, object], names: Mapping[str, str]
) -> None:
    """Raises if a constant that a call reads is NaN, or infinite where it is a factor.

    Args:
        node: The call.
        operation: What it calls.
        values: What each node before it gives.
        names: The name in the graph of what the model holds -> its name in the model.

    Raises:
        ValueError: If one is; the message names it.
    """
    for read in node.all_input_nodes:
        value = values.get(read)
        if isinstance(value, Tensor) and (wrong := _wrong(value, operation)):
            _refuse(node, f"{_origin(read, values, names)} is {wrong}")
    for number in node.args:
        if isinstance(number, float) and operation in _COMPUTE and math.isnan(number):
            _refuse(node, "a number is NaN")
        if isinstance(number, float) and operation in _MULTIPLY and math.isinf(number):
            _refuse(node, "a number is infinite, as a factor,")
    if operation in _BATCH_NORMS and isinstance(variance := node.args[4], fx.Node):
        value = values.get(variance)
        if isinstance(value, Tensor) and bool((value < 0).any()):
            _refuse(node, f"{_origin(variance, values, names)} is negative, as a variance,")


def _wrong(value: Tensor, operation: object) -> str:
    if bool(value.isnan().any()):
        return "NaN"
    return "infinite, as a factor," if operation in _MULTIPLY and bool(value.isinf().any()) else ""


def _refuse(node: fx.Node, what: str) -> None:
    raise ValueError(
        f"model must compute with finite constants: {what} in {place_of(node)}: repair it"
    )


def _origin(node: fx.Node, values: Mapping[fx.Node, object], names: Mapping[str, str]) -> str:
    """What the model holds that made a constant what it is."""
    for read in node.all_input_nodes:
        value = values.get(read)
        if isinstance(value, Tensor) and not bool(value.isfinite().all()):
            return _origin(read, values, names)
    return repr(names.get(node.name, node.name))
