"""Hiding a sparse network in a wide one, by the algorithm of Plant 'n' Seek."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import checked_instance
from prunelimits.masks import check_bools
from prunelimits.models.mlp import MLP, parameter_shapes
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks, Params

# Relative: much above that of float64.
_ROUNDING = 1e-9


@in_plain_modes
def plant(target: MLP, masks: Masks, wide: MLP) -> tuple[MLP, Masks]:
    """A wide network that hides a sparse one where it resembles it, and the masks that show it.

    [Plant 'n' Seek](https://arxiv.org/abs/2111.11153), Section 4. Layer after layer, each unit of
    the target, with parameters `t` to the units planted before it, takes the place of the wide
    network's unit whose parameters `m` in those places are most alike: of those left, with
    `a = t.m / |m|^2` above 0, the one with the least `|t - a m|`; of several that are alike to
    rounding, as all are of a unit with a single parameter, the one with `a` nearest to 1. It is
    planted as `t / a`, which the next layer makes up for. All else of the wide network stays as it
    is: under the masks it computes what the target computes, but for rounding.

    Args:
        target: The sparse network.
        masks: What it keeps, by name; a name that is absent is kept whole.
        wide: A network of as many layers, inputs and outputs, no layer of it narrower.

    Returns:
        A new network of the wide one's widths, dtype and device, and masks for all its parameters.

    Raises:
        ValueError: If the networks do not fit each other, or masks do not fit the target.
        TypeError: If an argument is of another kind.

    Examples:
        >>> from prunelimits.models import relu_network
        >>> planted, masks = plant(*relu_network(2), MLP((1, 100, 100, 1)))
        >>> [int(mask.sum()) for mask in masks.values()]
        [1, 0, 1, 0, 1, 0]
    """
    checked_instance("target", target, MLP, "an MLP")
    checked_instance("wide", wide, MLP, "an MLP")
    _check_fit(target.widths, wide.widths)
    kept = _whole_masks(target, masks)
    small = {name: value.detach().cpu().double() for name, value in target.named_parameters()}
    large = {name: value.detach().cpu().double() for name, value in wide.named_parameters()}
    planted = {name: value.clone() for name, value in large.items()}
    shown: Masks = {
        name: torch.zeros_like(value, dtype=torch.bool) for name, value in large.items()
    }
    # Where the units of the layer below are, and what makes up for their scale.
    places = list(range(target.widths[0]))
    scales = torch.ones(target.widths[0], dtype=torch.float64, device="cpu")
    last = len(target.widths) - 2
    for layer in range(last + 1):
        weight, bias = f"layers.{layer}.weight", f"layers.{layer}.bias"
        chosen: list[int] = []
        factors: list[float] = []
        for unit in range(target.widths[layer + 1]):
            inputs = kept[weight][unit].nonzero()[:, 0]
            columns = torch.tensor(places, device="cpu")[inputs]
            wanted = small[weight][unit, inputs] * scales[inputs]
            biased = bool(kept[bias][unit])
            if layer == last:
                place, factor = unit, 1.0
            else:
                vector = torch.cat([wanted, small[bias][unit : unit + 1]]) if biased else wanted
                there = large[weight][:, columns]
                there = torch.cat([there, large[bias][:, None]], 1) if biased else there
                place, factor = _most_alike(vector, there, chosen)
            chosen.append(place)
            factors.append(factor)
            planted[weight][place, columns] = wanted / factor
            shown[weight][place, columns] = True
            if biased:
                planted[bias][place] = small[bias][unit] / factor
                shown[bias][place] = True
        places, scales = chosen, torch.tensor(factors, dtype=torch.float64, device="cpu")
    return _like(wide, planted), {n: m.to(_of(wide, n).device) for n, m in shown.items()}


def _most_alike(wanted: Tensor, there: Tensor, taken: list[int]) -> tuple[int, float]:
    """The unit whose row of `there` is most alike, and the factor `a` from it to `wanted`."""
    factor = (there @ wanted) / (there**2).sum(1)
    # A unit without inputs is alike to every one; one of the other sign to none.
    factor = torch.where(factor > 0, factor, torch.nan)
    distance = (wanted - factor[:, None] * there).norm(dim=1).nan_to_num(nan=torch.inf)
    distance[taken] = torch.inf
    if distance.min() < torch.inf:
        alike = distance <= distance.min() + _ROUNDING * wanted.norm()
        scale = factor.log().abs().masked_fill(~alike, torch.inf)
        place = int(scale.argmin())
        return place, float(factor[place])
    return next(unit for unit in range(len(there)) if unit not in taken), 1.0


def _check_fit(target: tuple[int, ...], wide: tuple[int, ...]) -> None:
    ends = [(widths[0], widths[-1], len(widths)) for widths in (target, wide)]
    if ends[0] != ends[1] or any(a > b for a, b in zip(target, wide, strict=True)):
        raise ValueError(
            f"wide must have widths {target} or wider hidden ones, as the target, got {wide}"
        )


def _whole_masks(target: MLP, masks: Masks) -> Masks:
    check_bools(masks)
    shapes = parameter_shapes(target.widths)
    unknown = set(masks) - set(shapes)
    if unknown:
        raise ValueError(f"masks must name parameters of the target, got {sorted(unknown)}")
    whole: Masks = {}
    for name, shape in shapes.items():
        mask = masks.get(name, torch.ones(shape, dtype=torch.bool, device="cpu")).cpu()
        if mask.shape != shape:
            raise ValueError(f"masks[{name!r}] must have shape {shape}, got {tuple(mask.shape)}")
        whole[name] = mask
    return whole


def _of(model: MLP, name: str) -> Tensor:
    return model.get_parameter(name)


def _like(wide: MLP, params: Params) -> MLP:
    return MLP.from_params(wide.widths, {n: v.to(_of(wide, n)) for n, v in params.items()})
