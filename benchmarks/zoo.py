# What a network is called with is open.
# ruff: noqa: ANN401
"""Which networks connectivity follows: exact, sound or refused, and never wrong.

For every network, built from its configuration without a download and with 70 % of every matrix
pruned at random: whether all its operations are known (exact), some are assumed to do the worst
(sound), or it is refused, and why; the largest change of an output in float64 when all that is left
out is set to other numbers (must be 0 up to rounding); the seconds of the processor that `analyze`
takes, and the memory beside what the process held before.

Run it by `make zoo`, which makes an environment with torchvision, timm and transformers for it. A
row a network goes into docs/results/zoo.csv, and the same command goes on from there; then the
tables of docs/zoo.md are written anew. A row that is taken out of the file is measured again.
"""

from __future__ import annotations

import argparse
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from kept_rows import add_rows, read_rows
from model_cost import peak
from page_tables import markdown, refreshed
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree
from zoo_networks import GROUPS

from prunelimits.connectivity import ConnectivityReport, analyze, effective_masks

DOCS = Path(__file__).parent.parent / "docs"
TABLE = DOCS / "results" / "zoo.csv"
PAGE = DOCS / "zoo.md"
HEADER = ("group", "network", "parameters", "size", "outcome", "cause", "change", "seconds",
          "megabytes")  # fmt: skip
TITLES = {
    "people": "of the kinds that people write",
    "transformers": "classes of transformers, in tiny configurations",
    "timm": "of 50 varied classifiers of timm",
    "torchvision": "of the 80 classifiers of torchvision",
}

# Far above rounding in float64, far below what any entry changes.
_ROUNDING = 1e-9


