"""Sets of elements against the same maps on numbers of paths, element by element."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from prunelimits.connectivity import elements
from prunelimits.connectivity.following.steps import Linear, Product
from prunelimits.connectivity.following.transposes import convolution, convolution_transposed

SHAPE = torch.Size([2, 3, 4])
LINES = [torch.Size(line) for line in ((2, 3, 4), (2, 1, 4), (3, 1), (4,), (1, 3, 1), ())]


def sets(shape: torch.Size, generator: torch.Generator) -> list[Tensor]:
    """All, none, some at random, and some that are alike along an axis."""
    some = torch.rand(shape, generator=generator) < 0.4
    found = [elements.all_of(shape), elements.none_of(shape), some]
    alike = [some.narrow(axis, 0, 1).expand(shape) for axis in range(len(shape))]
    return found + alike


def steps(lines: tuple[torch.Size, torch.Size]) -> list[Linear | Product]:
    def total(a: Tensor, b: Tensor) -> Tensor:
        return (a.reshape(lines[0]) + b.reshape(lines[1])).expand(SHAPE)

    def times(a: Tensor, b: Tensor) -> Tensor:
        return (a.reshape(lines[0]) * b.reshape(lines[1])).expand(SHAPE)

    return [
        Linear("sum", (0, 1), SHAPE, torch.float64, True, total, total),
        Product("product", (0, 1), SHAPE, torch.float64, True, times, times),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("lines", list(itertools.product(LINES, LINES)))
def test_steps_on_each_element_reach_what_their_numbers_of_paths_say(
    lines: tuple[torch.Size, torch.Size],
):
    generator = torch.Generator().manual_seed(0)
    # The inputs lie as vectors, to be spread along the axes of their lines.
    given = [sets(torch.Size([line.numel()]), generator) for line in lines]
    after = sets(SHAPE, generator)
    for slow in steps(lines):
        quick = replace(slow, lines=lines)
        for left, right in itertools.product(*given):
            for one, two in itertools.product((left, ~left), (right, ~right)):
                expected = elements.spread(slow, [left, right], [one, two])
                found = elements.spread(quick, [left, right], [one, two])
                assert torch.equal(found, expected)
            for end in after:
                wanted = [True, True]
                expected = elements.gather(slow, [left, right], end, wanted)
                found = elements.gather(quick, [left, right], end, wanted)
                for a, b in zip(found, expected, strict=True):
                    assert a is not None
                    assert b is not None
                    assert torch.equal(a, b)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), ()])
def test_set_algebra_is_that_of_bools(shape: tuple[int, ...]):
    found = sets(torch.Size(shape), torch.Generator().manual_seed(1))
    for a, b in itertools.product(found, found):
        assert torch.equal(elements.both(a, b), a & b)
        assert torch.equal(elements.either(a, b), a | b)
        assert elements.any_of(a) == bool(a.any())
        assert elements.uniform(a) in (None, bool(a.all()))
        assert torch.equal(elements.numbers(a), a.float())


def test_a_convolution_of_channels_that_are_alike_is_that_of_all():

    generator = torch.Generator().manual_seed(0)
    settings = ([2, 1], [1, 0], [1, 2], False, [0, 0], 1)
    x = (torch.rand(2, 1, 6, 7, generator=generator) < 0.5).float().expand(2, 5, 6, 7)
    weight = (torch.rand(3, 5, 3, 2, generator=generator) < 0.3).float()
    whole = convolution(x.contiguous(), weight, settings)
    assert torch.equal(convolution(x, weight, settings), whole)
    after = (torch.rand(whole.shape, generator=generator) < 0.5).float()
    transposed = convolution_transposed(*settings)
    for wanted in ([False, True], [True, True], [True, False]):
        expected = transposed([x.contiguous(), weight], after, wanted)
        for a, b in zip(transposed([x, weight], after, wanted), expected, strict=True):
            assert (a is None) == (b is None)
            assert a is None or b is None or torch.equal(a, b)
