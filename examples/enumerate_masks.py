"""Enumerates sparse networks for its own sake: counts, orbits and ranks.

Run: python examples/enumerate_masks.py
How many networks of some widths are there, how many once the numbering of hidden units is left out,
which is the one at a given rank, and which ranks do all numberings of one network have?
"""

import argparse
from itertools import permutations, product

import torch

import prunelimits as pl

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--widths", type=int, nargs="+", default=[2, 3, 3, 3, 1])
options = parser.parse_args()
widths = tuple(options.widths)

# Counts: every unit has an input and an output, and every layer's rows are in order ("layer") or
# not two networks are renumberings of each other ("network").
by_layer = pl.ModelMasks(widths)
networks = pl.ModelMasks(widths, symmetry="network")
print(f"widths {'-'.join(map(str, widths))}")
print(f"{by_layer.count:,} masks with the rows of each layer in order")
print(f"{networks.count:,} networks up to the numbering of hidden units")

print("\nnonzeros   masks   networks")
shared = networks.counts_by_nonzeros()
for nonzeros, count in by_layer.counts_by_nonzeros().items():
    print(f"{nonzeros:8} {count:7,} {shared[nonzeros]:10,}")

# Ranks: a network and its position find each other without listing the space.
rank = networks.count // 2
masks = networks[rank]
assert networks.index(masks) == rank
weights = {name: mask for name, mask in masks.items() if name.endswith("weight")}
print(f"\nnetwork {rank:,}, a row for each unit:")
for name, mask in weights.items():
    rows = ("".join("#" if one else "." for one in row) for row in mask.tolist())
    print(f"  {name}: {' '.join(rows)}")


def renumbered(masks: pl.types.Masks, orders: tuple[tuple[int, ...], ...]) -> pl.types.Masks:
    """The same network with the units of each hidden layer in another order."""
    every = [slice(None), *map(list, orders), slice(None)]
    result = {}
    for name, mask in masks.items():
        layer = int(name.split(".")[1])
        rows = mask[every[layer + 1]]
        result[name] = rows[:, every[layer]] if rows.dim() == 2 else rows
    return result


# Orbits: all numberings of that network, each of which leads back to it.
orders = list(product(*(tuple(permutations(range(width))) for width in widths[1:-1])))
orbit = [renumbered(masks, order) for order in orders]
different = {
    torch.cat([m.flatten() for m in member.values()]).numpy().tobytes() for member in orbit
}
again = sum(pl.enumeration.same_network(masks, member) for member in orbit)
print(f"\nits orbit: {len(different)} different masks from {len(orders)} numberings")
print(f"told to be the same network: {again} of {len(orders)}")

# However many there are: exact, and nothing is listed.
huge = pl.EligibleMasks(16, 16)
print(f"\nmasks of one 16 x 16 layer: {huge.count:.3e}")
middle = huge[huge.count // 2]
assert huge.index(middle) == huge.count // 2
print(f"the one in the middle has {int(middle.sum())} of 256 weights")
