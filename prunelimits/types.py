"""The two plain data types that every part of the library speaks."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor

Params: TypeAlias = dict[str, Tensor]
"""Parameter name -> tensor, as in `model.named_parameters()`.

Many models at once put a leading axis before each shape: `(models, *shape)`.
"""

Masks: TypeAlias = dict[str, Tensor]
"""Parameter name -> bool tensor of the parameter's shape: True is kept, False is pruned.

A name that is absent is kept whole. Many models at once put a leading axis before each shape.
"""
