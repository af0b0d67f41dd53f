"""The example that a model is called with at other sizes, which it takes as well.

What is the same at the example's sizes may not be the same for longer sequences or larger images:
a recurrent layer without a signal gives another constant after every step, and beside zero padding
a constant is another one at the border. Which sizes are open a model does not say, so it is called.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from prunelimits.connectivity.following.calling import called
from prunelimits.connectivity.following.values import Argument

Call: TypeAlias = "tuple[tuple[Any, ...], dict[str, Any]]"
"""Arguments by position and by name."""

Axis: TypeAlias = "tuple[int, int]"
"""The number of a leaf of what a model is called with, and an axis of it."""

# Added to a size first: what networks divide images and sequences by mostly divides it.
_STEP = 32


def at_other_sizes(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], samples: int = 1
) -> list[Call]:
    """What a model is called with, with other sizes of some axes.

    Axes of one size are changed together, and each by itself if the model does not take that. All
    changes that it takes are made at once if it takes that, and else give an example each. Numbers
    are those of the example again and again, so that integers stay within tables. Where a row of an
    output belongs to one of an input, it must do so still: `x.view(-1, 400)` makes several rows of
    a larger image.

    Args:
        model: The model, of which copies are called on the CPU.
        args: What it is called with by position.
        kwargs: And by name.
        samples: How many rows the first axes have if those are samples that never meet: more than
            one, and their number stays.

    Returns:
        The examples; none if it takes no other sizes.
    """
    first = int(samples > 1)
    leaves, tree = pytree.tree_flatten((args, kwargs))
    # There: an index beyond a table breaks all that a GPU does from then on.
    leaves = [x.cpu() if isinstance(x, Tensor) else x for x in leaves]

    def example(sizes: dict[Axis, int]) -> Call:
        return pytree.tree_unflatten(_resized(leaves, sizes), tree)

    def run(sizes: dict[Axis, int]) -> list[Tensor]:
        try:
            return called(model, *example(sizes))
        except Exception:
            return []

    here = run({})

    def is_taken(sizes: dict[Axis, int]) -> bool:
        there = run(sizes)
        return bool(there) and _rows_fit(leaves, here, _resized(leaves, sizes), there)

    def first_taken(axes: Sequence[Axis], size: int) -> dict[Axis, int]:
        tried = (dict.fromkeys(axes, other) for other in _others(size))
        return next((sizes for sizes in tried if is_taken(sizes)), {})

    found: list[dict[Axis, int]] = []
    for size, axes in _by_size(leaves, first).items():
        sizes = first_taken(axes, size)
        alone = [first_taken([axis], size) for axis in axes] if not sizes and axes[1:] else []
        found += [changed for changed in (sizes, *alone) if changed]
    together = {axis: size for sizes in found for axis, size in sizes.items()}
    if len(found) > 1 and is_taken(together):
        found = [together]
    return [example(sizes) for sizes in found]


def _by_size(leaves: Iterable[Argument], first: int) -> dict[int, list[Axis]]:
    """The axes from `first` on that have each size."""
    result: defaultdict[int, list[Axis]] = defaultdict(list)
    for number, leaf in enumerate(leaves):
        if isinstance(leaf, Tensor):
            for axis in range(first, leaf.dim()):
                result[leaf.shape[axis]].append((number, axis))
    return result


def _others(size: int) -> Iterator[int]:
    """Sizes to try: larger ones show more, and smaller ones are all there may be."""
    tried = (size + min(size, _STEP), size + 1, 2 * size, size // 2, size - 1)
    yield from dict.fromkeys(other for other in tried if other not in (0, size))


def _resized(leaves: Sequence[Argument], sizes: dict[Axis, int]) -> list[Argument]:
    result = list(leaves)
    for (number, axis), size in sizes.items():
        leaf = result[number]
        places = torch.arange(size, device="cpu") % leaf.shape[axis]
        result[number] = leaf.index_select(axis, places)
    return result


def _rows_fit(
    given: Sequence[Argument],
    here: Sequence[Tensor],
    resized: Sequence[Argument],
    there: Sequence[Tensor],
) -> bool:
    """Whether outputs with as many rows as an input have as many again."""
    pairs = [(a, b) for a, b in zip(given, resized, strict=True) if isinstance(a, Tensor)]
    rows = [(a.shape[:1], b.shape[:1]) for a, b in pairs]
    for before, after in zip(here, there, strict=False):
        same = [new for old, new in rows if old == before.shape[:1]]
        if same and after.shape[:1] not in same:
            return False
    return True
