"""The description of a study in its table, and whether a study may go on in that table."""

from __future__ import annotations

import json
import os
from pathlib import Path

from prunelimits.arguments import warn
from prunelimits.experiments.methods import source
from prunelimits.experiments.study import Run, Study
from prunelimits.experiments.table import RunResult, read_table
from prunelimits.pruners.described import settings
from prunelimits.resuming import StoreError, check_same
from prunelimits.training.task import Task

_COMMON = ("data", "seed", "hidden_layers", "recipes")


def describe(study: Study, task: Task) -> dict[str, str]:
    """What runs of one table have in common, and settings and source of each method.

    The source code is given for users' own methods alone, as a digest.
    """
    methods = dict(zip(study.names, study.methods, strict=True))
    sources = {f"{name} source": source(pruner) for name, pruner in methods.items()}
    return {
        "data": task.fingerprint(),
        "seed": str(study.seed),
        "hidden_layers": str(study.hidden_layers),
        "recipes": "; ".join(map(repr, study.recipes)),
        **{name: settings(pruner) for name, pruner in methods.items()},
        **{name: digest for name, digest in sources.items() if digest is not None},
    }


def read_kept(
    table: str | os.PathLike[str], ours: dict[str, str]
) -> tuple[dict[Run, RunResult], dict[str, str]]:
    """The runs that a table holds, and its description joined with that of a study.

    Tables of earlier versions say nothing about the source of users' methods: their runs are taken
    as they are, with a warning, and the table gets the source that the method has now.

    Raises:
        OSError: If the table cannot be read.
        ValueError: If it is no table.
        StoreError: If it is of another study.
    """
    if not Path(table).exists():
        return {}, ours
    results, text = read_table(table)
    try:
        theirs = {str(name): str(value) for name, value in dict(json.loads(text)).items()}
    except (ValueError, TypeError, RecursionError):
        theirs = {}
    if "data" not in theirs:
        raise StoreError(
            f"{os.fspath(table)} does not say what study it is of: its first line must be a # and "
            f"a description, got {text[:90]!r}"
        )
    known = {result.run.method for result in results}
    _check_sources(table, theirs, ours, known)
    # Methods may be added to a table; those with runs in it must have the same settings.
    comparable = {*_COMMON, *known}
    shared = [name for name in ours if name in theirs and name in comparable]
    # The fingerprint of a task is that of its data and its start.
    said = {"data": "data or start"}
    recorded, wanted = ({said.get(n, n): d[n] for n in shared} for d in (theirs, ours))
    check_same(table, recorded, wanted, "study")
    return {result.run: result for result in results}, {**theirs, **ours}


def _check_sources(
    table: str | os.PathLike[str], theirs: dict[str, str], ours: dict[str, str], known: set[str]
) -> None:
    """Raises if a method's code is not that of its runs, and warns where that is not known."""
    for name, value in ours.items():
        method = name.removesuffix(" source")
        if method == name or method not in known:
            continue
        if name not in theirs:
            warn(
                f"{os.fspath(table)} was made by an earlier version, which did not note the source "
                f"code of {method}: its runs are taken to be of the code as it is now",
            )
        elif theirs[name] != value:
            raise StoreError(
                f"{os.fspath(table)} holds runs of {method} whose source code was another (its "
                f"{name} is {theirs[name][:12]}, asked for {value[:12]}): take its rows out of the "
                "table, or use another one"
            )
