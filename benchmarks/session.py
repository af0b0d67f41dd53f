"""What a pruning session costs between its rounds, beside a plain loop and torch's own pruning.

Prints, for an MLP of 10 million weights (batch 128) and a ResNet-18 (batch 16, images of 32 x 32
pixels) at 90 % sparsity, under SGD with momentum and AdamW, the time of a training step (forward,
backward, optimizer) as a multiple of the plain step:

- session: inside `with attach(masks, model, optimizer)`;
- optimizer: what a step with zeros in its state costs without the session, which spares AdamW the
  square roots of zeros, where torch takes them from MKL;
- torch: in the form of `torch.nn.utils.prune`;
- round: what one round of GMP takes beside the step, in forward and backward passes.

The loops take turns, step by step, on one thread. Of each the processor's time beside that of the
plain step in the same turn counts, and of these shares the median: so other work on the machine
hardly does. In brackets the same of the time on the clock, which it does enter.

Run it by `python benchmarks/session.py [steps] [models ...]`.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.masks import to_torch_prune
from prunelimits.models import resnet18
from prunelimits.pruners import GMP, Random, prune
from prunelimits.sessions import attach

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, weight_decay=1e-4),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-4),
    "AdamW, fused": lambda p: torch.optim.AdamW(p, lr=1e-4, fused=True),
}


def mlp() -> tuple[nn.Module, Tensor]:
    """Ten million weights in four layers, and a batch of 128."""
    layers = [nn.Linear(1000, 2000), nn.ReLU(), nn.Linear(2000, 2000), nn.ReLU()]
    layers += [nn.Linear(2000, 2000), nn.ReLU(), nn.Linear(2000, 10)]
    return nn.Sequential(*layers), torch.randn(128, 1000)


def residual() -> tuple[nn.Module, Tensor]:
    """A ResNet-18, and a batch of 16 images."""
    return resnet18(classes=10), torch.randn(16, 3, 32, 32)


MODELS = {"MLP": mlp, "ResNet-18": residual}


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    """One step of the training."""
    optimizer.zero_grad()
    functional.cross_entropy(model(x), y).backward()
    optimizer.step()


def times(run: Callable[[], object]) -> tuple[float, float]:
    """A call's seconds of the processor, and on the clock."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.process_time() - processor, time.perf_counter() - clock


def seconds(run: Callable[[], object]) -> float:
    """A call's seconds of the processor."""
    return times(run)[0]


def compare(make: Callable[[], tuple[nn.Module, Tensor]], name: str, steps: int) -> str:
    """A line of the table."""
    torch.manual_seed(0)
    plain, x = make()
    y = torch.randint(10, (len(x),))
    masks = prune(plain, Random(scope="erk"), sparsity=0.9)
    held, by_torch = copy.deepcopy(plain), copy.deepcopy(plain)
    to_torch_prune(by_torch, masks)
    loops = [(m, OPTIMIZERS[name](m.parameters())) for m in (plain, held, by_torch)]
    took: list[list[tuple[float, float]]] = []
    with attach(masks, *loops[1]):
        for number in range(steps + 2):
            turn = [times(lambda loop=loop: step(*loop, x, y)) for loop in loops]
            if number > 1:  # the first make the optimizer's state
                took.append(turn)

    def share(place: int, clock: int) -> float:
        return median(turn[place][clock] / turn[0][clock] for turn in took)

    outside = [[seconds(loops[place][1].step) for place in (0, 1)] for _ in range(9)]
    optimizer = median(turn[1] - turn[0] for turn in outside) / median(turn[0][0] for turn in took)
    return (
        f"session {share(1, 0):.3f} ({share(1, 1):.3f}), optimizer {1 + optimizer:.3f}, "
        f"torch {share(2, 0):.3f} ({share(2, 1):.3f}), GMP's round {round_of(plain, x, y):.2f}"
    )


def round_of(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The time of a round of GMP, in forward and backward passes."""
    optimizer = OPTIMIZERS["SGD"](model.parameters())
    session = attach(GMP(rounds=3), model, optimizer, sparsity=0.9, every=2)
    passes: list[float] = []
    rounds: list[float] = []
    for number in range(6):
        optimizer.zero_grad()
        passes.append(seconds(lambda: functional.cross_entropy(model(x), y).backward()))
        took = seconds(session.step)
        rounds.append(took if number % 2 else -took)
    with_a_round, without = min(r for r in rounds if r > 0), min(-r for r in rounds if r < 0)
    return (with_a_round - without) / min(passes)


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    for title in sys.argv[2:] or MODELS:
        for name in OPTIMIZERS:
            print(f"{title:<10} {name:<12} {compare(MODELS[title], name, steps)}", flush=True)


if __name__ == "__main__":
    main()
