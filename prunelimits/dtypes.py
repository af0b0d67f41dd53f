"""Data of another dtype than a model: the failure of torch, told as one of an argument.

Nothing is checked beforehand. A model may convert what it is given, embed whole numbers or compute
in several dtypes, and a loss may promote: only what fails is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from prunelimits.nested import tensors_in


def of_inputs(module: nn.Module, inputs: Any, error: Exception) -> TypeError | None:  # noqa: ANN401
    """What to raise where a module fails since its inputs have another dtype; None: they have not.

    Args:
        module: What was called.
        inputs: With what, in any structure.
        error: What torch raised.

    Examples:
        >>> inputs = torch.ones(1, 2, dtype=torch.float64)
        >>> try:
        ...     _ = nn.Linear(2, 1)(inputs)
        ... except RuntimeError as error:
        ...     print(str(of_inputs(nn.Linear(2, 1), inputs, error)).partition(":")[0])
        batches must hold inputs of torch.float32, as the model's parameters are, got torch.float64
    """
    return _told("inputs", inputs, "the model's parameters", module.parameters(), error)


def of_targets(outputs: Any, targets: Any, error: Exception) -> TypeError | None:  # noqa: ANN401
    """What to raise where a loss fails since targets have another dtype than outputs, or None."""
    return _told("targets", targets, "the model's outputs", tensors_in(outputs), error)


def _told(
    what: str,
    given: Any,  # noqa: ANN401
    whose: str,
    wanted: Iterable[Tensor],
    error: Exception,
) -> TypeError | None:
    expected = _floating(wanted)
    found = [dtype for dtype in _floating(tensors_in(given)) if dtype not in expected]
    # All of torch's messages about dtypes and scalar types have the word in them; one about shapes,
    # which would be as wrong in the right dtype, has not.
    if not expected or not found or "type" not in str(error):
        return None
    return TypeError(
        f"batches must hold {what} of {' or '.join(map(str, expected))}, as {whose} are, got "
        f"{found[0]}: {error}"
    )


def _floating(tensors: Iterable[Tensor]) -> list[torch.dtype]:
    return list(dict.fromkeys(t.dtype for t in tensors if t.is_floating_point()))
