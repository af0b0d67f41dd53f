"""Tables that parts of a study left, joined."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from prunelimits.arguments import checked_kept_file
from prunelimits.experiments.kept import read_kept
from prunelimits.experiments.study import Run
from prunelimits.experiments.table import RunResult, write_table
from prunelimits.resuming import StoreError, WriterLock
from prunelimits.resuming.portion import checked_kept


def merge_tables(
    parts: Iterable[str | os.PathLike[str]], table: str | os.PathLike[str]
) -> list[RunResult]:
    """Joins the runs of several tables in one, where the study may go on.

    A run that is in several of them is taken once. The table is written whole or not at all.

    Args:
        parts: Tables of studies of the same data, recipes, seed and start; their methods, widths
            and budgets may differ.
        table: Where to; it is made, or is of such a study and added to.

    Returns:
        All runs of the table, in order.

    Raises:
        StoreError: If they are of different studies, a run has different results, or a study is
            writing to `table`.
        ValueError: If `parts` is empty, or one of them is no table.
        OSError: If one cannot be read, or the table not be written.
    """
    paths = checked_kept(parts)
    table = checked_kept_file("table", table)
    with WriterLock(table):
        results: dict[Run, tuple[RunResult, Path]] = {}
        description: dict[str, str] = {}
        for path in [table, *paths]:
            found, description = read_kept(path, description)
            for run, result in found.items():
                before, where = results.setdefault(run, (result, path))
                if before != result:
                    raise StoreError(
                        f"{path} has another result of {run} than {where}: go on with one engine "
                        "on one kind of machine"
                    )
        joined = sorted(result for result, _ in results.values())
        write_table(joined, table, study=json.dumps(description))
    return joined
