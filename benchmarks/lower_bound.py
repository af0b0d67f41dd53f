"""At least how much a four-layer ReLU network needs for an accuracy on the Cubist Spiral: a proof.

    python benchmarks/lower_bound.py --check docs/results/lower-bound.csv

The proof is in docs/lower-bound.md; this computes its numbers, in integers and with exact geometry.
`--check` verifies every comb of points with the prices in docs/results/lower-bound-prices.csv and
writes what it found.
"""

from __future__ import annotations

import argparse
import csv
from fractions import Fraction
from functools import cache
from math import ceil, comb
from pathlib import Path
from typing import TypeAlias

import numpy as np
from convex_cells import Points, heaviest
from numpy.typing import NDArray
from page_tables import markdown

from prunelimits.datasets import cubist_spiral
from prunelimits.enumeration import every_widths

RESULTS = Path(__file__).parent.parent / "docs" / "results"
PRICES = RESULTS / "lower-bound-prices.csv"
COMBS = 1250
TARGETS = ("0.95", "0.995")
_LARGEST = 22
# Where a comb's own prices prove so many cells, no others are tried.
_GOAL = 8

Comb: TypeAlias = tuple[Points, NDArray[np.bool_], NDArray[np.int64]]
"""Points, their labels, and their places along their class within the comb."""


def combs() -> list[Comb]:
    """The points in disjoint combs: of each class every `COMBS`th, from each of the first on."""
    x, y = cubist_spiral()
    points, labels = x.double().numpy(), y.numpy() == 1
    classes = [np.flatnonzero(~labels), np.flatnonzero(labels)]
    result: list[Comb] = []
    for first in range(COMBS):
        parts = [part[first::COMBS] for part in classes]
        chosen = np.concatenate(parts)
        places = np.concatenate([np.arange(len(part)) for part in parts])
        result.append((points[chosen], labels[chosen], places))
    return result


def errors_allowed(target: str, samples: int) -> int:
    """How many samples some comb gets wrong at most, at the target: the mean, rounded down."""
    wrong = samples - ceil(Fraction(target) * samples)
    return wrong // COMBS


