"""Units that can be left out of modules, as they go together element by element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from prunelimits.connectivity.coupled import coupling_of
from prunelimits.connectivity.cuts import Cut, Cuts
from prunelimits.connectivity.following.network import Network
from prunelimits.masks import UnitGroup
from prunelimits.types import Masks

_CUT = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d,
    nn.ConvTranspose3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm,
)  # fmt: skip
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# What modules call the width of all heads together.
_WIDTHS = ("attn_dim", "inner_dim", "all_head_size")
# What is in the names of the width of one head.
_OF_ONE = {"dim", "d", "size", "width", "channels", "features"}


def with_coupled_units(
    network: Network, left: Masks, modules: Mapping[str, nn.Module], cuts: Cuts
) -> Cuts:
    """The cuts, and with them units of which nothing is left, wherever they lie.

    Cuts along single axes of tensors do not see heads in a layer that gives queries, keys and
    values at once, nor the groups of convolutions and group normalisations.

    Args:
        network: The steps.
        left: What of each parameter counts.
        modules: The modules that hold the parameters, by path.
        cuts: What is cut already.
    """
    found = dict(cuts.modules)
    attributes = dict(cuts.attributes)
    for group in coupling_of(network).groups:
        parts = {part.parameter.rpartition(".")[0] for part in group.slices}
        if not all(isinstance(modules.get(path), _CUT) for path in parts):
            continue
        kept = _alive(group, left)
        kept[0] |= not bool(kept.any())
        if bool(kept.all()):
            continue
        for part in group.slices:
            path = part.parameter.rpartition(".")[0]
            along = torch.cat([kept, kept.new_ones(1)])[torch.tensor(part.units, device="cpu")]
            shape = left[part.parameter].shape
            gives = part.axis == (1 if isinstance(modules[path], _TRANSPOSED) else 0)
            gives = gives or len(shape) == 1
            old = found.get(path, Cut(torch.ones(_outputs(modules[path]), dtype=torch.bool), None))
            if gives:
                found[path] = replace(old, outputs=old.outputs & along)
            else:
                inputs = along if old.inputs is None else old.inputs & along
                found[path] = replace(old, inputs=inputs)
        path = _common(sorted(parts))
        if path in modules:
            attributes[path] = attributes.get(path, {}) | _numbers(modules[path], group, kept)
    whole = {path: why for path, why in cuts.whole.items() if path not in found}
    return replace(cuts, modules=found, attributes=attributes, whole=whole)


def _alive(group: UnitGroup, left: Masks) -> Tensor:
    """The units of which anything counts."""
    alive = torch.zeros(group.size + 1, dtype=torch.int64, device="cpu")
    for part in group.slices:
        mask = left[part.parameter].movedim(part.axis, 0)
        lines = mask.flatten(1).any(1) if mask.dim() > 1 else mask
        places = torch.tensor(part.units, device="cpu") % (group.size + 1)
        alive = alive.index_add(0, places, lines.long())
    return alive[: group.size] > 0


def _outputs(module: nn.Module) -> int:
    for name in ("out_features", "out_channels", "num_features", "num_channels"):
        if hasattr(module, name):
            return int(getattr(module, name))
    raise AssertionError(type(module))


def _common(paths: list[str]) -> str:
    """The path of the module that holds all of some."""
    first, last = paths[0].split("."), paths[-1].split(".")
    same = 0
    while same < min(len(first), len(last)) - 1 and first[same] == last[same]:
        same += 1
    return ".".join(first[:same])


def _numbers(module: nn.Module, group: UnitGroup, kept: Tensor) -> dict[str, int]:
    """The numbers of heads, and their width, that a module tells of itself."""
    reads = [part for part in group.slices if part.axis == 1]
    width = len(reads[0].units) if reads else -1
    left = int(kept.sum())
    result: dict[str, int] = {}
    for name, value in vars(module).items():
        # A number of heads, and not what is as large by chance, such as the width of one.
        counts = "head" in name and not _OF_ONE & set(name.split("_"))
        if type(value) is int and value == group.size and counts:
            result[name] = left
        elif type(value) is int and value == width and name in _WIDTHS:
            result[name] = value * left // group.size
    return result
