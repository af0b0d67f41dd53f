"""Lottery tickets: is a sparse network that was found by training better than a random one?

Run: python examples/lottery.py
Trains an MLP on the Cubist Spiral, prunes it, starts again from the same weights, four times over
(the lottery ticket hypothesis); then trains the ticket, the ticket's masks from other weights, and
random masks of the same size.
"""

import argparse

import torch
from torch import nn

import prunelimits as pl

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--keep", type=int, default=200, help="weights that survive")
parser.add_argument("--steps", type=int, default=250, help="steps of every training")
parser.add_argument("--seeds", type=int, default=2)
options = parser.parse_args()

x, y = pl.datasets.cubist_spiral(500)


def train(model: nn.Module, masks: pl.types.Masks) -> None:
    """One training from start to end; what the masks prune stays at zero."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    with pl.attach(masks, model, optimizer):
        for _ in range(options.steps):
            optimizer.zero_grad()
            logits = model(x).squeeze(1)
            nn.functional.binary_cross_entropy_with_logits(logits, y).backward()
            optimizer.step()


def trained(model: pl.MLP, masks: pl.types.Masks) -> float:
    """The accuracy of a copy of the model after a training that holds the masks."""
    copy = pl.MLP.from_params(model.widths, dict(model.named_parameters()))
    train(copy, masks)
    with torch.no_grad():
        return float(((copy(x).squeeze(1) > 0) == (y == 1)).float().mean())


columns = ("dense", "ticket", "other weights", "random masks")
print(f"accuracy with {options.keep} weights of 560")
print("seed " + "".join(f"{name:>15}" for name in columns))
for seed in range(options.seeds):
    torch.manual_seed(seed)
    start, other = pl.MLP((2, 16, 16, 16, 1)), pl.MLP((2, 16, 16, 16, 1))
    ticket = pl.lottery_ticket(start, train, keep=options.keep)
    drawn = pl.prune(start, pl.pruners.Random(), keep=options.keep)
    runs = ((start, {}), (start, ticket), (other, ticket), (start, drawn))
    print(f"{seed:4} " + "".join(f"{trained(*run):15.1%}" for run in runs))
