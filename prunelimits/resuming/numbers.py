"""The numbers of a tensor as bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import shown


def tensor_bytes(value: Tensor) -> memoryview:
    """All numbers of a tensor one after the other, whatever its device, layout and strides.

    Raises:
        TypeError: If it holds none: on the meta device, or quantised.
    """
    if value.is_meta or value.is_quantized:
        raise TypeError(f"a fingerprint needs a tensor that holds numbers, got {shown(value)}")
    plain = value.detach()
    if plain.layout != torch.strided:
        plain = plain.to_dense()
    plain = plain.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    # As bytes, for NumPy lacks some of the dtypes.
    content = (
        plain.view(torch.uint8)
        if plain.numel()
        else torch.zeros(0, dtype=torch.uint8, device="cpu")
    )
    return content.numpy().data
