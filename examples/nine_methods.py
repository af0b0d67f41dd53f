"""The nine methods of the paper on one network, drawn side by side with their disconnected parts.

Run: python examples/nine_methods.py
Prunes an MLP on the Cubist Spiral to the same number of weights by each method, trains what is left
by the same recipe, and draws every result: what is on no path from an input to an output is orange.
Writes nine_methods.png.
"""

import argparse
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import prunelimits as pl
from prunelimits.experiments import PAPER_METHODS
from prunelimits.viz import save_figure

WIDTHS = (2, 8, 8, 8, 1)


def draw(axes: Axes, masks: pl.types.Masks, effective: pl.types.Masks) -> None:
    """Every kept weight as a line from a unit to a unit of the next layer."""
    for layer, (fan_in, fan_out) in enumerate(pairwise(WIDTHS)):
        name = f"layers.{layer}.weight"
        for unit, source in masks[name].nonzero().tolist():
            counts = bool(effective[name][unit, source])
            heights = (source - (fan_in - 1) / 2, unit - (fan_out - 1) / 2)
            colour = "#0877bd" if counts else "#f59322"
            axes.plot((layer, layer + 1), heights, color=colour, linewidth=1.2)
    for layer, width in enumerate(WIDTHS):
        heights = [unit - (width - 1) / 2 for unit in range(width)]
        axes.plot([layer] * width, heights, "o", color="#2b2f36", markersize=3)
    axes.set_axis_off()


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--keep", type=int, default=30, help="weights that survive, of 152")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--starts", type=int, default=8, help="the best of so many is drawn")
options = parser.parse_args()

x, y = pl.datasets.cubist_spiral(5_000)
recipe = pl.Recipe(epochs=options.epochs, lr=0.1, schedule="cosine")
figure = Figure((12.0, 9.0), layout="constrained")
panels = figure.subplots(3, 3).flatten()
print(f"{options.keep} of 152 weights, the best of {options.starts} starts")
print("method     accuracy   weights on no path")
for axes, method in zip(panels, PAPER_METHODS, strict=True):
    ensemble = pl.MLPEnsemble(WIDTHS, models=options.starts, seed=0)
    result = pl.fit(ensemble, x, y, recipe, pruner=method, keep=options.keep)
    model, masks = result.ensemble.member(int(result.accuracy.argmax()))
    effective = pl.effective_masks(model, masks)
    names = [name for name in masks if name.endswith("weight")]
    lost = sum(int((masks[name] & ~effective[name]).sum()) for name in names)
    name, accuracy = type(method).__name__, float(result.accuracy.max())
    print(f"{name:10} {accuracy:8.1%} {lost:12} of {options.keep}")
    draw(axes, masks, effective)
    axes.set_title(f"{name}: {accuracy:.1%}, {lost} of {options.keep} weights on no path")
save_figure(figure, "nine_methods.png")
print("drawn in nine_methods.png")
