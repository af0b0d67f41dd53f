"""Prunes a CNN in a training loop of one's own; saves, reloads, compacts and exports it.

Run: python examples/own_loop_cnn.py
Gradual magnitude pruning (GMP) of a small CNN on the digits of scikit-learn, or on images made here
where that is not installed. Writes cnn.pt and cnn.pt2 (torch.export), and cnn.onnx where the
package onnx is there. Every step checks that the network still computes the same.
"""

import argparse
from importlib.util import find_spec

import torch
from torch import nn

import prunelimits as pl


def images() -> tuple[torch.Tensor, torch.Tensor]:
    """Images `(n, 1, 8, 8)` and their classes, 0 to 9."""
    if find_spec("sklearn") is not None:
        return pl.datasets.digits()
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(1_797) % 10
    patterns = torch.randn(10, 1, 8, 8, generator=generator)
    return patterns[labels] + torch.randn(1_797, 1, 8, 8, generator=generator), labels


def make_cnn() -> nn.Module:
    """Two convolutions with batch normalisation, and a linear layer."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64, 10)),
    )


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The share of the images that the model tells apart."""
    with torch.no_grad():
        return float((model(x).argmax(1) == y).float().mean())


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--keep", type=int, default=90, help="weights that survive")
options = parser.parse_args()

torch.manual_seed(0)
x, y = images()
train, test = torch.utils.data.random_split(torch.utils.data.TensorDataset(x, y), [1_500, 297])
loader = torch.utils.data.DataLoader(train, batch_size=50, shuffle=True)
x_test, y_test = test.dataset.tensors[0][test.indices], test.dataset.tensors[1][test.indices]

# 1. One's own loop: the two lines that prune are the ones with `session`.
model = make_cnn()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
with pl.attach(
    pl.pruners.GMP(), model, optimizer, keep=options.keep, steps=options.epochs * len(loader)
) as session:
    for _ in range(options.epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
model.eval()
masks = session.masks
weights = sum(mask.numel() for mask in masks.values())
print(f"kept {pl.masks.count(masks)} of {weights:,} weights")
print(f"accuracy on images it has not seen: {accuracy(model, x_test, y_test):.1%}")
print(pl.connectivity.analyze(model, masks, inputs=x_test[:1]))

# 2. Saved and loaded: the file holds tensors only, the code that makes the model stays one's own.
pl.save(model, masks, "cnn.pt")
fresh, loaded = pl.load("cnn.pt", model=make_cnn())
fresh.eval()
with torch.no_grad():
    expected = model(x_test)
    assert torch.equal(fresh(x_test), expected)
assert all(torch.equal(loaded[name], mask) for name, mask in masks.items())
print("loaded cnn.pt into a fresh model: the same outputs")

# 3. Compacted: the same function in fewer parameters, with ordinary smaller layers.
small = pl.connectivity.compact(fresh, loaded, inputs=x_test[:1])
with torch.no_grad():
    torch.testing.assert_close(small(x_test), expected, rtol=1e-3, atol=1e-3)
before, after = (sum(p.numel() for p in net.parameters()) for net in (fresh, small))
print(f"compacted from {before:,} to {after:,} parameters")

# 4. Exported, with a batch of any size.
batch = torch.export.Dim("batch", min=1)
program = torch.export.export(small, (x_test[:2],), dynamic_shapes=({0: batch},))
torch.export.save(program, "cnn.pt2")
with torch.no_grad():
    exported = torch.export.load("cnn.pt2").module()(x_test)
    torch.testing.assert_close(exported, small(x_test), rtol=1e-3, atol=1e-3)
print("exported to cnn.pt2: the same outputs")
if find_spec("onnx") is not None:
    torch.onnx.export(small, (x_test[:2],), "cnn.onnx", dynamo=False)
    print("exported to cnn.onnx")
