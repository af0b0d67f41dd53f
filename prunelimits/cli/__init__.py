"""The command line: `prunelimits search`, `eliminate`, `gap`, `limit`, `analyze` and the others."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

if not all(find_spec(name) for name in ("tyro", "rich", "tqdm")):
    raise ImportError('the command line needs more packages: pip install "prunelimits[cli]"')

import tyro

from prunelimits.cli.analyze import Analyze
from prunelimits.cli.eliminate import Eliminate
from prunelimits.cli.flags import check_outputs, in_flags
from prunelimits.cli.gap import Gap
from prunelimits.cli.help import Command, print_help, print_overview
from prunelimits.cli.limit import Limit
from prunelimits.cli.merge import Merge
from prunelimits.cli.play import Play
from prunelimits.cli.report import console, errors
from prunelimits.cli.search import Search
from prunelimits.cli.show import Show
from prunelimits.cli.view import View
from prunelimits.search import StoreError, WorkersLostError

_DESCRIPTION = "How sparse can this network be, and how close does your pruning method get?"


COMMANDS: dict[str, type[Command]] = {
    "search": Search,
    "eliminate": Eliminate,
    "show": Show,
    "merge": Merge,
    "gap": Gap,
    "analyze": Analyze,
    "limit": Limit,
    "view": View,
    "play": Play,
}
"""By name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    The exit code is 0, 1 for an error, 2 for arguments that are no command, 130 after Ctrl-C or the
    SIGTERM of a job scheduler.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in ([], ["-h"], ["--help"]):
        print_overview(_DESCRIPTION, COMMANDS)
        return 0 if given else 2
    if given and given[0] in COMMANDS and {"-h", "--help"} & set(given[1:]):
        print_help(given[0], COMMANDS[given[0]])
        return 0
    command = None
    formatted = warnings.formatwarning

    def told(error: Exception) -> str:
        # What groups of options refuse, they refuse before there is a command.
        asked = COMMANDS.get(given[0]) if command is None and given else command
        return str(error) if asked is None else in_flags(asked, error)

    def plainly(message: Warning | str, *_: object) -> str:
        # Of which line of code it is, says nothing here.
        return f"prunelimits: {told(UserWarning(str(message)))}\n"

    warnings.formatwarning = plainly
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            COMMANDS, prog="prunelimits", description=_DESCRIPTION, args=given
        )
        check_outputs(command)
        with _terminated_like_ctrl_c():
            return command.run()
    except KeyboardInterrupt:
        console.print(
            "\nInterrupted. What is finished is kept: the same command goes on from here."
        )
        return 130
    except (ValueError, TypeError, OSError, ImportError, StoreError, WorkersLostError) as error:
        errors.print(f"prunelimits: {told(error)}", markup=False)
        return 1
    finally:
        warnings.formatwarning = formatted


@contextmanager
def _terminated_like_ctrl_c() -> Generator[None]:
    """By itself SIGTERM ends this process alone, and the workers that it started go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
