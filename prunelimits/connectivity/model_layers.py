"""The layers of a model as its report tells them: a row for each weight matrix or normalisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from prunelimits.connectivity.flow import Flow, any_of_units
from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.following.recording import LayerUse
from prunelimits.connectivity.following.steps import Constant, Parameter
from prunelimits.connectivity.path_counts import PathCounts
from prunelimits.connectivity.report import LayerReport, ParameterKind
from prunelimits.connectivity.trace import Traced
from prunelimits.types import Masks


class Units(NamedTuple):
    """Of a layer's units, bool `(units,)` each.

    Attributes:
        live: An input reaches it.
        carries: It need not be zero.
        reaches: It reaches an output.
        on_path: A path from an input to an output goes through it.
    """

    live: Tensor
    carries: Tensor
    reaches: Tensor
    on_path: Tensor

    def causes(self) -> dict[str, int]:
        """The counts of a `LayerReport`."""
        dead = ~self.on_path
        constant = dead & ~self.live & self.carries & self.reaches
        no_input = dead & ~self.live & ~constant
        return {
            "units": len(dead),
            "connected": int(self.on_path.sum()),
            "cut_off_from_input": int(no_input.sum()),
            "cut_off_from_output": int((dead & self.live).sum()),
            "constant": int(constant.sum()),
        }


def model_layers(
    traced: Traced, flow: Flow, effective: Masks, paths: PathCounts | None
) -> list[LayerReport]:
    """A row for each matrix, with its bias, and for what else a module has, as they are first used.

    A matrix that is used several times has one row: a unit is connected if it is in any use.
    """
    network, kept = traced.network, traced.parameters.masks
    uses: dict[str, list[LayerUse]] = {}
    for use in network.layers:
        for name in _made_of(network, use.weight):
            if kept[name].dim() > 1:
                uses.setdefault(name, []).append(use)
    layers: list[LayerReport] = []
    for title, matrices, others in _rows(traced, uses):
        units, inputs = NO_UNITS, 0
        through: tuple[int, ...] | Callable[[], tuple[int, ...]] = ()
        if matrices and matrices[0] in uses:
            found = uses[matrices[0]]
            # Parts of a matrix that are used by themselves are told one after the other.
            parts = _parts(network, found, kept[matrices[0]].numel())
            units = Units(
                *map(torch.cat, zip(*(_units(network, flow, p) for p in parts), strict=True))
            )
            inputs = max(_inputs(flow, part) for part in parts)
            if paths is not None:
                through = partial(_through, paths, parts)
        layers.append(
            LayerReport(
                name=title,
                weights=entries(kept, matrices),
                nonzero_weights=count_kept(kept, matrices),
                effective_weights=count_kept(effective, matrices),
                biases=entries(kept, others),
                nonzero_biases=count_kept(kept, others),
                effective_biases=count_kept(effective, others),
                inputs=inputs,
                paths=through,
                **units.causes(),
            )
        )
    return layers


def _through(paths: PathCounts, parts: list[list[LayerUse]]) -> tuple[int, ...]:
    """Paths through each unit, those of all its uses together."""
    found: list[int] = []
    for part in parts:
        each = [paths.through(use.product) for use in part]
        found += [sum(column) for column in zip(*each, strict=True)]
    return tuple(found)


NO_UNITS = Units(*[torch.zeros(0, dtype=torch.bool, device="cpu")] * 4)


def _rows(
    traced: Traced, uses: dict[str, list[LayerUse]]
) -> list[tuple[str, list[str], list[str]]]:
    """The title, the matrices and the other parameters of each row."""
    network, kept = traced.network, traced.parameters.masks
    order = dict(network.parameters)
    for name, found in uses.items():
        order[name] = found[0].product
    for name, number in network.parameters.items():
        if name not in uses:
            readers = [n for n, step in enumerate(network.steps) if number in step.inputs]
            order[name] = readers[0] if readers else number
    names = sorted((name for name in kept if name in order), key=order.__getitem__)
    modules: dict[str, list[str]] = {}
    for name in names:
        if kept[name].dim() > 1:
            modules.setdefault(name.rpartition(".")[0], []).append(name)
    rows: dict[str, tuple[list[str], list[str]]] = {}
    for name in names:
        module = name.rpartition(".")[0]
        matrices = modules.get(module, [])
        if len(matrices) <= 1:
            title = module or name
        elif kept[name].dim() > 1:
            title = name
        else:
            weight = name.replace("bias", "weight")
            title = weight if weight in matrices else name
        row = rows.setdefault(title, ([], []))
        row[0 if kept[name].dim() > 1 else 1].append(name)
    return [(title, *row) for title, row in rows.items()]


def _parts(network: Network, uses: list[LayerUse], size: int) -> list[list[LayerUse]]:
    """The uses of a whole matrix together, and each use of a part of it by itself."""
    whole: dict[int, list[LayerUse]] = {}
    others: list[list[LayerUse]] = []
    for use in uses:
        if network.steps[use.weight].shape.numel() == size:
            # Read in both directions, it has units on both sides.
            units = network.steps[use.product].shape[use.axis]
            whole.setdefault(units, []).append(use)
        else:
            others.append([use])
    return [*whole.values(), *others]


def _made_of(network: Network, number: int) -> list[str]:
    """The parameters that a step is made of."""
    step = network.steps[number]
    if isinstance(step, Parameter):
        return [step.name]
    return [name for i in step.inputs for name in _made_of(network, i)]


def _units(network: Network, flow: Flow, uses: list[LayerUse]) -> Units:
    parts: list[list[Tensor]] = []
    for use in uses:
        behind = _shifted(network, use)
        elements = (
            flow.live[use.output],
            flow.carries[behind],
            flow.reaches[behind],
            flow.live[use.output] & flow.reaches[use.output],
        )
        parts.append([any_of_units(part, use.axis) for part in elements])
    return Units(*(torch.stack(part).any(0) for part in zip(*parts, strict=True)))


def _shifted(network: Network, use: LayerUse) -> int:
    """The step behind a scale and a shift, which decide whether a unit is a constant."""
    number, steps = use.output, network.steps
    while True:
        readers = [i for i, step in enumerate(steps) if number in step.inputs]
        if len(readers) != 1:
            return number
        step = steps[readers[0]]
        others = [steps[i] for i in step.inputs if i != number]
        fixed = all(isinstance(other, Parameter | Constant) for other in others)
        scales = others or step.name.startswith("_native_batch_norm")
        if not (fixed and scales and step.shape == steps[number].shape):
            return number
        number = readers[0]


def _inputs(flow: Flow, uses: list[LayerUse]) -> int:
    found = [flow.entered[use.product] for use in uses if use.product in flow.entered]
    return int(torch.stack(found).any(0).sum()) if found else 0


def parameter_kinds(traced: Traced, effective: Masks) -> tuple[ParameterKind, ...]:
    """How many parameters of each kind there are, are kept and are effective."""
    network, kept = traced.network, traced.parameters.masks
    kinds: dict[str, list[str]] = {
        "weights": [], "embeddings": [], "biases": [], "normalisation": [], "other": [],
        "not read": [],
    }  # fmt: skip
    looked_up, contracted, added, scaled = _roles(network)
    read = {i for step in network.steps for i in step.inputs} | set(network.outputs)
    for name, mask in kept.items():
        if network.parameters.get(name) not in read:
            kind = "not read"
        elif name in looked_up:
            kind = "embeddings"
        elif name in contracted and mask.dim() > 1:
            kind = "weights"
        elif name in scaled or name.rpartition(".")[0] in {n.rpartition(".")[0] for n in scaled}:
            kind = "normalisation"
        elif name in added:
            kind = "biases"
        else:
            kind = "other"
        kinds[kind].append(name)
    return tuple(
        ParameterKind(
            kind, entries(kept, names), count_kept(kept, names), count_kept(effective, names)
        )
        for kind, names in kinds.items()
        if names
    )


def _roles(network: Network) -> tuple[set[str], set[str], set[str], set[str]]:
    """The parameters that are looked up, contracted, added, and multiplied element by element."""
    looked_up: set[str] = set()
    contracted: set[str] = set()
    added: set[str] = set()
    scaled: set[str] = set()
    for step in network.steps:
        for i in step.inputs:
            if network.steps[i].varies:
                continue
            role = added
            if getattr(step, "contracts", False):
                role = looked_up if "embedding" in step.name else contracted
            elif type(step).__name__ == "Product":
                role = scaled
            elif not step.varies:
                role = looked_up if "embedding" in step.name else set[str]()
            role.update(_made_of(network, i))
    return looked_up, contracted, added, scaled


def entries(masks: Masks, names: list[str]) -> int:
    """How many parameters there are by these names."""
    return sum(masks[name].numel() for name in names)


def count_kept(masks: Masks, names: list[str]) -> int:
    """How many of them the masks keep."""
    return sum(int(masks[name].count_nonzero()) for name in names)
