"""A Lanczos step of a Hessian: this library beside PyHessian and curvlinops, time and memory.

For an MLP of ten million weights and for ResNet-18 (3 by 3 stem, images of 32 by 32), in float32
and with the same batch: processor seconds of one Hessian-vector product, and of one fully
reorthogonalised Lanczos step, the best of several; the process's peak memory beyond what a gradient
needs; and the largest difference from the product in float64, relative to the largest entry. All
steps are this library's around each one's product; for PyHessian its own Lanczos too. The step that
is timed is the last of as many as products are asked for: it is orthogonal to all vectors before.

- ours: the graph of the gradient is kept from one product to the next;
- ours, no graphs: it is made anew, as for data that does not fit into memory;
- PyHessian: its single-batch mode (keeps the graph) and its data loader (does not);
- curvlinops: HessianLinearOperator.

Processor seconds of all threads, which other work on the machine does not lengthen much; run it
with OMP_NUM_THREADS=1. Each runs in a process of its own, and is left out where it is not
installed: `python benchmarks/limits.py [batch size] [products]`.
"""

from __future__ import annotations

import contextlib
import json
import math
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.limits import Hessian, lanczos, lanczos_start
from prunelimits.problem import problem_of

CONTENDERS = ("ours", "ours, no graphs", "PyHessian", "PyHessian, loader", "curvlinops")
NETWORKS = ("MLP", "ResNet-18")


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        return functional.relu(self.path(x) + self.shortcut(x))


def network(name: str) -> nn.Module:
    """The network to differentiate, in evaluation mode."""
    torch.manual_seed(0)
    if name == "MLP":
        layers: list[nn.Module] = [nn.Flatten()]
        widths = (3072, 2500, 800, 300, 10)
        for d_in, d_out in pairwise(widths):
            layers += [nn.Linear(d_in, d_out), nn.ReLU()]
        return nn.Sequential(*layers[:-1]).eval()
    blocks: list[nn.Module] = []
    channels = 64
    for out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [Block(channels, out, stride), Block(out, out, 1)]
        channels = out
    stem = (nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    return nn.Sequential(*stem, *blocks, *head).eval()


def product_of(
    contender: str, model: nn.Module, batch: tuple[Tensor, Tensor]
) -> Callable[[Tensor], Tensor]:
    """A Hessian's product with a flat vector, by one of the libraries."""
    loss = nn.CrossEntropyLoss()
    if contender.startswith("ours"):
        problem, params = problem_of(model, loss, [batch])
        names = [name for name, _ in model.named_parameters()]
        return Hessian(problem, params, names, keep_graphs=contender == "ours").product
    parameters = list(model.parameters())
    if contender.startswith("PyHessian"):
        from pyhessian import hessian
        from pyhessian.utils import hessian_vector_product

        sizes = [p.numel() for p in parameters]
        loader = contender.endswith("loader")
        theirs = hessian(
            model,
            loss,
            cuda=False,
            **{"dataloader" if loader else "data": [batch] if loader else batch},
        )

        def product(vector: Tensor) -> Tensor:
            parts = [v.view_as(p) for v, p in zip(vector.split(sizes), parameters, strict=True)]
            if loader:
                result = theirs.dataloader_hv_product(parts)[1]
            else:
                result = hessian_vector_product(theirs.gradsH, theirs.params, parts)
            return torch.cat([part.detach().flatten() for part in result])

        return product
    from curvlinops import HessianLinearOperator

    operator = HessianLinearOperator(model, loss, parameters, [batch], check_deterministic=False)
    return lambda vector: (operator @ vector).detach()


def measure(contender: str, name: str, size: int, products: int) -> dict[str, float]:
    """One contender's figures; runs in a process of its own."""
    model = network(name)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size, 3, 32, 32, generator=generator)
    y = torch.randint(0, 10, (size,), generator=generator)
    vector = torch.randn(sum(p.numel() for p in model.parameters()), generator=generator)
    # A gradient, so that the libraries underneath have their buffers.
    functional.cross_entropy(model(x), y).backward()
    model.zero_grad()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    product = product_of(contender, model, (x, y))
    seconds: list[float] = []
    for _ in range(products):
        began = time.process_time()
        found = product(vector)
        seconds.append(time.process_time() - began)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    times = [time.process_time()]
    lanczos(
        lambda v: product(v[0])[None],
        lanczos_start(vector[None]),
        products,
        on_step=lambda _: times.append(time.process_time()),
    )
    step = times[-1] - times[-2]
    own = pyhessian_step(model, (x, y), products) if contender == "PyHessian" else math.nan
    problem, params = problem_of(model, nn.CrossEntropyLoss(), [(x, y)])
    names = [n for n, _ in model.named_parameters()]
    exact = Hessian(problem, params, names, dtype=torch.float64).product(vector)
    error = float((found - exact).abs().max() / exact.abs().max())
    figures = {"product": min(seconds), "step": step, "own": own}
    return {**figures, "memory": memory / 2**20, "error": error}


def pyhessian_step(model: nn.Module, batch: tuple[Tensor, Tensor], steps: int) -> float:
    """The last step of PyHessian's own Lanczos, which is orthogonal to all earlier vectors too."""
    from pyhessian import hessian

    inside = sys.modules["pyhessian.hessian"]
    product, times = inside.hessian_vector_product, []

    def timed(*arguments: object) -> object:
        times.append(time.process_time())
        return product(*arguments)

    inside.hessian_vector_product = timed
    # It ends by torch.eig, which torch has no longer; the steps are done by then.
    with contextlib.suppress(RuntimeError):
        hessian(model, nn.CrossEntropyLoss(), data=batch, cuda=False).density(steps + 1, 1)
    return times[-1] - times[-2]


def main() -> None:
    """All contenders, one after the other."""
    warnings.simplefilter("ignore")
    if len(sys.argv) > 3:
        figures = measure(sys.argv[3], sys.argv[4], int(sys.argv[1]), int(sys.argv[2]))
        print(json.dumps(figures))
        return
    size = sys.argv[1] if len(sys.argv) > 1 else "32"
    products = sys.argv[2] if len(sys.argv) > 2 else "5"
    for name in NETWORKS:
        weights = sum(p.numel() for p in network(name).parameters())
        print(f"{name}: {weights:,} parameters, batch of {size}, {torch.get_num_threads()} threads")
        for contender in CONTENDERS:
            command = [sys.executable, __file__, size, products, contender, name]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if run.returncode:
                print(f"  {contender:18} left out: {run.stderr.strip().splitlines()[-1]}")
                continue
            figures = json.loads(run.stdout.splitlines()[-1])
            print(
                f"  {contender:18} product {figures['product']:7.3f} s   "
                f"step {figures['step']:7.3f} s   its own {figures['own']:7.3f} s   "
                f"memory {figures['memory']:6.2f} GB   error {figures['error']:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
