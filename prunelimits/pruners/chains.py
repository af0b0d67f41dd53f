"""Whether the layers of a network follow each other one by one, as random walks take them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor

from prunelimits.pruners.selection import concrete
from prunelimits.pruners.walks import check_sizes
from prunelimits.scores.derivatives import gradient_of
from prunelimits.scores.uses import Use, Watch
from prunelimits.types import Masks, Params, Problem

# Sizes of images that networks are made for, tried where no batch shows one.
_IMAGE_SIZES = (32, 28, 64, 224, *range(1, 64), 96, 128, 256, 299)
_INPUTS = "the inputs"  # no parameter has spaces in its name


def check_chain(problem: Problem, params: Params, masks: Masks) -> None:
    """Raises if something passes by a layer: parallel branches, skips, layers in another order.

    With a layer's weights at zero, the outputs of a chain depend on none of the layers before it,
    nor on the inputs.
    The check takes the absolute values of all parameters, so that nothing cancels. It says nothing
    under `torch.vmap`.

    Args:
        problem: Its first batch tells the shape of an input. Without one, shapes that fit the first
            layer are tried.
        params: Parameters and buffers by name.
        masks: The layers' weights, first layer first.

    Raises:
        ValueError: If the layers are no chain, or no shape of an input is known.
    """
    check_sizes(masks)
    positive = {
        name: _positive(name, value) if value.is_floating_point() else value
        for name, value in params.items()
    }
    x = _input(problem, positive, masks)
    _check_uses(problem, positive, x, masks)
    names = list(masks)
    for place, name in enumerate(names[1:], start=1):
        cut = {**positive, name: torch.zeros_like(positive[name])}
        for before in _felt(problem, cut, x, {before: cut[before] for before in names[:place]}):
            raise ValueError(
                f"layers must form a chain, but the outputs depend on {before!r} past {name!r}"
            )
    for name in names if isinstance(x, Tensor) and x.is_floating_point() else ():
        cut = {**positive, name: torch.zeros_like(positive[name])}
        if _felt(problem, cut, x, {_INPUTS: x}):
            raise ValueError(
                f"layers must form a chain, but the outputs depend on {_INPUTS} past {name!r}"
            )


def _check_uses(problem: Problem, params: Params, x: Any, masks: Masks) -> None:  # noqa: ANN401
    """Raises unless every layer multiplies once, by a weight with its outputs as first axis."""
    uses: list[Use] = []
    watch = Watch({name: params[name] for name in masks}, uses.append)
    with watch:
        problem.apply(params, x)
    turned = {use.name: "a product by its first axis" for use in uses if use.flipped}
    for name, function in (watch.unknown | turned).items():
        raise ValueError(
            f"layers must be linear or convolutions for random walks, but {name!r} goes through "
            f"{function}: leave it out by ignore=[{name!r}]"
        )
    for name, number in Counter(use.name for use in uses).items():
        if number > 1:
            raise ValueError(f"layers must form a chain, but {name!r} is used {number} times")


def _felt(problem: Problem, params: Params, x: Any, points: Params) -> list[str]:  # noqa: ANN401
    """Those of some parameters, or the inputs, that the outputs depend on."""

    def total(points: Params) -> Tensor:
        weights = {name: value for name, value in points.items() if name != _INPUTS}
        outputs = problem.apply({**params, **weights}, points.get(_INPUTS, x)).flatten()
        # Not the plain sum: that of a softmax depends on nothing.
        ladder = torch.linspace(1, 2, len(outputs), dtype=outputs.dtype, device=outputs.device)
        return outputs @ ladder

    gradients = gradient_of(total, points)
    return [name for name, value in gradients.items() if concrete((value != 0).any().long())]


def _positive(name: str, value: Tensor) -> Tensor:
    # A shift by a running mean would turn signs.
    return torch.zeros_like(value) if name.endswith("running_mean") else value.abs()


def _input(problem: Problem, params: Params, masks: Masks) -> Tensor:
    if problem.batches:
        x = problem.batches[0][0]
        return torch.ones_like(x[:1]) if isinstance(x, Tensor) and x.is_floating_point() else x
    first = params[next(iter(masks))]
    axes = first.dim() - 2
    for size in _IMAGE_SIZES if axes else (1,):
        x = first.new_ones((1, first.shape[1], *[size] * axes))
        try:
            problem.apply(params, x)
        except Exception:  # whatever a network says of an input that does not fit it
            continue
        return x
    raise ValueError(
        "batches must hold a pair (x, y): no shape of an input is known that would show how the "
        "layers follow each other"
    )
