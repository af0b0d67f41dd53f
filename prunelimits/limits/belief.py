"""Whether the published prediction of a pruning limit can be believed, judged without pruning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prunelimits.arguments import checked_instance, checked_sequence
from prunelimits.limits.limit import PruningLimit
from prunelimits.limits.predictions import published_prediction
from prunelimits.limits.spectrum import Spectrum

# Chosen on one set of networks and tested on another: docs/limit-verdict.md.
_SLOPE = 1.0
_APART = 0.05
_SPREAD = 0.02


@dataclass(frozen=True)
class Belief:
    """What the published prediction takes for granted, measured at one network.

    Attributes:
        slope: What one step down the gradient would gain, `norm^2 / (2 largest eigenvalue)`, over
            epsilon: small at a minimum.
        linear: What the gradient says that the loss rises by at the prediction, over epsilon. The
            formula leaves it out; an L1 penalty makes it.
        quadratic: What the curvature says, over epsilon. In the formula's own picture, of a point
            of a random subspace, it would be at most 1.
        apart: By how much more the published formula removes than the quadratic model at the pruned
            point allows, as a fraction of the weights: how far the lower bound on what remains is
            from the upper one.
        spread: How far the prediction moves with the number of Lanczos steps, as a fraction of the
            weights; 0 where it is not known.
    """

    slope: float
    linear: float
    quadratic: float
    apart: float
    spread: float

    @property
    def believed(self) -> bool:
        """Whether the prediction can be believed, to about five points of what pruning does."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not; empty if it can."""
        found: list[str] = []
        if self.slope > _SLOPE:
            found.append(
                f"the network is at no minimum: a step down the gradient would gain "
                f"{self.slope:.2g} times epsilon"
            )
        if self.spread > _SPREAD:
            found.append(
                f"it moves by {100 * self.spread:.1f} points with the number of Lanczos steps: "
                "the eigenvalues near zero are not resolved"
            )
        if abs(self.apart) > _APART:
            found.append(
                f"the bounds are {100 * abs(self.apart):.1f} points apart: where it says, slope "
                f"and curvature alone raise the loss by {self.linear + self.quadratic:.2g} times "
                "epsilon"
            )
        return tuple(found)


def belief(limit: PruningLimit, spectra: Sequence[Spectrum] = ()) -> Belief:
    """Whether a limit's published prediction can be believed; nothing is pruned for it.

    The condition was chosen on some networks and tested on others, see the guide: what it lets pass
    was right where the bounds were at most three points apart, and wrong in both of two cases where
    they were wider.

    Args:
        limit: A network's limit.
        spectra: The Hessian's spectrum by other numbers of Lanczos steps.

    Raises:
        TypeError: If an argument is of another kind.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from prunelimits.limits import pruning_limit
        >>> model = nn.Linear(4, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.tensor([[0.1, 0.2, 1.0, 2.0]]))
        >>> x = 2 * torch.eye(4)
        >>> batches = [(x, model(x).detach())]
        >>> found = belief(pruning_limit(model, nn.functional.mse_loss, batches, epsilon=0.06))
        >>> found.believed, found.apart, round(found.quadratic, 2)
        (True, 0.0, 0.83)
    """
    checked_instance("limit", limit, PruningLimit, "a PruningLimit")
    for spectrum in checked_sequence("spectra", spectra, "spectra"):
        checked_instance("spectra", spectrum, Spectrum, "Spectrum objects")
    curvature = float(limit.spectrum.nodes.abs().max())
    predictions = [
        published_prediction(spectrum, limit.magnitudes, limit.epsilon).removed
        for spectrum in spectra
    ]
    predictions.append(limit.predicted.removed)
    return Belief(
        slope=limit.gradient_norm**2 / (2 * curvature) / limit.epsilon,
        linear=limit.linear_change / limit.epsilon,
        quadratic=limit.quadratic_change / limit.epsilon,
        apart=limit.predicted.removed - limit.constructive.removed,
        spread=max(predictions) - min(predictions),
    )
