# What operations are given is open.
"""Operations that write over what they read, where that is as good as giving something new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from prunelimits.connectivity.following.table import aten

# They give new tensors whatever they are given. Some that are not here give what they read, without
# saying so, as dropout does in evaluation.
_GIVES_NEW = frozenset(
    aten(
        "linear", "addmm", "mm", "bmm", "matmul", "convolution", "conv1d", "conv2d", "conv3d",
        "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "batch_norm", "layer_norm",
        "group_norm", "add", "sub", "mul", "div", "relu", "silu", "gelu", "sigmoid", "tanh", "elu",
        "leaky_relu", "hardtanh", "hardswish", "hardsigmoid", "softmax", "mean", "sum", "cat",
        "max_pool2d", "max_pool3d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool2d",
    )
)  # fmt: skip


def functional_forms(graph: fx.Graph, known: Mapping[Any, object]) -> dict[fx.Node, Any]:
    """Nodes that write over what they read -> the operation that gives the same as something new.

    Only where nobody can tell them apart: what is written over was just made, and nobody reads it,
    or a view of it, any more.
    """
    place = {node: number for number, node in enumerate(graph.nodes)}
    found: dict[fx.Node, Any] = {}
    for node in graph.nodes:
        operation = _functional(node.target) if node.op == "call_function" else None
        written = node.args[0] if operation in known and node.args else None
        if not isinstance(written, fx.Node):
            continue
        made = written in found or written.target in _GIVES_NEW
        others = [user for user in written.users if user is not node]
        if made and all(u.target in _GIVES_NEW and place[u] < place[node] for u in others):
            found[node] = operation
    return found


def _functional(operation: object) -> object:
    """Of an operation such as `aten.relu_.default` what `aten.relu.default` is."""
    schema: Any = getattr(operation, "_schema", None)
    if schema is None or not schema.is_mutable or not schema.name.startswith("aten::"):
        return None
    writes = [argument.is_write for argument in schema.arguments]
    name = schema.name.removeprefix("aten::")
    if writes != [True, *[False] * (len(writes) - 1)] or not name.endswith("_"):
        return None
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    return getattr(packet, schema.overload_name or "default", None)
