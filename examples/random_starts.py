"""How often does a small dense network solve the Cubist Spiral, by learning rate and schedule?

Run: python examples/random_starts.py
Trains a few hundred networks at once, each with a recipe of its own.
"""

import argparse
from itertools import product

import prunelimits as pl

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--starts", type=int, default=64, help="networks for each recipe")
parser.add_argument("--epochs", type=int, default=50)
parser.add_argument("--points", type=int, default=10_000)
options = parser.parse_args()

x, y = pl.datasets.cubist_spiral(options.points)
recipes = [
    pl.Recipe(lr=lr, schedule=schedule, epochs=options.epochs)
    for lr, schedule in product((0.05, 0.1), ("constant", "cosine", "step"))
]
each = [recipe for recipe in recipes for _ in range(options.starts)]
ensemble = pl.MLPEnsemble((2, 7, 3, 3, 1), models=len(each), seed=0, init_width=16)
result = pl.fit(ensemble, x, y, each)

print("  lr  schedule   median    best  at 95 %")
for recipe, accuracy in zip(recipes, result.accuracy.split(options.starts), strict=True):
    reached = int((accuracy >= 0.95).sum())
    print(
        f"{recipe.lr:4}  {recipe.schedule:8} {accuracy.median():7.2%} {accuracy.max():7.2%}"
        f"  {reached} of {options.starts}"
    )
