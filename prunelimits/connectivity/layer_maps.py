"""Linear layers and convolutions as functions of an input and a weight, without bias."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional

LinearMap: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""An input and a weight -> the output without bias."""

Convolution: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed: TypeAlias = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d

_FORWARD: dict[int, Callable[..., Tensor]] = {
    1: functional.conv1d,
    2: functional.conv2d,
    3: functional.conv3d,
}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


def linear_map(x: Tensor, weight: Tensor) -> Tensor:
    """A linear layer."""
    return functional.linear(x, weight)


def convolution_map(layer: Convolution) -> LinearMap:
    """A convolution with the layer's stride, padding, dilation and groups.

    Raises:
        ValueError: If the padding is given by a word and not with zeros.
    """
    convolve = partial(
        _FORWARD[len(layer.kernel_size)],
        stride=layer.stride,
        dilation=layer.dilation,
        groups=layer.groups,
    )
    if layer.padding_mode == "zeros":
        return lambda x, weight: convolve(x, weight, padding=layer.padding)
    if isinstance(layer.padding, str):
        raise ValueError(f"padding {layer.padding!r} with padding_mode {layer.padding_mode!r}")
    around = [size for size in reversed(layer.padding) for _ in range(2)]
    return lambda x, weight: convolve(functional.pad(x, around, layer.padding_mode), weight)


def transposed_map(layer: Transposed) -> LinearMap:
    """A transposed convolution with the layer's settings."""
    settings = {
        "stride": layer.stride,
        "padding": layer.padding,
        "output_padding": layer.output_padding,
        "groups": layer.groups,
        "dilation": layer.dilation,
    }
    convolve = _TRANSPOSED[len(layer.kernel_size)]
    return lambda x, weight: convolve(x, weight, **settings)
