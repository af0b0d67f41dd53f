"""How much each batch counts: by one rule for scores and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from prunelimits.nested import tensors_in

_IGNORED = -100  # the default of `ignore_index`
_LABELS = ("labels", "label", "targets", "target")


def sample_counts(batches: Sequence[tuple[Any, Any]]) -> list[int]:
    """How many samples each batch stands for: the entries of its targets.

    That is what a loss that is a mean takes its mean over, whichever axis of the inputs is the
    batch's: images by image, sequences by the tokens that are predicted. Only the ratios matter.
    Whole numbers of -100 do not count: torch's losses and what is built on them leave those out.
    Targets that are no tensors count by their length, and a batch without targets by the first axis
    of its first input.

    Examples:
        >>> import torch
        >>> time_first = [(torch.zeros(7, n, 3), torch.zeros(n)) for n in (8, 2)]
        >>> sample_counts(time_first)
        [8, 2]
        >>> sample_counts([(torch.zeros(1, 3), torch.tensor([[4, -100, -100]]))])
        [1]
    """
    return [_count(x, y) for x, y in batches]


def _count(x: Any, y: Any) -> int:  # noqa: ANN401
    if isinstance(y, Mapping):
        named: Any = [y[name] for name in _LABELS if name in y]  # pyright: ignore[reportUnknownVariableType]
        y = named[0] if named else None
    if isinstance(y, list):
        return len(y)  # pyright: ignore[reportUnknownArgumentType]
    targets = next(tensors_in(y), None)
    if targets is not None and targets.dim():
        whole = not (targets.is_floating_point() or targets.is_complex())
        return int((targets != _IGNORED).sum()) if whole else targets.numel()
    inputs = next(tensors_in(x), None)
    return _length(inputs)


def _length(value: Tensor | None) -> int:
    return len(value) if value is not None and value.dim() else 1
