"""What studies are told on the command line, checked before anything trains."""

from __future__ import annotations

import argparse
import math
from pathlib import Path


def at_least_one(text: str) -> int:
    """A number of the command line that counts something.

    Raises:
        argparse.ArgumentTypeError: If it counts nothing.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def not_negative(text: str) -> float:
    """A time of the command line.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, got {text!r}")
    return number


def table_path(text: str) -> Path:
    """Where a table is or is to be: told before the first training, not after it.

    Raises:
        argparse.ArgumentTypeError: If it is a folder, or in none.
    """
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file in a folder that is there, got {text!r}")
    return path


def kept_table(text: str) -> Path:
    """Where a table is that is read.

    Raises:
        argparse.ArgumentTypeError: If there is none.
    """
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"must be a file that is there, got {text!r}")
    return Path(text)
