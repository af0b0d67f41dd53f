"""Optimal Brain Surgeon: what the loss gains when a weight goes and the others make up for it."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import checked_flag, checked_number, checked_tensors
from prunelimits.masks import check_bools, flatten, unflatten
from prunelimits.modes import in_plain_modes
from prunelimits.scores.curvature import curvature_matrix
from prunelimits.scores.gradient import check_real, masked
from prunelimits.types import Masks, Params, Problem, Scores

# Beyond this the matrix alone takes over two gigabytes.
_MOST_WEIGHTS = 2**14


@in_plain_modes
@torch.no_grad()
def obs(
    problem: Problem,
    params: Params,
    masks: Masks,
    noise: Params | None = None,
    *,
    damping: float = 1e-4,
    gauss_newton: bool = True,
) -> Scores:
    """`w_i^2 / (2 [H^-1]_ii)`: how much the loss rises, at a minimum, when weight i alone goes.

    The saliency of
    [Optimal Brain Surgeon](https://proceedings.neurips.cc/paper/1992/hash/303ed4c69846ab36c2904d3ba8573050-Abstract.html):
    the least rise of the quadratic `d^T H d / 2` over all changes `d` of the kept weights with
    `d_i = -w_i`. `H` is the curvature of the masked network's loss by the kept weights, the mean
    over the batches, plus `damping` on its diagonal. Pruned weights have score zero.

    The paper deletes one weight at a time, changes the others by `obs_correction` and computes
    `H` anew. The matrix is dense: for networks of up to 16,384 weights.

    Args:
        problem: Loss and batches.
        params: Parameters and buffers by name.
        masks: The weights that count.
        noise: Not used.
        damping: What is added to the diagonal; the paper advises 1e-8 to 1e-4.
        gauss_newton: Whether `H` is the Gauss-Newton matrix, the paper's choice, never indefinite.
            False: the Hessian, which has to be positive definite for the scores to mean anything.

    Raises:
        ValueError: If there are no batches, the loss is not one number, the masks do not fit,
            `damping` is negative or there are too many weights.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> x, y = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.zeros(2, 1)
        >>> model, mse = torch.nn.Linear(2, 1, bias=False), torch.nn.functional.mse_loss
        >>> problem, params = problem_of(model, mse, [(x, y)])  # H = [[2, 1], [1, 1]]
        >>> params["weight"] = torch.tensor([[3.0, -1.0]])  # H^-1 = [[1, -1], [-1, 2]]
        >>> obs(problem, params, {"weight": torch.tensor([[True, True]])}, damping=0.0)
        {'weight': tensor([[4.5000, 0.2500]], dtype=torch.float64)}
    """
    matrix = _matrix(problem, params, masks, damping, gauss_newton)
    kept = flatten(masks)
    whole, info = torch.linalg.inv_ex(_within(matrix, kept))
    _check_invertible(matrix, info, damping)
    inverse = whole.diagonal()
    weights = flatten(masked(params, masks)).double()
    return unflatten(weights.square() / (2 * inverse), {n: mask.shape for n, mask in masks.items()})


@in_plain_modes
@torch.no_grad()
def obs_correction(
    problem: Problem,
    params: Params,
    masks: Masks,
    survivors: Masks,
    *,
    damping: float = 1e-4,
    gauss_newton: bool = True,
) -> Params:
    """The weights after surgery: zero outside `survivors`, the others changed to make up for it.

    With `S` the survivors and `P` those of `masks` that go, `w_S + H_SS^-1 H_SP w_P` minimises the
    quadratic of `obs`. For one weight that is the paper's change `-w_i / [H^-1]_ii H^-1 e_i`; for
    several at once it is theirs together. `H` is that of the network masked by `masks`.

    Args:
        problem: As for `obs`.
        params: As for `obs`.
        masks: The weights that count before.
        survivors: Those that count afterwards; what `masks` prunes cannot come back.
        damping: As for `obs`.
        gauss_newton: As for `obs`.

    Returns:
        Name -> tensor, for the names in `masks`, in the parameters' dtype.

    Raises:
        ValueError: As for `obs`.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> x, y = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.zeros(2, 1)
        >>> model, mse = torch.nn.Linear(2, 1, bias=False), torch.nn.functional.mse_loss
        >>> problem, params = problem_of(model, mse, [(x, y)])  # H = [[2, 1], [1, 1]]
        >>> params["weight"] = torch.tensor([[3.0, -1.0]])
        >>> both, one = torch.tensor([[True, True]]), torch.tensor([[True, False]])
        >>> obs_correction(problem, params, {"weight": both}, {"weight": one}, damping=0.0)
        {'weight': tensor([[2.5000, 0.0000]])}
    """
    check_survivors(masks, survivors)
    matrix = _matrix(problem, params, masks, damping, gauss_newton)
    before = flatten(masks)
    after = before & flatten(masked(survivors, masks))
    weights = flatten(masked(params, masks)).double()
    pruned = torch.where(after, 0, weights)
    change, info = torch.linalg.solve_ex(_within(matrix, after), matrix @ pruned)
    _check_invertible(matrix, info, damping)
    flat = torch.where(after, weights + change, 0)
    result = unflatten(flat, {name: mask.shape for name, mask in masks.items()})
    return {name: value.to(params[name].dtype) for name, value in result.items()}


def check_survivors(masks: Masks, survivors: Masks) -> None:
    """Raises if survivors are no masks for all that `masks` names.

    Raises:
        TypeError: If they are not bool tensors by name.
        ValueError: If a name is missing or a shape is another.
    """
    check_bools(masks)
    if unknown := set(checked_tensors("survivors", survivors)) - set(masks):
        raise ValueError(f"survivors names {sorted(unknown)}, which masks does not")
    for name, mask in masks.items():
        shape = tuple(survivors[name].shape) if name in survivors else "none"
        if shape != tuple(mask.shape) or survivors[name].dtype != torch.bool:
            raise ValueError(
                f"survivors[{name!r}] must be a bool tensor {tuple(mask.shape)}, got {shape}"
            )


def _matrix(
    problem: Problem, params: Params, masks: Masks, damping: float, gauss_newton: bool
) -> Tensor:
    check_real(params, masks)
    count = len(flatten(masks))
    if count > _MOST_WEIGHTS:
        raise ValueError(
            f"masks must name at most {_MOST_WEIGHTS} weights for a dense matrix, got {count}; "
            "obd takes more"
        )
    damping = checked_number("damping", damping, least=0)
    checked_flag("gauss_newton", gauss_newton)
    matrix = curvature_matrix(problem, params, masks, gauss_newton=gauss_newton).double()
    return matrix + damping * torch.eye(count, dtype=matrix.dtype, device=matrix.device)


def _check_invertible(matrix: Tensor, info: Tensor, damping: float) -> None:
    """Raises if LAPACK's `info` tells that the curvature has no inverse; not under `torch.vmap`."""
    try:
        singular = int(info) > 0
    except RuntimeError:  # there no value can be read, and such a model's scores are no numbers
        return
    if singular and bool(matrix.isfinite().all()):
        raise ValueError(
            f"damping must be larger, got {damping}: the curvature has no inverse, as there are "
            "directions of the weights along which the loss is flat"
        )


def _within(matrix: Tensor, kept: Tensor) -> Tensor:
    """The matrix on the kept weights and the identity on the others, so that it has an inverse.

    No axis is taken out: under `torch.vmap` each model keeps weights of its own.
    """
    identity = torch.eye(len(kept), dtype=matrix.dtype, device=matrix.device)
    return torch.where(kept[:, None] & kept, matrix, identity)
