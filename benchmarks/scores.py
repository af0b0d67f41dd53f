"""What a score costs: time and memory as multiples of one forward-backward pass.

Prints, for a ResNet-18 on images of 32 x 32 pixels and an MLP of 10 million weights, one batch of
16 samples each, what every score takes beside an ordinary forward-backward pass of the same batch:

- time: the processor's, on one thread, the least of some rounds in which the pass and the scores
  take turns: so other work on the machine hardly counts;
- memory: what the process needs at its peak beyond the model and the batch, each in a process of
  its own, with the allocator told to give memory back at once. For the pass that is activations and
  gradients, for a score what it returns as well.

ProsPr takes three steps of training, a batch each, and the loss of a fourth: eight passes or so
before anything is differentiated twice. The diagonal of OBD is an estimate from one probe; the
exact one is a product a weight.

Run it by `python benchmarks/scores.py [rounds]`, on Linux.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from prunelimits import MLP, scores
from prunelimits.problem import problem_of
from prunelimits.types import Scores

BATCH = 16
SCORES: dict[str, Callable[..., Scores]] = {
    "magnitude": scores.magnitude,
    "random": scores.random,
    "lamp": scores.lamp,
    "snip": scores.snip,
    "grasp": scores.grasp,
    "synflow": scores.synflow,
    "prospr": scores.prospr,
    "obd, Hessian, one probe": partial(scores.obd, probes=1),
    "obd, Gauss-Newton, one probe": partial(scores.obd, probes=1, gauss_newton=True),
}
PASS = "forward-backward pass"


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, d_in: int, d_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(d_in, d_out, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(d_out)
        self.second = nn.Conv2d(d_out, d_out, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(d_out)
        self.shortcut = (
            nn.Sequential(nn.Conv2d(d_in, d_out, 1, stride, bias=False), nn.BatchNorm2d(d_out))
            if stride > 1
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """The block's outputs."""
        hidden = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(hidden)) + self.shortcut(x))


def resnet18() -> nn.Module:
    """[ResNet-18](https://arxiv.org/abs/1512.03385) as it is used on CIFAR: no pooling at first."""
    blocks: list[nn.Module] = []
    d_in = 64
    for d_out in (64, 128, 256, 512):
        blocks += [Block(d_in, d_out, 1 if d_out == 64 else 2), Block(d_out, d_out, 1)]
        d_in = d_out
    stem = (nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ResNet-18": (resnet18, (3, 32, 32)),
    "MLP of 10 million weights": (lambda: MLP((784, 2048, 2048, 2048, 10)), (784,)),
    "small": (lambda: MLP((4, 4, 10)), (4,)),
}


def work_on(name: str) -> dict[str, Callable[[], object]]:
    """The pass and every score, ready to run on one model."""
    make, shape = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()  # as scores are computed
    x, y = torch.randn(BATCH, *shape), torch.randint(10, (BATCH,))
    problem, params = problem_of(model, nn.functional.cross_entropy, [(x, y)])
    weights = {n: v for n, v in params.items() if v.dim() > 1}
    masks = {n: torch.ones_like(v, dtype=torch.bool) for n, v in weights.items()}
    noise = {n: torch.rand_like(v) for n, v in weights.items()}

    def forward_backward() -> object:
        return torch.autograd.grad(problem.loss(model(x), y), list(model.parameters()))

    return {PASS: forward_backward} | {
        label: partial(score, problem, params, masks, noise) for label, score in SCORES.items()
    }


def memory(what: str) -> int:
    """Bytes of this process: `VmRSS` now, `VmHWM` at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def peak_memory(model: str, label: str) -> int:
    """Bytes that one piece of work needs at its peak, in this process, which has done no other."""
    work_on("small")[label]()  # what torch loads and compiles on first use is not the score's
    work = work_on(model)[label]
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    result = work()
    peak = memory("VmHWM")
    assert result is not None
    return peak - before


def peak_memory_of_its_own(model: str, label: str) -> int:
    """`peak_memory` in a new process."""
    command = [sys.executable, __file__, "--memory", model, label]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    return int(subprocess.check_output(command, text=True, env=environment))


def measure(model: str, rounds: int) -> None:
    """Measures and prints one model."""
    everything = work_on(model)
    seconds = dict.fromkeys(everything, float("inf"))
    for _ in range(rounds):
        for label, work in everything.items():
            begin = time.process_time()
            work()
            seconds[label] = min(seconds[label], time.process_time() - begin)
    peaks = {label: peak_memory_of_its_own(model, label) for label in everything}
    weights = sum(p.numel() for p in MODELS[model][0]().parameters())
    print(f"{model}: {weights:,} parameters, {BATCH} samples")
    print(f"  {PASS}: {seconds[PASS]:.3f} s, {peaks[PASS] / 2**20:.0f} MiB")
    print(f"  {'':30}{'time':>8}{'memory':>8}")
    for label in SCORES:
        times, memory = seconds[label] / seconds[PASS], peaks[label] / peaks[PASS]
        print(f"  {label:30}{times:8.2f}{memory:8.2f}", flush=True)


def main() -> None:
    """Measures what the command line asks for."""
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--memory"]:
        print(peak_memory(sys.argv[2], sys.argv[3]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for model in MODELS:
        if model != "small":
            measure(model, rounds)


if __name__ == "__main__":
    main()
