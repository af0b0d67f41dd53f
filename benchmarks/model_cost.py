"""What following a large model costs, beside what cannot be saved: an export and a forward pass.

For ResNet-50, ViT-B/16 and BERT-base without weights of their own, 99 % of each matrix pruned at
random: the processor's seconds of `torch.export` alone and of one forward pass in float32, of
`effective_masks` and of `analyze`, and how many times the first two together that is; the memory
that each takes at most beside what the process held before, and how many times the model's
parameters and what its modules give that is. All in one run, one thread, one process a network. The
goal is at most 3 times and at most 4 times. With `--paths`, also what counting the paths takes,
which happens when they are read.

Run it by `make model-cost`, which has torchvision and transformers. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from networks_of_libraries import without_its_operations
from torch import Tensor, nn

from prunelimits.connectivity import analyze, effective_masks

_SPARSITY = 0.99
NETWORKS = ("ResNet-50", "ViT-B/16", "BERT-base")


def network(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A network in evaluation mode, and what it is called with."""
    without_its_operations()
    if name == "BERT-base":
        import transformers

        ids = torch.arange(128)[None] + 1000
        model = transformers.BertForSequenceClassification(transformers.BertConfig())
        return model.eval(), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    from torchvision import models

    make = models.resnet50 if name == "ResNet-50" else models.vit_b_16
    return make(weights=None).eval(), {"x": torch.randn(1, 3, 224, 224)}


def pruned(model: nn.Module) -> dict[str, Tensor]:
    """Masks that keep one entry in a hundred of each matrix, at random."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(p.shape, generator=generator) >= _SPARSITY
        for name, p in model.named_parameters()
        if p.dim() > 1
    }


def activations(model: nn.Module, inputs: dict[str, Tensor]) -> int:
    """The bytes of all that the modules without parts give in one forward pass."""
    given = 0

    def add(module: nn.Module, args: object, result: object) -> None:
        nonlocal given
        given += result.nbytes if isinstance(result, Tensor) else 0

    hooks = [m.register_forward_hook(add) for m in model.modules() if not list(m.children())]
    with torch.no_grad():
        model(**inputs)
    for hook in hooks:
        hook.remove()
    return given


def seconds(function: Callable[[], object], repeats: int = 1) -> float:
    """The least of several runs."""
    found: list[float] = []
    for _ in range(repeats):
        begin = time.process_time()
        function()
        found.append(time.process_time() - begin)
    return min(found)


def held(key: str) -> int:
    """Bytes that the process holds ("VmRSS"), or has held at most ("VmHWM")."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"the system does not tell {key}")


def peak(function: Callable[[], object]) -> int:
    """The bytes that a call holds at most beside what was held before it."""
    Path("/proc/self/clear_refs").write_text("5")
    before = held("VmRSS")
    function()
    return held("VmHWM") - before


def row(name: str, *, paths: bool) -> str:
    """The row of a network."""
    model, inputs = network(name)
    masks = pruned(model)

    def forward() -> object:
        with torch.no_grad():
            return model(**inputs)

    size = sum(p.nbytes for p in model.parameters()) + activations(model, inputs)
    # What comes first pays for what is imported.
    effective_masks(nn.Sequential(nn.Flatten(), nn.Linear(2, 2)), inputs=torch.zeros(1, 2))
    alone = seconds(lambda: torch.export.export(model, (), inputs, strict=False), 2)
    once = seconds(forward, 3)
    cells = [name, f"{alone:.1f} s", f"{once:.2f} s"]
    for function in (effective_masks, analyze):
        begin = time.process_time()
        most = peak(lambda call=function: call(model, masks, inputs=inputs))
        took = time.process_time() - begin
        cells.append(f"{took:.1f} s, {took / (alone + once):.1f} times")
        cells.append(f"{most / 1e9:.2f} GB, {most / size:.1f} times")
    if paths:
        report = analyze(model, masks, inputs=inputs)
        took = seconds(lambda: report.paths)
        cells.append(f"{took:.1f} s, 2^{(report.paths or 1).bit_length() - 1}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints the table, a process a network; or the row of the network that is named."""
    parser = argparse.ArgumentParser(description="What following a large model costs.")
    parser.add_argument("--paths", action="store_true", help="count the paths too")
    parser.add_argument("--network", choices=NETWORKS, help="the row of one network alone")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if arguments.network:
        print(row(arguments.network, paths=arguments.paths), flush=True)
        return
    more = ["--paths"] * arguments.paths
    header = ["network", "export", "forward", "masks", "memory", "analysis", "memory"]
    header += ["paths"] * arguments.paths
    print(f"| {' | '.join(header)} |\n|---{'|---:' * (len(header) - 1)}|", flush=True)
    for name in NETWORKS:
        subprocess.run([sys.executable, __file__, *more, "--network", name], check=True)


if __name__ == "__main__":
    main()
