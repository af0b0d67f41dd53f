"""All networks of a depth with few nonzeros, over all widths."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import get_args

from prunelimits.arguments import checked_choice, checked_integer, shown
from prunelimits.enumeration.counting_work import MOST_WORK, counting_work
from prunelimits.enumeration.eligible_counts import Used
from prunelimits.enumeration.model_masks import ModelMasks


def every_widths(
    max_nonzeros: int,
    *,
    d_in: int = 2,
    d_out: int = 1,
    hidden_layers: int = 3,
    inputs: Used = "all",
) -> list[ModelMasks]:
    """Every network with at most `max_nonzeros` nonzeros, each once: a space per tuple of widths.

    Networks use every unit, differ by more than a relabelling of hidden units, and count weights
    and biases as nonzeros. The defaults are the four-layer networks of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075).

    Args:
        max_nonzeros: The most nonzeros of a network.
        d_in: The number of inputs.
        d_out: The number of outputs.
        hidden_layers: The number of hidden layers.
        inputs: `"all"`: every input is used. `"any"`: inputs may be unused.

    Returns:
        The spaces `ModelMasks((d_in, ..., d_out), "network", max_nonzeros=max_nonzeros,
        inputs=inputs)` that have elements, ascending in (fewest nonzeros, widths).

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If there are fewer than one input or output or a negative number of nonzeros,
            not 0 to `MOST_HIDDEN_LAYERS` hidden layers, `inputs` is unknown, or counting the
            networks would take much longer than ten seconds (46 nonzeros in the paper's case).

    Examples:
        >>> spaces = every_widths(28)
        >>> len(spaces), sum(space.count for space in spaces)
        (120, 80578)
        >>> spaces[0].widths
        (2, 1, 1, 1, 1)
    """
    most = checked_integer("max_nonzeros", max_nonzeros, 0)
    d_in, d_out = checked_integer("d_in", d_in, 1), checked_integer("d_out", d_out, 1)
    hidden_layers = checked_integer("hidden_layers", hidden_layers, 0, MOST_HIDDEN_LAYERS)
    checked_choice("inputs", inputs, get_args(Used))
    found: list[tuple[int, ...]] = []
    work = 0.0
    for widths in _widths_within(most, (d_in,), hidden_layers, d_out, inputs):
        found.append(widths)
        work += counting_work(widths, by_nonzeros=True)
        if work > MOST_WORK:
            raise ValueError(
                f"max_nonzeros must be smaller for the networks with {d_in} inputs, {d_out} "
                f"outputs and {hidden_layers} hidden layers to be counted in seconds, got "
                f"{shown(most)}"
            )
    return [
        ModelMasks(widths, symmetry="network", max_nonzeros=most, inputs=inputs)
        for widths in sorted(found, key=lambda widths: (fewest_nonzeros(widths, inputs), widths))
    ]


MOST_HIDDEN_LAYERS = 100
"""The most hidden layers: a search over all networks that are deeper is out of reach anyway."""


def fewest_nonzeros(widths: tuple[int, ...], inputs: Used = "all") -> int:
    """The fewest nonzeros of a network that uses every unit: sum of max(d_in, d_out) + d_out.

    Where inputs may be unused, the first layer needs only 2 d_out: a weight and a bias a unit.

    Examples:
        >>> fewest_nonzeros((2, 7, 3, 3, 1))
        34
        >>> fewest_nonzeros((4, 1, 1)), fewest_nonzeros((4, 1, 1), "any")
        (7, 4)
    """
    if inputs == "any":
        widths = (1, *widths[1:])
    return sum(max(d_in, d_out) + d_out for d_in, d_out in pairwise(widths))


def _widths_within(
    most: int, begun: tuple[int, ...], hidden_layers: int, d_out: int, inputs: Used
) -> Iterator[tuple[int, ...]]:
    """The widths that begin with `begun` and have a network with at most `most` nonzeros."""
    if hidden_layers == 0:
        if fewest_nonzeros((*begun, d_out), inputs) <= most:
            yield (*begun, d_out)
        return
    units = 1
    # The layers to come have the fewest nonzeros with one unit each.
    rest = (*(1,) * (hidden_layers - 1), d_out)
    while fewest_nonzeros((*begun, units, *rest), inputs) <= most:
        yield from _widths_within(most, (*begun, units), hidden_layers - 1, d_out, inputs)
        units += 1
