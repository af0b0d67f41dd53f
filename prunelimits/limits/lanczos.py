"""The Lanczos recurrence, for several start vectors side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_callable,
    checked_flag,
    checked_instance,
    checked_tensor,
)
from prunelimits.limits.checks import checked_count
from prunelimits.modes import in_plain_modes


class LanczosState(NamedTuple):
    """Where a recurrence is: tensors only, so that it can be saved, and gone on with.

    Attributes:
        diagonal: The tridiagonal matrix's diagonal, float64 `(probes, steps)`.
        off_diagonal: Beside it, float64 `(probes, steps)`; the last one leads to the next step.
        basis: The vectors to be orthogonal to, and the next one: `(probes, steps + 1, size)`, or
            `(probes, 2, size)` without reorthogonalisation.
    """

    diagonal: Tensor
    off_diagonal: Tensor
    basis: Tensor

    @property
    def steps(self) -> int:
        """How many steps are done."""
        return self.diagonal.shape[1]

    def quadrature(self) -> tuple[Tensor, Tensor]:
        """Nodes and weights of Gauss's rule for each start vector's spectral measure.

        With `v` the normalised start, `sum_j weight_j f(node_j)` is `v^T f(A) v`, exactly for
        polynomials of degree below twice the number of steps. Both are float64
        `(probes, steps)`, nodes ascending; a row of weights sums to 1.
        """
        matrix = torch.diag_embed(self.diagonal)
        matrix += torch.diag_embed(self.off_diagonal[:, :-1], offset=1)
        matrix += torch.diag_embed(self.off_diagonal[:, :-1], offset=-1)
        nodes, vectors = torch.linalg.eigh(matrix)
        return nodes, vectors[:, 0, :].square()


@in_plain_modes
def lanczos_start(vectors: Tensor, *, reorthogonalize: bool = True) -> LanczosState:
    """The state before the first step.

    Args:
        vectors: Where to start from, `(probes, size)`, none of them zero.
        reorthogonalize: Whether to keep all vectors and be orthogonal to each. Without, three
            are enough, and rounding makes copies of the outer eigenvalues appear: the sums of
            `quadrature` stay right, but it takes more steps, and nodes cannot be counted.

    Raises:
        ValueError: If a vector is zero or not finite, or `vectors` has other axes.
    """
    checked_tensor("vectors", vectors)
    checked_flag("reorthogonalize", reorthogonalize)
    if not vectors.is_floating_point():
        raise TypeError(f"vectors must be floating-point numbers, got {vectors.dtype}")
    if vectors.dim() != 2 or not len(vectors):
        raise ValueError(f"vectors must be (probes, size), got {tuple(vectors.shape)}")
    norms = vectors.norm(dim=1, keepdim=True)
    if not ((norms > 0) & norms.isfinite()).all():
        raise ValueError(f"vectors must be finite and not zero, got norms {norms[:, 0].tolist()}")
    basis = (vectors / norms).unsqueeze(1)
    if not reorthogonalize:
        basis = torch.cat([torch.zeros_like(basis), basis], dim=1)
    nothing = torch.zeros(len(vectors), 0, dtype=torch.float64, device=vectors.device)
    return LanczosState(nothing, nothing, basis)


@in_plain_modes
def lanczos(
    product: Callable[[Tensor], Tensor],
    state: LanczosState,
    steps: int,
    *,
    on_step: Callable[[LanczosState], None] | None = None,
) -> LanczosState:
    """The state after `steps` more steps of the three-term recurrence.

    `b_j q_{j+1} = A q_j - a_j q_j - b_{j-1} q_{j-1}`, for a symmetric A. Where a
    start vector's Krylov space ends earlier, the rest of its row is zero, with weight zero.

    Args:
        product: `A v` for vectors `(probes, size)`.
        state: Where to go on from.
        steps: How many more steps.
        on_step: Called with the state after every step; its tensors are valid during the call.

    Raises:
        ValueError: If a product is not finite, or writes to what it is given.

    Examples:
        >>> matrix = torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
        >>> start = lanczos_start(torch.ones(1, 3, dtype=torch.float64))
        >>> nodes, weights = lanczos(lambda v: v @ matrix, start, 3).quadrature()
        >>> nodes
        tensor([[1.0000, 2.0000, 4.0000]], dtype=torch.float64)
        >>> weights
        tensor([[0.3333, 0.3333, 0.3333]], dtype=torch.float64)
    """
    checked_callable("product", product, "a function of vectors")
    checked_instance("state", state, LanczosState, "a LanczosState, such as lanczos_start makes")
    steps = checked_count("steps", steps, 0)
    if on_step is not None:
        checked_callable("on_step", on_step, "a function of a state")
    done = state.steps
    probes, kept, size = state.basis.shape
    full = kept == done + 1
    basis = state.basis
    if full:
        # All of it at the start: growing by a vector a step would copy it every time.
        basis = state.basis.new_empty(probes, done + steps + 1, size)
        basis[:, : done + 1] = state.basis
    diagonal = state.diagonal.new_zeros(probes, done + steps)
    off_diagonal = torch.zeros_like(diagonal)
    diagonal[:, :done], off_diagonal[:, :done] = state.diagonal, state.off_diagonal
    for step in range(done, done + steps):
        current = basis[:, step] if full else basis[:, 1]
        before = _times_written(current)
        image = checked_tensor("product", product(current))
        if _times_written(current) != before:
            raise ValueError("product must not write to the vectors that it is given")
        if image.shape != current.shape:
            raise ValueError(
                f"product must keep the shape {tuple(current.shape)}, got {tuple(image.shape)}"
            )
        diagonal[:, step] = _dot(image, current)
        if not diagonal[:, step].isfinite().all():
            raise ValueError(f"product must be finite, got a vector that is not in step {step}")
        # From here on in place, since large new tensors take as long as what is done with them;
        # what `product` returned may be somebody else's.
        image = torch.addcmul(image, diagonal[:, step, None].to(image), current, value=-1)
        if step:
            earlier = basis[:, step - 1] if full else basis[:, 0]
            image.addcmul_(off_diagonal[:, step - 1, None].to(image), earlier, value=-1)
        if full:
            make_orthogonal(image, basis[:, : step + 1])
        norm = _dot(image, image).sqrt()
        # What rounding leaves of a vector that the earlier ones span is no new direction.
        scale = torch.maximum(diagonal.abs().amax(1), off_diagonal.amax(1))
        spanned = norm <= 10 * size**0.5 * torch.finfo(image.dtype).eps * scale
        off_diagonal[:, step] = norm.masked_fill(spanned, 0.0)
        image /= norm.masked_fill(spanned, torch.inf)[:, None].to(image)
        if full:
            basis[:, step + 1] = image
        else:
            basis = torch.stack([current, image], dim=1)
        if on_step is not None:
            vectors = basis[:, : step + 2]
            on_step(LanczosState(diagonal[:, : step + 1], off_diagonal[:, : step + 1], vectors))
    return LanczosState(diagonal, off_diagonal, basis)


def make_orthogonal(vectors: Tensor, basis: Tensor) -> None:
    """Takes from `vectors`, in place, what rounding has left in them along the basis."""
    for _ in range(2):
        lengths = vectors.norm(dim=1)
        # A probe at a time: batched products with one vector each take five times as long.
        for vector, earlier in zip(vectors.unbind(), basis.unbind(), strict=True):
            vector.addmv_(earlier.T, earlier @ vector, alpha=-1)
        # Once more only where most was taken away, and what is left is inexact: twice is enough
        # (Kahan and Parlett).
        if (vectors.norm(dim=1) > 0.7 * lengths).all():
            break


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(1).double()


def _times_written(tensor: Tensor) -> int:
    """How often a tensor was written to, where torch counts it."""
    return 0 if tensor.is_inference() else tensor._version  # pyright: ignore
