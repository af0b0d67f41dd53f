"""What pruning makes of trained models that people use: connectivity, core, and outputs.

Each model is pruned by the size of its weights, by SNIP and by optimal brain damage to 50, 80, 90
and 95 %, all its matrices and kernels in one ranking, without any training afterwards. Two tables
in docs/results are taken up where they were left: trained-models.csv, and trained-layers.csv with
the dead units of every layer.

Run it by `python benchmarks/trained_models.py [models]`; what it needs stands in
`trained_networks.py`. `python benchmarks/trained_tables.py` puts the tables into the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from kept_rows import add_rows, read_rows
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode
from trained_networks import NETWORKS, Trained

from prunelimits import masks as pm
from prunelimits.connectivity import analyze, compact
from prunelimits.pruners import OBD, SNIP, AbstractPruner, Magnitude, score
from prunelimits.types import Masks, Scores

RESULTS = Path(__file__).parent.parent / "docs" / "results"
METHODS: dict[str, AbstractPruner] = {
    "magnitude": Magnitude(),
    "SNIP": SNIP(),
    "OBD": OBD(probes=4, gauss_newton=True),
}
SPARSITIES = (0.5, 0.8, 0.9, 0.95)
KEY = ("model", "method", "sparsity")
MODELS = (
    *(*KEY, "weights", "nonzero_weights", "effective_weights", "exact", "units", "dead_units"),
    *("parameters", "read", "core_parameters", "operations", "core_operations"),
    *("changed", "outputs_kept", "cosine"),
)
LAYERS = (
    *(*KEY, "layer", "units", "cut_off_from_input", "cut_off_from_output", "constant"),
    *("nonzero_weights", "effective_weights"),
)
Row = dict[str, Any]


def called(model: nn.Module, inputs: Any) -> Tensor:  # noqa: ANN401
    """The model's output without gradients."""
    with torch.no_grad():
        return model(**inputs) if isinstance(inputs, Mapping) else model(inputs)


def masked(model: nn.Module, masks: Masks, inputs: Any) -> Tensor:  # noqa: ANN401
    """The model's output with its masks."""
    params = {n: p.detach() for n, p in model.named_parameters()}
    args = () if isinstance(inputs, Mapping) else (inputs,)
    named = dict(inputs) if isinstance(inputs, Mapping) else {}
    with torch.no_grad():
        return functional_call(model, {**params, **pm.apply(params, masks)}, args, named)


def operations(model: nn.Module, inputs: Any) -> int:  # noqa: ANN401
    """Multiplications and additions in products and convolutions of one call."""
    with FlopCounterMode(display=False) as counter:
        called(model, inputs)
    return counter.get_total_flops()


def measured(trained: Trained, scores: Scores, sparsity: float) -> tuple[Row, list[Row]]:
    """One pruned model: a row for it and one for every layer."""
    model, example = trained.model, trained.example
    keep = round((1 - sparsity) * sum(values.numel() for values in scores.values()))
    masks = pm.top(scores, keep)
    report = analyze(model, masks, inputs=example)
    core = compact(model, masks, inputs=example)
    dense = called(model, trained.inputs)
    found = masked(model, masks, trained.inputs)
    smaller = called(core, trained.inputs)
    row: Row = {
        "weights": report.weights,
        "nonzero_weights": report.nonzero_weights,
        "effective_weights": report.effective_weights,
        "exact": report.exact,
        "units": sum(layer.units for layer in report.layers),
        "dead_units": report.dead_units,
        "parameters": sum(p.numel() for p in model.parameters()),
        "read": report.read,
        "core_parameters": sum(p.numel() for p in core.parameters()),
        "operations": operations(model, example),
        "core_operations": operations(core, example),
        "changed": float((smaller - found).abs().max() / found.abs().max()),
        "outputs_kept": trained.kept(found, dense),
        "cosine": float(torch.cosine_similarity(found, dense).mean()),
    }
    fields = LAYERS[len(KEY) + 1 :]
    layers = [
        {"layer": layer.name, **{field: getattr(layer, field) for field in fields}}
        for layer in report.layers
        if layer.units
    ]
    return row, layers


def kept(name: str) -> list[Row]:
    """A table as far as it is there."""
    return read_rows(RESULTS / name)


def append(name: str, fields: Iterable[str], rows: Iterable[Row]) -> None:
    """More rows at the end of a table."""
    cells = [{k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    add_rows(RESULTS / name, [{field: row.get(field, "") for field in fields} for row in cells])


def study(name: str, method: str) -> None:
    """The rows of one model and method that are not in the tables yet."""
    there = {tuple(row[field] for field in KEY) for row in kept("trained-models.csv")}
    missing = [s for s in SPARSITIES if (name, method, f"{s:.6g}") not in there]
    if not missing:
        return
    trained = NETWORKS[name]()
    scores = score(trained.model, METHODS[method], loss=trained.loss, batches=trained.batches)
    for sparsity in missing:
        row, layers = measured(trained, scores, sparsity)
        key = {"model": name, "method": method, "sparsity": f"{sparsity:.6g}"}
        # The layers first: a model is done when its row is there.
        append("trained-layers.csv", LAYERS, [{**key, **layer} for layer in layers])
        append("trained-models.csv", MODELS, [{**key, **row}])
        print({**key, **row}, flush=True)


def main() -> None:
    """What is not in the tables yet: one method for every model, then the next."""
    torch.set_num_threads(1)
    for method in METHODS:
        for name in sys.argv[1:] or list(NETWORKS):
            study(name, method)


if __name__ == "__main__":
    main()
