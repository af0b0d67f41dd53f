"""The part of a network that a figure shows: its nonzero parameters and the units they touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.masks import apply
from prunelimits.models import MLP
from prunelimits.structure import copied
from prunelimits.types import Masks

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Subnetwork:
    """A network with its pruned parameters at zero.

    Attributes:
        network: The network.
        weights: The weights of each layer, `(d_out, d_in)`.
        biases: The biases of each layer, `(d_out,)`.
        units: The units that belong to it, by layer, the inputs first: every input and output, and
            each hidden unit that has a nonzero weight in, weight out or bias.
    """

    network: MLP
    weights: list[Array]
    biases: list[Array]
    units: list[list[int]]

    @property
    def nonzeros(self) -> int:
        """The number of nonzero weights and biases."""
        return sum(int(np.count_nonzero(p)) for p in [*self.weights, *self.biases])

    def activations(self, x: Tensor) -> list[Array]:
        """`MLP.activations` of the points `(samples, 2)`, as arrays."""
        values = self.network.activations(x.to(next(self.network.parameters())))
        return [value.detach().cpu().numpy() for value in values]

    def accuracy(self, x: Tensor, y: Tensor) -> float:
        """The share of the points whose logit is above zero where the class is 1, else not."""
        logits = self.activations(x)[-1][:, 0]
        return float(np.mean((logits > 0) == y.detach().cpu().numpy()))


def subnetwork(model: MLP, masks: Masks | None) -> Subnetwork:
    """What `masks` keep of `model`, which stays as it is.

    Raises:
        ValueError: If a mask has no parameter or not its shape, or a kept parameter is not finite.
        TypeError: If a mask is not a bool tensor, or the model cannot be copied.
    """
    network = copied(model).requires_grad_(False)
    parameters = dict(network.named_parameters())
    for name, value in apply(parameters, masks or {}).items():
        parameters[name].copy_(value)
    for name, parameter in parameters.items():
        if not parameter.isfinite().all():
            raise ValueError(f"parameters of the model must be finite, {name!r} is not")
    arrays = {name: parameter.detach().cpu().numpy() for name, parameter in parameters.items()}
    layers = range(len(network.layers))
    weights = [arrays[f"layers.{layer}.weight"] for layer in layers]
    biases = [arrays[f"layers.{layer}.bias"] for layer in layers]
    units = [list(range(width)) for width in network.widths]
    for layer in range(1, len(units) - 1):
        into, bias, out = weights[layer - 1], biases[layer - 1], weights[layer]
        touched = into.any(axis=1) | (bias != 0) | out.any(axis=0)
        units[layer] = np.flatnonzero(touched).tolist()
    return Subnetwork(network, weights, biases, units)
