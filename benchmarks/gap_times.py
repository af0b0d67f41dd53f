"""How long each part of the gap study takes: one method, one width, all budgets and recipes once.

Run it by `python benchmarks/gap_times.py --widths 3 16`. Each part is trained into a table of its
own, which is thrown away, or with `--table FILE` into that one, where a part of which some runs are
there already is gone on with but not timed. Seconds by the clock and of the processor (all threads
together) are added to docs/results/gap-times.csv. What stands there is not measured again.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from command_line import at_least_one

from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import PAPER_METHODS, PAPER_WIDTHS, Study, run_study

TIMES = Path(__file__).parent.parent / "docs" / "results" / "gap-times.csv"
COLUMNS = ("width", "method", "seconds", "processor_seconds")


def main() -> None:
    """Measures what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--widths", type=at_least_one, nargs="+", default=PAPER_WIDTHS)
    names = [type(pruner).__name__ for pruner in PAPER_METHODS]
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    parser.add_argument("--table", type=Path, metavar="FILE")
    parser.add_argument("--times", type=Path, default=TIMES, metavar="FILE")
    arguments = parser.parse_args()
    rows: dict[tuple[int, str], tuple[float, float]] = {}
    if arguments.times.exists():
        with open(arguments.times, newline="") as file:
            for row in csv.DictReader(file):
                key = int(row["width"]), row["method"]
                rows[key] = float(row["seconds"]), float(row["processor_seconds"])
    x, y = cubist_spiral()
    for width in arguments.widths:
        for pruner in PAPER_METHODS:
            key = width, type(pruner).__name__
            if key in rows or key[1] not in arguments.methods:
                continue
            study = Study(methods=(pruner,), widths=(width,))
            began = time.perf_counter(), time.process_time()
            done: list[int] = []
            with TemporaryDirectory() as folder:
                run_study(
                    study,
                    x,
                    y,
                    table=arguments.table or Path(folder) / "gap.csv",
                    on_progress=lambda now, _, done=done: done.append(now),
                )
            if done[0] > 0:
                continue
            rows[key] = (
                round(time.perf_counter() - began[0], 1),
                round(time.process_time() - began[1], 1),
            )
            print(*key, *rows[key], flush=True)
            with open(arguments.times, "w", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(COLUMNS)
                ordered = sorted(rows, key=lambda key: (key[0], names.index(key[1])))
                writer.writerows([*key, *rows[key]] for key in ordered)


if __name__ == "__main__":
    main()
