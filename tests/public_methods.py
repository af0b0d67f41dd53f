"""A small valid call of every public method that takes arguments, beside `public_calls.py`.

`PUBLIC_METHODS[name](folder)` makes an object anew and gives its method and the keyword arguments.
`test_public_calls.py` holds the table against the methods that public classes have.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import prunelimits as pl
from prunelimits import enumeration, limits, pruners, randomness, search
from prunelimits.types import Masks

from .public_calls import (
    WIDTHS,
    configuration,
    data,
    elimination,
    ensemble,
    hessian,
    limit,
    masks,
    model,
    public_names,
    resolve,
    search_store,
    spectrum,
    study,
    units,
    weights,
)

Method = tuple[Callable[..., Any], dict[str, Any]]

# Methods that only the library calls, with what it has checked or made itself.
INTERNAL = {
    "AbstractEngine": "an engine is called by fit and evaluate",
    "TorchEngine": "an engine is called by fit and evaluate",
    "AbstractCall": "what a rule is given; what a rule returns is checked",
    "Call": "what a rule is given; what a rule returns is checked",
    "FewerHeads": "called by the module that it is part of, as torch's own attention is",
    "EliminationPruner.prune_model": "prune calls it",
    "EliminatedNetwork.of": "of networks as elimination stacks them",
    "EligibleMasks.bits": "of ranks that are valid",
    "EligibleMasks.elements": "of ranks that are valid",
    "ModelMasks.elements": "of ranks that are valid",
    "SequenceSlice.elements": "of ranks that are valid",
    "PruningSession.after_step": "a hook calls it",
    "PruningSession.new_gradient": "a hook calls it",
    "PruningSession.start": "attach calls it",
    "PruningSession.resume": "attach calls it",
    "ModelPruner": "a protocol",
    "MLP.activations": "computes as forward does",
    "MLP.forward": "torch's layers check what they are given, as in any module",
    **dict.fromkeys(
        ("Schedule", "AtOnce", "Gradual", "Rewind", "Moving", "DropGrow"),
        "a pruner calls its schedule, with what it has checked",
    ),
    **dict.fromkeys(
        ("Shape", "Weights", "NOfM", "Tiling", "Blocks", "Units", "Ranking"),
        "a pruner calls its shape, with what it has checked",
    ),
    **dict.fromkeys(("geometric", "cubic"), "a schedule calls its curve"),
    "Store.absorb": "merge_stores calls it with stores that are open",
    "Store.rows_of": "absorb calls it",
    "Store.add": "the search's driver calls it with a result of its own",
    "StateKeeper.note": "Lanczos calls it after a step",
}
# What a caller passes through pruners: the extension points of their bases.
HOOKS = {"init", "left", "scores", "update"}


def method_names() -> Iterator[str]:
    """Every method that takes arguments, by where it is defined: `"limits.Hessian.vector"`."""
    seen: set[str] = set()
    for name in public_names():
        found: Any = resolve(name)
        if not inspect.isclass(found) or issubclass(found, BaseException):
            continue
        room = name.split(".")[1]
        for key, value in inspect.getmembers(found, callable):
            if key.startswith("_") and key != "__getitem__":
                continue
            if not str(getattr(value, "__module__", "")).startswith("prunelimits"):
                continue
            where = value.__qualname__
            if where in seen or not _arguments(found, key):
                continue
            seen.add(where)
            if room == "pruners" and key in HOOKS:
                continue
            if where not in INTERNAL and where.split(".")[0] not in INTERNAL:
                yield f"{room}.{where}"


def _arguments(found: type, key: str) -> list[str]:
    of_class = isinstance(inspect.getattr_static(found, key), classmethod | staticmethod)
    parameters = list(inspect.signature(getattr(found, key)).parameters)
    return parameters if of_class else parameters[1:]


def sweep() -> limits.PruningSweep:
    return limits.magnitude_sweep(*_problem(), list(weights()), removed=(0.0, 0.5), test=[data()])


def _problem() -> tuple[Any, Any]:
    x, y = data()
    task, params = pl.problem_of(model(), _loss, [(x, y)])
    return task, params


def _loss(outputs: Tensor, labels: Tensor) -> Tensor:
    return (outputs[:, 0] - labels).square().mean()


def eliminated() -> search.EliminatedNetwork:
    return search.eliminate(*data(), elimination(), nonzeros=12).networks[-1]


def space() -> enumeration.ModelMasks:
    return enumeration.ModelMasks((2, 2, 1))


def layer_masks() -> enumeration.EligibleMasks:
    return enumeration.EligibleMasks(2, 2)


def stacked() -> Masks:
    return {name: mask[None].expand(3, *mask.shape) for name, mask in masks().items()}


def store(folder: Path) -> search.Store:
    return search.Store(search_store(folder), write=False)


def new_store(folder: Path) -> search.Store:
    return search.Store(folder / "new.sqlite", write=True)


WIDE = search.StructuredWidths(2, 1)
EVERY = search.EveryWidths(12, 1)

PUBLIC_METHODS: dict[str, Callable[[Path], Method]] = {
    "elimination.Elimination.recipes": lambda _: (elimination().recipes, {"samples": 64}),
    "elimination.Regrowth.recipes": lambda _: (pl.elimination.Regrowth().recipes, {"samples": 64}),
    "elimination.EliminatedNetwork.placed": lambda _: (
        eliminated().placed,
        {"widths": (2, 16, 16, 16, 1)},
    ),
    "enumeration.LazySequence.__getitem__": lambda _: (layer_masks().__getitem__, {"index": 1}),
    "enumeration.LazySequence.index": lambda _: (
        layer_masks().index,
        {"value": layer_masks()[1], "start": 0, "stop": 3},
    ),
    "enumeration.EligibleMasks.rank": lambda _: (layer_masks().rank, {"value": layer_masks()[1]}),
    "enumeration.EligibleMasks.take": lambda _: (layer_masks().take, {"ranks": [0, 1]}),
    "enumeration.SequenceSlice.__getitem__": lambda _: (space()[1:3].__getitem__, {"index": 1}),
    "enumeration.SequenceSlice.rank": lambda _: (space()[1:3].rank, {"value": space()[1]}),
    "enumeration.ModelMasks.nonzeros": lambda _: (space().nonzeros, {"ranks": [0, 1]}),
    "enumeration.ModelMasks.random": lambda _: (
        space().random,
        {"n": 2, "generator": torch.Generator().manual_seed(0)},
    ),
    "enumeration.ModelMasks.rank": lambda _: (space().rank, {"value": space()[1]}),
    "enumeration.ModelMasks.ranks": lambda _: (space().ranks, {"rows": space().take([0, 1])}),
    "enumeration.ModelMasks.take": lambda _: (space().take, {"ranks": [0, 1]}),
    "experiments.Study.method": lambda _: (study().method, {"name": study().names[0]}),
    "experiments.Study.network": lambda _: (
        study().network,
        {"width": 4, "inputs": 2, "outputs": 1},
    ),
    "experiments.Study.runs": lambda _: (
        study().runs,
        {"inputs": 2, "outputs": 1},
    ),
    "limits.Hessian.product": lambda _: (hessian().product, {"vectors": torch.ones(23)}),
    "limits.Hessian.vector": lambda _: (hessian().vector, {"params": weights()}),
    "limits.PruningLimit.rescaled": lambda _: (limit().rescaled, {"factor": 0.5}),
    "limits.Spectrum.density": lambda _: (
        spectrum().density,
        {"points": torch.linspace(0, 1, 5), "width": 0.1},
    ),
    "limits.Spectrum.mean": lambda _: (spectrum().mean, {"function": torch.abs}),
    "limits.Spectrum.of_eigenvalues": lambda _: (
        limits.Spectrum.of_eigenvalues,
        {"eigenvalues": torch.linspace(0.1, 2.0, 8, dtype=torch.float64)},
    ),
    "limits.Spectrum.with_zero_mass": lambda _: (spectrum().with_zero_mass, {"fraction": 0.5}),
    "limits.PruningSweep.removed_before_loss_of": lambda _: (
        sweep().removed_before_loss_of,
        {"accuracy": 0.01},
    ),
    "limits.PruningSweep.removed_within": lambda _: (sweep().removed_within, {"epsilon": 0.1}),
    "masks.CoupledUnits.complete": lambda _: (units().complete, {"masks": masks()}),
    "masks.CoupledUnits.kept": lambda _: (units().kept, {"masks": masks()}),
    "masks.CoupledUnits.masks": lambda _: (
        units().masks,
        {"kept": {"layers.0": torch.tensor([True, False, True, True])}},
    ),
    "models.MLP.from_params": lambda _: (
        pl.MLP.from_params,
        {"widths": WIDTHS, "params": {n: v.detach() for n, v in model().named_parameters()}},
    ),
    "pruners.AbstractPruner.budget": lambda _: (
        pruners.Magnitude().budget,
        {"masks": masks(), "keep": 9},
    ),
    "pruners.AbstractPruner.for_model": lambda _: (
        pruners.Magnitude(shape=pruners.Units(pl.connectivity.coupled_units)).for_model,
        {"model": pl.MLP((2, 3, 1))},
    ),
    "pruners.AbstractPruner.interval": lambda _: (pruners.GMP().interval, {"steps": 100}),
    "pruners.AbstractPruner.update_steps": lambda _: (pruners.GMP().update_steps, {"steps": 100}),
    "randomness.Permutation.at": lambda _: (
        randomness.Permutation(10).at,
        {"positions": np.array([0, 1])},
    ),
    "randomness.Permutation.positions": lambda _: (
        randomness.Permutation(10).positions,
        {"numbers": [0, 1]},
    ),
    "search.SearchConfig.from_json": lambda _: (
        search.SearchConfig.from_json,
        {"text": configuration().to_json()},
    ),
    "search.SearchConfig.masks_of": lambda _: (configuration().masks_of, {"widths": (2, 2, 1)}),
    "search.EveryWidths.family": lambda _: (EVERY.family, {"inputs": 2, "outputs": 1}),
    "search.EveryWidths.space": lambda _: (EVERY.space, {"inputs": 2, "outputs": 1}),
    "search.EveryWidths.widest": lambda _: (EVERY.widest, {"inputs": 2, "outputs": 1}),
    "search.MasksOf.space": lambda _: (
        search.MasksOf((2, 2, 1)).space,
        {"inputs": 2, "outputs": 1},
    ),
    "search.StructuredWidths.space": lambda _: (WIDE.space, {"inputs": 2, "outputs": 1}),
    "search.Store.begin_phase": lambda folder: (new_store(folder).begin_phase, {"phase": WIDE}),
    "search.Store.best": lambda folder: (store(folder).best, {"phase": WIDE}),
    "search.Store.describe": lambda folder: (
        new_store(folder).describe,
        {"description": {"seed": "3"}},
    ),
    "search.Store.finished": lambda folder: (store(folder).finished, {"phase": WIDE}),
    "search.Store.shards": lambda folder: (store(folder).shards, {"phase": WIDE}),
    "training.Cost.plus": lambda _: (_cost().plus, {"other": _cost()}),
    "training.MLPEnsemble.__getitem__": lambda _: (
        ensemble().__getitem__,
        {"members": torch.tensor([0, 1])},
    ),
    "training.MLPEnsemble.from_params": lambda _: (
        pl.MLPEnsemble.from_params,
        {"widths": WIDTHS, "params": ensemble().params, "masks": ensemble().masks},
    ),
    "training.MLPEnsemble.member": lambda _: (ensemble().member, {"index": 1}),
    "training.MLPEnsemble.replace": lambda _: (
        ensemble().replace,
        {"params": ensemble().params, "masks": stacked(), "momentum": ensemble().momentum},
    ),
    "viz.Page.save": lambda folder: (
        pl.viz.playground(model(), masks()).save,
        {"path": folder / "page.html"},
    ),
}


def _cost() -> pl.training.Cost:
    return pl.training.training_cost(ensemble(), steps=2, batch_size=16)
