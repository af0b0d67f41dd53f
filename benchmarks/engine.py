"""How fast networks train: the native engine beside the machine's peak and other ways.

Prints, for three network sizes and the paper's recipe on the Cubist Spiral (50 epochs of 390
batches of 128), trainings a second and multiply-adds a second. A training counts, for every sample
it takes, one multiply-add a weight forward, one for the weight's gradient, and one for the gradient
passed on to the layer below (not in the first layer); biases, activations, the loss and the update
count nothing. Every figure is the best of many short runs that take turns, since other work on the
machine only ever slows one down, and is scaled up to whole trainings. How much of the peak the
native engine reaches is told three times more: as the median over pairs of runs right after one
another; in processor time, in which other work does not count and neither do threads that wait; and
with every other vector instruction counted like a multiply-add: the share of the time that they all
need at least where the units for multiply-adds do the rest too, as in Intel's processors.

- peak: independent fused multiply-adds in registers and nothing else, in the engine's threads;
- native: the native engine, one epoch of 16 groups of models a thread, or of 4 of the largest;
- torch engine: batched matrix products on all cores, 512 models, and where there is a GPU, there;
- published style: one model in an ordinary PyTorch loop with a DataLoader, masks applied around
  every step, on one thread;
- tuned loop: one model, batches sliced from shuffled tensors, a fused optimizer, on one thread.

Then what sparse wide networks cost beside dense ones: a vector of them a thread, all with the same
random weights kept.

Run it by `make benchmark`, or `python benchmarks/engine.py [rounds]`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from prunelimits.datasets import cubist_spiral
from prunelimits.models import MLP, parameter_shapes
from prunelimits.training import AbstractEngine, MLPEnsemble, Recipe, TorchEngine
from prunelimits.training.engine import Plan
from prunelimits.training.native import library
from prunelimits.training.native_engine import NativeEngine
from prunelimits.training.plan import sample_order

RECIPE = Recipe()
SIZES = [(2, 3, 3, 3, 1), (2, 7, 3, 3, 1), (2, 16, 16, 16, 1)]
WIDE = (2, 256, 256, 256, 1)
KEPT_SHARES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
GPU_MODELS = 16384
PARTIAL_STEPS = 200
PAIRS = 10


def multiply_adds(widths: Iterable[int]) -> int:
    """Multiply-adds of one sample's forward and backward pass."""
    return sum(a * b * (3 if layer else 2) for layer, (a, b) in enumerate(pairwise(widths)))


def vector_instructions(widths: tuple[int, ...]) -> int:
    """Vector instructions of arithmetic for one sample of a vector of networks.

    Beside the multiply-adds these are, for a hidden unit, one each to add its bias, cut at zero,
    gate its derivative and sum its bias's gradient, and 19 for an output, most of them its sigmoid.
    """
    return multiply_adds(widths) + 4 * sum(widths[1:-1]) + 19 * widths[-1]


