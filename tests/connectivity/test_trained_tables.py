"""The page on trained models says what the kept tables say, and those agree with themselves."""

from __future__ import annotations

import runpy
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TABLES = runpy.run_path(str(ROOT / "benchmarks" / "trained_tables.py"))
KEY = ("model", "method", "sparsity")


def test_the_page_holds_what_the_results_say():
    page = TABLES["PAGE"].read_text()
    assert "<!-- table: pruned -->" in page
    assert TABLES["refreshed"](page, TABLES["TABLES"]) == page, (
        "run python benchmarks/trained_tables.py"
    )


def test_layers_add_up_to_their_model():
    models = {tuple(row[k] for k in KEY): row for row in TABLES["rows"]("trained-models.csv")}
    found = {}
    layers = TABLES["rows"]("trained-layers.csv")
    for key, group in groupby(layers, lambda row: tuple(row[k] for k in KEY)):
        found[key] = list(group)
    assert found.keys() == models.keys()
    for key, row in models.items():
        assert sum(int(layer["units"]) for layer in found[key]) == int(row["units"])
        dead = sum(
            int(layer[cause])
            for layer in found[key]
            for cause in ("cut_off_from_input", "cut_off_from_output", "constant")
        )
        assert dead == int(row["dead_units"])
        assert int(row["effective_weights"]) <= int(row["nonzero_weights"])
        kept = int(row["nonzero_weights"]) / int(row["weights"])
        # A ranking keeps its share of what is pruned; what is not, such as embeddings, stays.
        assert kept >= 1 - float(row["sparsity"]) - 1e-4
        # Constants of a recurrent layer are those after the example's eight steps; a voice has 160.
        assert float(row["changed"]) < (1e-2 if row["model"] == "Resemblyzer" else 1e-5)


def test_shares_are_never_rounded_to_all_or_nothing():
    percent = TABLES["percent"]
    assert [percent(x) for x in (0, 1e-5, 0.1234, 0.99999, 1)] == [
        "0.0 %", "<0.1 %", "12.3 %", ">99.9 %", "100.0 %",
    ]  # fmt: skip