def draw(model: nn.Module) -> None:
    """Other numbers for all parameters, 70 % of every matrix pruned."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator) * 0.3
            if parameter.dim() > 1:
                # As large as lets signals pass through many layers.
                spread = (0.15 * parameter[0].numel()) ** -0.5 / 0.3
                drawn *= spread * (torch.rand(drawn.shape, generator=generator) < 0.3)
            parameter.copy_(drawn)


def examined(make: Callable[[], nn.Module], inputs: Any) -> dict[str, str]:
    """What becomes of a network: the columns of its row."""
    torch.manual_seed(0)
    model = make().eval()
    draw(model)
    size = str(inputs) if isinstance(inputs, int) else ""
    if isinstance(inputs, int):
        inputs = torch.randn(1, 3, inputs, inputs)
    row = {"parameters": str(sum(p.numel() for p in model.parameters())), "size": size}
    found: list[ConnectivityReport] = []

    def analysis() -> None:
        found.append(analyze(model, inputs=inputs))

    begin = time.process_time()
    try:
        most = peak(analysis)
    except ValueError as error:
        return row | {"outcome": "refused", "cause": str(error)}
    row |= {
        "seconds": f"{time.process_time() - begin:.1f}",
        "megabytes": f"{max(most, 0) / 1e6:.0f}",
    }
    kept = effective_masks(model, inputs=inputs, keep_constants=True)
    changed = change(model, kept, inputs)
    outcome = "exact" if found[0].exact else "sound"
    if not changed < _ROUNDING:
        outcome = "wrong"
    return row | {
        "outcome": outcome, "cause": ", ".join(found[0].unknown), "change": f"{changed:.1e}"
    }  # fmt: skip


def change(model: nn.Module, kept: dict[str, Any], inputs: Any) -> float:
    """The largest change of an output, relative to the largest one, without what is left out."""
    try:
        return _change(model.double(), kept, _in(torch.float64, inputs))
    except RuntimeError:
        # Some operations have no float64.
        return _change(model.float(), kept, inputs)


def _change(model: nn.Module, kept: dict[str, Any], inputs: Any) -> float:
    args = inputs if isinstance(inputs, tuple) else () if isinstance(inputs, dict) else (inputs,)
    kwargs = inputs if isinstance(inputs, dict) else {}
    before = _outputs(model, args, kwargs)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            # What is pruned by being zero already stays so; in place, for large models.
            left_out = ~kept[name] & (p != 0)
            p[left_out] = torch.randn(int(left_out.sum()), generator=generator).to(p)
    after = _outputs(model, args, kwargs)
    return max(
        float((a - b).abs().max() / (1e-30 + a.abs().max()))
        for a, b in zip(before, after, strict=True)
    )


def _outputs(model: nn.Module, args: Any, kwargs: Any) -> list[Tensor]:
    with torch.no_grad():
        found = functional_call(model, {}, args, kwargs)
    leaves = pytree.tree_leaves(dict(found) if hasattr(found, "keys") else found)
    return [x for x in leaves if isinstance(x, Tensor) and x.is_floating_point()]


def _in(dtype: torch.dtype, inputs: Any) -> Any:
    return pytree.tree_map(
        lambda x: x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x, inputs
    )


def read(table: Path) -> list[dict[str, str]]:
    """The rows that there are."""
    return read_rows(table)


def add(table: Path, row: dict[str, str]) -> None:
    """Appends a row, and the header to a new table."""
    add_rows(table, [{column: " ".join(row.get(column, "").split())[:240] for column in HEADER}])


def coverage(rows: list[dict[str, str]]) -> str:
    """How many networks of each group are exact, sound, refused or wrong."""
    lines: list[list[str]] = []
    for group, title in TITLES.items():
        own = [row for row in rows if row["group"] == group]
        lines.append([f"{len(own)} {title}", *_counted(own)])
    lines.append([f"**{len(rows)} in all**", *_counted(rows)])
    return markdown(["networks", "exact", "sound", "refused", "wrong", "largest change"], lines)


def _counted(rows: list[dict[str, str]]) -> list[str]:
    counts = Counter(row["outcome"] for row in rows)
    changes = [float(row["change"]) for row in rows if row["change"]]
    numbers = [str(counts[word]) for word in ("exact", "sound", "refused", "wrong")]
    return [*numbers, f"{max(changes, default=0.0):.1e}"]


def every(rows: list[dict[str, str]]) -> str:
    """A row a network."""
    lines = [
        [
            row["network"], f"{row['outcome']}: {row['cause']}" if row["cause"] else row["outcome"],
            f"{int(row['parameters']):,}" if row["parameters"] else "", row["size"], row["change"],
            row["seconds"], row["megabytes"],
        ]
        for group in TITLES
        for row in sorted(rows, key=lambda row: row["network"])
        if row["group"] == group
    ]  # fmt: skip
    return markdown(
        ["network", "followed", "parameters", "pixels", "change", "seconds", "MB"], lines, left=2
    )


def write_page(table: Path, page: Path) -> None:
    """The page with both tables as the results are now."""
    rows = read(table)
    known = {"zoo": lambda: coverage(rows), "zoo-networks": lambda: every(rows)}
    page.write_text(refreshed(page.read_text(), known))


def main() -> None:
    """Measures what is not in the table yet, and writes the page."""
    parser = argparse.ArgumentParser(description="Which networks connectivity follows.")
    parser.add_argument("groups", nargs="*", default=list(GROUPS), metavar="GROUP",
                        help=f"{', '.join(GROUPS)}; all if none is named")  # fmt: skip
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--minutes", type=float, default=float("inf"),
                        help="stop after the network that is measured then")  # fmt: skip
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * arguments.minutes
    done = {(row["group"], row["network"]) for row in read(arguments.table)}
    for group in arguments.groups:
        for name, make, inputs in GROUPS[group](lambda n, g=group: (g, n) in done):
            try:
                row = examined(make, inputs)
            except Exception:
                traceback.print_exc()
                row = {"outcome": "failed", "cause": traceback.format_exc(limit=-1)}
            add(arguments.table, {"group": group, "network": name, **row})
            print(group, name, row, flush=True)
            if time.monotonic() > end:
                return
    if arguments.table == TABLE:
        write_page(TABLE, PAGE)


if __name__ == "__main__":
    main()
