"""The mask of one layer with the best balance of paths, nodes and kernels, of its size."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.masks import top


def balanced_mask(
    paths: Tensor,
    allowed: Tensor,
    keep: Tensor,
    noise: Tensor,
    *,
    alpha: float = 0.01,
    beta: float = 1.0,
) -> Tensor:
    """The mask of a layer that is best by the objective of `npb`, of those with `keep` weights.

    The n-th weight of an input is worth `(1 - alpha) P / most paths`, and more by `beta / weights`
    if it opens a kernel and by `alpha / all nodes` if it is the first, and some path arrives: never
    more than the one before it. So the weights of most worth say how many each input keeps. Which
    they are is decided from the input of most paths on: at the outputs that have fewest so far,
    among equals by the noise. So weights are spread over the outputs evenly, and `keep` of them
    reach all or `keep` outputs, which is the most that can be. Where some weights are not allowed
    that may be missed by little.

    Args:
        paths: How many arrive at each input, `(inputs,)`, finite and not negative.
        allowed: Bool, `(outputs, inputs, size of a kernel)`.
        keep: An integer tensor without axes, at most what is allowed.
        noise: Uniform in [0, 1), shaped like `allowed`.
        alpha: How much nodes count beside paths.
        beta: How much kernels count.

    Returns:
        A bool tensor shaped like `allowed`.

    Examples:
        >>> paths, allowed = torch.tensor([3.0, 1.0, 0.0]), torch.ones(2, 3, 1, dtype=torch.bool)
        >>> mask = balanced_mask(paths, allowed, torch.tensor(3), torch.rand(2, 3, 1))
        >>> mask.sum((0, 2))  # both weights of the input with 3 paths, one of that with 1
        tensor([2, 1, 0])
    """
    worth = _worth(paths.double(), allowed, keep, alpha=alpha, beta=beta)
    # Of equals the weights with a lower number, so that inputs with as many paths stay alike.
    counts = top({"slots": worth.mT}, keep)["slots"].sum(0)
    order = paths.sort(descending=True, stable=True).indices
    load = torch.zeros_like(noise[:, 0, 0], dtype=torch.long)
    columns: list[Tensor] = []
    for place in order:
        column, drawn = (
            value.index_select(1, place.reshape(1))[:, 0] for value in (allowed, noise)
        )
        chosen = _places(column, drawn, load) < counts.gather(0, place.reshape(1))
        columns.append(chosen & column)
        load = load + columns[-1].sum(1)
    return torch.stack(columns).index_select(0, order.argsort()).movedim(0, 1)


def _worth(paths: Tensor, allowed: Tensor, keep: Tensor, *, alpha: float, beta: float) -> Tensor:
    """What the n-th weight of each input is worth, `(inputs, most weights of one)`."""
    outputs, inputs, _ = allowed.shape
    weights = allowed.sum((0, 2))
    kernels = allowed.any(2).sum(0)
    descending, order = paths.sort(descending=True)
    room = weights.gather(0, order)
    taken = (keep - room.cumsum(0) + room).clamp(min=0).minimum(room)
    most = (taken * descending).sum()
    share = paths / most.where(most > 0, 1)
    number = torch.arange(allowed[:, 0].numel(), device=paths.device)
    nodes = alpha / (outputs + inputs) * ((number == 0) & (paths > 0)[:, None])
    opening = beta / keep.clamp(min=1) * (number < kernels[:, None])
    worth = (1 - alpha) * share[:, None] + nodes + opening
    return worth.masked_fill(number >= weights[:, None], -1)


def _places(allowed: Tensor, noise: Tensor, load: Tensor) -> Tensor:
    """In which order an input takes its weights, `(outputs, size of a kernel)`, from 0.

    One of each output first, those of least load first, then the second ones, and so on; what is
    not allowed last.
    """
    open_first = noise + (~allowed)
    within = open_first.argsort(dim=1).argsort(dim=1)
    least = open_first.min(1).values  # in [0, 1), or above where nothing is allowed
    by_load = (load.double() + least.double().clamp(max=0.999)).argsort().argsort()
    key = within * len(load) + by_load[:, None] + allowed.numel() * (~allowed)
    return key.flatten().argsort().argsort().reshape(allowed.shape)
