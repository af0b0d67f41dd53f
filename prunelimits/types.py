"""The plain data types that every part of the library speaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor

Params: TypeAlias = dict[str, Tensor]
"""Parameter name -> tensor, as in `model.named_parameters()`.

Many models at once put a leading axis before each shape: `(models, *shape)`.
"""

Masks: TypeAlias = dict[str, Tensor]
"""Parameter name -> bool tensor of the parameter's shape: True is kept, False is pruned.

A name that is absent is kept whole. Many models at once put a leading axis before each shape.
"""

Scores: TypeAlias = dict[str, Tensor]
"""Parameter name -> tensor of the parameter's shape; larger always means keep."""


class Problem(NamedTuple):
    """Everything about a task except its weights; `problem.problem_of` makes one from a module.

    Attributes:
        apply: The network's outputs for parameters (and buffers) by name and inputs `x`: a pure
            function, so that `torch.func` can differentiate and `vmap` it.
        loss: A scalar for outputs and targets.
        batches: Inputs and targets, `(x, y)` each: tensors, or what holds them.
        has_outputs: False where `apply` gives the loss itself, and there are no outputs to look at.
        constants: Names that no training changes: buffers, and what is frozen.
    """

    apply: Callable[[Params, Any], Any]
    loss: Callable[[Any, Any], Tensor]
    batches: Sequence[tuple[Any, Any]]
    has_outputs: bool = True
    constants: frozenset[str] = frozenset()
