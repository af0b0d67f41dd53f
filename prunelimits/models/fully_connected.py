"""The fully connected networks of the papers on pruning limits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from prunelimits.arguments import checked_size
from prunelimits.models.kaiming import kaiming
from prunelimits.modes import in_plain_modes

_FC5 = (1000, 600, 300, 100)
_FC12 = (1000, 900, 800, 750, 700, 650, 600, 500, 400, 200, 100)
_MLPNET = (40, 20)


@in_plain_modes
def fc5(inputs: int = 3 * 32 * 32, classes: int = 10, *, seed: int = 0) -> nn.Sequential:
    """FC5 of [How Sparse Can We Prune A Deep Network](https://arxiv.org/abs/2306.05857).

    Hidden layers of 1000, 600, 300 and 100 ReLUs; on CIFAR-10 3,883,000 weights and 2,010 biases.
    Images are flattened first: any shape with `inputs` numbers a sample.

    Args:
        inputs: Numbers a sample.
        classes: Outputs.
        seed: Of the first weights, see `models.kaiming`.

    Raises:
        ValueError: If a number is below 1 or too large.
        TypeError: If it is not an integer.

    Examples:
        >>> fc5(8 * 8)(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])
    """
    return _fully_connected((inputs, *_FC5, classes), seed=seed)


@in_plain_modes
def fc12(inputs: int = 3 * 32 * 32, classes: int = 10, *, seed: int = 0) -> nn.Sequential:
    """FC12 of [How Sparse Can We Prune A Deep Network](https://arxiv.org/abs/2306.05857).

    Hidden layers of 1000, 900, 800, 750, 700, 650, 600, 500, 400, 200 and 100 ReLUs; on CIFAR-10
    7,263,000 weights and 6,610 biases. Arguments and errors are those of `fc5`.
    """
    return _fully_connected((inputs, *_FC12, classes), seed=seed)


@in_plain_modes
def mlpnet(inputs: int = 28 * 28, classes: int = 10, *, seed: int = 0) -> nn.Sequential:
    """MLPNet of the one-shot comparisons of [WoodFisher](https://arxiv.org/abs/2004.14340).

    Hidden layers of 40 and 20 ReLUs, no biases: 32,360 weights on MNIST. Also in
    [CBS](https://arxiv.org/abs/2203.04466) and [CHITA](https://arxiv.org/abs/2302.14623). Theirs
    ends in a log-softmax for a negative log-likelihood; this one returns what goes into it, for
    cross-entropy, which is the same loss. Arguments and errors are those of `fc5`.

    Examples:
        >>> sum(p.numel() for p in mlpnet().parameters())
        32360
    """
    return _fully_connected((inputs, *_MLPNET, classes), seed=seed, bias=False)


def _fully_connected(widths: Sequence[int], *, seed: int, bias: bool = True) -> nn.Sequential:
    inputs, *hidden, classes = widths
    widths = (checked_size("inputs", inputs), *hidden, checked_size("classes", classes))
    with torch.device("meta"):
        layers: list[nn.Module] = [nn.Flatten()]
        for d_in, d_out in pairwise(widths):
            layers += [nn.Linear(d_in, d_out, bias=bias), nn.ReLU()]
        model = nn.Sequential(*layers[:-1])
    return kaiming(model, seed)
