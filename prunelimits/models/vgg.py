"""VGG."""

from __future__ import annotations

import torch
from torch import nn

from prunelimits.arguments import checked_size
from prunelimits.models.kaiming import kaiming
from prunelimits.modes import in_plain_modes

# Convolutions of each stage, and its channels as a multiple of the first's.
_STAGES = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))


@in_plain_modes
def vgg16(classes: int = 10, *, channels: int = 3, width: int = 64, seed: int = 0) -> nn.Sequential:
    """VGG-16 with batch normalisation and one linear layer, as papers have it on CIFAR.

    Thirteen convolutions of 3 by 3 in five stages, each ended by max pooling, then the mean over
    what positions are left: at 32 by 32 there is one. Smaller images work too: a side of one
    stays one. For ten classes 14,715,584 weights, 4,234 biases and 8,448 parameters of
    normalisation.

    From [Very deep convolutional networks](https://arxiv.org/abs/1409.1556); in this form in
    [How Sparse Can We Prune A Deep Network](https://arxiv.org/abs/2306.05857).

    Args:
        classes: Outputs.
        channels: Of the images.
        width: Channels of the first stage; the others have 2, 4, 8 and 8 times as many.
        seed: Of the first weights, see `models.kaiming`.

    Raises:
        ValueError: If a number is below 1 or too large.
        TypeError: If it is not an integer.

    Examples:
        >>> vgg16(width=4, channels=1)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    classes = checked_size("classes", classes)
    width = checked_size("width", width)
    last = checked_size("channels", channels)
    layers: list[nn.Module] = []
    with torch.device("meta"):
        for convolutions, factor in _STAGES:
            for _ in range(convolutions):
                out = factor * width
                layers += [nn.Conv2d(last, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
                last = out
            # Rounded up, so that nothing is ever left without a position.
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes)]
        model = nn.Sequential(*layers)
    return kaiming(model, seed)
