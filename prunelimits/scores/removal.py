"""The order in which the weights of an output can best be done without."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.modes import many_at_once
from prunelimits.progress import tracked
from prunelimits.scores.native import library
from prunelimits.scores.refit import check_definite

# Weights that go before the matrices are brought up to date; entries of matrices at a time.
_BLOCK = 64
# The share of the weights that is left when the matrices are cut to them.
_CUT = 0.75
_ENTRIES = 2**25
# Inputs beyond which float32 is used: it decides between near equals alone, the weights that stay
# are solved for in float64. Twice as fast.
_LARGE = 256
# Multiply-adds of a thread in one call of the library: Ctrl-C waits for its end, half a second.
_MULTIPLY_ADDS = 2**33


def losses_of_removal(weights: Tensor, inverse: Tensor) -> Tensor:
    """What the error rises by when each weight goes, the others of its output making up for it.

    For each row w one weight after the other goes, the one whose loss `w_p^2 / [H^-1]_pp` is least,
    with the change `-w_p / [H^-1]_pp H^-1_:p` of the others; then `H^-1` becomes that of the
    weights that are left. That is [ExactOBS](https://arxiv.org/abs/2208.11580) in another order of
    operations, as in a Cholesky factorisation with pivots. On a CPU the package's own library
    computes the columns that are looked at, each from those before it, in as many threads as torch
    has. Without the library and elsewhere a matrix is brought up to date for some weights
    together, and in between only those columns; whenever a quarter of the weights is gone, it is
    cut to the others.

    A weight that goes after another costs at least as much as that one: what is ranked by these
    losses leaves each row in the order in which its weights went.

    Args:
        weights: `(rows, d)`.
        inverse: `H^-1`, symmetric, positive definite: `(d, d)`, or `(rows, d, d)` for each row.

    Returns:
        `(rows, d)`, in float64.

    Raises:
        ValueError: If the matrix is so close to none that numbers overflow.

    Examples:
        >>> inverse = torch.tensor([[1.0, -1.0], [-1.0, 2.0]])
        >>> losses_of_removal(torch.tensor([[3.0, -1.0]]), inverse)  # 1 / 2, then 2.5^2 / 0.5
        tensor([[12.5000,  0.5000]], dtype=torch.float64)
    """
    size = weights.shape[1]
    dtype = torch.float32 if size > _LARGE else torch.float64
    compiled, fast = _compiled(weights, inverse), inverse.to(dtype)
    most = _MULTIPLY_ADDS * torch.get_num_threads() // (size**3 // 6 + 1)
    at_once = max(1, most if compiled else _ENTRIES // size**2)
    result: list[Tensor] = []
    for first in tracked(range(0, len(weights), at_once)):
        rows = slice(first, first + at_once)
        losses = _losses(weights[rows].to(dtype), _of(rows, fast), compiled)
        # Rounding can take float32 below zero, where float64 still is above.
        if not many_at_once() and not bool(losses.isfinite().all()):
            losses = _losses(weights[rows].double(), _of(rows, inverse).double(), compiled)
            check_definite((~losses.isfinite()).int())
        result.append(losses)
    return torch.cat(result)


def _of(rows: slice, inverse: Tensor) -> Tensor:
    return inverse[rows] if inverse.dim() == 3 else inverse


def _compiled(*values: Tensor) -> library.Library | None:
    """The library, where it can work on these tensors."""
    plain = all(type(value) is Tensor and value.device.type == "cpu" for value in values)
    return library.load() if plain and not many_at_once() else None


def _losses(weights: Tensor, inverse: Tensor, compiled: library.Library | None) -> Tensor:
    if compiled is None:
        return _removed(weights, inverse.expand(*weights.shape, weights.shape[1]))
    return compiled.losses(weights, inverse, threads=torch.get_num_threads())


def _removed(weights: Tensor, inverse: Tensor) -> Tensor:
    size = weights.shape[1]
    # What is changed in place must be as many as the weights are, under `torch.vmap` too.
    losses = torch.zeros_like(weights, dtype=torch.float64)
    highest = losses[:, :1]
    places = torch.arange(size, device=weights.device) + losses.long()
    # An inverse of LAPACK's is stored column by column; rows are what is read here.
    each = (inverse.mT + torch.zeros_like(weights[..., None])).contiguous()
    state = _State(weights.clone(), each)
    left = size
    while left:
        if left <= _CUT * state.weights.shape[1]:
            order = state.weights.isinf().int().sort(dim=1, stable=True).indices[:, :left]
            places, state = places.gather(1, order), state.cut(order)
        count = min(_BLOCK, left)
        state.begin(count)
        for number in range(count):
            place, loss = state.remove(number)
            # Equals would have no order.
            highest = torch.maximum(highest * (1 + 1e-12), loss.double())
            losses = losses.scatter(1, places.gather(1, place), highest)
        left -= count
    return losses


class _State:
    """Rows of weights of which some are gone, and the inverse matrices of the others.

    Attributes:
        weights: As they make up for those that are gone; infinite there: `(rows, d)`. May be
            changed in place.
    """

    def __init__(self, weights: Tensor, inverse: Tensor) -> None:
        self.weights = weights
        self._inverse = inverse
        self._rows = torch.arange(len(weights), device=weights.device)
        self._factors: Tensor | None = None
        self._diagonal = inverse.diagonal(dim1=1, dim2=2)

    def begin(self, count: int) -> None:
        """Brings the matrices up to date, and makes room for `count` weights to go."""
        self._bring_up_to_date()
        self._factors = torch.zeros_like(self._inverse[:, :count])
        self._diagonal = self._inverse.diagonal(dim1=1, dim2=2).masked_fill(self.weights.isinf(), 1)

    def cut(self, order: Tensor) -> _State:
        """The weights at some places of each row alone, `(rows, few)`."""
        self._bring_up_to_date()
        rows, few = order.shape
        if many_at_once():
            wide = self.weights.shape[1]
            tall = self._inverse.gather(1, order[:, :, None].expand(rows, few, wide))
            square = tall.gather(2, order[:, None].expand(rows, few, few))
        else:  # several times as fast
            square = order.new_empty((rows, few, few), dtype=self._inverse.dtype)
            for matrix, places, room in zip(self._inverse, order, square, strict=True):
                torch.index_select(matrix.index_select(0, places), 1, places, out=room)
        return _State(self.weights.gather(1, order), square)

    def remove(self, number: int) -> tuple[Tensor, Tensor]:
        """The place `(rows, 1)` of the weight that costs least, and its loss; it goes.

        Args:
            number: How many went since the matrices were up to date.
        """
        assert self._factors is not None
        place = (self.weights.square() / self._diagonal).argmin(1, keepdim=True)
        rows = self._rows
        column = self._inverse[rows, place[:, 0]]
        if number:
            before = self._factors[:, :number]
            there = before[rows, :, place[:, 0]][:, None]
            column = column - (there @ before)[:, 0]
        pivot, weight = column.gather(1, place), self.weights.gather(1, place)
        factor = column / pivot.sqrt()
        self._factors[:, number] = factor
        self.weights.sub_(column * (weight / pivot))
        self.weights = self.weights.scatter(1, place, torch.full_like(weight, torch.inf))
        self._diagonal.sub_(factor.square())
        self._diagonal = self._diagonal.scatter(1, place, torch.ones_like(weight))
        return place, weight.square() / pivot

    def _bring_up_to_date(self) -> None:
        if self._factors is None:
            return
        if many_at_once():
            self._inverse = self._inverse - self._factors.mT @ self._factors
        else:
            self._inverse.baddbmm_(self._factors.mT, self._factors, alpha=-1)
        self._factors = None
