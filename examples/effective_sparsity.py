"""Effective sparsity: how much of what magnitude pruning keeps does anything at all?

Run: python examples/effective_sparsity.py
For an MLP and a small transformer, each pruned to several sparsities: the share of the weights that
is pruned, the share that is pruned or on no path from an input to an output, and the units that are
dead. Replace the two models by your own.
"""

import argparse

import torch
from torch import nn

import prunelimits as pl

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument(
    "--sparsities", type=float, nargs="+", default=[0.5, 0.9, 0.95, 0.98, 0.99, 0.995]
)
options = parser.parse_args()
torch.manual_seed(0)


class TextClassifier(nn.Module):
    """Words to one of four classes, through a transformer's encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(200, 32)
        layer = nn.TransformerEncoderLayer(32, nhead=4, dim_feedforward=64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 4)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Class scores `(batch, 4)` of words `(batch, length)`."""
        return self.head(self.encoder(self.embedding(words)).mean(1))


mlp = nn.Sequential(
    *(nn.Linear(20, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))
)
models = {
    "MLP 20-100-100-10": (mlp, torch.randn(1, 20)),
    "transformer, 2 layers": (TextClassifier().eval(), torch.randint(200, (1, 8))),
}
# The same share of each layer; the smallest of all together would leave whole layers empty.
method = pl.pruners.Magnitude(scope="uniform", floor=1)
for name, (model, example) in models.items():
    print(f"{name}, {pl.masks.count(pl.pruners.prunable(model, [nn.Embedding])):,} weights")
    print("  sparsity   effective   kept   of no effect   dead units")
    for sparsity in options.sparsities:
        masks = pl.prune(model, method, sparsity=sparsity, ignore=[nn.Embedding])
        report = pl.connectivity.analyze(model, masks, inputs=example)
        # What counts is of the weights that were pruned, by name.
        effective = pl.effective_masks(model, masks, inputs=example)
        kept = pl.masks.count(masks)
        counted = sum(int(effective[weight].sum()) for weight in masks)
        total = sum(mask.numel() for mask in masks.values())
        print(
            f"  {1 - kept / total:8.1%} {1 - counted / total:11.1%} {kept:6,} "
            f"{1 - counted / kept:14.1%} {report.dead_units:12,}"
        )
    print()
print("the last report, by layer:")
print(report)
