"""The pruning limit of a trained network: what theory predicts, what pruning does, a verdict.

Run: python examples/pruning_limit.py
Trains an MLP on the Cubist Spiral, predicts from its Hessian how many weights magnitude pruning can
remove before the loss rises by epsilon, prunes it, and says which prediction held. Draws limit.png.
"""

import argparse
from importlib.util import find_spec

import torch

import prunelimits as pl
from prunelimits.limits import magnitude_sweep, pruning_limit
from prunelimits.problem import problem_of

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=100)
parser.add_argument("--width", type=int, default=16)
options = parser.parse_args()

x, y = pl.datasets.cubist_spiral(2_000)
widths = (2, options.width, options.width, 1)
recipe = pl.Recipe(epochs=options.epochs, lr=0.1, schedule="cosine")
result = pl.fit(pl.MLPEnsemble(widths, models=8, seed=0), x, y, recipe)
model, _ = result.ensemble.member(int(result.accuracy.argmax()))
print(f"trained {'-'.join(map(str, widths))}: {float(result.accuracy.max()):.1%}")


def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean loss of a batch."""
    return torch.nn.functional.binary_cross_entropy_with_logits(outputs.squeeze(1), labels)


order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
batches = list(zip(x[order].split(128), y[order].split(128), strict=True))
limit = pruning_limit(model, loss, batches)
problem, params = problem_of(model, loss, batches)
sweep = magnitude_sweep(problem, params, limit.prunable, test=batches)

actual = sweep.removed_within(limit.epsilon)
predictions = {
    "published formula": limit.predicted.removed,
    "exact dimension": limit.exact.removed,
    "quadratic model at the pruned point": limit.constructive.removed,
}
print(f"how many of {limit.weights} weights can go before the loss rises by {limit.epsilon:.3g}?")
for label, removed in predictions.items():
    print(f"  predicted by the {label + ':':36} {removed:6.1%}")
print(f"  {'measured by pruning:':49} {actual:6.1%}")

closest = min(predictions, key=lambda label: abs(predictions[label] - actual))
print(f"verdict: closest is the {closest}, off by {abs(predictions[closest] - actual):.1%}")
if find_spec("matplotlib") is not None:
    from prunelimits.viz import limit_figure, save_figure

    save_figure(limit_figure(limit, sweep), "limit.png")
    print("drawn in limit.png")
