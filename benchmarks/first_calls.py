"""What the first call in a process costs beside what torch takes to warm up.

    python benchmarks/first_calls.py [RUNS]

Each row is measured in fresh processes, torch's and ours in turn: the import beside that of torch
alone, the first pruning beside torch's first forward and backward pass, the first analysis and the
first core beside its first `torch.export`. Medians of processor seconds, which other work on the
machine hardly touches, and of the differences.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

MODEL = """
import torch
import prunelimits as pl
torch.manual_seed(0)
model = pl.models.resnet18(width=4).eval()
x, y = torch.randn(2, 3, 16, 16), torch.randint(10, (2,))
"""
PASS = "torch.nn.functional.cross_entropy(model(x), y).backward()"
EXPORT = "torch.export.export(model, (x,)).run_decompositions()"
ROWS = {
    "import": ("", "import torch", "import prunelimits"),
    "prune(SNIP)": (
        MODEL,
        PASS,
        "pl.prune(model, pl.pruners.SNIP(), sparsity=0.9, loss=torch.nn.functional.cross_entropy, "
        "batches=[(x, y)])",
    ),
    "analyze": (MODEL, EXPORT, "pl.connectivity.analyze(model, inputs=x)"),
    "compact": (MODEL, EXPORT, "pl.connectivity.compact(model, inputs=x)"),
}
"""Of each row: what comes before, what torch does, what we do."""


def seconds(before: str, statement: str) -> float:
    """Of one statement in a process of its own."""
    lines = [before, "import time", "began = time.process_time()", statement]
    code = "\n".join([*lines, "print(time.process_time() - began)"])
    return float(
        subprocess.check_output([sys.executable, "-W", "ignore", "-c", code], text=True).split()[-1]
    )


def main() -> None:
    """Prints a line a row."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for name, (before, torch_s, ours) in ROWS.items():
        pairs = [(seconds(before, torch_s), seconds(before, ours)) for _ in range(runs)]
        theirs, own = (statistics.median(column) for column in zip(*pairs, strict=True))
        more = statistics.median(b - a for a, b in pairs)
        print(f"{name:12} {own:6.2f} s, torch's {theirs:6.2f} s, more {more:6.2f} s")


if __name__ == "__main__":
    main()
