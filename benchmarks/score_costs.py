"""What a score costs: time and memory as multiples of one forward-backward pass.

Prints, for a ResNet-50 on 16 images of 32 x 32 pixels and a ViT-B on 16 of 64 x 64, what every
score takes beside an ordinary forward-backward pass of the same batch:

- time: the processor's, on one thread, the least of some rounds in which the pass and the scores
  take turns: so other work on the machine hardly counts;
- memory: what the process needs at its peak beyond the model and the batch, each in a process of
  its own, with the allocator told to give memory back at once. For the pass that is activations and
  gradients, for a score what it returns as well.

At the end, what it takes to choose 10 of 100 million weights by their scores (`masks.top`): seconds
and bytes a weight beside the scores.

ProsPr takes three steps of training, a batch each, and the loss of a fourth: eight passes or so
before anything is differentiated twice. The diagonal of OBD is an estimate from one probe; the
exact one is a product a weight.

Run it by `python benchmarks/score_costs.py [rounds] [models ...]`, on Linux. What it measures of
the two models is kept in `docs/results/score-costs.csv`, and
`python benchmarks/score_costs.py table` prints that as the table of the page on methods.
"""

from __future__ import annotations

import csv
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
from prunelimits.masks import top
from prunelimits.models import resnet50
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
KEPT = Path(__file__).parents[1] / "docs" / "results" / "score-costs.csv"
COLUMNS = ("model", "score", "seconds", "MiB")


class ViT(nn.Module):
    """[ViT-B/16](https://arxiv.org/abs/2010.11929): 86 million weights, for images of 64 x 64."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 768, 16, 16)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 768))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 17, 768))
        block = nn.TransformerEncoderLayer(
            768, 12, 3072, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, 12, nn.LayerNorm(768), False)
        self.head = nn.Linear(768, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of ten classes."""
        h = self.patches(x).flatten(2).mT
        h = torch.cat([self.cls_token.expand(len(h), -1, -1), h], 1) + self.positions
        return self.head(self.blocks(h)[:, 0])


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ResNet-50": (lambda: resnet50(classes=10), (3, 32, 32)),
    "ViT-B": (ViT, (3, 64, 64)),
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


def measure(model: str, rounds: int) -> list[dict[str, str]]:
    """Rows of the kept file: the least seconds of the processor and the peak of memory."""
    everything = work_on(model)
    seconds = dict.fromkeys(everything, float("inf"))
    for _ in range(rounds):
        for label, work in everything.items():
            begin = time.process_time()
            work()
            seconds[label] = min(seconds[label], time.process_time() - begin)
    peaks = {label: peak_memory_of_its_own(model, label) / 2**20 for label in everything}
    return [
        dict(
            zip(
                COLUMNS, (model, label, f"{seconds[label]:.3f}", f"{peaks[label]:.1f}"), strict=True
            )
        )
        for label in everything
    ]


def kept_rows() -> list[dict[str, str]]:
    """What was measured, as it is kept."""
    with KEPT.open(newline="") as file:
        return list(csv.DictReader(file))


def keep(rows: list[dict[str, str]]) -> None:
    """Puts rows into the kept file, in place of those of the same models."""
    models = {row["model"] for row in rows}
    others = kept_rows() if KEPT.exists() else []
    with KEPT.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*(row for row in others if row["model"] not in models), *rows])


def table(rows: list[dict[str, str]]) -> str:
    """Time and memory of every score, as multiples of the pass."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    cost = {
        (row["model"], row["score"]): (float(row["seconds"]), float(row["MiB"])) for row in rows
    }
    titles = [f"{model}, {what}" for model in models for what in ("time", "memory")]
    lines = ["| Score | " + " | ".join(titles) + " |", "|---|" + "---:|" * len(titles)]
    for score in dict.fromkeys(row["score"] for row in rows):
        if score != PASS:
            shares = [
                f"{mine / whole:.2f}" if whole else "-"  # a pass too small to be seen
                for model in models
                for mine, whole in zip(cost[model, score], cost[model, PASS], strict=True)
            ]
            lines.append(f"| {score} | " + " | ".join(shares) + " |")
    return "\n".join(lines)


def peak_memory_of_choosing(entries: int) -> int:
    """Bytes that choosing a tenth needs at its peak, beside the scores."""
    ranked = {"weight": torch.randn(entries)}
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    top(ranked, entries // 10)
    return memory("VmHWM") - before


def choosing(entries: int) -> None:
    """Prints what choosing costs."""
    ranked = {"weight": torch.randn(entries)}
    begin = time.process_time()
    top(ranked, entries // 10)
    seconds = time.process_time() - begin
    print(f"choosing among {entries:,} weights: {seconds:.1f} s", end="", flush=True)
    del ranked
    print(f", {peak_memory_of_its_own('', str(entries)) / entries:.1f} bytes a weight")


def main() -> None:
    """Measures what the command line asks for."""
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--memory"]:
        model, label = sys.argv[2:]
        print(peak_memory(model, label) if model else peak_memory_of_choosing(int(label)))
        return
    if sys.argv[1:] == ["table"]:
        print(table(kept_rows()))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for model in sys.argv[2:] or [name for name in MODELS if name != "small"]:
        rows = measure(model, rounds)
        parameters = sum(p.numel() for p in MODELS[model][0]().parameters())
        print(f"{model}: {parameters:,} parameters, {BATCH} samples\n{table(rows)}", flush=True)
        if model != "small":
            keep(rows)
    choosing(100_000_000)


if __name__ == "__main__":
    main()
