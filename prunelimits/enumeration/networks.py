"""All networks of a depth with few nonzeros, over all widths."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from prunelimits.arguments import checked_integer
from prunelimits.enumeration.model_masks import ModelMasks
from prunelimits.models import check_widths


def networks(
    max_nonzeros: int, *, inputs: int = 2, outputs: int = 1, hidden_layers: int = 3
) -> list[ModelMasks]:
    """Every network with at most `max_nonzeros` nonzeros, each once, as one space for each widths.

    Networks use every unit, differ by more than a relabelling of hidden units, and count weights
    and biases as nonzeros. The defaults are the four-layer networks of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075).

    Returns:
        The spaces `ModelMasks((inputs, ..., outputs), "network", max_nonzeros=max_nonzeros)` that
        have elements, ascending in (fewest nonzeros, widths).

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If there are fewer than one input or output or a negative number of hidden
            layers or nonzeros.

    Examples:
        >>> spaces = networks(28)
        >>> len(spaces), sum(space.count for space in spaces)
        (120, 80578)
        >>> spaces[0].widths
        (2, 1, 1, 1, 1)
    """
    check_widths((inputs, outputs))
    checked_integer("max_nonzeros", max_nonzeros, 0)
    checked_integer("hidden_layers", hidden_layers, 0)
    found = _widths_within(max_nonzeros, (inputs,), hidden_layers, outputs)
    return [
        ModelMasks(widths, symmetry="network", max_nonzeros=max_nonzeros)
        for widths in sorted(found, key=lambda widths: (fewest_nonzeros(widths), widths))
    ]


def fewest_nonzeros(widths: tuple[int, ...]) -> int:
    """The fewest nonzeros of a network that uses every unit: sum of max(d_in, d_out) + d_out.

    Examples:
        >>> fewest_nonzeros((2, 7, 3, 3, 1))
        34
    """
    return sum(max(d_in, d_out) + d_out for d_in, d_out in pairwise(widths))


def _widths_within(
    max_nonzeros: int, begun: tuple[int, ...], hidden_layers: int, outputs: int
) -> Iterator[tuple[int, ...]]:
    """The widths that begin so and have a network with at most `max_nonzeros` nonzeros."""
    if hidden_layers == 0:
        if fewest_nonzeros((*begun, outputs)) <= max_nonzeros:
            yield (*begun, outputs)
        return
    units = 1
    while fewest_nonzeros((*begun, units)) <= max_nonzeros:
        yield from _widths_within(max_nonzeros, (*begun, units), hidden_layers - 1, outputs)
        units += 1
