"""AlexNet."""

from __future__ import annotations

import torch
from torch import nn

from prunelimits.arguments import checked_size
from prunelimits.models.kaiming import kaiming
from prunelimits.modes import in_plain_modes

_HIDDEN = 4096
_SMALLEST_IMAGE = 65


@in_plain_modes
def alexnet(
    classes: int = 10, *, channels: int = 3, image_size: int = 224, seed: int = 0
) -> nn.Sequential:
    """AlexNet of [How Sparse Can We Prune A Deep Network](https://arxiv.org/abs/2306.05857).

    Five convolutions, three of them with max pooling, and three linear layers, without
    normalisation and dropout; for ten classes 46,778,400 weights and 9,578 biases. The paper
    enlarges CIFAR's images seven times to its size:
    `functional.interpolate(x, scale_factor=7)`; MNIST's fit enlarged eight times.

    Args:
        classes: Outputs.
        channels: Of the images.
        image_size: Their height and width, at least 65.
        seed: Of the first weights, see `models.kaiming`.

    Raises:
        ValueError: If a number is too small or too large.
        TypeError: If it is not an integer.

    Examples:
        >>> with torch.no_grad():
        ...     alexnet(classes=7, channels=1, image_size=65)(torch.zeros(2, 1, 65, 65)).shape
        torch.Size([2, 7])
    """
    classes = checked_size("classes", classes)
    channels = checked_size("channels", channels)
    # What the first convolution and each pooling leave of a side.
    side = (checked_size("image_size", image_size, _SMALLEST_IMAGE) + 2 - 11) // 4 + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    with torch.device("meta"):
        model = nn.Sequential(
            *(nn.Conv2d(channels, 96, 11, stride=4, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten()),
            *(nn.Linear(256 * side**2, _HIDDEN), nn.ReLU()),
            *(nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU()),
            nn.Linear(_HIDDEN, classes),
        )
    return kaiming(model, seed)
