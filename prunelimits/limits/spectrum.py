"""The spectrum of a Hessian, exact or by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_callable,
    checked_flag,
    checked_instance,
    checked_integer,
    checked_number,
    checked_tensor,
    shown,
)
from prunelimits.limits.checks import checked_count, checked_vector
from prunelimits.limits.hessian import Hessian
from prunelimits.limits.lanczos import LanczosState, lanczos, lanczos_start
from prunelimits.modes import in_plain_modes
from prunelimits.randomness import derive


class Estimate(NamedTuple):
    """A number and its standard error: 0 if it is exact, NaN if one probe cannot tell."""

    value: float
    error: float


@dataclass(frozen=True)
class Spectrum:
    """A measure on the real line that stands for the eigenvalues of a symmetric matrix.

    Attributes:
        nodes: Eigenvalues, or nodes of a quadrature rule: float64 `(probes, nodes)`.
        weights: The share of all eigenvalues that each stands for; a row sums to 1.
        size: How many eigenvalues there are.
        exact: Whether `nodes` are the eigenvalues themselves.

    Examples:
        >>> spectrum = Spectrum.of_eigenvalues(torch.tensor([-1.0, 0.0, 4.0]))
        >>> spectrum.trace()
        Estimate(value=3.0, error=0.0)
        >>> spectrum.absolute_trace()
        Estimate(value=5.0, error=0.0)
    """

    nodes: Tensor
    weights: Tensor
    size: int
    exact: bool = False

    @classmethod
    def of_eigenvalues(cls, eigenvalues: Tensor) -> Self:
        """The spectrum of known eigenvalues, `(size,)`.

        Raises:
            ValueError: If there is none or one is not finite.
        """
        checked_tensor("eigenvalues", eigenvalues)
        if eigenvalues.dim() != 1 or not len(eigenvalues):
            raise ValueError(f"eigenvalues must be (size,), got {tuple(eigenvalues.shape)}")
        if not eigenvalues.isfinite().all():
            raise ValueError("eigenvalues must be finite")
        nodes = eigenvalues.detach().cpu().double().sort().values.unsqueeze(0)
        return cls(nodes, torch.full_like(nodes, 1 / len(eigenvalues)), len(eigenvalues), True)

    def mean(self, function: Callable[[Tensor], Tensor]) -> Estimate:
        """The mean of a function over the eigenvalues, `tr f(H) / D`.

        The error is that of the probes' random directions. That of too few Lanczos steps is not
        in it; it is none for polynomials of degree below twice the steps, so none for the trace.

        Raises:
            TypeError: If `function` cannot be called, or returns no tensor of its shape.
        """
        checked_callable("function", function, "an elementwise function of a tensor")
        images: object = function(self.nodes.clone())  # which it may write to
        if not isinstance(images, Tensor) or images.shape != self.nodes.shape:
            raise TypeError(
                f"function must return a tensor of the shape it is given, got {shown(images)}"
            )
        checked_tensor("function", images)
        values = (self.weights * images).sum(1)
        error = 0.0
        if not self.exact:
            count = len(values)
            error = float(values.std()) / math.sqrt(count) if count > 1 else math.nan
        return Estimate(float(values.mean()), error)

    def trace(self) -> Estimate:
        """The sum of the eigenvalues."""
        return self._sum(lambda nodes: nodes)

    def absolute_trace(self) -> Estimate:
        """The sum of the eigenvalues' absolute values."""
        return self._sum(torch.abs)

    def density(self, points: Tensor, width: float) -> Tensor:
        """The spectral density at `points`, each node a Gaussian of standard deviation `width`.

        Its integral is 1. A grid much coarser than `width` misses nodes: sums over eigenvalues
        belong to `mean`, which needs no grid.

        Raises:
            ValueError: If `width` is not positive.
        """
        checked_tensor("points", points)
        width = checked_number("width", width, above=0)
        nodes, weights = self.nodes.flatten(), self.weights.flatten() / len(self.weights)
        result = torch.zeros(points.shape, dtype=torch.float64, device="cpu")
        # By parts, for a grid of 100,000 points: nothing of nodes times points at once.
        for node, weight in zip(nodes.split(64), weights.split(64), strict=True):
            far = (points.double()[..., None] - node) / width
            result += torch.exp(-far.square() / 2) @ weight
        return result / (width * math.sqrt(2 * math.pi))

    def flattened(self) -> Self:
        """With zeros in the place of negative eigenvalues: directions that only lead down."""
        return replace(self, nodes=self.nodes.clamp(min=0))

    def with_zero_mass(self, fraction: float) -> Self:
        """With this share of the eigenvalues taken to be zero, the others scaled to make room.

        The published correction for networks whose many tiny eigenvalues Lanczos does not
        resolve; `flat_fraction` estimates the share.

        Raises:
            ValueError: If `fraction` is not in [0, 1).
        """
        fraction = checked_number("fraction", fraction, least=0, below=1)
        column = torch.zeros_like(self.nodes[:, :1])
        return replace(
            self,
            nodes=torch.cat([self.nodes, column], dim=1),
            weights=torch.cat([(1 - fraction) * self.weights, column + fraction], dim=1),
        )

    def _sum(self, function: Callable[[Tensor], Tensor]) -> Estimate:
        mean = self.mean(function)
        return Estimate(self.size * mean.value, self.size * mean.error)


