"""Values in error messages."""

from __future__ import annotations

import torch


def shown(value: object) -> str:
    """A value for an error message: its `repr` where that is short, else what kind of thing it is.

    Examples:
        >>> shown(torch.zeros(2, 3))
        'a tensor (2, 3) of torch.float32'
    """
    if isinstance(value, torch.Tensor):
        return f"a tensor {tuple(value.shape)} of {value.dtype}"
    if hasattr(value, "__array_interface__") and getattr(value, "ndim", 0):
        return f"an array {getattr(value, 'shape', '')} of {getattr(value, 'dtype', '')}"
    try:
        text = repr(value)
    except Exception:  # an integer of more digits than Python writes, or an object of the caller's
        return f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"a {type(value).__name__}"
