"""Searches for the sparsest network on data of your own: here, two half moons.

Run: python examples/own_data.py
Writes moons.sqlite (run it again and it goes on from there), moons.pt and moons.png.
"""

import math

import torch

import prunelimits as pl
from prunelimits.search import SearchConfig, combinatorial_search
from prunelimits.viz import network_figure, save_figure


def half_moons(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`n` points on two interleaved half circles, with a little noise."""
    generator = torch.Generator().manual_seed(0)
    angle = math.pi * torch.rand(n, generator=generator)
    y = (torch.arange(n) % 2).float()
    x = torch.stack([angle.cos() + y - 0.5, (1 - 2 * y) * (angle.sin() - 0.25)], dim=1)
    return x + 0.05 * torch.randn(x.shape, generator=generator), y


x, y = half_moons(1_000)
config = SearchConfig(
    target=0.99,
    width=4,
    hidden_layers=2,
    recipes=(pl.Recipe(epochs=30, batch_size=50, lr=0.1),),
    seeds=4,
    held_out=0.2,
)
result = combinatorial_search(config, x, y, store="moons.sqlite")
for phase in result.phases:
    print(f"phase {phase.phase.number}, {phase.phase}:")
    for size in phase.sizes:
        print(f"  {size.nonzeros:3} nonzeros: best {size.accuracy:7.2%} of {size.trainings}")

best = result.sparsest or result.most_accurate
assert best is not None
print(f"the sparsest: {best.nonzeros} nonzeros, {best.accuracy:.2%} of the held-out points right")
pl.save(best.model, best.masks, "moons.pt")
save_figure(network_figure(best.model, best.masks, x, y), "moons.png")
