"""The units of a model that can be cut, with everything that goes with each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from prunelimits.arguments import checked_instance
from prunelimits.connectivity.coupling import Coupling, ParameterUse
from prunelimits.connectivity.following.model import Inputs
from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.moved_units import OUTSIDE
from prunelimits.connectivity.parameters import check_units
from prunelimits.connectivity.ties import Ties
from prunelimits.connectivity.trace import trace
from prunelimits.masks import CoupledUnits, UnitGroup, UnitSlices
from prunelimits.modes import in_plain_modes


@in_plain_modes
def coupled_units(model: nn.Module, *, inputs: Inputs = None) -> CoupledUnits:
    """The hidden units, channels and heads of a model, each with all that is cut with it.

    The model is followed as by `effective_masks`, and every element of every tensor in it is told
    which row of which weight it is made of. Units that meet in an element go together: channels
    that residual sums, gates or depthwise convolutions tie, all that a group of a grouped
    convolution or of a group normalisation reads, the queries, keys and values of a head. With them
    go biases, scales and shifts, and the columns of all layers behind. Units stay whole where they
    meet an input of the model or are an output, or where all meet, as in a layer normalisation.

    Args:
        model: Any model that `effective_masks` follows; it stays as it is.
        inputs: As for `effective_masks`. Only shapes and types count: small images are quicker.

    Raises:
        ValueError: If the model cannot be followed, or `inputs` is missing or does not fit.
        TypeError: If `model` is no module, or an input no tensor.

    Examples:
        >>> model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> print(coupled_units(model))
        units of   units  with
        0              8  0.weight[0], 0.bias[0], 2.weight[1]
        2          whole  what it gives is an output
    """
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    # Which zeros there are does not matter: nothing is asked but how tensors are made.
    traced = trace(model, {}, inputs)
    check_units(traced.parameters)
    return coupling_of(traced.network)


def coupling_of(network: Network) -> CoupledUnits:
    """As `coupled_units`, of a model that is followed already."""
    coupling = Coupling(network)
    shapes = {step: network.steps[n].shape for step, n in network.parameters.items()}
    members = _members(coupling.uses, coupling.ties, shapes)
    groups = _groups(members, coupling.ties)
    used = {part.parameter for group in groups for part in group.slices}
    sizes = {name: tuple(shape) for name, shape in shapes.items() if name in used}
    return CoupledUnits(groups, sizes, _whole(coupling))


_Members = dict[tuple[str, int], tuple[int, Tensor]]


def _members(
    uses: Sequence[ParameterUse], ties: Ties, shapes: Mapping[str, torch.Size]
) -> _Members:
    """The units along each axis of each parameter; what its uses disagree in stays whole."""
    by_name: dict[str, list[ParameterUse]] = {}
    for use in uses:
        by_name.setdefault(use.name, []).append(use)
    found: _Members = {}
    for name, own in by_name.items():
        for axis in range(len(shapes[name])):
            given = [use.axes[axis] for use in own if axis in use.axes]
            if not given:
                continue
            labels = torch.stack([labels for _, labels in given])
            _agree(labels, ties, name, everywhere=len(given) == len(own))
            found[name, axis] = min(kind for kind, _ in given), labels.max(0).values
    return found


def _agree(uses: Tensor, ties: Ties, name: str, *, everywhere: bool) -> None:
    """Ties the units that a parameter's uses see in the same place, `(uses, places)`."""
    reason = f"{name} is used in several places, and not alike"
    if not everywhere:
        ties.fix(uses, reason)
    for place in (uses != uses[0]).any(0).nonzero().flatten().tolist():
        units = uses[:, place]
        ties.join(units[units >= 0])
        # What reads a constant, as a first hidden state is, may lose it.
        if bool((units == OUTSIDE).any()):
            ties.fix(units, reason)


def _groups(members: _Members, ties: Ties) -> tuple[UnitGroup, ...]:
    """Sets of tied units that lie in the same axes stand side by side."""
    ordered = sorted(members, key=lambda key: members[key][0])
    roots = {key: ties.roots(members[key][1]) for key in ordered}
    lies_in: dict[int, list[tuple[str, int]]] = {}
    for key in ordered:
        for root in dict.fromkeys(roots[key].tolist()):
            if root >= 0 and ties.why_fixed(root) is None:
                lies_in.setdefault(root, []).append(key)
    alike: dict[tuple[tuple[str, int], ...], list[int]] = {}
    for root, keys in lies_in.items():
        alike.setdefault(tuple(keys), []).append(root)
    groups: list[UnitGroup] = []
    names: dict[str, int] = {}
    for keys, units in alike.items():
        if len(units) < 2:
            for root in units:
                ties.fix(torch.tensor([root], device="cpu"), "all its units go together")
            continue
        number = torch.full((ties.size + 3,), -1, device="cpu")
        number[torch.tensor(units, device="cpu")] = torch.arange(len(units), device="cpu")
        slices = tuple(
            UnitSlices(name, axis, tuple(number[roots[name, axis]].tolist()))
            for name, axis in keys
        )  # fmt: skip
        path = keys[0][0].removesuffix(".weight").removesuffix("_weight")
        names[path] = names.get(path, 0) + 1
        label = path if names[path] == 1 else f"{path} ({names[path]})"
        groups.append(UnitGroup(label, len(units), slices))
    return tuple(groups)


def _whole(coupling: Coupling) -> dict[str, str]:
    """Why layers stay whole, by path."""
    result: dict[str, str] = {}
    for name, rows in coupling.layers:
        reasons = [coupling.ties.why_fixed(unit) for unit in rows.tolist()]
        if all(reason is not None for reason in reasons) and reasons:
            path = name.removesuffix(".weight").removesuffix("_weight")
            result.setdefault(path, str(reasons[0]))
    return result
