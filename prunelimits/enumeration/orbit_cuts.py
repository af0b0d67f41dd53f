"""Where to cut a network into blocks, and the group that then acts on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, permutations, product

import numpy as np

from prunelimits.enumeration.abstract_block import AbstractBlock, Types
from prunelimits.enumeration.eligible_counts import Used
from prunelimits.enumeration.eligible_tables import Bits, Integers
from prunelimits.enumeration.orbit_blocks import MatrixBlock, PairBlock

LARGEST_GROUP = 5040
"""The most permutations of the nodes' units that are gone through one by one."""

LARGEST_ACTION = 2**25
"""The most entries of a block's table of actions: its types times the permutations."""

MOST_WIDTHS = 16
"""Networks with more widths are refused: the ways to cut them double with every layer."""


@dataclass(frozen=True)
class Cut:
    """A network as blocks between nodes: inputs, outputs, and some of the hidden layers.

    Of two neighbouring hidden layers at least one is a node. What remains of the symmetry is the
    group of permutations of the hidden nodes' units. Networks are equal up to hidden-unit
    permutation if and only if an element of it takes one's multisets of types to the other's.

    Attributes:
        widths: The network's widths.
        nodes: The layers that are nodes, from 0 to the last.
        blocks: The blocks, the one with most candidates first, then in the network's order.
    """

    widths: tuple[int, ...]
    nodes: tuple[int, ...]
    blocks: tuple[AbstractBlock, ...]

    @property
    def hidden_nodes(self) -> tuple[int, ...]:
        """The nodes whose units are permuted."""
        return self.nodes[1:-1]

    @cached_property
    def group(self) -> list[tuple[tuple[int, ...], ...]]:
        """The elements: one permutation for each hidden node, u -> p[u], the identity first."""
        return list(
            product(*(permutations(range(self.widths[node])) for node in self.hidden_nodes))
        )

    def touched(self, block: AbstractBlock) -> set[int]:
        """The positions among `hidden_nodes` of the nodes that a block ends at."""
        ends = (block.layers[0], block.layers[-1] + 1)
        return {place for place, node in enumerate(self.hidden_nodes) if node in ends}

    @cached_property
    def actions(self) -> list[Types]:
        """For each block, where each group element takes each type: shape `(group, types)`."""
        fixed = {end: tuple(range(self.widths[end])) for end in (0, len(self.widths) - 1)}
        result: list[Types] = []
        for block in self.blocks:
            known: dict[tuple[tuple[int, ...], ...], Types] = {}
            rows: list[Types] = []
            for element in self.group:
                at = dict(zip(self.hidden_nodes, element, strict=True)) | fixed
                pair = (at[block.layers[0]], at[block.layers[-1] + 1])
                if pair not in known:
                    known[pair] = block.action(*pair)
                rows.append(known[pair])
            result.append(np.stack(rows))
        return result

    def canonical_keys(self, weights: Sequence[Bits]) -> list[Integers]:
        """The keys of each network's representative, block by block.

        Among all relabellings it has the least tuple of keys, in the order of `blocks`.

        Args:
            weights: The layers' weight masks, flattened.
        """
        types = [block.types(weights) for block in self.blocks]
        best = [block.key(of_block) for block, of_block in zip(self.blocks, types, strict=True)]
        for element in range(1, len(self.group)):
            moved = [action[element] for action in self.actions]
            key = self.blocks[0].key(moved[0][types[0]])
            at = np.flatnonzero(key <= best[0])
            candidate = [key[at]]
            better = candidate[0] < best[0][at]
            undecided = ~better
            for block, action, of_block, least in zip(
                self.blocks[1:], moved[1:], types[1:], best[1:], strict=True
            ):
                key = block.key(action[of_block[:, at]])
                better |= undecided & (key < least[at])
                undecided &= key == least[at]
                candidate.append(key)
            for least, key in zip(best, candidate, strict=True):
                least[at[better]] = key[better]
        return best

    def matrices(self, keys: Sequence[Integers]) -> list[Bits]:
        """The weight masks, flattened, of the networks with these keys, layer by layer."""
        weights: dict[int, Bits] = {}
        for block, of_block in zip(self.blocks, keys, strict=True):
            weights.update(zip(block.layers, block.matrices(of_block), strict=True))
        return [weights[layer] for layer in range(len(self.widths) - 1)]


@cache
def best_cut(widths: tuple[int, ...], inputs: Used = "all") -> Cut:
    """The cut whose orbits take the least work to list.

    With n candidates in a block and a group of order g, the work is about n (1 + log g) for the
    largest block, which alone meets the whole group, and at most n g for each of the others.

    Raises:
        ValueError: If there are too many layers to try every cut, or each needs keys beyond 63
            bits, too many types or too large a group.
    """
    if len(widths) > MOST_WIDTHS:
        raise ValueError(
            f"networks can be ranked up to hidden-unit permutation with at most {MOST_WIDTHS} "
            f"widths, got {len(widths)}; they can still be counted and drawn at random"
        )
    manageable = [cut for cut in cuts(widths, inputs) if _manageable(cut)]
    if not manageable:
        raise ValueError(
            f"networks of widths {widths} cannot be ranked up to hidden-unit permutation: every "
            f"way to cut them needs keys beyond 63 bits, more than {LARGEST_GROUP} permutations "
            f"or more than {LARGEST_ACTION} images of types of unit under permutations; they can "
            "still be counted and drawn at random"
        )
    return min(manageable, key=_cost)


def cuts(widths: tuple[int, ...], inputs: Used = "all") -> Iterator[Cut]:
    """Every way to cut a network of these widths, also those that `best_cut` cannot use."""
    last = len(widths) - 1
    for chosen in product((False, True), repeat=last - 1):
        nodes = (0, *(layer for layer, is_node in enumerate(chosen, 1) if is_node), last)
        if all(above - below <= 2 for below, above in pairwise(nodes)):
            blocks = [
                (MatrixBlock if above == below + 1 else PairBlock)(
                    layer=below,
                    d_in=widths[below],
                    units=widths[below + 1],
                    d_out=widths[above],
                    used="all" if below else inputs,
                )
                for below, above in pairwise(nodes)
            ]
            largest = max(blocks, key=lambda block: block.candidates)
            blocks.sort(key=lambda block: block is not largest)
            yield Cut(widths, nodes, tuple(blocks))


def _order(cut: Cut) -> int:
    return math.prod(math.factorial(cut.widths[node]) for node in cut.hidden_nodes)


def _manageable(cut: Cut) -> bool:
    order = _order(cut)
    return order <= LARGEST_GROUP and all(
        block.key_bits <= 63 and block.type_count * order <= LARGEST_ACTION for block in cut.blocks
    )


def _cost(cut: Cut) -> float:
    largest, *others = (block.candidates for block in cut.blocks)
    order = _order(cut)
    return largest * (1 + math.log(order)) + order * sum(others)
