"""Which parameters the Hessian is taken by, and which of them are pruned."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from prunelimits.arguments import checked_instance
from prunelimits.pruners import Part
from prunelimits.pruners.parts import parameters_of

_NORMALISATIONS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
    *(nn.GroupNorm, nn.LayerNorm, nn.RMSNorm),
)


def default_names(model: nn.Module) -> list[str]:
    """The parameters that require gradients, but for those of normalisation layers."""
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    left_out = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, _NORMALISATIONS)
        for parameter in module.parameters(recurse=False)
    }
    return [n for n, p in model.named_parameters() if p.requires_grad and id(p) not in left_out]


def pruned_names(
    model: nn.Module,
    names: tuple[str, ...],
    include: Iterable[Part],
    ignore: Iterable[Part],
    called: tuple[str, str] = ("include", "ignore"),
) -> tuple[str, ...]:
    """Of these parameters those of two axes or more, with what is included, without the ignored.

    Raises:
        ValueError: If nothing is left, or a part is not in the model or not among the names; the
            two arguments are `called` so.
    """
    included = parameters_of(model, called[0], include)
    ignored = parameters_of(model, called[1], ignore)
    parameters = dict(model.named_parameters())
    chosen = {
        name
        for name, parameter in parameters.items()
        if included.get(id(parameter)) or (id(parameter) in included and parameter.dim() > 1)
    }
    if not chosen <= set(names):
        raise ValueError(
            f"{called[0]} must be among names, {list(names)}, by which the Hessian is taken, got "
            f"{sorted(chosen - set(names))}"
        )
    found = (n for n in names if n in chosen or (n in parameters and parameters[n].dim() > 1))
    pruned = tuple(name for name in found if id(parameters[name]) not in ignored)
    if ignored and not pruned:
        raise ValueError(f"{called[1]} must leave something to prune of {list(names)}, got nothing")
    return pruned
