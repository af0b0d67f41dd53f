"""Masks of a whole network as one flat row, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from prunelimits.arguments import checked_tensor, shown
from prunelimits.enumeration.eligible_tables import Bits, Integers
from prunelimits.masks import unflatten
from prunelimits.models import check_widths, parameter_shapes
from prunelimits.types import Masks


class MaskLayout:
    """Where each mask of `MLP(widths)` lies in a row of all of them, in the order of `shapes`.

    Only masks that keep every bias are meant: each row of their weight masks has a nonzero.

    Args:
        widths: Inputs, hidden units of each layer, outputs.

    Attributes:
        widths: As given, a tuple.
        shapes: The shape of every parameter by name.
        parameters: The length of a row.
        biases: The number of biases.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        self.widths = check_widths(widths)
        self.shapes = parameter_shapes(self.widths)
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.parameters = sum(sizes)
        self.biases = sum(self.widths[1:])
        self._columns = {
            name: slice(end - size, end)
            for name, size, end in zip(self.shapes, sizes, np.cumsum(sizes).tolist(), strict=True)
        }

    def rows(self, weights: Sequence[Bits]) -> Tensor:
        """Rows with the layers' flattened weight masks and all biases: `(networks, parameters)`."""
        flat = np.ones((len(weights[0]), self.parameters), dtype=bool)
        for layer, bits in enumerate(weights):
            flat[:, self._columns[f"layers.{layer}.weight"]] = bits
        return torch.from_numpy(flat)

    def weights(self, rows: Tensor) -> list[Bits]:
        """The layers' flattened weight masks, the inverse of `rows`.

        Raises:
            TypeError: If `rows` is not a bool tensor.
            ValueError: If its shape is not `(networks, parameters)`, or a bias is pruned.
        """
        checked_mask("rows", rows)
        if rows.dim() != 2 or rows.shape[1] != self.parameters:
            raise ValueError(
                f"rows must have shape (networks, {self.parameters}), got {tuple(rows.shape)}"
            )
        flat = rows.cpu().numpy()
        for name, columns in self._columns.items():
            if name.endswith("bias") and not flat[:, columns].all():
                raise ValueError(f"{name} must keep every bias, as every row has a nonzero weight")
        return [
            flat[:, columns] for name, columns in self._columns.items() if name.endswith("weight")
        ]

    def masks(self, row: Tensor) -> Masks:
        """The masks by name that one row holds."""
        return unflatten(row, self.shapes)

    def row(self, masks: object, argument: str = "masks") -> Tensor:
        """The masks as one row, the inverse of `masks`; errors call them by `argument`.

        Raises:
            TypeError: If `masks` is not a dict of bool tensors.
            ValueError: If a name or a shape is not as in `shapes`.
        """
        if not isinstance(masks, Mapping):
            raise TypeError(f"{argument} must be a dict of bool tensors, got {shown(masks)}")
        if set(masks) != set(self.shapes):
            raise ValueError(
                f"{argument} must have the names {list(self.shapes)}, got {list(masks)}"
            )
        for name, shape in self.shapes.items():
            entry = f"{argument}[{name!r}]"
            mask = checked_mask(entry, masks[name])
            if tuple(mask.shape) != shape:
                raise ValueError(f"{entry} must have shape {shape}, got {tuple(mask.shape)}")
        return torch.cat([masks[name].flatten() for name in self.shapes])


def count_ones(bits: Bits) -> Integers:
    """The ones of each row of `bits`, int64."""
    # Column by column: several times faster than a sum along short rows.
    ones = np.zeros(len(bits), dtype=np.int64)
    for column in bits.T:
        ones += column
    return ones


def checked_mask(name: str, mask: object) -> Tensor:
    """`mask`, if it is a dense bool tensor that holds data.

    Raises:
        TypeError: If it is something else.
        ValueError: If it is on the meta device.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"{name} must be a bool tensor, got {kind}")
    return checked_tensor(name, mask)
