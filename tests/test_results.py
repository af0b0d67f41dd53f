"""The networks kept beside the results page are what the tables say, measured in plain PyTorch."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from prunelimits.datasets import cubist_spiral

RESULTS = Path(__file__).parent.parent / "docs" / "results"
NETWORKS = sorted(RESULTS.glob("*.pt"))


def test_there_are_networks():
    assert NETWORKS


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_a_kept_network_measures_as_its_table_says(path: Path):
    state = torch.load(path, weights_only=True)["state_dict"]
    x, y = cubist_spiral(dtype=torch.float64)
    h = x
    for layer in range(len(state) // 2):
        h = torch.relu(h) if layer else h
        weight, bias = (state[f"layers.{layer}.{part}"].double() for part in ("weight", "bias"))
        h = h @ weight.T + bias
    accuracy = float(((h[:, 0] > 0) == (y == 1)).double().mean())
    nonzeros = sum(int((value != 0).sum()) for value in state.values())
    table, _, target = path.stem.rpartition("-at-")
    with open(RESULTS / f"{table}.csv", newline="") as file:
        rows = {int(row["nonzeros"]): float(row["accuracy"]) for row in csv.DictReader(file)}
    reaching = [size for size, best in rows.items() if best >= float(f"0.{target}")]
    assert nonzeros == min(reaching)
    # The table was measured in float32, where a sample on the boundary may fall either way.
    assert accuracy == pytest.approx(rows[nonzeros], abs=3 / len(y))
