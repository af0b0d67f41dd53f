"""One form for all masks that differ by a relabelling of hidden units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from torch import Tensor

from prunelimits.arguments import checked_choice, shown
from prunelimits.enumeration.eligible_counts import Used
from prunelimits.enumeration.mask_layout import MaskLayout, checked_mask
from prunelimits.enumeration.orbit_cuts import best_cut
from prunelimits.types import Masks


def canonical(masks: Masks, *, inputs: Used = "all") -> Masks:
    """The masks that represent all relabellings of the hidden units of `masks`.

    A permutation of a hidden layer's units moves the rows of the matrix below and the columns of
    the matrix above. Masks of equal networks, up to that, have equal representatives: the elements
    of `ModelMasks(widths, symmetry="network")`. No tables are built.

    Args:
        masks: The masks of an MLP by parameter name, with every row and column of the weight masks
            nonzero and every bias kept.
        inputs: `"any"`: columns of the first weight mask may be zero, inputs that go unused.

    Raises:
        TypeError: If `masks` is not a dict of bool tensors.
        ValueError: If a weight mask has a zero row or column, a bias is pruned, the names and
            shapes are not an MLP's, `inputs` is unknown, or too many permutations would have to be
            compared.

    Examples:
        >>> import torch
        >>> masks = {"layers.0.weight": torch.tensor([[True, True], [True, False]]),
        ...          "layers.0.bias": torch.tensor([True, True]),
        ...          "layers.1.weight": torch.tensor([[True, True]]),
        ...          "layers.1.bias": torch.tensor([True])}
        >>> canonical(masks)["layers.0.weight"].int()
        tensor([[1, 0],
                [1, 1]], dtype=torch.int32)
    """
    return _canonical("masks", masks, inputs)


def same_network(first: Masks, second: Masks, *, inputs: Used = "all") -> bool:
    """Whether relabelling hidden units takes one network's masks to the other's.

    Args:
        first: The masks of an MLP by parameter name; see `canonical` for what they must be.
        second: The same for the other network. Other widths make it another network.
        inputs: As for `canonical`.

    Raises:
        TypeError: As for `canonical`.
        ValueError: As for `canonical`.
    """
    one, other = _canonical("first", first, inputs), _canonical("second", second, inputs)
    return all(
        mask.shape == other[name].shape and bool((mask == other[name]).all())
        for name, mask in one.items()
    ) and len(one) == len(other)


def _canonical(name: str, masks: Masks, inputs: Used) -> Masks:
    """`canonical` of the argument of this name."""
    checked_choice("inputs", inputs, get_args(Used))
    layout = MaskLayout(_widths(name, masks))
    weights = layout.weights(layout.row(masks, name)[None])
    cut = best_cut(layout.widths, inputs)
    return layout.masks(layout.rows(cut.matrices(cut.canonical_keys(weights)))[0])


def _widths(name: str, masks: object) -> tuple[int, ...]:
    """The widths of the MLP that has these weight masks."""
    if not isinstance(masks, Mapping):
        raise TypeError(f"{name} must be a dict of bool tensors, got {shown(masks)}")
    weights: list[Tensor] = []
    while (parameter := f"layers.{len(weights)}.weight") in masks:
        weight = checked_mask(f"{name}[{parameter!r}]", masks[parameter])
        if weight.dim() != 2:
            raise ValueError(f"{name}[{parameter!r}] must have two dimensions, got {weight.dim()}")
        weights.append(weight)
    if not weights:
        raise ValueError(f"{name} must have the names of an MLP's parameters, got {list(masks)}")
    return (weights[0].shape[1], *(weight.shape[0] for weight in weights))
