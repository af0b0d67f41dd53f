"""`prunelimits` and `python -m prunelimits`: the command line, or what it lacks."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version


def main() -> int:
    """Runs the command line; without its packages, says which they are.

    The exit code is that of `prunelimits.cli.main`, or 1 where the output goes nowhere.
    """
    # A program started with its output closed has none, and what prints help expects one.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"prunelimits {version('prunelimits')}\n")
        return 0
    try:
        from prunelimits.cli import main as run
    except ImportError as error:
        sys.stderr.write(f"prunelimits: {error}\n")
        return 1
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read along has seen enough. Nothing may be written at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
