"""The default study as it was run: its table comes with the library."""

from __future__ import annotations

import os
from importlib.resources import files

from prunelimits.arguments import checked_kept_file
from prunelimits.resuming import write_whole


def begin_with_kept(table: str | os.PathLike[str]) -> bool:
    """Writes the kept table of the default study, if there is no file of that name yet.

    It has the nine methods of `PAPER_METHODS` at width 16 on the Cubist Spiral, by `PAPER_BUDGETS`
    and `PAPER_RECIPES`, once: 1,863 runs. A study of these and a method of your own that goes on
    in it trains yours alone.

    Args:
        table: Where to, a CSV file.

    Returns:
        Whether it was written; an existing file is left as it is.

    Raises:
        TypeError: If `table` is no path.
        ValueError: If it is a folder, or its folder does not exist.
        OSError: If it cannot be written.

    Examples:
        >>> import tempfile
        >>> from prunelimits.experiments import read_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     begin_with_kept(f"{folder}/gap.csv"), begin_with_kept(f"{folder}/gap.csv")
        ...     len(read_table(f"{folder}/gap.csv")[0])
        (True, False)
        1863
    """
    path = checked_kept_file("table", table)
    if path.exists():
        return False
    if not path.parent.is_dir():
        raise ValueError(f"table must be in a folder that exists, got {path}")
    write_whole((files("prunelimits.experiments") / "kept_study.csv").read_bytes(), path)
    return True
