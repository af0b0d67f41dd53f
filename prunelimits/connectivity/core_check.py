"""Whether a smaller network computes what the whole one does."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from prunelimits.connectivity.following.calling import called, drawn
from prunelimits.connectivity.following.other_sizes import Call


class CoreCheck:
    """Whether a core computes what the model does with its masks, in float64.

    Args:
        masked: The model, zero where its masks prune.
        examples: What it is called with, first the one that was given, then those at other sizes;
            floating numbers are drawn anew.

    Attributes:
        example: The first of the examples: arguments by position and by name.
        reason: Why the last core that was called did not compute the same.
    """

    def __init__(self, masked: nn.Module, examples: list[Call]) -> None:
        generator = torch.Generator().manual_seed(0)
        self._examples: list[Call] = [drawn(example, generator) for example in examples]
        self.example = self._examples[0]
        self.reason = ""
        self._expected = [called(masked, *example, double=True) for example in self._examples]
        self._exact: list[list[Tensor]] = []

    def hold(self, whole: nn.Module, *, watched: bool = True) -> bool:
        """As a call; from then on a core must also give what this one does, rounded in float64.

        Its parameters are those of the cores, where moved constants were rounded to the model's
        type. A model that computes in a smaller type itself has no such numbers, and one whose
        operations cannot be watched is not held to them.
        """
        narrow = _Narrow()
        self._exact = []
        found: list[list[Tensor]] = []
        is_same = self._compare(whole, found, narrow if watched else None)
        if is_same and watched and not narrow.seen:
            self._exact = found
        return is_same

    def __call__(self, core: nn.Module) -> bool:
        """Whether this one does."""
        return self._compare(core, [])

    def _compare(
        self,
        core: nn.Module,
        gathered: list[list[Tensor]],
        within: AbstractContextManager[object] | None = None,
    ) -> bool:
        """Whether a core gives what it should; what it gives is gathered."""
        for number, (example, expected) in enumerate(
            zip(self._examples, self._expected, strict=True)
        ):
            where = " at other sizes than the example's" if number else ""
            try:
                found = called(core, *example, double=True, within=within)
            except Exception as error:
                self.reason = f"its core{where} ({error})"
                return False
            gathered.append(found)
            exact = not self._exact or _same(found, self._exact[number], 1e-9)
            if not exact or not _same(found, expected):
                self.reason = f"its core differs from what it computes{where}"
                return False
        return True


class _Narrow(TorchDispatchMode):
    """Sees whether anything is computed in a floating type of less than 64 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for x in pytree.tree_leaves(result):
            if isinstance(x, Tensor) and (x.is_floating_point() or x.is_complex()):
                self.seen |= x.dtype not in (torch.float64, torch.complex128)
        return result


def _same(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-4) -> bool:
    """Whether outputs differ by no more than parameters of less than float64 make."""
    if [x.shape for x in found] != [x.shape for x in expected]:
        return False
    pairs = zip(map(_real, found), map(_real, expected), strict=True)
    return all(
        torch.allclose(a, b, tolerance, tolerance / 10 * _scale(b), equal_nan=True)
        for a, b in pairs
    )


def _real(x: Tensor) -> Tensor:
    return (torch.view_as_real(x) if x.is_complex() else x).double()


def _scale(x: Tensor) -> float:
    """The largest finite number, at most 1."""
    finite = x[x.isfinite()].abs()
    return min(float(finite.max()), 1.0) if finite.numel() else 0.0
