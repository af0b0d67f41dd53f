"""Structured pruning beside Torch-Pruning: what goes together, time, memory and what is left.

Three networks, the same share of the units of every group kept by each, scored by magnitude:
ResNet-18, DenseNet-121 and a small vision transformer, whose hidden units and heads are pruned.
Every run is a process of its own, so that its peak of memory is its own; both tools go through a
tiny network first, which imports what they need. Times are seconds of processor time on one thread,
memory is what the process grows by.

    python benchmarks/structured.py            # docs/results/structured.csv
    python benchmarks/structured.py --groups   # where the groups of the two differ
    python benchmarks/structured.py --cost     # scoring ResNet-50 in passes

It needs torchvision and torch-pruning beside the package.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from command_line import at_least_one
from networks_of_libraries import without_its_operations
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import prunelimits as pl
from prunelimits import pruners

TABLE = Path(__file__).parents[1] / "docs" / "results" / "structured.csv"
FIELDS = (
    "network", "tool", "share", "groups", "parameters", "multiplications", "follow_s", "prune_s",
    "shrink_s", "memory_mb", "difference",
)  # fmt: skip
SHARES = (0.5, 0.25)
SIZE = 64


class Attention(nn.Module):
    """Attention whose heads can be cut: the code reads their number off its tensors."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.each = width // heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Module`."""
        n, t, _ = x.shape
        q, k, v = (
            f(x).reshape(n, t, -1, self.each).transpose(1, 2) for f in (self.q, self.k, self.v)
        )
        found = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(found.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A layer of a vision transformer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Module`."""
        x = x + self.attention(self.norm1(x))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class ViT(nn.Module):
    """A vision transformer of 6 layers of 192 units and 4 heads, as ViT-Tiny is wide."""

    def __init__(self, width: int = 192, heads: int = 4, layers: int = 6) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, stride=16)
        self.position = nn.Parameter(torch.randn(1, (SIZE // 16) ** 2, width) / 50)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Module`."""
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


def network(name: str) -> tuple[nn.Module, Tensor]:
    """A network and a sample."""
    torch.manual_seed(0)
    if name == "vit":
        return ViT().eval(), torch.randn(1, 3, SIZE, SIZE)
    without_its_operations()
    from torchvision import models

    return getattr(models, name)(weights=None).eval(), torch.randn(1, 3, SIZE, SIZE)


def size(model: nn.Module, x: Tensor) -> tuple[int, int]:
    """Parameters and multiplications."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


def megabytes() -> float:
    """The peak of memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(name: str, share: float) -> dict[str, Any]:
    """The share of every group of units by this package."""
    model, x = network(name)
    size(model, x)
    tiny, pixel = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1)), x[:, :, :1, :1]
    pl.connectivity.coupled_units(tiny, inputs=pixel)
    pl.connectivity.compact(tiny, inputs=pixel)
    before, clock = megabytes(), time.process_time()
    units = pl.connectivity.coupled_units(model, inputs=x)
    followed = time.process_time()
    pruner = pruners.Magnitude(shape=pruners.Units(units), scope="uniform")
    masks = pl.prune(model, pruner, keep={"*": share})
    pruned = time.process_time()
    small = pl.connectivity.compact(model, masks, inputs=x)
    shrunk, after = time.process_time(), megabytes()
    values = pl.masks.apply({n: p.detach() for n, p in model.named_parameters()}, masks)
    with torch.no_grad():
        expected = torch.func.functional_call(model, values, (x,))
        difference = float((small(x) - expected).abs().max() / expected.abs().max())
    parameters, multiplications = size(small, x)
    return {
        "groups": len(units.groups), "parameters": parameters, "multiplications": multiplications,
        "follow_s": followed - clock, "prune_s": pruned - followed, "shrink_s": shrunk - pruned,
        "memory_mb": after - before, "difference": difference,
    }  # fmt: skip


def left_alone(name: str, model: nn.Module) -> list[nn.Module]:
    """What Torch-Pruning must not cut: outputs, and the width that layer normalisations mix."""
    if not isinstance(model, ViT):
        return [model.fc if name.startswith("resnet") else model.classifier]  # type: ignore[union-attr]
    stream = [module for block in model.blocks for module in (block.down, block.attention.proj)]  # type: ignore[union-attr]
    return [model.head, model.patches, *stream]


def theirs(name: str, share: float) -> dict[str, Any]:
    """The same by Torch-Pruning."""
    import torch_pruning as tp

    model, x = network(name)
    size(model, x)
    tiny = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1))
    tp.DependencyGraph().build_dependency(tiny, example_inputs=x)
    before, clock = megabytes(), time.process_time()
    heads: dict[nn.Module, int] = {}
    for module in model.modules():
        if isinstance(module, Attention):
            heads |= dict.fromkeys((module.q, module.k, module.v), 4)
    pruner = tp.pruner.BasePruner(
        model, x, importance=tp.importance.GroupMagnitudeImportance(p=1), pruning_ratio=1 - share,
        ignored_layers=left_alone(name, model), num_heads=heads, prune_num_heads=bool(heads),
        prune_head_dims=False,
        head_pruning_ratio=1 - share if heads else 0.0,
    )  # fmt: skip
    followed = time.process_time()
    pruner.step()
    pruned, after = time.process_time(), megabytes()
    parameters, multiplications = size(model, x)
    return {
        "groups": len(their_groups(name)), "parameters": parameters,
        "multiplications": multiplications, "follow_s": followed - clock,
        "prune_s": pruned - followed, "shrink_s": 0.0, "memory_mb": after - before,
        "difference": float("nan"),
    }  # fmt: skip


Group = frozenset[tuple[str, str]]


def their_groups(name: str) -> dict[Group, int]:
    """What goes together by Torch-Pruning's graph: the sides of layers, and how many units."""
    import torch_pruning as tp

    model, x = network(name)
    graph = tp.DependencyGraph().build_dependency(model, example_inputs=x)
    paths = {id(module): path for path, module in model.named_modules()}
    found: dict[Group, int] = {}
    for group in graph.get_all_groups(
        ignored_layers=left_alone(name, model), root_module_types=[nn.Conv2d, nn.Linear]
    ):
        sides = [
            (
                paths[id(d.target.module)],
                "out" if graph.is_out_channel_pruning_fn(d.handler) else "in",
            )
            for d, _ in group
            if id(d.target.module) in paths
        ]
        found[frozenset(sides)] = len(group[0][1])
    return found


def our_groups(name: str) -> dict[Group, int]:
    """What goes together by this package, in the same form."""
    model, x = network(name)
    found: dict[Group, int] = {}
    for group in pl.connectivity.coupled_units(model, inputs=x).groups:
        sides = {
            (part.parameter.rpartition(".")[0], "out" if part.axis == 0 else "in")
            for part in group.slices
        }
        found[frozenset(sides)] = group.size
    return found


def compare_groups() -> None:
    """Prints where the groups of the two differ."""
    for name in ("resnet18", "densenet121", "vit"):
        mine, other = our_groups(name), their_groups(name)
        both = mine.keys() & other.keys()
        print(f"{name}: {len(mine)} groups here, {len(other)} there, {len(both)} the same")
        for label, some in (("only here", mine), ("only there", other)):
            for group in some.keys() - both:
                sides = " ".join(f"{path}.{side}" for path, side in sorted(group))
                print(f"  {label}: {some[group]} units, {sides[:160]}")


def memory(what: str) -> float:
    """MiB of this process: `VmRSS` now, `VmHWM` at its peak since `clear_refs` was written."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def measured(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of processor time, and MiB that the process grows by meanwhile."""
    ctypes.CDLL(None).malloc_trim(0)  # what earlier calls have left would be used again unseen
    Path("/proc/self/clear_refs").write_text("5")
    before, start = memory("VmRSS"), time.process_time()
    call()
    return time.process_time() - start, memory("VmHWM") - before


def cost() -> None:
    """Prints what scoring ResNet-50 in units costs, in forward and backward passes, and memory."""
    model, _ = network("resnet50")
    x, y = torch.randn(8, 3, 224, 224), torch.arange(8)

    def once() -> None:
        functional.cross_entropy(model(x), y).backward()

    once()
    units = pl.connectivity.coupled_units(model, inputs=x[:1, :, :64, :64])
    followed = measured(lambda: pl.connectivity.coupled_units(model, inputs=x[:1, :, :64, :64]))
    data: dict[str, Any] = {"loss": functional.cross_entropy, "batches": [(x, y)]}
    shape = pruners.Units(units)
    units_of_snip = pruners.SNIP(shape=shape)
    calls: dict[str, Callable[[], object]] = {
        "pass": once,
        "SNIP": lambda: pl.prune(model, pruners.SNIP(), sparsity=0.5, **data),
        "SNIP in units": lambda: pl.prune(model, units_of_snip, sparsity=0.5, **data),
        "magnitude": lambda: pl.prune(model, pruners.Magnitude(shape=shape), sparsity=0.5),
    }
    rows: dict[str, list[tuple[float, float]]] = {label: [] for label in calls}
    for _ in range(2):
        for label, call in calls.items():
            rows[label].append(measured(call))
    a_pass = min(seconds for seconds, _ in rows["pass"])
    for label, found in {"following once": [followed], **rows}.items():
        seconds, most = min(one for one, _ in found), max(one for _, one in found)
        print(f"{label}: {seconds:.2f} s, {seconds / a_pass:.2f} passes, {most:.0f} MiB")


def main() -> None:
    """Runs one case, or all of them in processes of their own."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=3, metavar=("TOOL", "NETWORK", "SHARE"))
    parser.add_argument("--groups", action="store_true")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--threads", type=at_least_one, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.groups:
        compare_groups()
    elif arguments.cost:
        cost()
    elif arguments.case:
        tool, name, share = arguments.case
        found = (ours if tool == "prunelimits" else theirs)(name, float(share))
        row = {"network": name, "tool": tool, "share": share, **found}
        csv.DictWriter(sys.stdout, FIELDS).writerow({f: _shown(row[f]) for f in FIELDS})
    else:
        _all(arguments.threads)


def _all(threads: int) -> None:
    lines = [",".join(FIELDS)]
    for name in ("resnet18", "densenet121", "vit"):
        for share in SHARES:
            for tool in ("prunelimits", "torch-pruning"):
                command = [sys.executable, __file__, "--case", tool, name, str(share)]
                command += ["--threads", str(threads)]
                found = subprocess.run(command, capture_output=True, text=True, check=True)
                lines.append(found.stdout.strip().splitlines()[-1])
                print(lines[-1], flush=True)
    TABLE.write_text("\n".join(lines) + "\n")


def _shown(value: Any) -> Any:  # noqa: ANN401
    return f"{value:.3g}" if isinstance(value, float) else value


if __name__ == "__main__":
    main()
