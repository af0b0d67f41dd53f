"""Which heads of attention count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from torch import Tensor, nn

from prunelimits.connectivity.fewer_heads import cannot_lose_heads
from prunelimits.connectivity.flow import Flow, any_of_units
from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.following.steps import Parameter


def needed_heads(
    network: Network, flow: Flow, modules: Mapping[str, nn.Module]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The heads that count of each `nn.MultiheadAttention` with one that does not, by path.

    A head counts if what it gives carries something through the projection behind it to an output.

    Returns:
        The heads that are kept, bool `(heads,)` and at least one; and why other modules keep heads
        that do not count.
    """
    found: dict[str, Tensor] = {}
    for use in network.layers:
        weight = network.steps[use.weight]
        while not isinstance(weight, Parameter) and len(weight.inputs) == 1:
            weight = network.steps[weight.inputs[0]]
        path = weight.name.removesuffix(".out_proj.weight")
        module = modules.get(path)
        if path == weight.name or not isinstance(module, nn.MultiheadAttention):
            continue
        elements = flow.carries[use.source] & flow.reaches[use.source]
        units = any_of_units(elements, use.axis)
        heads = units.reshape(module.num_heads, -1).any(1)
        # A module that is called several times has the heads of all its calls.
        found[path] = heads | found[path] if path in found else heads
    # A module that has several paths is one.
    every = {id(module): module for module in modules.values()}.values()
    held = Counter(id(p) for module in every for p in module.parameters(recurse=False))
    kept: dict[str, Tensor] = {}
    whole: dict[str, str] = {}
    for path, heads in found.items():
        module = modules[path]
        assert isinstance(module, nn.MultiheadAttention)
        if bool(heads.all()):
            continue
        reason = cannot_lose_heads(module)
        if any(held[id(p)] > 1 for p in module.parameters()):
            reason = "its weights are tied"
        if reason is not None:
            whole[path] = reason
            continue
        heads[0] |= not bool(heads.any())
        kept[path] = heads
    return kept, whole
