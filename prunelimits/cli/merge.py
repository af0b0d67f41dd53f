"""`prunelimits merge`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

from prunelimits.cli import report
from prunelimits.cli.help import Groups
from prunelimits.cli.kept import kind_of
from prunelimits.experiments import merge_tables
from prunelimits.search import Store, merge_stores, read_result


@dataclass(frozen=True)
class Merge:
    """Join what the parts of a search or of a gap study left (see --part there), in one file.

    The same command without --part goes on in it.
    """

    groups: ClassVar[Groups] = {"Arguments": ("parts",), "What it leaves": ("into",)}

    parts: Annotated[Positional[tuple[Path, ...]], arg(metavar="FILE [FILE ...]")]
    """The stores or tables of the parts."""
    into: Annotated[Path, arg(metavar="FILE", aliases=["-o"])]
    """Where to; may exist, and is then added to."""

    def run(self) -> int:
        """Joins them, and prints what they hold together."""
        for path in self.parts:
            if path.is_file() and kind_of(path) == "elimination":
                raise ValueError(f"{path} is of an elimination, which is not run in parts")
        others = [path for path in self.parts if path.suffix != ".csv"]
        if others and len(others) < len(self.parts):
            raise ValueError(
                f"{others[0]} must be a .csv file like others of the parts: the tables of a gap "
                "study and the stores of a search are not joined in one file"
            )
        if not others:
            runs = merge_tables(self.parts, self.into)
            report.say(f"{len(runs):,} runs in {self.into}")
            return 0
        merge_stores(self.parts, self.into)
        with Store(self.into, write=False) as store:
            report.print_result(read_result(store))
        report.say(f"Kept in {self.into}")
        return 0


def parsed_part(text: str | None) -> tuple[int, int] | None:
    """`i/N` as two numbers.

    Raises:
        ValueError: If it is something else.
    """
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"--part must be i/N, such as 3/16, with i from 1 to N, got {text!r}")
    return int(found[1]), int(found[2])
