"""Which biases stay, given the weights that stay."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import torch

from prunelimits.arguments import checked_choice
from prunelimits.masks.checks import check_bools
from prunelimits.types import Masks

BiasRule: TypeAlias = Literal["incoming", "outgoing"]


def with_biases(masks: Masks, rule: BiasRule = "outgoing") -> Masks:
    """The weight masks of an MLP with a bias mask for every layer, in state dict order.

    Both rules are from [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075):

    - `"outgoing"`, for pruning methods (Section 3.4): bias i is kept where unit i has a kept
      weight to the next layer; the last layer's biases are all kept.
    - `"incoming"`, for the combinatorial search (footnote 1): bias i is kept where unit i has a
      kept weight from the layer before.

    Args:
        masks: Name ending in `weight` -> bool `(..., d_out, d_in)`, first layer first. Bias masks
            that are there already are replaced.
        rule: Which rule.

    Raises:
        ValueError: If the rule is unknown or the masks are not those of an MLP.
        TypeError: If `masks` is not a dict of bool tensors.

    Examples:
        >>> first, last = torch.tensor([[True], [False]]), torch.tensor([[False, True]])
        >>> with_biases({"0.weight": first, "2.weight": last})["0.bias"]
        tensor([False,  True])
    """
    checked_choice("rule", rule, get_args(BiasRule))
    check_bools(masks)
    weights = {name: mask for name, mask in masks.items() if not name.endswith("bias")}
    _check_chain(weights)
    result: Masks = {}
    following = [*list(weights.values())[1:], None]
    for (name, mask), outgoing in zip(weights.items(), following, strict=True):
        result[name] = mask
        if rule == "incoming":
            bias = mask.any(-1)
        elif outgoing is None:
            bias = torch.ones_like(mask[..., 0])
        else:
            bias = outgoing.any(-2)
        result[name.removesuffix("weight") + "bias"] = bias
    return result


def _check_chain(weights: Masks) -> None:
    if not weights:
        raise ValueError("masks must hold at least one weight mask, got none")
    for name, mask in weights.items():
        if not name.endswith("weight"):
            raise ValueError(f"masks must have names that end in weight or bias, got {name!r}")
        if mask.dim() < 2:
            raise ValueError(f"masks[{name!r}] must be (..., d_out, d_in), got {tuple(mask.shape)}")
    models = {mask.shape[:-2] for mask in weights.values()}
    if len(models) > 1:
        raise ValueError(f"masks must all have the same leading axes, got {sorted(models)}")
    for (before, first), (after, second) in pairwise(weights.items()):
        if first.shape[-2] != second.shape[-1]:
            raise ValueError(
                f"masks must be the layers of an MLP in order: {before!r} has {first.shape[-2]} "
                f"outputs but {after!r} {second.shape[-1]} inputs"
            )
