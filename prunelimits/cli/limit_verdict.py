"""Which prediction of a pruning limit to believe for the network at hand, and why."""

from __future__ import annotations

from collections.abc import Sequence

from prunelimits.limits import PruningLimit, PruningSweep, Spectrum, belief

# A prediction holds if it is that near to what pruning did.
_NEAR = 0.05
# The quadratic model holds up to a point where the loss has risen by epsilon, about.
_HOLDS = (0.5, 2.0)


def verdict(limit: PruningLimit, sweep: PruningSweep, spectra: Sequence[Spectrum] = ()) -> str:
    """What can be removed, which prediction agrees, and whether the published one could be trusted.

    The last is judged by `belief`, without pruning: whoever has no data to prune with has that.

    Args:
        limit: A network's limit.
        sweep: What pruning did to the same network.
        spectra: The Hessian's by fewer Lanczos steps.
    """
    return f"{_measured(limit, sweep)}\n{_beforehand(limit, sweep, spectra)}"


def _beforehand(limit: PruningLimit, sweep: PruningSweep, spectra: Sequence[Spectrum]) -> str:
    found = belief(limit, spectra)
    off = limit.predicted.removed - sweep.removed_within(limit.epsilon)
    said = f"it is {100 * abs(off):.1f} points {'above' if off >= 0 else 'below'} what pruning does"
    if found.believed:
        return (
            f"Without pruning: the published formula's {limit.predicted.removed:.1%} can be "
            f"believed, as the bounds are {100 * abs(found.apart):.1f} points apart; {said}."
        )
    return (
        f"Without pruning: the published formula's {limit.predicted.removed:.1%} cannot be "
        f"believed: {'; '.join(found.reasons)}; {said}."
    )


def _measured(limit: PruningLimit, sweep: PruningSweep) -> str:
    """A sentence or three: what can be removed, which prediction agrees, and why the others do not.

    The theory asks for two things, both measured here: that the network is at a minimum, which is
    that a step down the gradient, `norm^2 / (2 largest eigenvalue)`, gains less than epsilon; and
    that the loss is as its quadratic model up to where pruning goes, which is that at the limit of
    the quadratic model it has risen by about epsilon.
    """
    actual = sweep.removed_within(limit.epsilon)
    said = f"Verdict: {actual:.1%} can be removed at once before the loss rises by epsilon. "
    curvature = float(limit.spectrum.nodes.abs().max())
    gain = limit.gradient_norm**2 / (2 * curvature) if curvature else float("inf")
    if gain > limit.epsilon and limit.gradient_norm > 0:
        return (
            f"{said}Believe no prediction: the network is at no minimum, as one step down the "
            f"gradient would gain {gain:.2g}, more than epsilon {limit.epsilon:.2g}. Train it to "
            "the end first."
        )
    predictions = {
        "the quadratic model at the pruned point": limit.constructive.removed,
        "the published formula": limit.predicted.removed,
        "the exact dimension": limit.exact.removed,
    }
    near = [name for name, removed in predictions.items() if abs(removed - actual) <= _NEAR]
    place = int((sweep.removed <= limit.constructive.removed).sum()) - 1
    rise = float(sweep.train.loss[place] - sweep.train.loss[0]) / limit.epsilon
    model = (
        f"at the quadratic model's own limit, {limit.constructive.removed:.1%} removed, the loss "
        f"has risen by {rise:.2g} times epsilon"
    )
    if not near:
        return (
            f"{said}Believe this and no prediction: none is within {100 * _NEAR:.0f} points of it. "
            f"The theory takes the loss for its quadratic model and what is removed for random, "
            f"and here {model} instead of 1."
        )
    others = [name for name in predictions if name not in near]
    rest = f", but not {' or '.join(others)}" if others else ""
    reason = f"{model}."
    if not _HOLDS[0] <= rise <= _HOLDS[1]:
        reason = f"but {model} instead of 1, so the numbers agree and the reasons do not."
    return (
        f"{said}Believe {' and '.join(near)}, within {100 * _NEAR:.0f} points of it{rest}: {reason}"
    )