def read_prices(target: str) -> dict[int, tuple[NDArray[np.int64], int]]:
    """By the first comb they are for: prices of right points `(classes, places)`, of a wrong one.

    How they were found does not matter: any prices prove a bound, these a good one.
    """
    with PRICES.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["target"] == target]
    found: dict[int, tuple[NDArray[np.int64], int]] = {}
    for first in {int(row["first_comb"]) for row in rows}:
        own = [row for row in rows if int(row["first_comb"]) == first]
        prices = np.zeros((2, len(own) // 2), dtype=np.int64)
        for row in own:
            prices[int(row["class"]), int(row["place"])] = int(row["price"])
        found[first] = prices, int(own[0]["wrong"])
    return found


def cells_for_comb(number: int, comb: Comb, target: str, errors: int) -> Fraction:
    """`cells_needed` of a comb with the kept prices, the best of them if its own prove little."""
    known = read_prices(target)
    points, labels, places = comb
    own = max(first for first in known if first <= number)
    best = Fraction(0)
    for first in sorted(known, key=lambda first: abs(first - own)):
        prices, wrong = known[first]
        if prices.shape[1] == len(points) // 2 and ceil(best) < _GOAL:
            each = prices[labels.astype(int), places]
            best = max(best, cells_needed(points, labels, each, wrong, errors))
    return best


def cells_needed(
    points: Points,
    labels: NDArray[np.bool_],
    prices: NDArray[np.int64],
    wrong: int,
    errors: int,
) -> Fraction:
    """A number of convex cells of one class that is not enough, unless it is below this.

    For at most so many errors: (sum of prices - the dearest errors) / (the dearest cell).
    """
    dearest = max(
        heaviest(points, labels == one, np.where(labels == one, prices, wrong))
        for one in (False, True)
    )
    costs = np.sort(prices + wrong)[::-1][:errors].sum()
    return Fraction(int(prices.sum() - costs), dearest)


def parts_of_plane(lines: int) -> int:
    """Into how many parts so many lines divide the plane, at most."""
    return 1 + lines + comb(lines, 2)


def most_cells(masks: dict[str, NDArray[np.bool_]]) -> int:
    """Convex cells of one class that a network with these weights can have, at most.

    Whatever its weights and biases; three hidden layers, one output. See docs/lower-bound.md.
    """
    first, second, third, _ = (masks[f"layers.{n}.weight"] for n in range(4))
    d1, d2, d3 = len(first), len(second), len(third)
    # Lines that are parallel whatever the weights: of units with the same single input, and of a
    # unit of the second layer with the unit that is its only input.
    direction = [-1 - int(row.argmax()) if row.sum() == 1 else n for n, row in enumerate(first)]
    single = [row for row in second if row.sum() == 1]
    several = d2 - len(single)
    lines = [*direction, *(direction[int(row.argmax())] for row in single)]
    bounds = [_parallel(lines) * parts_of_plane(several) * _after(d3)]
    if d2 == 1:
        active = _parallel(direction)
        # Two lines that cross leave a part where both units rest, and the class is one there.
        rests = int(d1 == 2 and direction[0] != direction[1])
        intervals = 2 if d3 == 1 else d3 + 2
        bounds.append((active - rests) * intervals + rests)
    if d1 == 1:
        bounds.append(d2 + 2 if d3 == 1 else d3 + 2 if d2 == 1 else d2 + d3 * (d2 + 1) + 2)
    return min(bounds)


def _parallel(lines: list[int]) -> int:
    """Parts of the plane by lines of which those of one direction are parallel, at most."""
    crossing = sum(a != b for n, a in enumerate(lines) for b in lines[:n])
    return 1 + len(lines) + crossing


def _after(units: int) -> int:
    """What a last hidden layer and the output make of a part on which they are fed linearly."""
    return 2 if units == 1 else 2 * parts_of_plane(units)


@cache
def smallest_possible(cells: int) -> dict[str, int]:
    """Hidden units, weights, and nonzeros by the paper's rule, below which none has so many cells.

    Over all masks of four-layer networks of at most 22 nonzeros by that rule, each once. Larger
    ones have at least eleven weights: every unit has one that leads to it, and a bias.
    """
    found: dict[str, int] = {}
    for space in every_widths(_LARGEST, inputs="any"):
        hidden = sum(space.widths[1:-1])
        for network in space:
            masks = {name: mask.numpy() for name, mask in network.items()}
            if most_cells(masks) < cells:
                continue
            weights = sum(int(m.sum()) for n, m in masks.items() if n.endswith("weight"))
            for name, value in (
                ("hidden units", hidden),
                ("weights", weights),
                ("nonzeros", weights + hidden + 1),
            ):
                found[name] = min(value, found.get(name, value))
    return found


def check(path: Path) -> None:
    """Verifies every comb at both targets, and writes the table."""
    every = combs()
    samples = sum(len(points) for points, _, _ in every)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("target", "combs", "points", "errors", "needed", "cells"))
        for target in TARGETS:
            errors = errors_allowed(target, samples)
            needed = min(cells_for_comb(n, one, target, errors) for n, one in enumerate(every))
            size = max(len(points) for points, _, _ in every)
            writer.writerow((target, COMBS, size, errors, needed, ceil(needed)))
            file.flush()
            print(f"{target}: at least {ceil(needed)} cells ({float(needed):.2f})", flush=True)


def found(folder: Path) -> dict[str, str]:
    """The fewest nonzeros of kept networks at each target, and the fewest by the paper's rule."""
    sizes: dict[str, list[tuple[int, int]]] = {target: [] for target in TARGETS}
    for path in folder.glob("cubist-spiral-*.pt"):
        percent, nonzeros, *_, paper = path.stem.removeprefix("cubist-spiral-").split("-")
        sizes[f"0.{percent}"].append((int(nonzeros), int(paper)))
    return {
        target: f"{min(free for free, _ in own)} ({min(paper for _, paper in own)})"
        for target, own in sizes.items()
    }


def least_nonzeros(path: Path) -> dict[str, int]:
    """What is proved: nonzeros by the paper's rule, by target without its zero."""
    with path.open(newline="") as file:
        return {
            row["target"].removeprefix("0."): smallest_possible(int(row["cells"]))["nonzeros"]
            for row in csv.DictReader(file)
        }


def table(path: Path, networks: Path) -> str:
    """What is proved beside what is found."""
    smallest = found(networks)
    rows: list[list[str]] = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            least = smallest_possible(int(row["cells"]))
            numbers = [str(least[name]) for name in ("hidden units", "weights", "nonzeros")]
            target = f"{100 * float(row['target']):g} %"
            rows.append([target, row["cells"], *numbers, smallest[row["target"]]])
    header = (
        "target", "convex cells", "hidden units", "weights", "nonzeros by the paper's rule",
        "found (by the paper's rule)",
    )  # fmt: skip
    return markdown(header, rows)


def main() -> None:
    """Checks, or prints what follows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", type=Path, required=True, metavar="TABLE")
    check(parser.parse_args().check)


if __name__ == "__main__":
    main()
