# Modules are taken apart and put together here, which torch has no public names for.
# pyright: reportPrivateUsage=false
"""The connected core of a network as a smaller network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from prunelimits.arguments import checked_flag, checked_instance
from prunelimits.connectivity.core_check import CoreCheck
from prunelimits.connectivity.coupled_cuts import with_coupled_units
from prunelimits.connectivity.cuts import Cuts
from prunelimits.connectivity.cutting import cut_modules, lose_heads, rewritten
from prunelimits.connectivity.flow import find_flow, flow_masks
from prunelimits.connectivity.folding import fold_model
from prunelimits.connectivity.following.exporting import plain_copy
from prunelimits.connectivity.following.model import Inputs
from prunelimits.connectivity.following.values import Argument
from prunelimits.connectivity.parameters import check_units, like_parameters
from prunelimits.connectivity.trace import Traced, Unknown, trace
from prunelimits.connectivity.unit_groups import needed_units
from prunelimits.masks import apply
from prunelimits.models.mlp import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks, Params


@in_plain_modes
def compact(
    model: nn.Module,
    masks: Masks | None = None,
    *,
    inputs: Inputs = None,
    keep_constants: bool = False,
    unknown: Unknown = "sound",
) -> nn.Module:
    """A smaller plain network that computes the same: units and channels that count for nothing go.

    Constants are folded first, as by `fold_constants`. What is left of a layer without any unit is
    one unit with zero weights: a network without any path is a constant. Inputs and outputs stay.
    Linear layers (also on sequences), convolutions (grouped ones only if depthwise) and batch
    normalisations are cut, and with them hidden units of feed-forward blocks, and heads of
    attention: those of `torch.nn.MultiheadAttention`, in whose place a `FewerHeads` stands, and
    those of other classes with a projection each for queries, keys and values. Everything else
    stays whole, and `kept_whole` says what and why.

    Before it is returned, the core is called beside the model in float64 on random inputs, of the
    example's sizes and of others if the model takes any: longer sequences, larger images. What
    counts for nothing, or is constant, at the example's sizes only stays.

    Args:
        model: Any model that `effective_masks` follows; it stays as it is.
        masks: As for `effective_masks`.
        inputs: As for `effective_masks`.
        keep_constants: For training: only units that cannot change an output go. A unit without
            live inputs but with a trainable bias learns, and stays.
        unknown: As for `effective_masks`.

    Returns:
        A copy of the model with smaller layers: the same class, hooks, tied parameters, modes,
        types, devices and `requires_grad`. Where its code has the sizes written out, as in
        `x.view(-1, 400)` or `x.view(b, t, 4, 16)` for four heads, a `torch.fx.GraphModule` instead,
        if `torch.fx` can follow it. Parameters
        are copies, zero where the masks prune; what `torch.nn.utils.prune` pruned is plain. Its
        attribute `kept_whole` is a dict: the paths of layers that keep units or heads which count
        for nothing -> why.

    Raises:
        ValueError: As for `effective_masks`, or if the core does not compute what the model does.
        TypeError: As for `effective_masks`.

    Examples:
        >>> import torch
        >>> model = MLP((2, 16, 16, 1))
        >>> masks = {n: torch.zeros_like(p).bool() for n, p in model.named_parameters()}
        >>> for name in masks:
        ...     masks[name].flatten()[:3] = True
        >>> compact(model, masks)
        MLP(
          widths=(2, 2, 1, 1)
          (layers): ModuleList(
            (0): Linear(in_features=2, out_features=2, bias=True)
            (1): Linear(in_features=2, out_features=1, bias=True)
            (2): Linear(in_features=1, out_features=1, bias=True)
          )
        )
    """
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    checked_flag("keep_constants", keep_constants)
    traced = trace(model, masks, inputs, unknown)
    check_units(traced.parameters)
    others = traced.other_examples(model, inputs)
    if keep_constants:
        values, kept = traced.parameters.values, traced.parameters.masks
    else:
        values, kept = fold_model(traced, lambda: [traced.at(model, call) for call in others])
    flow = find_flow(traced.network, kept)
    left = flow_masks(traced.network, flow, keep_constants=True)
    params = like_parameters(model, apply(dict(values), left))
    modules = dict(plain_copy(model).named_modules())
    if type(model) is MLP:
        cuts = needed_units(traced.network, flow, modules)
        return _telling(_mlp(model, _core(model, traced, params, cuts)), cuts.whole)
    masked = like_parameters(model, traced.parameters.values)
    examples = [traced.example(model, inputs), *others]
    check = CoreCheck(_core(model, traced, masked, Cuts()), examples)
    # Branches such as torch.cond are compiled, and cannot be while operations are watched.
    watched = all("." in operation for operation in traced.network.unknown)
    whole = _core(model, traced, params, Cuts())
    held = check.hold(whole, watched=watched)
    if others and not held:
        # Entries that count for nothing may do so at the example's sizes only.
        params = like_parameters(model, apply(dict(values), kept))
        elsewhere = traced.at(model, others[0])
        if elsewhere.network.steps:
            traced, flow = elsewhere, find_flow(elsewhere.network, kept)
            left = flow_masks(traced.network, flow, keep_constants=True)
        whole = _core(model, traced, params, Cuts())
        held = check.hold(whole, watched=watched)
    for flatten in (True, False):
        cuts = needed_units(traced.network, flow, modules, flatten=flatten)
        # What is kept whole although nothing of it counts may go with what is tied to it.
        more = with_coupled_units(traced.network, left, modules, cuts) if cuts.whole else cuts
        for tried in [
            *([more] if more.modules.keys() != cuts.modules.keys() or more.attributes else []),
            cuts,
            *([_with_all_heads(cuts)] if cuts.heads else []),
        ]:
            if not (tried.modules or tried.heads or tried.attributes) and held:
                return _telling(whole, tried.whole)
            core = _core(model, traced, params, tried)
            if check(core):
                return _telling(core, tried.whole)
            graph = rewritten(_core(model, traced, params, Cuts()), *check.example)
            if flatten and graph is not None and not tried.heads:
                cut_modules(graph, tried.modules)
                if check(graph):
                    return _telling(_with_modes(graph, model), tried.whole)
    reason = check.reason
    if not check(whole):
        raise ValueError(f"model {type(model).__name__} cannot be made compact: {check.reason}")
    return _telling(whole, dict.fromkeys(cuts.modules, f"the model needs its sizes: {reason}"))


def _with_all_heads(cuts: Cuts) -> Cuts:
    reason = "the model does not compute the same without some of its heads"
    return Cuts(cuts.modules, {}, {**cuts.whole, **dict.fromkeys(cuts.heads, reason)})


def _telling(core: nn.Module, whole: Mapping[str, str]) -> Argument:
    """The core, which says what of it was kept whole."""
    vars(core)["kept_whole"] = dict(whole)
    return core


def _core(model: nn.Module, traced: Traced, params: Params, cuts: Cuts) -> nn.Module:
    """A copy of the model with its parameters' new values, cut."""
    core = plain_copy(model)
    copies: dict[int, Any] = {}
    for path, module in core.named_modules():
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is None:
                    continue
                if id(tensor) not in copies:
                    full = f"{path}.{name}".lstrip(".")
                    kept_as = traced.parameters.aliases.get(full, full)
                    value = params[kept_as] if table is module._parameters else tensor
                    new: Tensor = value.detach().clone()
                    if table is module._parameters:
                        new = nn.Parameter(new, requires_grad=tensor.requires_grad)
                    copies[id(tensor)] = new
                table[name] = copies[id(tensor)]
    for module in core.modules():
        # What a recurrent layer keeps beside its parameters.
        if isinstance(module, nn.RNNBase):
            module._flat_weights = [getattr(module, n) for n in module._flat_weights_names]
    cut_modules(core, cuts.modules)
    lose_heads(core, cuts.heads)
    for path, numbers in cuts.attributes.items():
        for name, number in numbers.items():
            setattr(core.get_submodule(path), name, number)
    return core


def _mlp(model: MLP, core: nn.Module) -> MLP:
    state = {name: value.detach() for name, value in core.named_parameters()}
    weights = [value for name, value in state.items() if name.endswith("weight")]
    widths = [weights[0].shape[1], *(len(weight) for weight in weights)]
    result = MLP.from_params(widths, state)
    for name, parameter in result.named_parameters():
        parameter.requires_grad_(model.get_parameter(name).requires_grad)
    return _with_modes(result, model)


def _with_modes(core: nn.Module, model: nn.Module) -> Argument:
    modes = {path: module.training for path, module in model.named_modules()}
    for path, module in core.named_modules():
        module.training = modes.get(path, model.training)
    return core
