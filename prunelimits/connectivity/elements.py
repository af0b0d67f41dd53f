"""Sets of elements of tensors, as bool tensors: those that are reached, or may not be zero.

What is the same along an axis is held once and expanded; a set of all elements, or of none, is one
number. Steps that work on each element by itself then cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from prunelimits.connectivity.following.steps import AbstractStep, Product

# Zeros and ones add up to whole numbers, which even single precision cannot take across one half.
REACH = torch.float32


def none_of(shape: torch.Size) -> Tensor:
    """No element."""
    return torch.zeros((), dtype=torch.bool, device="cpu").expand(shape)


def all_of(shape: torch.Size) -> Tensor:
    """Every element."""
    return torch.ones((), dtype=torch.bool, device="cpu").expand(shape)


def once(elements: Tensor) -> Tensor:
    """Elements that stand for many, as behind `expand`, only once."""
    return elements[tuple(slice(0, 1) if n == 0 else slice(None) for n in elements.stride())]


def any_of(elements: Tensor) -> bool:
    """Whether there is an element."""
    return bool(once(elements).any())


def uniform(elements: Tensor) -> bool | None:
    """Whether all or none are in it, where no look at each is needed to tell. None: it is."""
    held = once(elements)
    return bool(held) if held.numel() == 1 else None


def numbers(elements: Tensor) -> Tensor:
    """Ones and zeros, laid out as the elements are."""
    return once(elements).to(REACH).expand(elements.shape)


def both(left: Tensor, right: Tensor) -> Tensor:
    """What is in both, of one shape."""
    for x, other in ((left, right), (right, left)):
        if (known := uniform(x)) is not None:
            return other if known else none_of(x.shape)
    return (once(left) & once(right)).expand(left.shape)


def either(left: Tensor, right: Tensor) -> Tensor:
    """What is in one or the other, of one shape."""
    for x, other in ((left, right), (right, left)):
        if (known := uniform(x)) is not None:
            return all_of(x.shape) if known else other
    return (once(left) | once(right)).expand(left.shape)


def spread(step: AbstractStep, carries: Sequence[Tensor], reached: Sequence[Tensor]) -> Tensor:
    """What of a step's output is reached, given what of its inputs carries and is reached."""
    if not step.lines:
        paths = [numbers(x) if any_of(x) else None for x in reached]
        return step.spread([numbers(x) for x in carries], paths) > 0.5
    if isinstance(step, Product):
        left, right = (_along(x, line) for x, line in zip(reached, step.lines, strict=True))
        at = [_along(x, line) for x, line in zip(carries, step.lines, strict=True)]
        parts = [_joined(left, at[1], step.shape), _joined(at[0], right, step.shape)]
    else:
        parts = [_along(x, line) for x, line in zip(reached, step.lines, strict=True)]
    return _together(parts, step.shape)


def gather(
    step: AbstractStep, carries: Sequence[Tensor], after: Tensor, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """What of a step's inputs leads to given elements of its output; None where not wanted."""
    if not step.lines:
        found = step.gather([numbers(x) for x in carries], after.to(REACH), wanted)
        return [None if paths is None else paths > 0.5 for paths in found]
    result: list[Tensor | None] = []
    for place, (x, line) in enumerate(zip(carries, step.lines, strict=True)):
        if not wanted[place]:
            result.append(None)
            continue
        part = after
        if isinstance(step, Product):
            other = _along(carries[1 - place], step.lines[1 - place])
            part = both(part, other.expand(step.shape))
        result.append(_collected(part, line).reshape(x.shape))
    return result


def _along(elements: Tensor, line: torch.Size) -> Tensor:
    """The same elements in another shape."""
    known = uniform(elements)
    if known is None:
        return elements.reshape(line)
    return all_of(line) if known else none_of(line)


def _joined(left: Tensor, right: Tensor, shape: torch.Size) -> Tensor:
    return both(left.expand(shape), right.expand(shape))


def _together(parts: Sequence[Tensor], shape: torch.Size) -> Tensor:
    """What is in any of the parts, each spread to a shape."""
    # The smallest first: if all of it is there, the others need no look.
    ordered = sorted(parts, key=lambda part: once(part).numel())
    result = none_of(shape)
    for part in ordered:
        if 8 * once(part).numel() <= shape.numel() and bool(once(part).all()):
            return all_of(shape)
        result = either(result, part.expand(shape))
    return result


def _collected(elements: Tensor, line: torch.Size) -> Tensor:
    """Whether an element is there at all that another one, in a shape to be spread, stands for."""
    known = uniform(elements)
    if known is not None:
        return all_of(line) if known and elements.numel() else none_of(line)
    held = once(elements)
    for axis, length in enumerate((1,) * (held.dim() - len(line)) + tuple(line)):
        if length == 1 and held.shape[axis] > 1:
            held = held.any(axis, keepdim=True)
    return held.reshape(held.shape[held.dim() - len(line) :]).expand(line)
