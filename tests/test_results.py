"""The networks kept beside the results page are what the tables say, measured in plain PyTorch."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import torch

from prunelimits.datasets import cubist_spiral

RESULTS = Path(__file__).parent.parent / "docs" / "results"
NETWORKS = sorted(RESULTS.glob("*.pt"))
PRUNED = sorted((RESULTS / "networks").glob("*.pt"))
ELIMINATED = sorted((RESULTS / "eliminated").glob("*.pt"))
# Tables were measured in float32, where a sample on the boundary may fall either way.
ROUNDING = 3 / 49_982


def test_there_are_networks():
    assert NETWORKS
    assert PRUNED
    assert ELIMINATED


def logits(path: Path) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """The parameters of a saved network, its logits in float64, and the labels."""
    content = torch.load(path, weights_only=True)["state_dict"]
    state = {name: value.double() for name, value in content.items()}
    x, y = cubist_spiral(dtype=torch.float64)
    h = x
    for layer in range(len(state) // 2):
        h = torch.relu(h) if layer else h
        h = h @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
    return state, h[:, 0], y


def nonzeros_and_accuracy(path: Path) -> tuple[int, float]:
    state, z, y = logits(path)
    size = sum(int((value != 0).sum()) for value in state.values())
    return size, float(((z > 0) == (y == 1)).double().mean())


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_a_kept_network_measures_as_its_table_says(path: Path):
    nonzeros, accuracy = nonzeros_and_accuracy(path)
    table, _, target = path.stem.rpartition("-at-")
    with open(RESULTS / f"{table}.csv", newline="") as file:
        rows = {int(row["nonzeros"]): float(row["accuracy"]) for row in csv.DictReader(file)}
    reaching = [size for size, best in rows.items() if best >= float(f"0.{target}")]
    assert nonzeros == min(reaching)
    assert accuracy == pytest.approx(rows[nonzeros], abs=ROUNDING)


@pytest.mark.parametrize("path", PRUNED, ids=lambda path: path.stem)
def test_a_kept_pruned_network_is_that_of_its_run(path: Path):
    """Such as `gap-bench-95-LTH-3-16-0-2.pt`: table, method, width, weights, recipe, repeat."""
    nonzeros, accuracy = nonzeros_and_accuracy(path)
    table, *run = path.stem.rsplit("-", 5)
    with open(RESULTS / f"{table}.csv", newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        (row,) = (
            row
            for row in csv.DictReader(lines)
            if [row[name] for name in ("method", "width", "keep", "recipe", "repeat")] == run
        )
    assert nonzeros == int(row["nonzeros"])
    assert accuracy == pytest.approx(float(row["accuracy"]), abs=ROUNDING)


@pytest.mark.parametrize("path", ELIMINATED, ids=lambda path: path.stem)
def test_a_kept_network_of_elimination_is_that_of_its_run(path: Path):
    """Such as `0.95-18-22-w16-s3.pt`: target, nonzeros, with all biases, widths, seed."""
    found = re.fullmatch(r"0\.(\d+)-(\d+)-(\d+)-w([\d-]+)-s(\d+)", path.stem)
    assert found is not None
    target, size, with_biases, width, seed = found.groups()
    hidden = width.split("-") if "-" in width else [width] * 3
    with open(RESULTS / "elimination-runs.csv", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["seed"] == seed
            and f"--widths 2 {' '.join(hidden)} 1" in row["study"]
            and (row[f"nonzeros_{target}"], row[f"with_biases_{target}"]) == (size, with_biases)
        ]
    nonzeros, accuracy = nonzeros_and_accuracy(path)
    _, z, _ = logits(path)
    assert nonzeros == int(size)
    assert accuracy >= float(f"0.{target}")
    assert (accuracy, int((z == 0).sum())) in [
        (pytest.approx(float(row[f"accuracy_{target}"]), abs=ROUNDING), int(row[f"ties_{target}"]))
        for row in rows
    ]
