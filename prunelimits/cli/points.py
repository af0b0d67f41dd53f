"""Sizes and accuracies to draw beside a study: of a table or of a saved network."""

from __future__ import annotations

import csv
from pathlib import Path

from torch import Tensor

from prunelimits.experiments.part import measured
from prunelimits.saving import load
from prunelimits.search import make_task
from prunelimits.training import Loss, MLPEnsemble


def read_points(
    path: Path, x: Tensor, y: Tensor, *, loss: Loss | None = None
) -> list[tuple[int, float]]:
    """Sizes and accuracies: of a CSV file with these columns, or of one saved network.

    A network's accuracy is as in a study's table, `RunResult.accuracy`.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is neither, or a network of other inputs or outputs than the data.
    """
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            rows = csv.DictReader(line for line in file if not line.startswith("#"))
            try:
                return [(int(row["nonzeros"]), float(row["accuracy"])) for row in rows]
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"--compare {path} must have columns nonzeros and accuracy: {error}"
                ) from error
    try:
        model, masks = load(path)
    except ValueError as error:
        raise ValueError(
            f"--compare {path} must be a .csv file with columns nonzeros and accuracy, or a saved "
            f"network: {error}"
        ) from error
    task = make_task(x, y, loss=loss)
    if (model.widths[0], model.widths[-1]) != (task.inputs, task.outputs):
        raise ValueError(
            f"--compare {path} must have {task.inputs} inputs and {task.outputs} outputs for these "
            f"data, got widths {model.widths}"
        )
    params = {name: value.detach().float()[None] for name, value in model.named_parameters()}
    network = MLPEnsemble.from_params(model.widths, params, masks)
    accuracy = measured(network, (task.x, task.y), task.loss)
    return [(int(network.nonzeros()), float(accuracy))]
