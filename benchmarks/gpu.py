"""What a GPU is worth: right, and how fast, in one run of under five minutes.

- the tests marked `gpu`: masks, sessions, effective weights, limits and trainings as on the CPU;
- the torch engine on the GPU, trainings a second (50 epochs of 390 batches of 128, from part of an
  epoch) of 512 to 65,536 members, beside the native engine on all cores of the same machine, in
  float32 with and without TF32;
- scores of ResNet-50 and of a network as large as ViT-B, in multiples of a forward and backward
  pass of the same batch;
- the spectrum of ResNet-18, seconds a Lanczos step.

Run: python benchmarks/gpu.py RESULT.json [--dry]
`--dry` does all of it on the CPU and small, which says whether the script runs and nothing else.
Every part is written as soon as it is done.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import prunelimits as pl
from prunelimits.models import resnet18, resnet50
from prunelimits.training import AbstractEngine, TorchEngine
from prunelimits.training.native_engine import NativeEngine, available
from prunelimits.training.plan import make_plan

SIZES = [(2, 3, 3, 3, 1), (2, 7, 3, 3, 1), (2, 16, 16, 16, 1)]
MEMBERS = (512, 4_096, 16_384, 65_536)
METHODS = [
    pl.pruners.Magnitude(),
    pl.pruners.SNIP(),
    pl.pruners.GraSP(),
    pl.pruners.SynFlow(rounds=1),
]


def seconds(work: Callable[[], Any], device: str, least: float = 0.5) -> float:
    """Of one call: the best of as many as take some time, each waited for."""
    best, spent = float("inf"), 0.0
    while spent < least:
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
        spent += time.perf_counter() - began
    return best


def trainings(device: str, dry: bool) -> list[dict[str, Any]]:
    """Trainings a second by widths, members and engine."""
    x, y = pl.datasets.cubist_spiral(2_000 if dry else 49_982)
    recipe = pl.Recipe(epochs=50)
    whole = make_plan([recipe], len(x), loss="binary_cross_entropy")
    steps = len(x) // recipe.batch_size
    rows: list[dict[str, Any]] = []

    def measure(
        engine: AbstractEngine, name: str, widths: tuple[int, ...], members: int, on: str
    ) -> None:
        ensemble = pl.MLPEnsemble(widths, members, seed=0, device=on)
        plan = make_plan([recipe] * members, len(x), loss="binary_cross_entropy", stop=steps)
        data = x.to(on), y.to(on)
        taken = seconds(lambda: engine.train(ensemble, *data, plan), on, 0.2)
        rate = members / taken * steps / (whole.stop)
        rows.append(
            {"engine": name, "widths": widths, "members": members, "trainings_a_second": rate}
        )
        print(f"{name:16} {'-'.join(map(str, widths)):14} {members:7,} members {rate:10,.1f}")

    for widths in SIZES:
        if available():
            measure(NativeEngine(), "native, CPU", widths, 64 if dry else 2_048, "cpu")
        for members in MEMBERS[:1] if dry else MEMBERS:
            for tf32 in (False, True) if device == "cuda" else (False,):
                torch.backends.cuda.matmul.allow_tf32 = tf32
                name = f"torch, {device}{', TF32' if tf32 else ''}"
                measure(TorchEngine(), name, widths, members, device)
    torch.backends.cuda.matmul.allow_tf32 = False
    return rows


class Encoder(nn.Module):
    """A transformer encoder over patches, with ViT-B/16's shapes unless it is told others."""

    def __init__(self, size: int = 768, depth: int = 12, heads: int = 12) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, size, 16, 16)
        layer = nn.TransformerEncoderLayer(
            size, heads, 4 * size, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(size, 1000)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of images."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        return self.head(self.blocks(tokens).mean(1))


def scores(device: str, dry: bool) -> list[dict[str, Any]]:
    """Seconds of every score, and as multiples of one forward and backward pass."""
    networks = {
        "ResNet-50": lambda: resnet50(classes=1000),
        "ViT-B/16": lambda: Encoder(48, 2, 2) if dry else Encoder(),
    }
    side, samples = (32, 4) if dry else (224, 64)
    rows: list[dict[str, Any]] = []
    for name, make in networks.items():
        model = make().to(device)
        images = torch.randn(samples, 3, side, side, device=device)
        labels = torch.arange(samples, device=device)

        def both_passes(model: nn.Module = model, x: Tensor = images, y: Tensor = labels) -> None:
            functional.cross_entropy(model(x), y).backward()
            model.zero_grad()

        plain = seconds(both_passes, device)
        for method in METHODS:

            def prune(
                model: nn.Module = model,
                method: pl.pruners.AbstractPruner = method,
                batch: tuple[Tensor, Tensor] = (images, labels),
            ) -> None:
                loss = functional.cross_entropy
                pl.prune(model, method, sparsity=0.9, loss=loss, batches=[batch])

            taken = seconds(prune, device)
            row = {"network": name, "method": type(method).__name__, "seconds": taken}
            rows.append(row | {"passes": taken / plain})
            print(f"{name:12} {row['method']:12} {taken:8.3f} s {taken / plain:6.2f} passes")
    return rows


def spectrum(device: str, dry: bool) -> dict[str, float]:
    """Seconds of a Lanczos step on ResNet-18 at 32 x 32."""
    model = resnet18(classes=10, width=8 if dry else 64).to(device)
    x = torch.randn(16 if dry else 256, 3, 32, 32, device=device)
    y = torch.arange(len(x), device=device) % 10
    problem, params = pl.problem_of(model, functional.cross_entropy, [(x, y)])
    names = pl.limits.default_names(model)
    hessian = pl.limits.Hessian(problem, params, names)
    steps = 3 if dry else 20

    def work() -> None:
        pl.limits.lanczos_spectrum(hessian, probes=1, steps=steps)

    taken = seconds(work, device) / steps
    print(f"ResNet-18: {taken:.3f} s a Lanczos step")
    return {"seconds_a_step": taken}


def tests() -> dict[str, Any]:
    """What pytest says of the tests marked `gpu`."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "--no-header", "tests"]
    done = subprocess.run(command, capture_output=True, text=True)
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:]
    print(last)
    return {"code": done.returncode, "said": last, "failed": done.stdout.splitlines()[-15:-1]}


def main() -> None:
    """Runs all parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("result", type=Path)
    parser.add_argument("--dry", action="store_true")
    options = parser.parse_args()
    if not options.dry and not torch.cuda.is_available():
        parser.error("there is no GPU that torch can use; --dry tries the script on the CPU")
    device = "cpu" if options.dry else "cuda"
    found: dict[str, Any] = {
        "device": platform.processor() if options.dry else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "dry": options.dry,
    }
    parts: dict[str, Callable[[], Any]] = {
        "tests": tests,
        "trainings": lambda: trainings(device, options.dry),
        "scores": lambda: scores(device, options.dry),
        "spectrum": lambda: spectrum(device, options.dry),
    }
    for name, part in parts.items():
        began = time.perf_counter()
        try:
            found[name] = part()
        except (RuntimeError, ValueError, TypeError) as error:
            # One part that fails must not cost the others their turn on a machine that is lent.
            found[name] = {"error": f"{type(error).__name__}: {error}"}
            print(f"{name}: {found[name]['error']}")
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        options.result.write_text(json.dumps(found, indent=1))
    if any("error" in part for part in found.values() if isinstance(part, dict)):
        sys.exit(1)


if __name__ == "__main__":
    main()