@in_plain_modes
def exact_spectrum(hessian: Hessian) -> Spectrum:
    """All eigenvalues of the dense matrix, for small networks: `size` squared numbers.

    Examples:
        >>> from prunelimits.types import Problem
        >>> x, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.zeros(2)
        >>> problem = Problem(lambda p, x: x @ p["w"], torch.nn.functional.mse_loss, [(x, y)])
        >>> exact_spectrum(Hessian(problem, {"w": torch.zeros(2)})).nodes
        tensor([[ 0.1339, 29.8661]], dtype=torch.float64)
    """
    checked_instance("hessian", hessian, Hessian, "a Hessian")
    return Spectrum.of_eigenvalues(torch.linalg.eigvalsh(hessian.dense().double()))


@in_plain_modes
def lanczos_spectrum(
    hessian: Hessian,
    *,
    probes: int = 4,
    steps: int = 100,
    seed: int = 0,
    reorthogonalize: bool = True,
    on_step: Callable[[LanczosState], None] | None = None,
    resume: LanczosState | None = None,
) -> Spectrum:
    """The spectrum by stochastic Lanczos quadrature: `steps` nodes for each random probe.

    Published spectra of networks have one probe and 128 steps. Several probes tell the error.
    Outer eigenvalues are accurate after few steps, small ones are never resolved one by one.

    Args:
        hessian: The matrix.
        probes: How many random vectors of plus and minus ones, side by side. A probe's numbers
            do not depend on how many there are.
        steps: Products with the matrix for each probe; more than its size are not needed.
        seed: Of the probes.
        reorthogonalize: See `lanczos_start`; with it, `probes * steps` vectors are kept.
        on_step: Called with the state after every step: for a progress bar, or to save it.
        resume: A state that `on_step` was given, of the same arguments, to go on from.

    Raises:
        ValueError: If `probes` or `steps` is below 1, `resume` does not fit, or a product is not
            finite.
        TypeError: If they are not integers.
    """
    checked_instance("hessian", hessian, Hessian, "a Hessian")
    checked_flag("reorthogonalize", reorthogonalize)
    seed = checked_integer("seed", seed)
    if on_step is not None:
        checked_callable("on_step", on_step, "a function of a state")
    if resume is not None:
        checked_instance("resume", resume, LanczosState, "a LanczosState")
    probes = checked_count("probes", probes)
    steps = min(checked_integer("steps", steps, least=1), hessian.size)
    start = lanczos_start(
        random_signs(probes, hessian.size, seed).to(hessian.device, hessian.dtype),
        reorthogonalize=reorthogonalize,
    )
    state = resume or start
    if resume is not None:
        _check_resume(hessian, state, start, steps)
    state = lanczos(hessian.product, state, steps - state.steps, on_step=on_step)
    nodes, weights = state.quadrature()
    return Spectrum(nodes.cpu(), weights.cpu(), hessian.size)


