"""SparseGPT: column after column of a layer, those behind make up for what goes."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.masks import top
from prunelimits.scores.refit import check_definite


def sparsegpt(
    weights: Tensor, gram: Tensor, allowed: Tensor, keep: Tensor, *, block: int = 128
) -> tuple[Tensor, Tensor]:
    """The mask of a layer and the weights that belong to it, in one sweep over its inputs.

    From [SparseGPT](https://arxiv.org/abs/2301.00774). With `U` the upper Cholesky factor of
    `H^-1`, `U^T U = H^-1`, the weights of input j stand for themselves once the sweep reaches j:
    all outputs share `[H_j:^-1]_jj = U_jj^2`, whatever was kept before. At the first input of a
    block its weights with the largest `w^2 / U_jj^2` are chosen, among all outputs. Then for each
    of its inputs, what goes changes the weights behind it, `W_:, k -= (w_j / U_jj) U_jk` for k > j.

    Each block keeps its share of `keep`, by the weights that are allowed there, whole numbers in
    proportion to what has been swept.

    Args:
        weights: `(outputs, inputs)`; zero where they are not allowed.
        gram: H, positive definite: `(inputs, inputs)`.
        allowed: Bool, shaped like the weights.
        keep: How many weights are kept: an integer tensor without axes.
        block: How many inputs are chosen for together.

    Raises:
        ValueError: If H is not positive definite.

    Examples:
        >>> gram = torch.tensor([[2.0, 1.0], [1.0, 1.0]])
        >>> weights, all_of_them = torch.tensor([[1.0, -3.0]]), torch.ones(1, 2, dtype=torch.bool)
        >>> sparsegpt(weights, gram, all_of_them, torch.tensor(1))
        (tensor([[False,  True]]), tensor([[ 0., -2.]]))
    """
    lower, failed = torch.linalg.cholesky_ex(gram.flip(0, 1))
    check_definite(failed)
    # H = L L^T backwards gives U as the inverse of its factor: no inverse of H is needed.
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    upper = torch.linalg.solve_triangular(lower.flip(0, 1), identity, upper=True)
    masks: list[Tensor] = []
    kept: list[Tensor] = []
    total = allowed.sum().clamp(min=1)
    for begin in range(0, len(gram), block):
        end = min(begin + block, len(gram))
        quota = keep * allowed[:, :end].sum() // total - keep * allowed[:, :begin].sum() // total
        root = upper[begin:end, begin:end]
        scores = (weights[:, :block] / root.diagonal()).square()
        mask = top({"block": scores.masked_fill(~allowed[:, begin:end], -1)}, quota)["block"]
        columns, errors = _swept(weights[:, :block], mask, root)
        weights = weights[:, block:] - errors @ upper[begin:end, end:]
        masks.append(mask)
        kept.append(columns)
    return torch.cat(masks, 1), torch.cat(kept, 1)


def _swept(weights: Tensor, mask: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """The weights of a block after the sweep, and `w_j / U_jj` of those that went."""
    columns: list[Tensor] = []
    errors: list[Tensor] = []
    for place in range(weights.shape[1]):
        column = weights[:, 0]
        error = column.masked_fill(mask[:, place], 0) / root[place, place]
        weights = weights[:, 1:] - error[:, None] * root[place, place + 1 :]
        columns.append(column.masked_fill(~mask[:, place], 0))
        errors.append(error)
    return torch.stack(columns, 1), torch.stack(errors, 1)
