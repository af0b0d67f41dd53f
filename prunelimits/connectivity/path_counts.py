"""How many paths lead through a model: exact integers of any size, from their remainders.

A forward pass that counts the paths which reach each element, and a backward one that counts those
which go on from it, are done modulo primes below 2^31: sums of up to 2^22 remainders are exact in
float64, by torch's ordinary kernels, and what is not would show by its size. One pass in floating
point before says how many primes are needed for the largest count, and the remainders are put
together by the Chinese remainder theorem.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cached_property, reduce
from typing import Any

import torch
from torch import Tensor

from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.following.steps import AbstractStep, Source
from prunelimits.modes import in_plain_modes

# What float64 holds exactly.
_EXACT = 2.0**53

# Products of two remainders must fit in 63 bits; where more than 2^22 are added, they are smaller.
_PRIME_BITS = (31, 24)

# Counts on the way to the bound are scaled to lie between.
_LEAST, _MOST = 2.0**-900, 2.0**60


class PathCounts:
    """Numbers of paths in a network under masks, counted when they are first asked for.

    Args:
        network: The steps.
        carries: What may be other than zero, by step.
    """

    def __init__(self, network: Network, carries: list[Tensor]) -> None:
        self.network = network
        read = {i for step in network.steps if step.varies for i in step.inputs}
        # The caller's masks may be among them, and change before the paths are counted.
        self._carries = {i: carries[i].clone() for i in read}
        self._places = {use.product: use.axis for use in network.layers}

    def in_all(self) -> int:
        """Paths from an input to an output, of one sample."""
        return self._counted[0] // self.network.samples

    def through(self, layer: int) -> list[int]:
        """Paths through each unit of a layer, by the number of its product's step."""
        return [paths // self.network.samples for paths in self._counted[1][layer]]

    @cached_property
    @in_plain_modes
    def _counted(self) -> tuple[int, dict[int, list[int]]]:
        with torch.no_grad():
            most = self._bound()
            for bits in _PRIME_BITS:
                primes = _primes(1 << bits, most)
                try:
                    found = [self._remainders(prime) for prime in primes]
                except OverflowError:
                    continue
                total = _together([one[0] for one in found], primes)
                layers = {number: _together([one[1][number] for one in found], primes)
                          for number in self._places}  # fmt: skip
                # They are not needed any more, and may be large.
                self._carries.clear()
                return total[0], layers
        raise OverflowError("a step adds up too many elements for its paths to be counted")

    def _at(self, step: AbstractStep) -> list[Tensor]:
        return [self._carries[i].double() for i in step.inputs]

    def _bound(self) -> int:
        """More than the paths in all, as a number of bits: counted in floating point."""
        steps = self.network.steps
        coming: dict[int, tuple[Tensor, int]] = {}
        left = self._readers()
        total = 0.0
        for number, step in enumerate(steps):
            if isinstance(step, Source):
                coming[number] = torch.ones(step.shape, dtype=torch.float64, device="cpu"), 0
            elif step.varies:
                given = [coming[i] if steps[i].varies else None for i in step.inputs]
                power = max(part[1] for part in given if part is not None)
                parts = [None if part is None else _scaled(part[0], part[1] - power)
                         for part in given]  # fmt: skip
                found = step.spread(self._at(step), parts).double().expand(step.shape)
                top = float(found.max()) if found.numel() else 0.0
                if top > _MOST:
                    shift = math.frexp(top)[1]
                    found, power = _scaled(found, -shift), power + shift
                coming[number] = found, power
            else:
                continue
            if number in self.network.outputs and bool(coming[number][0].any()):
                most = math.log2(float(coming[number][0].sum())) + coming[number][1]
                total = max(total, most)
            _release(step, left, coming)
        # Rounding adds far less than one bit, and so do outputs that count for the largest of them.
        return math.ceil(total) + 2 + len(self.network.outputs).bit_length()

    def _remainders(self, prime: int) -> tuple[list[int], dict[int, list[int]]]:
        """The paths in all, and those through each unit of each layer, modulo a prime."""
        forward = self._forward(prime)
        steps = self.network.steps
        backward: dict[int, Tensor] = {}
        for number in self.network.outputs:
            if steps[number].varies:
                ones = torch.ones(steps[number].shape, dtype=torch.float64, device="cpu")
                backward[number] = ones if number not in backward else backward[number] + ones
        total = 0
        layers: dict[int, list[int]] = {}
        for number in reversed(range(len(steps))):
            step, after = steps[number], backward.pop(number, None)
            if not step.varies:
                continue
            if number in self._places:
                axis = self._places[number]
                layers[number] = _inner_products(forward.pop(number), after, axis, prime)
            if after is None:
                continue
            if isinstance(step, Source):
                total += int(_reduced(after, prime).sum())
                continue
            wanted = [steps[i].varies for i in step.inputs]
            before = step.gather(self._at(step), after, wanted)
            for i, paths in zip(step.inputs, before, strict=True):
                if paths is not None:
                    so_far = backward.get(i)
                    paths = paths if so_far is None else paths + so_far
                    backward[i] = _reduced(paths, prime)
        return [total % prime], layers

    def _forward(self, prime: int) -> dict[int, Tensor]:
        """The paths that reach each element of what each layer gives."""
        steps = self.network.steps
        coming: dict[int, Tensor] = {}
        kept: dict[int, Tensor] = {}
        left = self._readers()
        for number, step in enumerate(steps):
            if isinstance(step, Source):
                coming[number] = torch.ones(step.shape, dtype=torch.float64, device="cpu")
            elif step.varies:
                given = [coming[i] if steps[i].varies else None for i in step.inputs]
                found = step.spread(self._at(step), given).double().expand(step.shape)
                coming[number] = _reduced(found, prime)
                if number in self._places:
                    kept[number] = coming[number]
                _release(step, left, coming)
        return kept

    def _readers(self) -> Counter[int]:
        """How many times the output of each step is read."""
        return Counter(i for step in self.network.steps if step.varies for i in step.inputs)


def _release(step: AbstractStep, left: Counter[int], coming: dict[int, Any]) -> None:
    """Lets go of what no further step reads."""
    for i in step.inputs:
        left[i] -= 1
        if not left[i]:
            coming.pop(i, None)


def _scaled(counts: Tensor, power: int) -> Tensor:
    """Counts times a power of two, never down to nothing, so that a bound stays one."""
    if power == 0:
        return counts
    small = counts * math.ldexp(1.0, max(power, -1000))
    return torch.where(counts > 0, small.clamp(min=_LEAST), 0.0)


def _reduced(counts: Tensor, prime: int) -> Tensor:
    """Whole numbers below 2^53 modulo a prime.

    Raises:
        OverflowError: If one is 2^53 or more, and so perhaps rounded.
    """
    top = float(counts.max()) if counts.numel() else 0.0
    if top >= _EXACT:
        raise OverflowError
    if top < prime:
        return counts
    result = counts - (counts * (1 / prime)).floor_() * prime
    # The quotient may have been rounded across a whole number.
    result += (result < 0) * float(prime)
    result -= (result >= prime) * float(prime)
    return result


def _inner_products(forward: Tensor, after: Tensor | None, axis: int, prime: int) -> list[int]:
    """The sums over positions of one times the other, a unit, modulo a prime."""
    if after is None:
        return [0] * forward.shape[axis]
    left, right = (x.movedim(axis, 0).unsqueeze(-1).flatten(1).long() for x in (forward, after))
    return [int(sum_) % prime for sum_ in left.mul(right).remainder_(prime).sum(1).tolist()]


def _primes(below: int, bits: int) -> list[int]:
    """The largest primes below a number whose product has more than so many bits."""
    odd = torch.arange(3, math.isqrt(below) + 1, 2, device="cpu")
    found: list[int] = []
    product, candidate = 1, below - 1
    while product.bit_length() <= bits:
        if bool((candidate % odd != 0).all()):
            found.append(candidate)
            product *= candidate
        candidate -= 2
    return found


def _together(remainders: list[list[int]], primes: list[int]) -> list[int]:
    """The least numbers with given remainders, a row of them a prime."""
    product = reduce(int.__mul__, primes)
    factors = [product // prime * pow(product // prime, -1, prime) for prime in primes]
    return [
        sum(r * f for r, f in zip(column, factors, strict=True)) % product
        for column in zip(*remainders, strict=True)
    ]