@in_plain_modes
def direction_spectrum(hessian: Hessian, direction: Tensor, *, steps: int = 100) -> Spectrum:
    """The spectral measure of a direction: how much of it lies along which eigenvalues.

    `mean(f)` is `v^T f(H) v` for the normalised direction `v`; its error is 0.

    Args:
        hessian: The matrix.
        direction: `(size,)`, not zero.
        steps: Products with the matrix.
    """
    checked_instance("hessian", hessian, Hessian, "a Hessian")
    steps = checked_integer("steps", steps, 1)
    checked_vector("direction", direction)
    if len(direction) != hessian.size:
        raise ValueError(f"direction must have {hessian.size} entries, got {len(direction)}")
    if not direction.any():
        raise ValueError("direction must not be zero")
    start = lanczos_start(direction.to(hessian.device, hessian.dtype)[None])
    state = lanczos(hessian.product, start, min(steps, hessian.size))
    nodes, weights = state.quadrature()
    return Spectrum(nodes.cpu(), weights.cpu(), hessian.size, exact=True)


@in_plain_modes
def top_eigenvalues(hessian: Hessian, count: int, *, seed: int = 0) -> Tensor:
    """The `count` eigenvalues of largest absolute value, by that, float64 `(count,)`.

    By SciPy's implicitly restarted Lanczos method, to the precision of the matrix's dtype.

    Raises:
        ValueError: If `count` is not between 1 and the matrix's size less one.
        TypeError: If it is not an integer.
    """
    checked_instance("hessian", hessian, Hessian, "a Hessian")
    count = checked_integer("count", count, 1)
    seed = checked_integer("seed", seed)
    if count >= hessian.size:
        raise ValueError(f"count must be below the size {hessian.size}, got {shown(count)}")
    # Importing the library does not load SciPy.
    from scipy.sparse.linalg import eigsh

    operator = hessian.to_scipy()
    start = random_signs(1, hessian.size, seed)[0].numpy().astype(operator.dtype)
    values = eigsh(operator, k=count, which="LM", v0=start, return_eigenvectors=False)
    order = np.argsort(-np.abs(values), kind="stable")
    return torch.from_numpy(values[order].astype(np.float64))


def random_signs(probes: int, size: int, seed: int) -> Tensor:
    """Random plus and minus ones, int8 `(probes, size)`; each row from a seed of its own."""
    rows: list[Tensor] = []
    for word in derive(seed, np.arange(probes)):
        generator = torch.Generator().manual_seed(int(word >> 1))
        bits = torch.randint(0, 2, (size,), generator=generator, dtype=torch.int8, device="cpu")
        rows.append(2 * bits - 1)
    return torch.stack(rows)


def _check_resume(hessian: Hessian, state: LanczosState, start: LanczosState, steps: int) -> None:
    full = start.basis.shape[1] == 1
    vectors = state.steps + 1 if full else 2
    expected = (start.basis.shape[0], vectors, start.basis.shape[2])
    if state.basis.shape != expected or state.steps > steps:
        raise ValueError(
            f"resume must have a basis {expected} and at most {steps} steps, "
            f"got {tuple(state.basis.shape)} and {state.steps}"
        )
    # The first step again tells other probes and another matrix.
    first = lanczos(hessian.product, start, min(1, state.steps)).diagonal
    if not torch.allclose(state.diagonal[:, :1], first, rtol=1e-3, atol=1e-6):
        raise ValueError("resume must be of the same seed, network and data, got another state")
