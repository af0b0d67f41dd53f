"""Measures a saved network again on the Cubist Spiral, in float64 and plain PyTorch.

Run: python examples/remeasure.py network.pt
Nothing of prunelimits takes part but the data, so it checks what a search says it found.
"""

import argparse

import torch

from prunelimits.datasets import cubist_spiral

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file", help="a network that prunelimits saved")
content = torch.load(parser.parse_args().file, weights_only=True)
state = {name: value.double() for name, value in content["state_dict"].items()}
x, y = cubist_spiral(dtype=torch.float64)
h = x
for layer in range(len(state) // 2):
    if layer:
        h = torch.relu(h)
    h = h @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
correct = int(((h[:, 0] > 0) == (y == 1)).sum())
nonzeros = sum(int((value != 0).sum()) for value in state.values())
print(f"{nonzeros} nonzeros, {correct} of {len(y)} right: {correct / len(y):.4%}")
