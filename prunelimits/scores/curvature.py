"""The second derivatives of the loss by the kept weights: products, diagonal and matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from prunelimits.arguments import checked_loss
from prunelimits.masks import flatten, unflatten
from prunelimits.modes import many_at_once
from prunelimits.nested import map_tensors, tensors_in
from prunelimits.progress import stage, tracked
from prunelimits.scores.derivatives import derivative, leaves
from prunelimits.scores.gradient import (
    Batch,
    batch_loss,
    check_batches,
    check_outputs,
    check_problem,
    live,
    loss_gradient,
    masked,
    mean_over_batches,
)
from prunelimits.types import Masks, Params, Problem

# Columns of the matrix that are computed at once: each needs the memory of a forward-backward pass.
_COLUMNS = 16


def curvature_product(
    problem: Problem, params: Params, masks: Masks, *, gauss_newton: bool = False
) -> Callable[[Params], Params]:
    """The function `v -> M H M v`: `H` of the loss at the masked network, `M` the masks.

    Vectors are name -> tensor for the names in `masks`. The loss is the mean over the samples.

    Args:
        problem: Loss and batches.
        params: Parameters and buffers by name.
        masks: The weights that count.
        gauss_newton: Instead of the Hessian the Gauss-Newton matrix `J^T (d2L/dz2) J`, with
            `J` the outputs' Jacobian: what is left when the network is made linear around `params`,
            positive semidefinite where the loss is convex in the outputs.

    Raises:
        ValueError: If the masks do not fit, and when called: if there are no batches or the loss
            is not one number.
        TypeError: If a mask is not a bool tensor.
    """
    check_problem(problem)
    if not masks:
        raise ValueError("masks must name at least one weight, got none")
    weights = live(params, masks)

    @sdpa_kernel(SDPBackend.MATH)  # the only attention that can be differentiated twice
    def product(vector: Params) -> Params:
        kept = live(vector, masks)

        def part(batch: Batch) -> Params:
            multiply = _gauss_newton if gauss_newton else _hessian
            return multiply(problem, params, weights, batch, kept)

        return live(mean_over_batches(problem, part), masks)

    return product


def _hessian(
    problem: Problem, params: Params, weights: Params, batch: Batch, vector: Params
) -> Params:
    def loss(weights: Params) -> Tensor:
        return batch_loss(problem, {**params, **weights}, batch)

    if many_at_once():
        return _transposed(torch.func.grad(loss), weights, vector)  # H is symmetric
    with torch.enable_grad():
        points = leaves(weights)
        gradient = derivative(loss(points), points, differentiable=True)
        return derivative(list(gradient.values()), points, list(vector.values()))


def curvature_times_gradient(problem: Problem, params: Params, masks: Masks) -> Params:
    """`M H M g`, with the loss's gradient `g` at the masked network.

    Of one batch the gradient that is differentiated is `g` itself: no pass is needed for it.

    Raises:
        ValueError: As `curvature_product` does.
        TypeError: If a mask is not a bool tensor.
    """
    if many_at_once() or len(check_batches(problem)) > 1:
        # The product takes the kept weights' part of the gradient alone.
        with stage(1, of=2):
            gradient = loss_gradient(problem, params, masks)
        with stage(2, of=2):
            return curvature_product(problem, params, masks)(gradient)
    weights = live(params, masks)
    with stage(1, of=1), sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
        points = leaves(weights)
        loss = batch_loss(problem, {**params, **points}, problem.batches[0])
        gradient = derivative(loss, points, differentiable=True)
        vector = live({name: value.detach() for name, value in gradient.items()}, masks)
        product = derivative(list(gradient.values()), points, list(vector.values()))
    return live(product, masks)


def _gauss_newton(
    problem: Problem, params: Params, weights: Params, batch: Batch, vector: Params
) -> Params:
    x, y = batch
    check_outputs(problem, "the Gauss-Newton matrix")

    def outputs(weights: Params) -> Any:  # noqa: ANN401
        return problem.apply({**params, **weights}, x)

    def loss(outputs: Any) -> Tensor:  # noqa: ANN401
        return checked_loss("loss", problem.loss(outputs, y))

    if not many_at_once():
        return _plain_gauss_newton(outputs, loss, weights, vector)
    z = outputs(weights)
    if not isinstance(z, Tensor):
        raise RuntimeError(f"model must give a tensor where many are mapped, got {type(z)}")
    change = _transposed(lambda u: _transposed(outputs, weights, u), torch.zeros_like(z), vector)
    return _transposed(outputs, weights, _transposed(torch.func.grad(loss), z, change))


@torch.enable_grad()
def _plain_gauss_newton(
    outputs: Callable[[Params], Any],
    loss: Callable[[Any], Tensor],
    weights: Params,
    vector: Params,
) -> Params:
    points = leaves(weights)
    whole = outputs(points)
    # A number is a loss that the model computes by itself: no output to look at.
    z = {
        str(place): value
        for place, value in enumerate(tensors_in(whole))
        if value.requires_grad and value.dim()
    }
    # `J v` from reverse mode: the derivative of `J^T u` by `u`.
    u = {name: torch.zeros_like(value, requires_grad=True) for name, value in z.items()}
    pulled = derivative(list(z.values()), points, list(u.values()), differentiable=True)
    change = derivative(list(pulled.values()), u, list(vector.values()))
    cut = leaves(z)
    places = iter(range(sum(1 for _ in tensors_in(whole))))

    def cut_off(value: Tensor) -> Tensor:
        return cut.get(str(next(places)), value.detach())

    slope = derivative(loss(map_tensors(cut_off, whole)), cut, differentiable=True)
    bent = derivative(list(slope.values()), cut, list(change.values()))
    return derivative(list(z.values()), points, list(bent.values()))


_Point = TypeVar("_Point", Params, Tensor)
_Value = TypeVar("_Value", Params, Tensor)


def _transposed(function: Callable[[_Point], _Value], point: _Point, vector: _Value) -> _Point:
    """The transposed Jacobian of `function` at `point`, times `vector`.

    Reverse mode alone: forward mode is missing from some of torch's functions, and its first use
    imports a deprecated part of torch.
    """
    return torch.func.vjp(function, point)[1](vector)[0]


def curvature_diagonal(
    problem: Problem, params: Params, masks: Masks, *, gauss_newton: bool = False
) -> Params:
    """The exact diagonal of `M H M`: one product a weight, so for small networks.

    See `curvature_product`.
    """
    columns = _columns(problem, params, masks, gauss_newton)
    diagonal = torch.cat([part.diagonal(offset) for offset, part in columns])
    return unflatten(diagonal, {name: mask.shape for name, mask in masks.items()})


def curvature_matrix(
    problem: Problem, params: Params, masks: Masks, *, gauss_newton: bool = False
) -> Tensor:
    """`M H M` as a symmetric matrix `(n, n)`, weights in flat order: for small networks.

    See `curvature_product`.
    """
    matrix = torch.cat([part for _, part in _columns(problem, params, masks, gauss_newton)])
    return (matrix + matrix.mT) / 2


def _columns(
    problem: Problem, params: Params, masks: Masks, gauss_newton: bool
) -> Iterator[tuple[int, Tensor]]:
    """Some columns of the matrix at a time, as rows, and where they begin."""
    product = curvature_product(problem, params, masks, gauss_newton=gauss_newton)
    shapes = {name: mask.shape for name, mask in masks.items()}
    like = flatten(masked(params, masks))

    def column(unit: Tensor) -> Tensor:
        return flatten(product(unflatten(unit, shapes)))

    for begin in tracked(range(0, len(like), _COLUMNS)):
        places = torch.arange(begin, min(begin + _COLUMNS, len(like)), device=like.device)
        units = (places[:, None] == torch.arange(len(like), device=like.device)).to(like.dtype)
        yield begin, _each(column, units)


def _each(column: Callable[[Tensor], Tensor], units: Tensor) -> Tensor:
    """The columns side by side; one after the other where `torch.func` cannot follow the model."""
    if many_at_once():
        return torch.func.vmap(column)(units)
    try:
        return torch.func.vmap(column)(units)
    except RuntimeError:
        return torch.stack([column(unit) for unit in units])
