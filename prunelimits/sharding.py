"""Tensors that are sharded over processes, as FSDP2's are (DTensor): the whole, and one's part.

Every process sees the same whole, decides alike, and writes to its own part. Gathering the whole is
something that all processes do together, at the same place in the program.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from prunelimits.versions import sharded_tensors


def is_sharded(value: object) -> bool:
    """Whether a tensor is one of several processes together.

    Examples:
        >>> is_sharded(torch.zeros(2))
        False
    """
    return isinstance(value, Tensor) and hasattr(value, "device_mesh")


def sharded_names(model: nn.Module) -> list[str]:
    """The parameters of a model that are sharded.

    Examples:
        >>> sharded_names(nn.Linear(2, 2))
        []
    """
    return [name for name, value in model.named_parameters() if is_sharded(value)]


def whole(value: Tensor) -> Tensor:
    """The tensor itself; of a sharded one all of it, gathered from the processes.

    Examples:
        >>> whole(torch.ones(2))
        tensor([1., 1.])
    """
    gathered: Any = value
    return gathered.detach().full_tensor() if is_sharded(value) else value


def local(value: Tensor) -> Tensor:
    """The tensor itself; of a sharded one what this process has of it, to be changed in place.

    Examples:
        >>> local(torch.ones(2))
        tensor([1., 1.])
    """
    if not is_sharded(value):  # asked several times in every step: no mode is entered for it
        return value
    sharded: Any = value
    with torch.no_grad():
        return sharded.to_local()


@torch.no_grad()
def part_like(value: Tensor, like: Tensor) -> Tensor:
    """What this process would have of a whole tensor that is sharded as `like` is; itself if not.

    Nothing is sent: every process has the whole.

    Examples:
        >>> part_like(torch.ones(2), torch.zeros(2))
        tensor([1., 1.])
    """
    if not is_sharded(like):
        return value
    sharded: Any = like
    mesh, kinds = sharded.device_mesh, sharded_tensors()
    everywhere = [kinds.Replicate()] * mesh.ndim
    spread = kinds.DTensor.from_local(value.to(like.device), mesh, everywhere, run_check=False)
    return spread.redistribute(placements=sharded.placements).to_local()


def differ_between_processes(value: Tensor, like: Tensor) -> bool:
    """Whether the processes that share `like` call this with different tensors of one shape.

    Examples:
        >>> differ_between_processes(torch.ones(2), torch.zeros(2))
        False
    """
    if not is_sharded(like):
        return False
    sharded: Any = like
    mesh, kinds = sharded.device_mesh, sharded_tensors()
    row = value.to(like.device).flatten()[None]
    rows = kinds.DTensor.from_local(row, mesh, [kinds.Shard(0)] * mesh.ndim, run_check=False)
    gathered = rows.full_tensor()
    return bool((gathered != gathered[0]).any())


def reshard(model: nn.Module) -> None:
    """Puts the sharded parameters of FSDP2 back where an evaluation has left whole ones."""
    for module in model.modules():
        if any(kind.__name__ == "FSDPModule" for kind in type(module).mro()):
            fully_sharded: Any = module
            fully_sharded.reshard()
