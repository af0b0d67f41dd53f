"""The entries of masks: how many are kept, and all of them in rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from prunelimits.arguments import checked_integers, checked_tensor, checked_tensors, shown
from prunelimits.masks.checks import check_bools
from prunelimits.types import Masks


def count(masks: Masks) -> int:
    """How many parameters the masks keep, those of all models together.

    Raises:
        TypeError: If `masks` is not a dict of bool tensors.

    Examples:
        >>> count({"weight": torch.tensor([[True, False], [True, True]])})
        3
    """
    check_bools(masks)
    return sum(int(mask.count_nonzero()) for mask in masks.values())


def flatten(masks: Mapping[str, Tensor]) -> Tensor:
    """One row of all entries in the order of the names, for masks without a model axis.

    Raises:
        ValueError: If there is no mask.
        TypeError: If `masks` is not a dict of tensors.

    Examples:
        >>> flatten({"a": torch.tensor([True, False]), "b": torch.tensor([[True]])})
        tensor([ True, False,  True])
    """
    if not checked_tensors("masks", masks):
        raise ValueError("masks must hold at least one tensor, got none")
    return torch.cat([mask.flatten() for mask in masks.values()])


def rows(stacked: Mapping[str, Tensor]) -> Tensor:
    """All entries of each model in a row, in the order of the names: `flatten` for stacks.

    Args:
        stacked: Name -> tensor `(models, *shape)`.

    Returns:
        `(models, entries)`; `unflatten` is the inverse.

    Raises:
        ValueError: If there is no tensor, or they are not of as many models.
        TypeError: If `stacked` is not a dict of tensors.

    Examples:
        >>> rows({"a": torch.tensor([[1, 2], [3, 4]]), "b": torch.tensor([[[5]], [[6]]])})
        tensor([[1, 2, 5],
                [3, 4, 6]])
    """
    if not checked_tensors("stacked", stacked):
        raise ValueError("stacked must hold at least one tensor, got none")
    models = {value.shape[:1] for value in stacked.values()}
    if len(models) > 1 or torch.Size() in models:
        shapes = {name: tuple(value.shape) for name, value in stacked.items()}
        raise ValueError(f"stacked must all have as many models as first axis, got {shapes}")
    return torch.cat([value.flatten(1) for value in stacked.values()], 1)


def unflatten(flat: Tensor, shapes: Mapping[str, Sequence[int]]) -> Masks:
    """The inverse of `flatten` and `rows`: `(..., entries)` to name -> `(..., *shape)`.

    Raises:
        ValueError: If the last axis is not as long as the shapes need.
        TypeError: If `flat` is not a tensor, or `shapes` not a dict of shapes.

    Examples:
        >>> unflatten(torch.tensor([True, False, True]), {"a": (2,), "b": (1, 1)})
        {'a': tensor([ True, False]), 'b': tensor([[True]])}
    """
    checked_tensor("flat", flat)
    if not isinstance(shapes, Mapping):
        raise TypeError(f"shapes must be shapes by name, got {shown(shapes)}")
    shapes = {
        name: checked_integers(f"shapes[{name!r}]", shape, 0) for name, shape in shapes.items()
    }
    sizes = [torch.Size(shape).numel() for shape in shapes.values()]
    if flat.dim() == 0 or flat.shape[-1] != sum(sizes):
        raise ValueError(f"flat must have {sum(sizes)} entries, got {shown(flat)}")
    parts = zip(shapes.items(), flat.split(sizes, dim=-1), strict=True)
    return {name: part.reshape((*flat.shape[:-1], *shape)) for (name, shape), part in parts}
