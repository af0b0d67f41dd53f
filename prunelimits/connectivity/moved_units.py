"""What one step makes of the units of its inputs, by its map on numbers of paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from prunelimits.connectivity.following.steps import AbstractStep
from prunelimits.connectivity.ties import Ties

# Labels of elements that belong to no unit: of constants, of what comes from outside, and, while a
# step is looked at, of those in which different units meet.
NOTHING, OUTSIDE, _SEVERAL = -1, -2, -3
# Axes longer than this are not taken all at once where units meet.
_MOST_AT_ONCE = 4096


class MovedUnits:
    """What a step makes of the units of its inputs, by its map on numbers of paths.

    Args:
        step: The step.
        at: A one for each element of each input.
    """

    def __init__(self, step: AbstractStep, at: Sequence[Tensor]) -> None:
        self.step = step
        self.at = at

    def reached(self, marks: Sequence[Tensor | None]) -> Tensor | None:
        """The elements of the output that a marked one reaches; None: there is no mark."""
        paths = [None if m is None or not bool(once(m).any()) else m.double() for m in marks]
        return None if all(p is None for p in paths) else self.step.spread(self.at, paths) > 0.5

    def labels(self, inside: Sequence[Tensor | None], ties: Ties) -> tuple[Tensor, bool]:
        """The unit of each element of the output, and whether different ones meet in any."""
        own = [x for x in inside if x is not None]
        if len(own) == 1 and own[0].shape == self.step.shape and bool((once(own[0]) >= 0).all()):
            codes = ties.code(own[0])
            paths = [None if x is None else codes for x in inside]
            # Nearly always each element is worked on by itself, which shows in one sum.
            if torch.equal(self.step.spread(self.at, paths), codes):
                return own[0], False

        def spread(weights: Callable[[Tensor], Tensor]) -> Tensor | None:
            paths = [
                None if x is None or not bool((once(x) >= 0).any())
                else torch.where(x >= 0, weights(x), 0.0)
                for x in inside
            ]  # fmt: skip
            if all(p is None for p in paths):
                return None
            return self.step.spread(self.at, paths)

        # By three sums: of ones, of the units' codes and of their squares, which are those of one
        # number many times over exactly where all units are the same.
        count = spread(lambda x: torch.ones((), dtype=torch.float64, device="cpu"))
        if count is None:
            return everywhere(NOTHING, self.step), False
        first, second = spread(ties.code), spread(lambda x: ties.code(x).square())
        assert first is not None
        assert second is not None
        return _decoded(count, first, second, ties)

    def back(self, place: int, units: Tensor) -> Tensor:
        """The unit that each element of an input goes to; OUTSIDE if to several or others too."""
        return self.gathered(place, units)[0]

    def gathered(self, place: int, units: Tensor) -> tuple[Tensor, Tensor]:
        """As `back`, and whether an element goes to several units."""
        wanted = [i == place for i in range(len(self.at))]

        def gather(weights: Tensor) -> Tensor:
            # Where nothing is made of an element, none of its paths count.
            found = self.step.gather(self.at, weights, wanted)[place]
            assert found is not None
            return found

        inside = units >= 0
        plain = units.double() + 1
        count = gather(inside.double())
        others = gather((units == OUTSIDE).double()) > 0.5
        first = gather(torch.where(inside, plain, 0.0))
        second = gather(torch.where(inside, plain.square(), 0.0))
        different = (count * second - first.square()).abs() > 1e-12 * first.square() + 1e-9
        found = (first / count.clamp(min=1)).round().long() - 1
        single = (count > 0.5) & ~different & ~others
        elsewhere = torch.where((count > 0.5) | others, OUTSIDE, NOTHING)
        return torch.where(single, found, elsewhere), different

    def join(self, inside: Sequence[Tensor | None], ties: Ties) -> None:
        """Ties all units that meet in an element of the output."""
        shape = self.step.shape

        def changes(axis: int) -> bool:
            alike = [x for x in inside if x is not None and x.shape == shape]
            return any(not torch.equal(x.select(axis, 0), x.select(axis, -1)) for x in alike)

        # A line of elements that have nothing in common shows at once what meets in each of them.
        for axis in sorted(range(len(shape)), key=lambda a: (not changes(a), shape[a])):
            if 1 < shape[axis] <= _MOST_AT_ONCE and self._join_along(axis, inside, ties):
                fresh = [None if x is None else ties.roots(x) for x in inside]
                if not self.labels(fresh, ties)[1]:
                    return
        for _ in range(ties.size):
            fresh = [None if x is None else ties.roots(x) for x in inside]
            met = self._first_meeting(fresh, ties)
            if met is None:
                return
            ties.join(met)

    def _join_along(self, axis: int, inside: Sequence[Tensor | None], ties: Ties) -> bool:
        line = torch.full(self.step.shape, NOTHING, device="cpu")
        one = line[tuple(slice(None) if a == axis else 0 for a in range(line.dim()))]
        one.copy_(torch.arange(self.step.shape[axis], device="cpu"))
        pairs: list[tuple[Tensor, Tensor]] = []
        for place, labels in enumerate(inside):
            if labels is None:
                continue
            felt, several = self.gathered(place, line)
            if bool(several.any()):
                return False
            mark = (felt >= 0) & (labels >= 0)
            pairs.append((felt[mark], labels[mark]))
        elements = torch.cat([a for a, _ in pairs])
        units = torch.cat([b for _, b in pairs])
        both = torch.stack([elements, units], 1).unique(dim=0)
        for element in both[:, 0].unique().tolist():
            ties.join(both[both[:, 0] == element, 1])
        return True

    def _first_meeting(self, inside: Sequence[Tensor | None], ties: Ties) -> Tensor | None:
        """The units that meet in the first element where different ones do, and all they meet."""
        bad = _meetings(self, inside, ties)
        if not bool(bad.any()):
            return None
        reached = torch.zeros(self.step.shape, dtype=torch.bool, device="cpu")
        reached.view(-1)[int(bad.flatten().nonzero()[0])] = True
        wanted = [x is not None for x in inside]
        met = torch.empty(0, dtype=torch.int64, device="cpu")
        while True:
            felt = self.step.gather(self.at, reached.double(), wanted)
            units = torch.cat([
                x[f > 0.5] for x, f in zip(inside, felt, strict=True)
                if x is not None and f is not None
            ])  # fmt: skip
            units = units[units >= 0].unique()
            if len(units) == len(met):
                return met
            met = units
            chosen = torch.zeros(ties.size + 3, dtype=torch.bool, device="cpu")
            chosen[met] = True
            found = self.reached([None if x is None else chosen[x] for x in inside])
            assert found is not None
            reached = found


def _meetings(moved: MovedUnits, inside: Sequence[Tensor | None], ties: Ties) -> Tensor:
    return moved.labels(inside, ties)[0] == _SEVERAL


def _decoded(count: Tensor, first: Tensor, second: Tensor, ties: Ties) -> tuple[Tensor, bool]:
    there = count > 0.5
    squared = first.square()
    different = there & ((count * second - squared).abs() > 1e-12 * squared)
    units = ties.decoded((first / count.clamp(min=0.5)).round().long())
    labels = torch.where(there, units, NOTHING)
    labels = torch.where(different, _SEVERAL, labels)
    return labels, bool(different.any())


def everywhere(label: int, step: AbstractStep) -> Tensor:
    """One label for all that a step gives."""
    return torch.tensor(label, device="cpu").expand(step.shape)


def once(elements: Tensor) -> Tensor:
    """Elements that stand for many, as behind `expand`, only once."""
    return elements[tuple(slice(0, 1) if n == 0 else slice(None) for n in elements.stride())]
