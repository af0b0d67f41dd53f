"""Where a dimension's curve crosses the number of removed weights: the predicted limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelimits.arguments import checked_instance, checked_integer, checked_number
from prunelimits.limits.checks import checked_magnitudes
from prunelimits.limits.hessian import Hessian
from prunelimits.limits.magnitudes import magnitude_masks, pruning_distances, sorted_magnitudes
from prunelimits.limits.spectrum import Estimate, Spectrum, direction_spectrum
from prunelimits.limits.width import check_epsilon, effective_distance, statistical_dimension
from prunelimits.masks import apply
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks, Params

_PUBLISHED_STEPS = 1000


@dataclass(frozen=True)
class Prediction:
    """How many weights can be removed, by one formula.

    Attributes:
        removed_weights: The number.
        weights: Of so many that could be pruned.
        distance: How far removing them moves the weights.
        dimension: The statistical dimension from there.
    """

    removed_weights: int
    weights: int
    distance: float
    dimension: Estimate

    @property
    def removed(self) -> float:
        """The fraction removed."""
        return self.removed_weights / self.weights

    @property
    def remaining(self) -> float:
        """The fraction that remains."""
        return 1 - self.removed


def published_prediction(spectrum: Spectrum, magnitudes: Tensor, epsilon: float) -> Prediction:
    """Where the published formula's curve crosses the number of removed weights.

    Args:
        spectrum: The Hessian's.
        magnitudes: Of the weights that can be pruned, ascending.
        epsilon: The size of the sublevel set.
    """
    checked_magnitudes(magnitudes)
    return _crossing(lambda r: statistical_dimension(spectrum, r, epsilon), magnitudes)


def exact_prediction(
    spectrum: Spectrum, magnitudes: Tensor, epsilon: float, slack: float = 0.0
) -> Prediction:
    """The same with the statistical dimension that is exact in high dimension, less `slack`.

    Raises:
        ValueError: If a number is out of its range; `slack` is at least 0.
        TypeError: If an argument is of another kind.
    """
    slack = checked_number("slack", slack, least=0)
    return _exact_crossing(spectrum, magnitudes, epsilon, slack)


def kinematic_prediction(
    spectrum: Spectrum, magnitudes: Tensor, epsilon: float, slack: float
) -> tuple[Prediction, Prediction]:
    """`exact_prediction` with the dimension less `slack`, and with as much more."""
    return (
        _exact_crossing(spectrum, magnitudes, epsilon, slack),
        _exact_crossing(spectrum, magnitudes, epsilon, -slack),
    )


def _exact_crossing(
    spectrum: Spectrum, magnitudes: Tensor, epsilon: float, slack: float
) -> Prediction:
    checked_magnitudes(magnitudes)

    def dimension(distance: float) -> Estimate:
        effective = effective_distance(spectrum, distance, epsilon)
        return statistical_dimension(spectrum, effective, epsilon)

    return _crossing(dimension, magnitudes, slack)


@in_plain_modes
def directed_prediction(
    hessian: Hessian,
    spectrum: Spectrum,
    weights: Params,
    epsilon: float,
    *,
    masks: Masks | None = None,
    steps: int = 30,
) -> Prediction:
    """The same, from the direction in which the pruned point really lies.

    For each of some twenty numbers of removed weights it takes the spectral measure of what is
    removed, by `steps` products with the Hessian.

    Args:
        hessian: Of the trained network.
        spectrum: The Hessian's.
        weights: The weights to prune, by name.
        epsilon: The size of the sublevel set.
        masks: What is pruned already.
        steps: See `direction_spectrum`.
    """
    checked_instance("hessian", hessian, Hessian, "a Hessian")
    checked_instance("spectrum", spectrum, Spectrum, "a Spectrum")
    check_epsilon(epsilon)
    steps = checked_integer("steps", steps, 1)
    magnitudes = sorted_magnitudes(weights, masks)
    distances = pruning_distances(magnitudes).tolist()

    def dimension(removed: int) -> Estimate:
        if distances[removed] == 0:
            return Estimate(float(spectrum.size), 0.0)
        offset = magnitude_offset(hessian, weights, removed, masks)
        direction = direction_spectrum(hessian, offset, steps=steps)
        effective = effective_distance(spectrum, distances[removed], epsilon, direction)
        return statistical_dimension(spectrum, effective, epsilon)

    removed = _largest(len(magnitudes), lambda m: dimension(m).value >= m)
    return Prediction(removed, len(magnitudes), distances[removed], dimension(removed))


def published_removed(spectrum: Spectrum, magnitudes: Tensor, epsilon: float) -> float:
    """The fraction removed by the steps of the published code.

    Of the fractions s = 0, 0.001, ..., 0.999, the one nearest to the statistical dimension over
    the number of parameters, from the distance of removing s of the weights (rounded up, at least
    one), rounded to an integer. Where the weights' norm is small, so is the choice of integers.
    That code smears the spectrum over 100,000 bins before: `smeared_spectrum(spectrum)` does that.
    """
    checked_magnitudes(magnitudes)
    checked_instance("spectrum", spectrum, Spectrum, "a Spectrum")
    distances = pruning_distances(magnitudes)
    steps = torch.arange(_PUBLISHED_STEPS, device="cpu")
    removed = (steps * len(magnitudes) + _PUBLISHED_STEPS - 1) // _PUBLISHED_STEPS
    rounded = distances[removed.clamp(min=1)].round()
    integers, where = rounded.unique(return_inverse=True)
    shares = [
        statistical_dimension(spectrum, float(r), epsilon).value / spectrum.size for r in integers
    ]
    gap = (
        torch.tensor(shares, dtype=torch.float64, device="cpu")[where] - steps / _PUBLISHED_STEPS
    ).abs()
    return int(gap.argmin()) / _PUBLISHED_STEPS


def _crossing(
    dimension: Callable[[float], Estimate], magnitudes: Tensor, slack: float = 0.0
) -> Prediction:
    """The largest number removed that is at most the dimension less `slack` from there."""
    distances = pruning_distances(magnitudes)
    # The dimension falls with the number removed, so that bisection finds the one crossing.
    removed = _largest(len(magnitudes), lambda m: dimension(float(distances[m])).value - slack >= m)
    distance = float(distances[removed])
    return Prediction(removed, len(magnitudes), distance, dimension(distance))


@in_plain_modes
def constructive_prediction(
    hessian: Hessian, weights: Params, epsilon: float, *, masks: Masks | None = None
) -> Prediction:
    """The most weights that magnitude pruning removes within the quadratic model's sublevel set.

    The largest number up to which `1/2 (w - w*)^T H (w - w*) <= epsilon`, by bisection, with
    the Hessian's own signs; where that rises and falls, one of the numbers at which it crosses
    epsilon. From inside the set the statistical dimension is that of everything.

    Args:
        hessian: Of the trained network.
        weights: The weights to prune, by name.
        epsilon: The size of the sublevel set.
        masks: What is pruned already.
    """
    checked_instance("hessian", hessian, Hessian, "a Hessian")
    check_epsilon(epsilon)
    magnitudes = sorted_magnitudes(weights, masks)

    def within(removed: int) -> bool:
        offset = magnitude_offset(hessian, weights, removed, masks)
        return 0.5 * float(offset.double() @ hessian.product(offset).double()) <= epsilon

    removed = _largest(len(magnitudes), within)
    distance = float(pruning_distances(magnitudes)[removed])
    return Prediction(removed, len(magnitudes), distance, Estimate(float(hessian.size), 0.0))


def magnitude_offset(
    hessian: Hessian, weights: Params, removed: int, masks: Masks | None
) -> Tensor:
    """From the weights to the pruned ones, as the Hessian's vector."""
    kept = magnitude_masks(weights, removed, masks)
    change = {n: pruned - weights[n] for n, pruned in apply(weights, kept).items()}
    return hessian.vector(change)


def _largest(most: int, holds: Callable[[int], bool]) -> int:
    """The largest integer from 0 to `most` up to which a property holds; 0 is taken to have it."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
