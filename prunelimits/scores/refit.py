"""Least squares: the weights that make up best for those that go, output by output."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.modes import many_at_once

# Entries of the matrices that are solved at a time.
_ENTRIES = 2**22
# Columns beyond which every row is solved alone: gathering them is then most of the work.
_LARGE = 128


def damped(gram: Tensor, damping: float) -> Tensor:
    """`G + damping mean(diag G) I`, of `(..., d, d)`; an input that is never there counts as 1.

    Without it a layer with an input that is always zero, or with fewer samples than inputs, has no
    single best answer. With it the weights also stay close to what they were.
    """
    mean = gram.diagonal(dim1=-2, dim2=-1).mean(-1)
    mean = mean.where(mean > 0, 1)[..., None, None]
    return gram + damping * mean * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)


def refit(weights: Tensor, gram: Tensor, survivors: Tensor) -> Tensor:
    """The weights on the survivors that give the layer's outputs as well as these weights can.

    For every row w of `weights` with survivors S and the others P the minimiser of
    `(w' - w)^T H (w' - w)` with `w'_P = 0`: `w'_S = w_S + H_SS^-1 H_SP w_P`. Of both systems of
    equations that give it the smaller is solved.

    Args:
        weights: `(outputs, inputs)`; zero where nothing was before.
        gram: H, positive definite: `(inputs, inputs)`.
        survivors: Bool, shaped like the weights.

    Raises:
        ValueError: If H is not positive definite.

    Examples:
        >>> gram = torch.tensor([[2.0, 1.0], [1.0, 1.0]])
        >>> refit(torch.tensor([[3.0, -1.0]]), gram, torch.tensor([[True, False]]))
        tensor([[2.5000, 0.0000]])
    """
    pruned = weights.masked_fill(survivors, 0)
    if many_at_once() or int(survivors.sum()) <= int((pruned != 0).sum()):
        change = solve_within(gram, survivors, pruned @ gram)
        return (weights + change).masked_fill(~survivors, 0)
    inverse, info = torch.linalg.inv_ex(gram)
    check_definite(info)
    forces = solve_within(inverse, ~survivors, pruned)
    return (weights - forces @ inverse).masked_fill(~survivors, 0)


def solve_within(matrix: Tensor, chosen: Tensor, right: Tensor) -> Tensor:
    """For every row r and its choice I: x with `matrix[I, I] x_I = r_I`, zero elsewhere.

    Args:
        matrix: Symmetric and positive definite, `(d, d)`.
        chosen: Bool, `(rows, d)`.
        right: `(rows, d)`.

    Raises:
        ValueError: If the matrix is not positive definite.
    """
    if many_at_once():  # no size may depend on a value there
        every = torch.arange(len(matrix), device=matrix.device).expand(chosen.shape)
        return _solved(matrix, every, chosen, right)
    counts = chosen.sum(1)
    result = torch.zeros_like(right)
    if chosen.shape[1] > _LARGE:  # rows that are worth a call each
        for row, places in enumerate(chosen):
            some = places.nonzero()[:, 0]
            within = matrix.index_select(0, some).index_select(1, some)
            result[row, some] = _by_cholesky(within, right[row, some])
        return result
    order = counts.argsort()
    begin = 0
    while begin < len(order):
        # Rows of like counts together, as many as their matrices have room for.
        largest = int(counts[order[begin:]].max())
        rows = order[begin:] if not largest else order[begin : begin + _rows(largest)]
        begin += len(rows)
        size = int(counts[rows].max())
        places = chosen[rows].int().argsort(dim=1, descending=True, stable=True)[:, :size]
        solved = _solved(
            matrix, places, chosen[rows].gather(1, places), right[rows].gather(1, places)
        )
        result[rows] = result[rows].scatter(1, places, solved)
    return result


def _rows(size: int) -> int:
    return max(1, _ENTRIES // size**2)


def _solved(matrix: Tensor, places: Tensor, chosen: Tensor, right: Tensor) -> Tensor:
    """The solutions at some places of each row, where they are chosen; zero at the others."""
    parts = matrix[places[:, :, None], places[:, None, :]]
    identity = torch.eye(places.shape[1], dtype=matrix.dtype, device=matrix.device)
    within = torch.where(chosen[:, :, None] & chosen[:, None, :], parts, identity)
    return _by_cholesky(within, right.masked_fill(~chosen, 0))


def _by_cholesky(matrices: Tensor, right: Tensor) -> Tensor:
    factor, info = torch.linalg.cholesky_ex(matrices)
    check_definite(info)
    return torch.cholesky_solve(right[..., None], factor)[..., 0]


def check_definite(info: Tensor) -> None:
    """Raises `ValueError` if a factorisation failed, by LAPACK's `info`; not under `torch.vmap`."""
    try:
        failed = bool((info != 0).any())
    except RuntimeError:  # there no value can be read, and such a model's scores are no numbers
        return
    if failed:
        raise ValueError(
            "damping must be larger: there are directions of a layer's weights that its inputs do "
            "not feel"
        )
