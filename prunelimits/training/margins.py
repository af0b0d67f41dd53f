"""Accuracy with a margin: only samples count whose logits lie clearly on their side.

Everything here is put in terms of what engines measure anyway, so that each engine measures a
margin as fast as it measures accuracy: a sample of class 1 has a logit above the margin if and only
if the network whose output bias is lower by the margin classifies it right.
"""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import checked_number
from prunelimits.models import MLP
from prunelimits.training.engine import AbstractEngine, Loss
from prunelimits.training.ensemble import MLPEnsemble


def checked_margin(margin: object, loss: Loss | None = None) -> float:
    """`margin` if it is one that `evaluate` takes.

    Raises:
        ValueError: If it is below 0, or above 0 for squared error.
        TypeError: If it is no number.
    """
    checked = checked_number("margin", margin, least=0)
    if checked and loss == "mse":
        raise ValueError(
            f"margin must be 0 for squared error, which has no classes to tell apart, got {checked}"
        )
    return checked


def accuracy_beyond(
    margin: float,
    ensemble: MLPEnsemble,
    x: Tensor,
    y: Tensor,
    loss: Loss,
    engine: AbstractEngine,
) -> Tensor:
    """The accuracy of every member with a margin above 0, as `evaluate` defines it.

    Args:
        margin: Above 0.
        ensemble: What is measured.
        x: Checked inputs.
        y: Checked labels: a margin has no meaning for squared error.
        loss: Binary or multi-class cross-entropy.
        engine: Who measures.

    Returns:
        float64 `(models,)`.
    """
    shift = margin * logit_spread(ensemble, x, engine)
    # Where all logits are equal, a logit of exactly zero is still on neither side.
    shift = shift.clamp(min=float(torch.finfo(ensemble.dtype).tiny))
    binary = loss == "binary_cross_entropy"
    right = torch.zeros(len(ensemble), dtype=torch.float64, device=ensemble.device)
    for label in y.unique().tolist():
        own = y == label
        # Against the label: its logit lower, or for the class 0 of two the only logit higher.
        output, sign = (0, 1 if label < 0.5 else -1) if binary else (int(label), -1)
        shifted = _with_output_bias(ensemble, sign * shift, output)
        accuracy = engine.evaluate(shifted, x[own], y[own], loss).accuracy
        right += (accuracy.to(right) * int(own.sum())).round()
    return right / len(x)


def tied_samples(model: MLP, x: Tensor, loss: Loss) -> int:
    """How many samples a network puts on no side: a logit of zero, or two largest that are equal.

    Args:
        model: A classifier.
        x: Inputs, `(n, inputs)`.
        loss: Binary or multi-class cross-entropy.
    """
    with torch.no_grad():
        logits = model(x.to(next(model.parameters())))
    if loss == "binary_cross_entropy":
        return int((logits == 0).sum())
    largest = logits.topk(2, dim=1).values
    return int((largest[:, 0] == largest[:, 1]).sum())


def logit_spread(ensemble: MLPEnsemble, x: Tensor, engine: AbstractEngine) -> Tensor:
    """The standard deviation of every member's logits, over all samples and outputs together.

    sqrt(E[(z - E[z])^2]), without the correction for small samples; float64 `(models,)`.
    """
    outputs = ensemble.widths[-1]
    zeros = torch.zeros(len(x), outputs, dtype=ensemble.dtype, device=ensemble.device)

    def square_around(center: Tensor) -> Tensor:
        moved = _with_output_bias(ensemble, -center, None)
        return engine.evaluate(moved, x, zeros, "mse").loss

    square = engine.evaluate(ensemble, x, zeros, "mse").loss
    # E[(z - r)^2] = E[z^2] - 2 r E[z] + r^2 tells the mean, at an r of the logits' own size.
    size = square.sqrt()
    mean = torch.where(size > 0, (square + size.square() - square_around(size)) / (2 * size), 0.0)
    return square_around(mean).sqrt()


def _with_output_bias(ensemble: MLPEnsemble, shift: Tensor, output: int | None) -> MLPEnsemble:
    """The members with their own `shift` added to the bias of one output, or of all for None."""
    name = f"layers.{len(ensemble.widths) - 2}.bias"
    bias = ensemble.params[name].clone()
    part = bias if output is None else bias[:, output : output + 1]
    part += shift.to(bias).unsqueeze(1)
    # No masks: a bias that was pruned may be shifted as well.
    return MLPEnsemble.from_params(ensemble.widths, {**ensemble.params, name: bias})