def published_loop(widths: tuple[int, ...], x: Tensor, y: Tensor, steps: int) -> float:
    """Seconds a step of one model, one DataLoader and one mask a parameter."""
    model = MLP(widths)
    masks = {name: torch.ones_like(value) for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(
        model.parameters(), RECIPE.lr, RECIPE.momentum, weight_decay=RECIPE.weight_decay
    )
    loader = DataLoader(
        TensorDataset(x, y), batch_size=RECIPE.batch_size, shuffle=True, drop_last=True
    )

    def apply_masks() -> None:
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.mul_(masks[name])

    begin = time.perf_counter()
    for _, (inputs, labels) in zip(range(steps), loader, strict=False):
        apply_masks()
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(model(inputs).squeeze(1), labels).backward()
        optimizer.step()
        apply_masks()
    return (time.perf_counter() - begin) / steps


def tuned_loop(widths: tuple[int, ...], x: Tensor, y: Tensor, steps: int) -> float:
    """Seconds a step of one model without what a small network can do without."""
    model = MLP(widths)
    optimizer = torch.optim.SGD(
        model.parameters(),
        RECIPE.lr,
        RECIPE.momentum,
        weight_decay=RECIPE.weight_decay,
        fused=True,
    )
    order = torch.randperm(len(x))
    parts = x[order].split(RECIPE.batch_size), y[order].split(RECIPE.batch_size)
    batches = list(zip(*parts, strict=True))
    begin = time.perf_counter()
    for inputs, labels in batches[:steps]:
        optimizer.zero_grad(set_to_none=True)
        functional.binary_cross_entropy_with_logits(model(inputs).squeeze(1), labels).backward()
        optimizer.step()
    return (time.perf_counter() - begin) / steps


@dataclass(frozen=True)
class Speed:
    """Multiply-adds a second, and a second of processor time of all threads together."""

    wall: float
    processor: float


def speed(work: Callable[[], float]) -> Speed:
    """What `work` says of its multiply-adds a second, and the same in processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    rate = work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return Speed(rate, rate * wall / processor)


def one_thread(work: Callable[[], float]) -> float:
    """What `work` returns, computed with one torch thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return work()
    finally:
        torch.set_num_threads(threads)


def batched(
    engine: AbstractEngine, ensemble: MLPEnsemble, x: Tensor, y: Tensor, steps: int
) -> float:
    """Seconds a step and model of an engine."""
    models, per_epoch = len(ensemble), len(x) // RECIPE.batch_size
    order = sample_order(len(x), seed=0, epoch=0)
    plan = Plan(
        loss="binary_cross_entropy",
        batch_size=RECIPE.batch_size,
        steps_per_epoch=per_epoch,
        lr=torch.full((-(-steps // per_epoch), models), RECIPE.lr, dtype=torch.float64),
        momentum=torch.full((models,), RECIPE.momentum, dtype=torch.float64),
        weight_decay=torch.full((models,), RECIPE.weight_decay, dtype=torch.float64),
        start=0,
        stop=steps,
        order=lambda epoch: order,
    )
    begin = time.perf_counter()
    engine.train(ensemble, x, y, plan)
    if x.is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - begin) / steps / models


def measure(
    engine: NativeEngine,
    loaded: library.Library,
    widths: tuple[int, ...],
    x: Tensor,
    y: Tensor,
    rounds: int,
) -> None:
    """Measures and prints one size of network."""
    kernel = engine.name.removeprefix("native ")
    steps = RECIPE.epochs * (len(x) // RECIPE.batch_size)
    # A few hundredths of a second each, so that the machine's quiet moments serve both alike.
    groups = (16 if max(widths) < 16 else 4) * engine.threads
    small = MLPEnsemble(widths, groups * loaded.lanes(kernel))
    large = MLPEnsemble(widths, 512)
    runs: dict[str, Callable[[], float]] = {
        "torch engine": lambda: batched(TorchEngine(), large, x, y, 5),
        "tuned loop": lambda: one_thread(lambda: tuned_loop(widths, x, y, PARTIAL_STEPS)),
        "published style": lambda: one_thread(lambda: published_loop(widths, x, y, PARTIAL_STEPS)),
    }
    if torch.cuda.is_available():
        on_gpu = MLPEnsemble(widths, GPU_MODELS, device="cuda")
        runs["torch on GPU"] = lambda: batched(TorchEngine(), on_gpu, x.cuda(), y.cuda(), 20)
    times = dict.fromkeys(runs, float("inf"))
    per_step = multiply_adds(widths) * RECIPE.batch_size
    pairs: list[tuple[Speed, Speed]] = []
    for _ in range(rounds):
        for _ in range(PAIRS):
            peak = speed(lambda: loaded.peak(kernel, engine.threads, 6 * 10**6))
            native = speed(lambda: per_step / batched(engine, small, x, y, 390))
            pairs.append((peak, native))
        for name, run in runs.items():
            times[name] = min(times[name], run())
    peaks, natives = zip(*pairs, strict=True)
    peak, native = (max(run.wall for run in runs) for runs in (peaks, natives))
    processor = max(n.processor for n in natives) / max(p.processor for p in peaks)
    median = statistics.median(n.wall / p.wall for p, n in pairs)
    work = per_step * steps
    print(f"{widths}: {work / 1e6:.0f} million multiply-adds a training")
    print(f"  peak            {peak / 1e9:9.1f} billion multiply-adds a second")
    print(
        f"  native          {native / 1e9:9.1f} billion, {native / peak:.0%} of peak "
        f"(median of pairs: {median:.0%}, in processor time: {processor:.0%})"
    )
    every = native / peak * vector_instructions(widths) / multiply_adds(widths)
    print(f"                  {every:.0%} of peak with all vector instructions counted")
    print(f"                  {native / work:9.1f} trainings a second")
    for name, value in times.items():
        each = value * steps
        print(
            f"  {name:<15} {1 / each:9.2f} trainings a second, {each:.2f} s each: "
            f"native is {each * native / work:,.0f} times as fast"
        )
    print()


def measure_sparse(
    engine: NativeEngine, loaded: library.Library, x: Tensor, y: Tensor, rounds: int
) -> None:
    """Measures and prints wide networks with shares of their weights."""
    kernel = engine.name.removeprefix("native ")
    models = engine.threads * loaded.lanes(kernel)
    ensembles: dict[float, MLPEnsemble] = {}
    for share in KEPT_SHARES:
        generator = torch.Generator().manual_seed(0)
        masks = {
            name: torch.rand(shape, generator=generator) < share
            for name, shape in parameter_shapes(WIDE).items()
        }
        ensembles[share] = MLPEnsemble(WIDE, models, masks=masks)
    times = dict.fromkeys(KEPT_SHARES, float("inf"))
    for _ in range(rounds):
        for share, ensemble in ensembles.items():
            times[share] = min(times[share], batched(engine, ensemble, x, y, 100))
    print(f"{WIDE}, {models} networks")
    for share, value in times.items():
        rate = share * multiply_adds(WIDE) * RECIPE.batch_size / value
        print(
            f"  {share:4.0%} kept: {1e3 * models * value:6.2f} ms a step, "
            f"{value / times[1.0]:4.0%} of dense, {rate / 1e9:5.1f} billion multiply-adds a second"
        )


def main() -> None:
    """Measures and prints."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    loaded = library.load()
    if loaded is None:
        sys.exit("prunelimits was installed without its native engine")
    engine = NativeEngine()
    x, y = cubist_spiral()
    print(f"{engine.name}, {engine.threads} threads; torch {torch.__version__}")
    print(f"{RECIPE.epochs} epochs, batches of {RECIPE.batch_size}; best of {rounds} rounds\n")
    for widths in SIZES:
        measure(engine, loaded, widths, x, y, rounds)
    measure_sparse(engine, loaded, x, y, rounds)


if __name__ == "__main__":
    main()
