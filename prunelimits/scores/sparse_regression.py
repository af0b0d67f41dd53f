"""Which weights to keep, and at which values, by a quadratic model of the loss of low rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from prunelimits.modes import many_at_once
from prunelimits.scores.refit import check_definite

# Entries of the matrix of gradients that are worked on at a time.
_ENTRIES = 2**24


class Choice(NamedTuple):
    """What some weights that are kept can make of the model, for `p` weights and `n` samples.

    With `K = (damping I + A_S A_S^T)^-1` everything about a choice S is known from `n x n` numbers.

    Attributes:
        kept: S: bool, `(p,)`.
        values: Of the kept weights the best ones; of the others what they would tend to: `(p,)`.
        shares: `a_j^T K a_j`, `(p,)`: what of a weight's effect the kept ones have as well. Those
            that nobody asked for are not told.
        inverse: K, `(n, n)`.
    """

    kept: Tensor
    values: Tensor
    shares: Tensor
    inverse: Tensor


class SparseRegression:
    """`c^T A (w - w0) + |A (w - w0)|^2 / 2 + damping |w - w0|^2 / 2`, over w with few entries.

    The problem of [CHITA](https://arxiv.org/abs/2302.14623): the loss around the trained weights
    `w0`, with the empirical Fisher matrix `A^T A` for the Hessian, in the form of a regression. For
    a choice S of weights the best values are `w0_S + A_S^T K v` with `v = A_P w0_P - c`, P the
    others; without weight i of S the best is worse by `damping w_i^2 / (2 (1 - s_i))`, with weight
    j of P it is better by `damping w_j^2 / (2 (1 + s_j))`, for values w and shares s as in
    `Choice`. All are exact, and so are the changes from choice to choice below.

    Args:
        gradients: Of each sample, `(n, p)`; `A = gradients / sqrt(n)`.
        weights: `w0`, `(p,)`.
        damping: Above 0.
        first_order: Whether the gradient counts, `c = 1 / sqrt(n)`; at a minimum it is zero.
    """

    def __init__(
        self, gradients: Tensor, weights: Tensor, *, damping: float, first_order: bool = False
    ) -> None:
        samples = len(gradients)
        self._rows = gradients.double() / samples**0.5
        self._weights = weights.double()
        self._damping = damping
        self._first = torch.full_like(self._rows[:, 0], samples**-0.5 if first_order else 0.0)

    def best(self, kept: Tensor, among: Tensor | None = None) -> Choice:
        """The best values for a choice.

        Args:
            kept: The choice, bool `(p,)`.
            among: The weights whose shares are wanted, most of the work; None: all.
        """
        rows, weights = self._rows, self._weights
        inner = self._damping * torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
        for _, some in self._columns(kept):
            inner = inner + some @ some.mT
        pull = rows @ (weights * ~kept) - self._first
        root, info = torch.linalg.cholesky_ex(inner)
        check_definite(info)
        inverse = torch.cholesky_inverse(root)
        values = weights + (inverse @ pull) @ rows
        shares = torch.zeros_like(values)
        for places, some in self._columns(torch.ones_like(kept) if among is None else among):
            shares = shares.index_copy(0, places, (some * (inverse @ some)).sum(0))
        return Choice(kept, values, shares, inverse)

    def _columns(self, chosen: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The columns of some weights, a part at a time, with their places."""
        rows, few = self._rows, max(1, _ENTRIES // len(self._rows))
        every = torch.arange(rows.shape[1], device=rows.device)
        if many_at_once():  # no size may depend on a value there: others count as zero
            for part in every.split(few):
                yield part, rows.index_select(1, part) * chosen.gather(0, part)
            return
        for part in every[chosen].split(few):
            yield part, rows.index_select(1, part)

    def losses(self, choice: Choice) -> Tensor:
        """By how much the best without each kept weight is worse, `(p,)`."""
        room = (1 - choice.shares).clamp(min=1e-12)
        return self._damping * choice.values.square() / (2 * room)

    def gains(self, choice: Choice) -> Tensor:
        """By how much the best with each other weight is better, `(p,)`."""
        return self._damping * choice.values.square() / (2 * (1 + choice.shares))

    def added(self, choice: Choice, place: Tensor) -> Choice:
        """The best with one more weight; `place` is an integer tensor `(1,)`."""
        return self._changed(choice, place, 1.0)

    def removed(self, choice: Choice, place: Tensor) -> Choice:
        """The best with one weight less."""
        return self._changed(choice, place, -1.0)

    def _changed(self, choice: Choice, place: Tensor, sign: float) -> Choice:
        column = self._rows.index_select(1, place)[:, 0]
        turned = choice.inverse @ column
        shared = turned @ self._rows
        value, share = choice.values.gather(0, place), choice.shares.gather(0, place)
        room = (1 + sign * share).clamp(min=1e-12)
        is_it = torch.arange(len(shared), device=place.device) == place
        return Choice(
            choice.kept ^ is_it,
            choice.values - sign * shared * value / room,
            choice.shares - sign * shared.square() / room,
            choice.inverse - sign * turned[:, None] * turned / room,
        )
