"""A fresh start by Glorot's rule, which published runs of SNIP and GraSP score at."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from prunelimits.modes import in_plain_modes
from prunelimits.scores.gradient import check_noise, check_real
from prunelimits.types import Masks, Params


@in_plain_modes
@torch.no_grad()
def xavier_normal(params: Params, masks: Masks, noise: Params | None) -> Params:
    """The parameters with the weights named in `masks` drawn anew, as `xavier_normal_` does.

    `w = sqrt(2 / (fan_in + fan_out)) * sqrt(2) * erfinv(2 u - 1)` for uniform noise `u`: normal,
    with the variance of
    [Glorot and Bengio](https://proceedings.mlr.press/v9/glorot10a.html). Other parameters, biases
    among them, stay. Pruned weights are drawn too: masks apply where they apply.

    Published SNIP and GraSP code scores a copy that starts afresh, whatever the network's own
    weights are: `snip(..., xavier=True)`. The runs of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075) start training from the fresh
    weights too: pass the parameters that this function gives on to both.

    Args:
        params: Parameters by name.
        masks: Which weights, each of two or more axes.
        noise: Uniform in [0, 1), shaped like the masks.

    Raises:
        ValueError: If masks or noise do not fit, or a weight has fewer than two axes.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> params = {"weight": torch.zeros(1, 3), "bias": torch.ones(1)}
        >>> noise = {"weight": torch.tensor([[0.5, 0.8413447, 0.1586553]])}
        >>> xavier_normal(params, {"weight": torch.ones(1, 3, dtype=torch.bool)}, noise)
        {'weight': tensor([[ 0.0000,  0.7071, -0.7071]]), 'bias': tensor([1.])}
    """
    check_real(params, masks)
    fresh = {
        name: _normal(drawn).mul(_scale(name, params[name])).to(params[name].dtype)
        for name, drawn in check_noise(noise, masks).items()
    }
    return {**params, **fresh}


def _normal(uniform: Tensor) -> Tensor:
    # Float32 noise is a multiple of 2^-24, and 0 among them, which would become -infinity.
    safe = uniform.double().clamp(2**-25, 1 - 2**-25)
    return torch.erfinv(2 * safe - 1) * math.sqrt(2)


def _scale(name: str, weight: Tensor) -> float:
    if weight.dim() < 2:
        raise ValueError(f"{name!r} must have two or more axes, got shape {tuple(weight.shape)}")
    d_out, d_in, *kernel = weight.shape
    return math.sqrt(2 / ((d_in + d_out) * math.prod(kernel)))
