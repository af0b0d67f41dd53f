"""How the cost of training grows: trainings a second against widths, members and threads.

Measures the engines as `benchmarks/engine.py` does, by the best of some short runs scaled up to
whole trainings of the paper's recipe on the Cubist Spiral, and writes `growth.csv` and
`growth.png`:

- against the width w of networks (2, w, w, w, 1), 16 a thread, the torch engine beside;
- against the members of an ensemble, the torch engine beside;
- against the native engine's threads.

Run it by `make growth`, or `python benchmarks/growth.py [folder]`; it takes a few minutes.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from engine import RECIPE, SIZES, batched, multiply_adds
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.training import AbstractEngine, MLPEnsemble, TorchEngine
from prunelimits.training.native_engine import NativeEngine, usable_threads
from prunelimits.viz import save_figure
from prunelimits.viz.palette import BLUE, GREY, INK, ORANGE, WHITE

WIDTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
MEMBERS = tuple(4**power for power in range(7))
# About this many multiply-adds a run, some tenths of a second, within these numbers of steps.
RUN_MULTIPLY_ADDS = 8 * 10**9
NATIVE_STEPS, TORCH_STEPS = (20, 2000), (2, 5)
REPEATS = 7


@dataclass(frozen=True)
class Point:
    """One measurement, for the panel of the figure that shows what grows."""

    panel: str
    engine: str
    widths: str
    members: int
    threads: int
    trainings_per_second: float


def measure(panel: str, engine: AbstractEngine, widths: tuple[int, ...], members: int) -> Point:
    """The best of some runs."""
    x, y = cubist_spiral()
    native = isinstance(engine, NativeEngine)
    work = multiply_adds(widths) * RECIPE.batch_size * members
    least, most = NATIVE_STEPS if native else TORCH_STEPS
    steps = max(least, min(most, RUN_MULTIPLY_ADDS // work))
    seconds = best(engine, MLPEnsemble(widths, members), x, y, steps)
    point = Point(
        panel=panel,
        engine=engine.name.split()[0],
        widths=" ".join(map(str, widths)),
        members=members,
        threads=engine.threads if native else usable_threads(),
        trainings_per_second=1 / (seconds * RECIPE.epochs * (len(x) // RECIPE.batch_size)),
    )
    print(*asdict(point).values(), flush=True)
    return point


def best(engine: AbstractEngine, ensemble: MLPEnsemble, x: Tensor, y: Tensor, steps: int) -> float:
    """The fewest seconds a step and model."""
    return min(batched(engine, ensemble, x, y, steps) for _ in range(REPEATS))


def measurements() -> Iterator[Point]:
    """All of them, panel by panel."""
    cores = usable_threads()
    for width in WIDTHS:
        for engine in (NativeEngine(), TorchEngine()):
            yield measure("width", engine, (2, width, width, width, 1), 16 * cores)
    for widths in SIZES:
        for members in MEMBERS:
            yield measure("members", NativeEngine(), widths, members)
    for members in MEMBERS:
        yield measure("members", TorchEngine(), SIZES[0], members)
    for widths in SIZES:
        for threads in sorted({*(2**power for power in range(cores.bit_length())), cores}):
            yield measure("threads", NativeEngine(threads), widths, 1024)


def draw(axes: Axes, points: Iterable[Point], colours: dict[tuple[str, str], str], by: str) -> None:
    """Curves of one panel, one for each engine and, but for the first panel, each size."""
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for point in points:
        if point.panel == by:
            widths = "" if by == "width" else point.widths
            along = int(point.widths.split()[1]) if by == "width" else getattr(point, by)
            curve = curves.setdefault((point.engine, widths), [])
            curve.append((along, point.trainings_per_second))
    for (engine, widths), curve in curves.items():
        label = f"{engine}, ({widths.replace(' ', ', ')})" if widths else engine
        style = "-" if engine == "native" else "--"
        colour = colours[engine, widths]
        axes.plot(*zip(*curve, strict=True), style, marker="o", ms=3, color=colour, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel({"width": "width w of (2, w, w, w, 1)"}.get(by, by), color=INK)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize="small")


def growth_figure(points: list[Point]) -> Figure:
    """The three panels."""
    figure = Figure((13.0, 4.4), facecolor=WHITE, layout="constrained")
    colours = {
        ("native", ""): BLUE,
        ("torch", ""): GREY,
        ("torch", " ".join(map(str, SIZES[0]))): GREY,
    }
    for widths, colour in zip(SIZES, (BLUE, ORANGE, INK), strict=True):
        colours["native", " ".join(map(str, widths))] = colour
    panels = figure.subplots(1, 3)
    for axes, by in zip(panels, ("width", "members", "threads"), strict=True):
        draw(axes, points, colours, by)
    panels[0].set_ylabel("trainings a second", color=INK)
    return figure


def main() -> None:
    """Measures, prints and writes."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/results")
    points = list(measurements())
    with (folder / "growth.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Point))
        for point in points:
            *rest, speed = asdict(point).values()
            writer.writerow([*rest, f"{speed:.4g}"])
    save_figure(growth_figure(points), folder / "growth.png")


if __name__ == "__main__":
    main()
