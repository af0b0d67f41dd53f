"""The sizes of a Hessian's rows, and the published estimate of its zero eigenvalues from them."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_instance,
    checked_number,
    checked_tensor,
    shown,
)
from prunelimits.limits.checks import (
    check_params,
    check_weights,
    checked_count,
    checked_names,
    checked_vector,
)
from prunelimits.limits.hessian import Hessian
from prunelimits.modes import in_plain_modes
from prunelimits.scores.gradient import check_batches
from prunelimits.types import Params, Problem

_ROWS = 100
# Rows are as long as all parameters: together at most so many entries at a time.
_ENTRIES = 2**24


def magnitude_percentiles(weights: Tensor, count: int = _ROWS) -> Tensor:
    """Where the percentiles of the magnitudes are: indices, int64 `(count,)`.

    Number i is the entry whose magnitude has the share `i / count` of all below it.

    Raises:
        ValueError: If there is no weight.

    Examples:
        >>> magnitude_percentiles(torch.tensor([3.0, -1.0, 2.0, -4.0]), count=2)
        tensor([1, 0])
    """
    checked_vector("weights", weights)
    count = checked_count("count", count)
    if weights.dim() != 1 or not len(weights):
        raise ValueError(f"weights must be (weights,), got {tuple(weights.shape)}")
    order = weights.double().abs().argsort(stable=True)
    return order[torch.arange(count, device=order.device) * len(weights) // count]


@in_plain_modes
def row_l1_norms(hessian: Hessian, rows: Tensor) -> Tensor:
    """The L1 norms of some rows, float64 `(rows,)`.

    By Gershgorin's theorem an eigenvalue lies within the row's L1 norm of zero.

    Raises:
        ValueError: If a row is not below the matrix's size.
    """
    checked_instance("hessian", hessian, Hessian, "a Hessian")
    checked_tensor("rows", rows)
    if rows.dim() != 1 or rows.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"rows must be a vector of integers, got {shown(rows)}")
    if not ((rows >= 0) & (rows < hessian.size)).all():
        raise ValueError(f"rows must be below the size {hessian.size}, got {rows.tolist()}")
    if not len(rows):
        return torch.zeros(0, dtype=torch.float64, device="cpu")
    norms: list[Tensor] = []
    for part in rows.split(max(1, _ENTRIES // hessian.size)):
        places = part[:, None].to(hessian.device)
        units = torch.zeros(len(part), hessian.size, dtype=hessian.dtype, device=hessian.device)
        norms.append(hessian.product(units.scatter_(1, places, 1.0)).double().abs().sum(1).cpu())
    return torch.cat(norms)


@in_plain_modes
def flat_fraction(
    problem: Problem,
    params: Params,
    names: tuple[str, ...],
    weights: Params,
    *,
    threshold: float = 1e-7,
) -> tuple[float, Tensor]:
    """The published estimate of the share of zero eigenvalues, and the row norms it rests on.

    The share of 100 rows, at the percentiles of the weights' magnitudes, whose statistic is below
    `threshold`. The statistic is the published one: the L1 norms of the row in each batch's own
    Hessian, summed, over the number of samples.

    Args:
        problem: The task.
        params: Parameters and buffers by name.
        names: The parameters that the Hessian is taken by.
        weights: Those of them whose magnitudes count.
        threshold: As published.
    """
    check_batches(problem)
    check_params(params)
    names = checked_names("names", names)
    check_weights(weights, None)
    threshold = checked_number("threshold", threshold, above=0)
    if unknown := set(weights) - set(names):
        raise ValueError(f"weights must be among names, got {sorted(unknown)}")
    hessians = [
        Hessian(problem._replace(batches=[batch]), params, names, keep_graphs=False)
        for batch in problem.batches
    ]
    magnitudes = hessians[0].vector({n: w.detach().abs() for n, w in weights.items()})
    ones = {n: torch.ones_like(w) for n, w in weights.items()}
    candidates = hessians[0].vector(ones).nonzero().squeeze(1)
    rows = candidates[magnitude_percentiles(magnitudes[candidates])]
    total = sum(
        (row_l1_norms(h, rows) for h in hessians), torch.zeros(_ROWS, device="cpu").double()
    )
    statistic = total / sum(len(x) for x, _ in problem.batches)
    return float((statistic < threshold).double().mean()), statistic
