"""Tables in Parquet files, with pyarrow."""

# pyright: reportMissingImports=false
from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunelimits.cli.tables import ColumnChoice, told_missing


def read_parquet(path: Path, choice: ColumnChoice) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Inputs and labels of a Parquet file, a sample a row.

    Args:
        path: The file.
        choice: Which columns.

    Returns:
        Inputs, float64 `(samples, inputs)`; labels as numbers, or as text.

    Raises:
        ValueError: If it is damaged, an input is no number, or values are missing.
        ImportError: If pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException, types
        from pyarrow.parquet import read_table
    except ImportError as error:
        raise ImportError(
            f'--data {path}: Parquet files need pyarrow: pip install "prunelimits[parquet]"'
        ) from error
    try:
        table: Any = read_table(path)
    except (ArrowException, OSError) as error:
        raise ValueError(f"is no Parquet file that can be read ({error})") from error
    names: list[str] = list(table.column_names)
    at, kept = choice.places(names)
    missing = {place: table.column(place).null_count for place in (*kept, at)}
    if any(missing.values()):
        raise ValueError(told_missing({p: n for p, n in missing.items() if n}, names, len(table)))
    columns: list[NDArray[np.float64]] = []
    for place in kept:
        kind = table.schema.field(place).type
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            name, typed = names[place], shlex.quote(names[place])
            raise ValueError(
                f"column {name} must hold numbers, got {kind}; --drop {typed} leaves it out, "
                f"--label {typed} makes it the labels"
            )
        columns.append(np.asarray(table.column(place).to_pylist(), dtype=np.float64))
    labels = np.asarray(table.column(at).to_pylist())
    if labels.dtype.kind not in "fiubU":
        raise ValueError(f"labels must be numbers or text, got {table.schema.field(at).type}")
    return np.stack(columns, 1), labels


def parquet_names(path: Path, choice: ColumnChoice) -> list[str]:
    """The columns of a Parquet file that are inputs, by name."""
    from pyarrow.parquet import read_schema

    names: list[str] = list(read_schema(path).names)
    return [names[place] for place in choice.places(names)[1]]
