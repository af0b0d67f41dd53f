"""How much of the kept networks' accuracy rests on logits of exactly zero: a table for pages."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from page_tables import markdown
from torch import Tensor

from prunelimits.datasets import cubist_spiral

MARGIN = 0.01
NOISE = 1e-4
SIZE = "nonzeros (by the paper's rule)"
HEADER = (
    "target", "logits of zero", "as the paper counts", "zero as class 1", f"margin {MARGIN:g}",
    f"noise {NOISE:g}",
)  # fmt: skip
# Target, nonzeros, with all biases, hidden widths, seed: as elimination_study.py names them.
NAME = re.compile(r"(0\.\d+)-(\d+)-(\d+)-w([\d-]+)-s(\d+)")


def logits(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """In float64, `(n,)`."""
    h = x
    for layer in range(len(state) // 2):
        h = torch.relu(h) if layer else h
        h = h @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
    return h[:, 0]


def worst_case(state: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Which samples are right whatever noise of at most `NOISE` is added to each coordinate.

    By bounds on every unit, so some of those that are not counted may be right as well.
    """
    low, high = x - NOISE, x + NOISE
    for layer in range(len(state) // 2):
        if layer:
            low, high = low.clamp(min=0), high.clamp(min=0)
        weight, bias = state[f"layers.{layer}.weight"], state[f"layers.{layer}.bias"]
        up, down = weight.clamp(min=0).T, weight.clamp(max=0).T
        low, high = low @ up + high @ down + bias, high @ up + low @ down + bias
    return torch.where(y == 1, low[:, 0] > 0, high[:, 0] < 0)


def share(right: Tensor) -> str:
    """Of the samples."""
    return f"{float(right.double().mean()):.2%}"


def measured(path: Path) -> list[str]:
    """Of a saved network: its logits of zero, and its accuracy in four ways."""
    x, y = cubist_spiral(dtype=torch.float64)
    content = torch.load(path, weights_only=True)["state_dict"]
    state = {name: value.double() for name, value in content.items()}
    z = logits(state, x)
    threshold = MARGIN * float(z.std(correction=0))
    tied = int((z == 0).sum())
    return [
        f"{tied:,}" if tied else "none",
        share((z > 0) == (y == 1)),
        share((z >= 0) == (y == 1)),
        share(torch.where(y == 1, z > threshold, z < -threshold)),
        share(worst_case(state, x, y)),
    ]


def ties(folder: Path) -> str:
    """Every network of examples/networks, those of one target together, by size."""
    rows: list[list[str]] = []
    for path in sorted(
        folder.glob("cubist-spiral-*.pt"), key=lambda path: path.stem.split("-")[2:]
    ):
        percent, nonzeros, *_, paper = path.stem.removeprefix("cubist-spiral-").split("-")
        name = f"{nonzeros} ({paper})"
        if "-margin-" in path.stem:
            name = f"*{name}, with a margin*"
        rows.append([name, f"{100 * float(f'0.{percent}'):g} %", *measured(path)])
    return markdown((SIZE, *HEADER), rows)


def eliminated(folder: Path) -> str:
    """Every network that seeds of elimination ended with, by target, size, widths and seed."""
    named = [(NAME.fullmatch(path.stem), path) for path in folder.glob("*.pt")]
    found = [(*match.groups(), path) for match, path in named if match is not None]
    rows: list[list[str]] = []
    for target, size, paper, width, seed, path in sorted(found):
        names = (f"{size} ({paper})", f"{width}, seed {seed}", f"{100 * float(target):g} %")
        rows.append([*names, *measured(path)])
    return markdown((SIZE, "width, seed", *HEADER), rows, left=2)
