# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""A call of an operation, and the ways in which a rule may follow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from prunelimits.connectivity.following.call_steps import AbstractCall
from prunelimits.connectivity.following.recording import Followed
from prunelimits.connectivity.following.ruling_out import blocked_by
from prunelimits.connectivity.following.values import Argument


@final
@dataclass(frozen=True, eq=False)
class Call(AbstractCall):
    """A call of an operation, and the ways to follow it; a rule returns what one of them gives.

    Beside these methods a rule may add steps of its own, by those of `AbstractCall`, which also has
    what was called: `operation`, `args`, `kwargs` and `shapes`.
    """

    def elementwise(self) -> Followed:
        """Each element by itself; what comes in together is spread to the same shape first."""
        shape = self.shapes[0][0]
        out = blocked_by(self.operation, self.args, self.followed, shape)
        open_ = None if out is None else (~out).float()

        def paths(*inputs: Tensor) -> Tensor:
            result = inputs[0].expand(shape)
            for x in inputs[1:]:
                result = result + x
            return result if open_ is None else result * open_

        lines = [x.shape for x in self.followed] if out is None else ()
        return self.linear(paths, blocked=out, lines=lines)

    def moves(self) -> Argument:
        """Each output element is an input element, a constant or a sum of such: a linear map."""
        # A type and a factor hold for what the operation computes and not for paths.
        factors = ("dtype", "memory_format", "alpha")
        kwargs = {k: v for k, v in self.kwargs.items() if k not in factors}

        joins = any(name in str(self.operation) for name in ("cat", "stack", "scatter"))

        def emptied(leaf: Argument, dtype: torch.dtype) -> Argument:
            # No path begins in a constant; an index says where the others go.
            held = isinstance(leaf, Tensor) and (leaf.is_floating_point() or joins)
            if not held or (leaf.dtype in (torch.int64, torch.bool) and leaf is self.index):
                return leaf
            return torch.zeros_like(leaf, dtype=dtype)

        def paths(*inputs: Tensor) -> Argument:
            args, named = pytree.tree_map(
                lambda leaf: emptied(leaf, inputs[0].dtype), (self.args, kwargs)
            )
            return replace(self, args=args, kwargs=named).evaluate(*inputs)

        if len(self.shapes) == 1 and not self.gives_list:
            blocked = None
            if any(x.blocked is not None for x in self.followed):
                marks = [
                    torch.zeros(x.shape, dtype=torch.float32, device="cpu")
                    if x.blocked is None
                    else x.blocked.float()
                    for x in self.followed
                ]
                blocked = paths(*marks) > 0.5
            return self.linear(paths, keeps_zero=self._keeps_zero(), blocked=blocked)
        return [
            self.linear(
                lambda *x, place=place: paths(*x)[place],
                lambda *x, place=place: self.evaluate(*x)[place],
                keeps_zero=True,
                place=place,
            )
            for place in range(len(self.shapes))
        ]

    @property
    def index(self) -> Tensor | None:
        """The constant that says where values are put, as `scatter` takes it."""
        found = self.args[2] if len(self.args) > 2 else None
        return found if isinstance(found, Tensor) else None

    def mixes(self, axes: Sequence[int] | None = None, *, keeps_zero: bool = False) -> Argument:
        """Every element depends on every other along some axes, or along all."""
        (x,) = self.followed
        axes = [
            axis % max(1, len(x.shape)) for axis in (range(len(x.shape)) if axes is None else axes)
        ]

        def paths(v: Tensor) -> Tensor:
            total = v.sum(axes, keepdim=True) if axes else v
            return total.expand(x.shape)

        return self._each(paths, keeps_zero=keeps_zero)

    def reduces(
        self, axes: Sequence[int] | int | None = None, *, keepdim: bool = False
    ) -> Argument:
        """Some axes, or all, are taken together to one element, which depends on all of them."""
        given = [axes] if isinstance(axes, int) else list(axes or [])

        def paths(v: Tensor) -> Tensor:
            chosen = given or list(range(v.dim()))
            return v.sum(chosen, keepdim=keepdim) if v.dim() else v

        return self._each(paths)

    def _each(self, paths: Callable[..., Tensor], *, keeps_zero: bool = False) -> Argument:
        if len(self.shapes) == 1 and not self.gives_list:
            return self.linear(paths, keeps_zero=keeps_zero)
        return [
            self.linear(paths, lambda *v, i=place: self.evaluate(*v)[i], place=place)
            for place in range(len(self.shapes))
        ]

    def _keeps_zero(self) -> bool:
        """Whether zeros give zeros: found by trying it, if there is anything else to give."""
        others = [x for x in pytree.tree_leaves((self.args, self.kwargs)) if isinstance(x, Tensor)]
        floating = any(x.is_floating_point() for x in others)
        if not floating and self.operation is not torch.ops.aten.constant_pad_nd.default:
            return True
        zeros = [torch.zeros(x.shape, dtype=x.dtype, device="cpu") for x in self.followed]
        return not bool(self.evaluate(*zeros).any())
