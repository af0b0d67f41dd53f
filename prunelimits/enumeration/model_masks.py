"""The masks of a whole network that the combinatorial search considers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from random import Random
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from prunelimits.arguments import checked_generator, checked_size
from prunelimits.enumeration.burnside import count_networks, count_networks_by_nonzeros
from prunelimits.enumeration.chains import Chains
from prunelimits.enumeration.eligible_counts import Used
from prunelimits.enumeration.eligible_ranks import Order
from prunelimits.enumeration.layer_product import LayerProduct
from prunelimits.enumeration.lazy_sequence import LazySequence, Ranks, as_rank_array
from prunelimits.enumeration.mask_layout import MaskLayout, count_ones
from prunelimits.enumeration.model_options import ModelOptions, Symmetry
from prunelimits.enumeration.network_orbits import NetworkOrbits
from prunelimits.enumeration.orbit_cuts import best_cut
from prunelimits.enumeration.uniform_networks import UniformNetworks
from prunelimits.types import Masks

DRAWN_BY_RANK = 10**8
"""Up to this many networks, random ones are drawn by rank, as their tables take seconds at most."""


class _Tables(NamedTuple):
    factors: LayerProduct | NetworkOrbits
    """The levels that networks are chains through."""
    chains: Chains


class ModelMasks(LazySequence[Masks]):
    """The masks of `MLP(widths)` that use every unit; of those that are equal by symmetry, one.

    An element is a dict of bool tensors in the order of `parameter_shapes(widths)`: weight masks
    without zero rows or columns, and bias masks. Bias i of a layer is kept where row i of its
    weight mask has a nonzero, as in the paper: here everywhere. *Nonzeros* are weights and biases.

    With `inputs="any"`, columns of the first weight mask may be zero: the network leaves those
    inputs out. Data with many features need this, as their sparsest network seldom reads them all.
    At least one input is always used, as every unit reads something.

    With `symmetry="layer"` the space is the product of each weight matrix's `EligibleMasks`: the
    space of [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075), which counts many
    networks more than once. With `symmetry="network"` it has one element for each orbit of
    hidden-unit permutations, which move the rows of one matrix and the columns of the next.

    Ranks ascend in nonzeros, so the masks within `min_nonzeros` and `max_nonzeros` are one interval
    of the whole list, and rank 0 is the first of them. Among equal nonzeros they ascend, with
    `"layer"`, in (tuple of nonzeros by layer, tuple of ranks by layer). Only tables of single
    layers' masks, or blocks of two layers, are held: element 200,000,000 of widths (2, 7, 3, 3, 1)
    takes less than a millisecond, and consecutive ones come at two million a second.

    With `"network"` the tables are built when first needed, in 0.1 s for (2, 7, 3, 3, 1). They grow
    with the widths, less so with a `max_nonzeros`; counts never need them.

    Args:
        widths: Inputs, hidden units of each layer, outputs.
        symmetry: `"layer"`: the rows of each weight mask are sorted, layer by layer. `"network"`:
            one mask for all networks that are equal up to a relabelling of hidden units.
        min_nonzeros: Only networks with at least this many nonzeros.
        max_nonzeros: Only networks with at most this many nonzeros.
        inputs: `"all"`: every input is used. `"any"`: inputs may be unused.
        first_per_count: Layer index -> n: for that layer, counted from 0, only the first n masks of
            each number of nonzeros (the paper's Appendix D). Only with `"layer"`.
        order: The order of each layer's masks, as in `EligibleMasks`: with `"published"`,
            `first_per_count` takes what the paper took. Only with `"layer"`.

    Attributes:
        widths: As given, a tuple.
        symmetry: As given.
        inputs: As given.
        order: As given.
        shapes: The shape of every parameter by name.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number is out of range, or `symmetry`, `inputs` or `order` is unknown
            or does not go together with the others. With `"network"`, when elements or ranks are
            asked for and finding them would take too long.
        MemoryError: Likewise, if their tables would take more than 512 MiB.

    Examples:
        >>> nets = ModelMasks((2, 3, 3, 3, 1))
        >>> len(nets), len(ModelMasks((2, 3, 3, 3, 1), symmetry="network"))
        (25992, 12400)
        >>> nets[0]["layers.0.weight"].int()
        tensor([[1, 0],
                [0, 1],
                [0, 1]], dtype=torch.int32)
        >>> nets.index(nets[-1])
        25991
        >>> nets = ModelMasks((2, 7, 3, 3, 1), max_nonzeros=49, first_per_count={1: 3},
        ...                   order="published")
        >>> len(nets)
        63208
        >>> ModelMasks((4, 1, 1), inputs="any")[0]["layers.0.weight"].int()
        tensor([[0, 0, 0, 1]], dtype=torch.int32)
    """

    def __init__(
        self,
        widths: Sequence[int],
        symmetry: Symmetry = "layer",
        *,
        min_nonzeros: int | None = None,
        max_nonzeros: int | None = None,
        inputs: Used = "all",
        first_per_count: Mapping[int, int] | None = None,
        order: Order = "ascending",
    ) -> None:
        self._layout = MaskLayout(widths)
        self.widths = self._layout.widths
        self.shapes = self._layout.shapes
        self._options = options = ModelOptions(
            self.widths, symmetry, min_nonzeros, max_nonzeros, inputs, first_per_count, order
        )
        self.symmetry: Symmetry = options.symmetry
        self.min_nonzeros, self.max_nonzeros = options.min_nonzeros, options.max_nonzeros
        self.inputs: Used = options.inputs
        self.first_per_count: Mapping[int, int] = options.first_per_count or {}
        self.order: Order = options.order
        self._built: _Tables | None = None
        self._lock = Lock()

    @property
    def count(self) -> int:
        """The number of networks, exact however large."""
        return self._count

    def counts_by_nonzeros(self) -> dict[int, int]:
        """The number of networks for each number of nonzeros, ascending and exact."""
        return dict(self._by_nonzeros)

    def nonzeros(self, ranks: Ranks) -> Tensor:
        """The nonzeros of the networks at `ranks`, int64 of shape `(len(ranks),)`.

        Raises:
            IndexError: If a rank lies outside 0 to `count - 1`.
            TypeError: If `ranks` are not integers.
        """
        return torch.from_numpy(self._tables.chains.nonzeros(as_rank_array(ranks, self.count)))

    def take(self, ranks: Ranks) -> Tensor:
        """The networks at `ranks`, a bool tensor of shape `(len(ranks), parameters)`.

        A row holds all masks flattened, in the order of `shapes`.

        Raises:
            IndexError: If a rank lies outside 0 to `count - 1`.
            TypeError: If `ranks` are not integers.
        """
        cells, positions = self._tables.chains.unrank(as_rank_array(ranks, self.count))
        return self._layout.rows(self._tables.factors.weight_bits(cells, positions))

    def ranks(self, rows: Tensor) -> Tensor:
        """The ranks of networks given as rows of `take`, int64 of shape `(networks,)`.

        With `symmetry="network"`, of the elements that they are relabellings of, two million a
        second for (2, 7, 3, 3, 1). With `"layer"`, the time grows with the number of different
        masks that the rows have for each layer.

        Raises:
            TypeError: If `rows` is not a bool tensor.
            ValueError: If its shape is not `(networks, parameters)` or a row is not in the space.
            OverflowError: If ranks go beyond 2^63; `index` gives them one by one.
        """
        if self.count >= 2**63:
            raise OverflowError(f"ranks go up to {self.count - 1}, beyond int64; use index()")
        return torch.from_numpy(self._ranks(rows))

    def random(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """Uniform draws from the space with replacement, as rows of `take`: `(n, parameters)`.

        With `symmetry="network"`, a large space and no bound on nonzeros, a draw is a relabelling
        of a uniformly drawn element (Dixon and Wilf's method, up to 1 ms each) and needs no tables.

        Args:
            n: The number of draws.
            generator: Where randomness comes from; without one, a fresh generator seeded 0.

        Raises:
            ValueError: If `n` is negative or above 2^31 - 1, or the space is empty.
            MemoryError: If nonzeros are bounded and the tables would be too large.
        """
        n = checked_size("n", n, 0)
        checked_generator("generator", generator)
        if self.count == 0:
            raise ValueError(f"there is nothing to draw from in {self!r}")
        generator = Generator().manual_seed(0) if generator is None else generator
        random = Random(int(torch.randint(2**62, (1,), generator=generator, device="cpu")))
        if self._options.is_filtered or self.symmetry == "layer" or self._has_small_tables():
            return self.take([random.randrange(self.count) for _ in range(n)])
        return self._layout.rows(UniformNetworks(self.widths, self.inputs).draw(n, random))

    def elements(self, ranks: range) -> Iterator[Masks]:
        """The networks at `ranks`, all within 0 to `count - 1`."""
        return map(self._layout.masks, self.take(ranks))

    def rank(self, value: object) -> int:
        """The position of the network `value` in the list.

        With `symmetry="network"`, of the element that it is a relabelling of: all of them are in
        the space.

        Raises:
            TypeError: If `value` is not a dict of bool tensors.
            ValueError: If it is not in the space, saying why.
        """
        return int(self._ranks(self._layout.row(value)[None])[0])

    def _ranks(self, rows: Tensor) -> NDArray[Any]:
        weights = self._layout.weights(rows)
        least = 0 if self.min_nonzeros is None else self.min_nonzeros
        most = self._layout.parameters if self.max_nonzeros is None else self.max_nonzeros
        nonzeros = np.sum([count_ones(bits) for bits in weights], axis=0) + self._layout.biases
        outside = nonzeros[(nonzeros < least) | (nonzeros > most)]
        if len(outside):
            raise ValueError(
                f"a network has {outside[0]} nonzeros, outside the space's {least} to {most}"
            )
        return self._tables.chains.rank(*self._tables.factors.locate(weights))

    @property
    def _tables(self) -> _Tables:
        """What ranks are found by, built once, also where threads share the space."""
        with self._lock:
            if self._built is None:
                factors = self._make_factors()
                # Cells count the ones of weight masks; every network keeps all biases besides.
                chains = Chains(
                    factors.levels,
                    constant=self._layout.biases,
                    min_nonzeros=self.min_nonzeros,
                    max_nonzeros=self.max_nonzeros,
                )
                self._built = _Tables(factors, chains)
            return self._built

    def _make_factors(self) -> LayerProduct | NetworkOrbits:
        if self.symmetry == "layer":
            return LayerProduct(self.widths, self.first_per_count, self.inputs, self.order)
        most = self.max_nonzeros
        most_ones = None if most is None else most - self._layout.biases
        return NetworkOrbits(best_cut(self.widths, self.inputs), most_ones)

    @cached_property
    def _by_nonzeros(self) -> dict[int, int]:
        if self.symmetry == "layer":
            return self._tables.chains.by_nonzeros
        least = self.min_nonzeros or 0
        counts = count_networks_by_nonzeros(
            self.widths, max_nonzeros=self.max_nonzeros, inputs=self.inputs
        )
        return {nonzeros: count for nonzeros, count in counts.items() if nonzeros >= least}

    @cached_property
    def _count(self) -> int:
        if self._options.is_filtered or self.symmetry == "layer":
            return sum(self._by_nonzeros.values())
        return count_networks(self.widths, inputs=self.inputs)

    def _has_small_tables(self) -> bool:
        try:
            return self.count <= DRAWN_BY_RANK and bool(self._tables.factors.levels)
        except (MemoryError, ValueError):
            return False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ModelMasks):
            return NotImplemented
        return self._options == other._options

    def __hash__(self) -> int:
        return hash(self._options)

    def __repr__(self) -> str:
        options = (f", {name}={value!r}" for name, value in self._options.given().items())
        return f"ModelMasks({self.widths!r}, symmetry={self.symmetry!r}{''.join(options)})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickling stores the arguments rather than the tables.
        return partial(ModelMasks, **self._options.given()), (self.widths, self.symmetry)
