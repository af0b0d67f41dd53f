"""Residual networks, as papers have them on CIFAR: a first convolution of 3 by 3, no pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.arguments import checked_flag, checked_size
from prunelimits.models.kaiming import kaiming
from prunelimits.modes import in_plain_modes


class ResidualBlock(nn.Module):
    """`relu(branch(x) + shortcut(x))`.

    Args:
        branch: A chain of convolutions.
        shortcut: What brings the input to the branch's shape.
    """

    def __init__(self, branch: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, `(batch, channels, height, width)`."""
        return torch.relu(self.branch(x) + self.shortcut(x))


class PaddedShortcut(nn.Module):
    """Every `stride`-th position, with as many channels of zeros before as behind.

    Option A of [Deep residual learning](https://arxiv.org/abs/1512.03385): no parameters.

    Args:
        channels: How many channels of zeros in all.
        stride: In both directions.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.before = channels // 2
        self.behind = channels - self.before
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """The thinned and padded images."""
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, self.before, self.behind))


@in_plain_modes
def resnet18(
    classes: int = 100, *, channels: int = 3, width: int = 64, seed: int = 0
) -> nn.Sequential:
    """ResNet-18 for small images: four stages of two blocks of two convolutions.

    For the hundred classes of CIFAR-100 11,210,432 weights, 100 biases and 9,600 parameters of
    normalisation. The network of
    [How Sparse Can We Prune A Deep Network](https://arxiv.org/abs/2306.05857).

    Args:
        classes: Outputs.
        channels: Of the images, which may have any size.
        width: Channels of the first stage; each stage has twice as many as the one before.
        seed: Of the first weights, see `models.kaiming`.

    Raises:
        ValueError: If a number is below 1 or too large.
        TypeError: If it is not an integer.

    Examples:
        >>> resnet18(10, channels=1, width=2)(torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3, 10])
    """
    return _resnet((2, 2, 2, 2), _basic_branch, 1, classes, channels, width, seed)


@in_plain_modes
def resnet50(
    classes: int = 100, *, channels: int = 3, width: int = 64, seed: int = 0
) -> nn.Sequential:
    """ResNet-50 for small images: stages of 3, 4, 6 and 3 blocks of three convolutions.

    For a hundred classes 23,652,032 weights, 100 biases and 53,120 parameters of normalisation.
    Arguments and errors are those of `resnet18`; a stage ends in four times its width.
    """
    return _resnet((3, 4, 6, 3), _bottleneck_branch, 4, classes, channels, width, seed)


@in_plain_modes
def resnet20(
    classes: int = 10,
    *,
    channels: int = 3,
    width: int = 16,
    projection: bool = False,
    seed: int = 0,
) -> nn.Sequential:
    """ResNet-20 of [Deep residual learning](https://arxiv.org/abs/1512.03385) for CIFAR-10.

    Three stages of three blocks of two convolutions: 268,336 weights, 10 biases and 1,376
    parameters of normalisation, as in [Rare gems](https://arxiv.org/abs/2202.12002). With
    `projection` 270,896 weights and 1,568 parameters of normalisation, as in
    [WoodFisher](https://arxiv.org/abs/2004.14340) and the comparisons with it
    ([CBS](https://arxiv.org/abs/2203.04466), [CHITA](https://arxiv.org/abs/2302.14623)).

    Args:
        classes: Outputs.
        channels: Of the images, which may have any size.
        width: Channels of the first stage.
        projection: Whether shortcuts to a wider stage are convolutions of 1 by 1 (option B)
            instead of zeros for the new channels (option A).
        seed: Of the first weights, see `models.kaiming`.

    Raises:
        ValueError: If a number is below 1 or too large.
        TypeError: If it is not an integer, or `projection` not a bool.

    Examples:
        >>> sum(p.numel() for p in resnet20().parameters())
        269722
    """
    checked_flag("projection", projection)
    return _resnet((3, 3, 3), _basic_branch, 1, classes, channels, width, seed, projection)


def _resnet(
    blocks: Sequence[int],
    branch: Callable[[int, int, int], nn.Sequential],
    expansion: int,
    classes: int,
    channels: int,
    width: int,
    seed: int,
    projection: bool = True,
) -> nn.Sequential:
    classes = checked_size("classes", classes)
    channels = checked_size("channels", channels)
    last = width = checked_size("width", width)
    with torch.device("meta"):
        model = nn.Sequential()
        model.add_module("stem", nn.Sequential(*_convolution(channels, width, 3), nn.ReLU()))
        for stage, depth in enumerate(blocks):
            parts: list[nn.Module] = []
            for block in range(depth):
                stride = 2 if stage and not block else 1
                stage_width = width * 2**stage
                out = expansion * stage_width
                shortcut = _shortcut(last, out, stride, projection)
                parts.append(ResidualBlock(branch(last, stage_width, stride), shortcut))
                last = out
            model.add_module(f"stage{stage + 1}", nn.Sequential(*parts))
        model.add_module("pool", nn.AdaptiveAvgPool2d(1))
        model.add_module("flatten", nn.Flatten())
        model.add_module("linear", nn.Linear(last, classes))
    return kaiming(model, seed)


def _convolution(c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(c_out)]


def _basic_branch(c_in: int, width: int, stride: int) -> nn.Sequential:
    first, second = _convolution(c_in, width, 3, stride), _convolution(width, width, 3)
    return nn.Sequential(*first, nn.ReLU(), *second)


def _bottleneck_branch(c_in: int, width: int, stride: int) -> nn.Sequential:
    first, second = _convolution(c_in, width, 1), _convolution(width, width, 3, stride)
    return nn.Sequential(*first, nn.ReLU(), *second, nn.ReLU(), *_convolution(width, 4 * width, 1))


def _shortcut(c_in: int, c_out: int, stride: int, projection: bool) -> nn.Module:
    if stride == 1 and c_in == c_out:
        return nn.Identity()
    if projection:
        return nn.Sequential(*_convolution(c_in, c_out, 1, stride))
    return PaddedShortcut(c_out - c_in, stride)
