"""The networks kept beside the results page are what the tables say, measured in plain PyTorch."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from prunelimits.datasets import cubist_spiral

RESULTS = Path(__file__).parent.parent / "docs" / "results"
NETWORKS = sorted(RESULTS.glob("*.pt"))
PRUNED = sorted((RESULTS / "networks").glob("*.pt"))


def test_there_are_networks():
    assert NETWORKS
    assert PRUNED


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


@pytest.mark.parametrize("path", PRUNED, ids=lambda path: path.stem)
def test_a_kept_pruned_network_is_that_of_its_run(path: Path):
    """Such as `gap-bench-95-LTH-3-16-0-2.pt`: table, method, width, weights, recipe, repeat."""
    state = {
        name: value.double()
        for name, value in torch.load(path, weights_only=True)["state_dict"].items()
    }
    x, y = cubist_spiral(dtype=torch.float64)
    h = x
    for layer in range(len(state) // 2):
        h = torch.relu(h) if layer else h
        h = h @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
    accuracy = float(((h[:, 0] > 0) == (y == 1)).double().mean())
    table, *run = path.stem.rsplit("-", 5)
    with open(RESULTS / f"{table}.csv", newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        (row,) = (
            row
            for row in csv.DictReader(lines)
            if [row[name] for name in ("method", "width", "keep", "recipe", "repeat")] == run
        )
    assert sum(int((value != 0).sum()) for value in state.values()) == int(row["nonzeros"])
    assert accuracy == pytest.approx(float(row["accuracy"]), abs=3 / len(y))
