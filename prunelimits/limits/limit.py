"""The pruning limit of a trained network: how many weights can go before the loss must rise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunelimits.arguments import checked_callable, checked_instance, checked_number, warn
from prunelimits.html_table import html_table
from prunelimits.limits.checks import check_dtype, checked_names, checked_seed, masks_of
from prunelimits.limits.choice import default_names, pruned_names
from prunelimits.limits.hessian import Hessian
from prunelimits.limits.lanczos import LanczosState
from prunelimits.limits.losses import loss_spread, mean_loss
from prunelimits.limits.magnitudes import sorted_magnitudes
from prunelimits.limits.predictions import (
    Prediction,
    constructive_prediction,
    exact_prediction,
    kinematic_prediction,
    magnitude_offset,
    published_prediction,
    published_removed,
)
from prunelimits.limits.spectrum import Estimate, Spectrum, exact_spectrum, lanczos_spectrum
from prunelimits.limits.width import check_curved, check_epsilon
from prunelimits.masks import apply
from prunelimits.modes import in_plain_modes
from prunelimits.problem import problem_of
from prunelimits.pruners import Part
from prunelimits.pruners.parts import checked_parts
from prunelimits.types import Masks

_DENSE_SIZE = 1000
_DOUBT = 0.05


@dataclass(frozen=True)
class PruningLimit:
    """A pruning limit with everything it was computed from.

    Attributes:
        predicted: By the published formula: where removing one weight more would make the number
            removed exceed the statistical dimension from there. The lower bound on what remains.
        exact: By the exact statistical dimension in high dimension, for a random direction of the
            pruned point; see `effective_distance`.
        constructive: By the quadratic model itself: the most weights that magnitude pruning can
            remove with `1/2 (w - w*)^T H (w - w*) <= epsilon`. An upper bound on what has to
            remain, where the loss is as its quadratic model.
        kinematic: By the kinematic formula with its stated probability of 95 %: fewer can be
            removed surely (first), more surely not (second), if the subspace is random. Wide
            unless the network is large.
        published_removed: The fraction removed by the published code's own steps: distances
            rounded to integers, fractions from a grid of 1,000, and all parameters' mean against
            the fraction of the weights.
        sharpness_remaining: The published bound by the trace, `R^2 T / (R^2 T + 2 epsilon D)` with
            the trace T of |H|: no less than `predicted.remaining`. It bounds that bound from
            above, so it bounds no network.
        epsilon: The size of the sublevel set.
        loss: The network's mean loss.
        gradient_norm: The length of the gradient, 0 at a minimum.
        linear_change: What the gradient alone predicts for the loss at `predicted`; the formulas
            leave it out.
        quadratic_change: What the curvature alone predicts there, `1/2 (w - w*)^T H (w - w*)`.
        spectrum: The Hessian's.
        trace: Of the Hessian.
        absolute_trace: Of its absolute value.
        magnitudes: Of all weights that could be pruned, ascending: float64 `(weights,)`.
        names: The parameters that the Hessian is taken by.
        prunable: Those of them that are pruned.
    """

    predicted: Prediction
    exact: Prediction
    constructive: Prediction
    kinematic: tuple[Prediction, Prediction]
    published_removed: float
    sharpness_remaining: float
    epsilon: float
    loss: float
    gradient_norm: float
    linear_change: float
    quadratic_change: float
    spectrum: Spectrum
    trace: Estimate
    absolute_trace: Estimate
    magnitudes: Tensor
    names: tuple[str, ...]
    prunable: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """How many parameters the Hessian is taken by, D."""
        return self.spectrum.size

    @property
    def weights(self) -> int:
        """How many weights could be pruned."""
        return len(self.magnitudes)

    def __repr__(self) -> str:
        told = ", ".join(f"{100 * removed:.4g} % by {by}" for by, removed in self._removed())
        return f"<PruningLimit: of {self.weights:,} weights can go {told}>"

    def _repr_html_(self) -> str:
        """The predictions, as notebooks show them."""
        rows = [(by, f"{removed:.2%}", f"{1 - removed:.2%}") for by, removed in self._removed()]
        notes = [
            f"{self.weights:,} weights of {self.parameters:,} parameters; loss {self.loss:.4g}, "
            f"epsilon {self.epsilon:.4g}, gradient {self.gradient_norm:.2g}"
        ]
        header = ("predicted", "removed", "remaining")
        return html_table("Pruning limit", header, rows, notes)

    def _removed(self) -> tuple[tuple[str, float], ...]:
        return (
            ("the published formula", self.predicted.removed),
            ("the exact dimension", self.exact.removed),
            ("the quadratic model", self.constructive.removed),
        )

    def rescaled(self, factor: float) -> Prediction:
        """The published prediction for weights `factor` times as large in the same landscape.

        Raises:
            TypeError: If `factor` is not a number.
            ValueError: If it is below 0 or above 1e100.
        """
        factor = checked_number("factor", factor, least=0, most=1e100)
        return published_prediction(self.spectrum, factor * self.magnitudes, self.epsilon)


@in_plain_modes
def pruning_limit(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    epsilon: float | None = None,
    spectrum: Spectrum | None = None,
    names: Iterable[str] | None = None,
    prunable: Iterable[str] | None = None,
    include: Iterable[Part] = (),
    ignore: Iterable[Part] = (),
    masks: Masks | None = None,
    dtype: torch.dtype | None = None,
    seed: int = 0,
    on_step: Callable[[LanczosState], None] | None = None,
) -> PruningLimit:
    """How far a trained network can be pruned before the loss must rise.

    After [How Sparse Can We Prune A Deep Network](https://arxiv.org/abs/2306.05857). The model,
    its gradients and its mode stay as they are; it is measured in evaluation mode.

    Args:
        model: A trained network.
        loss: The mean loss of a batch, for outputs and targets.
        batches: All of the training data, in the training's batch size.
        epsilon: How much the loss may rise. None: `loss_spread`, as published.
        spectrum: The Hessian's, if it is known. None: exact up to 1,000 parameters, beyond that
            `lanczos_spectrum` with 4 probes of 100 steps.
        names: The parameters to take the Hessian by. None: as published, all that require
            gradients but those of normalisation layers.
        prunable: The parameters to prune. None: those of `names` with two axes or more.
        include: Parts of `names` to prune as well, given as in `prune`.
        ignore: Parts to leave whole, given as in `prune`.
        masks: What is pruned already, for a sparse network: zero whatever the model holds there,
            no variables of the Hessian, and not counted among the weights.
        dtype: What to compute the Hessian in.
        seed: Of the random probes.
        on_step: See `lanczos_spectrum`.

    Raises:
        ValueError: If the data is empty, the loss NaN or infinite, epsilon not positive, the
            spectrum zero or of another size, a name no parameter, or `prunable` is given with
            `include` or `ignore`.

    Warns:
        UserWarning: If the gradient is so far from zero that the network is at no minimum.

    Examples:
        >>> model = nn.Linear(4, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.tensor([[0.1, 0.2, 1.0, 2.0]]))
        >>> x = 2 * torch.eye(4)
        >>> batches = [(x, model(x).detach())]
        >>> limit = pruning_limit(model, nn.functional.mse_loss, batches, epsilon=0.06)
        >>> limit.constructive.removed_weights  # the Hessian is 2: 0.1^2 + 0.2^2 < 0.06
        2
        >>> limit.predicted.remaining
        0.5
    """
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    checked_callable("loss", loss, "a function of outputs and targets")
    if epsilon is not None:
        check_epsilon(epsilon)
    if spectrum is not None:
        checked_instance("spectrum", spectrum, Spectrum, "a Spectrum")
    names = None if names is None else checked_names("names", names)
    prunable = None if prunable is None else checked_names("prunable", prunable)
    parts = checked_parts("include", include), checked_parts("ignore", ignore)
    if prunable is not None and any(parts):
        raise ValueError("prunable says all that is pruned: include and ignore mean nothing beside")
    if on_step is not None:
        checked_callable("on_step", on_step, "a function of a state")
    check_dtype(dtype)
    seed = checked_seed(seed)
    problem, params = problem_of(model, loss, batches)
    params = apply(params, {} if masks is None else masks)
    variables = tuple(default_names(model) if names is None else names)
    hessian = Hessian(problem, params, variables, masks=masks, dtype=dtype)
    pruned = pruned_names(model, variables, *parts) if prunable is None else prunable
    if not pruned or not set(pruned) <= set(variables):
        raise ValueError(f"prunable must be among {list(variables)}, got {list(pruned)}")
    weights = {name: params[name] for name in pruned}
    own = masks_of(weights, masks)
    magnitudes = sorted_magnitudes(weights, own)
    value = mean_loss(problem, params)
    epsilon = check_epsilon(loss_spread(problem, params) if epsilon is None else epsilon)
    gradient = hessian.gradient()
    if spectrum is None:
        spectrum = (
            exact_spectrum(hessian)
            if hessian.size <= _DENSE_SIZE
            else lanczos_spectrum(hessian, seed=seed, on_step=on_step)
        )
    if spectrum.size != hessian.size:
        raise ValueError(f"spectrum must be of size {hessian.size}, got {spectrum.size}")
    check_curved(spectrum)
    norm = float(gradient.double().norm())
    _warn_of_slope(norm, spectrum, epsilon)
    predicted = published_prediction(spectrum, magnitudes, epsilon)
    offset = magnitude_offset(hessian, weights, predicted.removed_weights, own)
    reach = predicted.distance**2 * spectrum.absolute_trace().value
    slack = math.sqrt(8 * math.log(4 / _DOUBT) * spectrum.size)
    return PruningLimit(
        predicted=predicted,
        exact=exact_prediction(spectrum, magnitudes, epsilon),
        constructive=constructive_prediction(hessian, weights, epsilon, masks=own),
        kinematic=kinematic_prediction(spectrum, magnitudes, epsilon, slack),
        published_removed=published_removed(spectrum, magnitudes, epsilon),
        sharpness_remaining=reach / (reach + 2 * epsilon * spectrum.size),
        epsilon=epsilon,
        loss=value,
        gradient_norm=norm,
        linear_change=float(gradient.double() @ offset.double()),
        quadratic_change=0.5 * float(offset.double() @ hessian.product(offset).double()),
        spectrum=spectrum,
        trace=spectrum.trace(),
        absolute_trace=spectrum.absolute_trace(),
        magnitudes=magnitudes,
        names=variables,
        prunable=pruned,
    )


def _warn_of_slope(norm: float, spectrum: Spectrum, epsilon: float) -> None:
    largest = float(spectrum.nodes.abs().max())
    gain = norm**2 / (2 * largest)
    if gain > epsilon:
        warn(
            f"the gradient's norm is {norm:.3g}: one step downhill would lower the loss by about "
            f"{gain:.3g}, more than epsilon {epsilon:.3g}, so this network is at no minimum and "
            "its limit says little",
        )
