"""The command line: `prunelimits search`, `show`, `gap`, `analyze`, `limit`, `view`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

if not all(find_spec(name) for name in ("tyro", "rich", "tqdm")):
    raise ImportError('the command line needs more packages: pip install "prunelimits[cli]"')

import tyro

from prunelimits.cli.analyze import Analyze
from prunelimits.cli.gap import Gap
from prunelimits.cli.limit import Limit
from prunelimits.cli.report import console, errors
from prunelimits.cli.search import Search
from prunelimits.cli.show import Show
from prunelimits.cli.view import View
from prunelimits.search import StoreError

_DESCRIPTION = "How sparse can this network be, and how close does your pruning method get?"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit code is 0, 1 for an error, 130 after an interrupt."""
    commands = {
        "search": Search,
        "show": Show,
        "gap": Gap,
        "analyze": Analyze,
        "limit": Limit,
        "view": View,
    }
    command = tyro.extras.subcommand_cli_from_dict(
        commands, prog="prunelimits", description=_DESCRIPTION, args=arguments
    )
    try:
        return command.run()
    except KeyboardInterrupt:
        console.print(
            "\nInterrupted. What is finished is kept: the same command goes on from here."
        )
        return 130
    except (ValueError, TypeError, OSError, ImportError, StoreError) as error:
        errors.print(f"prunelimits: {error}", markup=False)
        return 1
