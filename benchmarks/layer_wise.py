"""What methods that look at a layer's inputs cost on one layer, and how near the best they come.

    python benchmarks/layer_wise.py 1024 --threads 2
    python benchmarks/layer_wise.py --best

The first prints, for a layer of so many inputs and outputs and 4,096 samples of correlated inputs,
what each method takes to prune it to half: seconds on the clock and of the processors, and memory
at its peak beyond the model and the samples, each in a process of its own; and the squared error of
the layer's outputs that is left, beside that of the largest weights.

The second prints, for outputs of few inputs, how the errors that are left compare with the least of
all masks of the size, by trying every one.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import torch
from command_line import at_least_one
from torch import Tensor, nn

from prunelimits import pruners
from prunelimits.pruners import AbstractPruner
from prunelimits.scores.refit import refit

SAMPLES = 4096
METHODS: dict[str, AbstractPruner] = {
    "Magnitude": pruners.Magnitude(),
    "Wanda": pruners.Wanda(),
    "SparseGPT": pruners.SparseGPT(),
    "OBC": pruners.OBC(),
}


def layer(size: int) -> tuple[nn.Linear, Tensor]:
    """A layer, and inputs that can stand in for each other, some more than others."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(size, size, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.randn(size, size, generator=generator) / size**0.5)
    common = torch.randn(SAMPLES, size // 4 + 1, generator=generator)
    mixed = common @ torch.randn(size // 4 + 1, size, generator=generator) / size**0.5
    return model, mixed + 0.5 * torch.randn(SAMPLES, size, generator=generator)


def pruned(model: nn.Linear, x: Tensor, pruner: AbstractPruner, keep: int) -> tuple[Tensor, Tensor]:
    """The mask and the weights that are left."""
    if isinstance(pruner, pruners.OBC | pruners.SparseGPT):
        found = pruners.prune_with_weights(model, pruner, keep=keep, batches=[(x, x)])
        return found.masks["weight"], found.params["weight"]
    masks = pruners.prune(model, pruner, keep=keep, batches=[(x, x)])
    return masks["weight"], model.weight.detach() * masks["weight"]


def error(model: nn.Linear, x: Tensor, weights: Tensor) -> float:
    """The squared error of the outputs, as a share of the outputs' squares."""
    outputs = x @ model.weight.detach().T
    return float((outputs - x @ weights.T).square().sum() / outputs.square().sum())


def memory(what: str) -> int:
    """Bytes of this process: `VmRSS` now, `VmHWM` at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def measure(name: str, size: int) -> None:
    """Prints a method's line, in a process that has done nothing else."""
    model, x = layer(size)
    pruned(*layer(8), METHODS[name], 32)  # what torch loads on first use is not the method's
    Path("/proc/self/clear_refs").write_text("5")
    before, clock, processor = memory("VmRSS"), time.perf_counter(), time.process_time()
    _, weights = pruned(model, x, METHODS[name], size * size // 2)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    peak = (memory("VmHWM") - before) / 2**20
    left = error(model, x, weights)
    print(f"{name:12}{clock:9.2f} s{processor:9.2f} s{peak:9.0f} MiB{left:11.4f}", flush=True)


def near_the_best(inputs: int = 10, problems: int = 40) -> None:
    """Prints how often each method's mask is the best of all, and how much worse it is else."""
    generator = torch.Generator().manual_seed(0)
    ratios: dict[str, list[float]] = {name: [] for name in METHODS}
    for _ in range(problems):
        mix = torch.randn(inputs, inputs, generator=generator, dtype=torch.float64)
        x = torch.randn(60, inputs, generator=generator, dtype=torch.float64) @ mix
        model = nn.Linear(inputs, 1, bias=False).double()
        with torch.no_grad():
            drawn = torch.randn(1, inputs, generator=generator, dtype=torch.float64)
            model.weight.copy_(drawn)
        gram, weight = x.mT @ x, model.weight.detach()
        for keep in (2, 5, 8):
            errors: list[float] = []
            for places in combinations(range(inputs), keep):
                mask = torch.zeros(1, inputs, dtype=torch.bool)
                mask[0, list(places)] = True
                errors.append(fitted_error(weight, gram, mask))
            for name, pruner in METHODS.items():
                mask, _ = pruned(model, x, pruner, keep)
                ratios[name].append(fitted_error(weight, gram, mask) / min(errors))
    print(f"{'':12}{'best':>8}{'median':>9}{'nine of ten below':>20}")
    for name, found in ratios.items():
        exact = statistics.mean(ratio < 1 + 1e-9 for ratio in found)
        ninth = sorted(found)[9 * len(found) // 10]
        print(f"{name:12}{exact:8.0%}{statistics.median(found):9.2f}{ninth:20.1f}")


def fitted_error(weight: Tensor, gram: Tensor, mask: Tensor) -> float:
    """The least error with a mask."""
    change = refit(weight, gram, mask) - weight
    return float((change @ gram * change).sum())


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", type=at_least_one, nargs="?", default=1024)
    parser.add_argument("--threads", type=at_least_one, default=2)
    parser.add_argument("--best", action="store_true")
    parser.add_argument("--method", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.best:
        near_the_best()
    elif arguments.method:
        measure(arguments.method, arguments.size)
    else:
        print(f"{'':12}{'clock':>11}{'processors':>11}{'memory':>13}{'error':>11}", flush=True)
        for name in METHODS:
            command = [sys.executable, __file__, str(arguments.size), "--method", name]
            command += ["--threads", str(arguments.threads)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
