"""Which parameters of a module pruners prune."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from prunelimits.masks import from_torch_prune
from prunelimits.types import Masks

_LAYERS = (nn.Linear, _ConvNd)


def prunable(model: nn.Module, ignore: Iterable[str | nn.Module] = ()) -> Masks:
    """Masks that keep everything, one for each weight that may be pruned.

    Those are the parameters of two or more axes of linear and convolutional layers. Weights that
    layers share count once, under their first name.

    Args:
        model: Any module.
        ignore: Modules, or names of modules or parameters, to leave alone with all they hold.

    Returns:
        Name -> bool tensor, in the order of the model's parameters and on their devices.

    Raises:
        ValueError: If there is nothing to prune, `ignore` names something that the model does not
            have, or the model keeps its weights in another form.
        TypeError: If `model` is not a module, or `ignore` holds something else.

    Examples:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> {name: mask.shape for name, mask in prunable(model, ignore=["2"]).items()}
        {'0.weight': torch.Size([2, 3])}
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a module, got {type(model).__name__}")
    _check_form(model)
    weights = {
        id(parameter)
        for layer in model.modules()
        if isinstance(layer, _LAYERS)
        for parameter in layer.parameters(recurse=False)
        if parameter.dim() >= 2
    }
    if isinstance(ignore, str | nn.Module):
        raise TypeError(f"ignore must be modules and names, got {ignore!r} by itself")
    ignored = {id(parameter) for part in ignore for parameter in _parameters_of(model, part)}
    result = {
        name: torch.ones_like(parameter, dtype=torch.bool)
        for name, parameter in model.named_parameters()
        if id(parameter) in weights - ignored
    }
    if not result:
        kinds = sorted({type(module).__name__ for module in model.modules()})
        left = " that ignore leaves" if weights else ""
        raise ValueError(f"model must have linear or convolutional layers{left}, got {kinds}")
    return result


def _parameters_of(model: nn.Module, part: str | nn.Module) -> list[nn.Parameter]:
    if not isinstance(part, str | nn.Module):
        raise TypeError(f"ignore must hold modules and names, got {part!r}")
    if isinstance(part, nn.Module):
        if all(part is not module for module in model.modules()):
            raise ValueError(f"ignore holds a {type(part).__name__} that is not in the model")
        return list(part.parameters())
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    parameters.update(model.named_parameters(remove_duplicate=False))
    if part in parameters:
        return [parameters[part]]
    if part and part in modules:
        return list(modules[part].parameters())
    raise ValueError(f"ignore names {part!r}, which is no module or parameter of the model")


def _check_form(model: nn.Module) -> None:
    if from_torch_prune(model):
        raise ValueError(
            "model is in torch.nn.utils.prune form: take masks.from_torch_prune(model) as masks "
            "and make the model plain with masks.make_permanent(model)"
        )
    for name, module in model.named_modules():
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            raise ValueError(f"model is wrapped in {type(module).__name__}: prune its .module")
        if parametrize.is_parametrized(module):
            raise ValueError(
                f"model has a parametrization at {name!r}: remove it with "
                "torch.nn.utils.parametrize.remove_parametrizations"
            )
    for name, parameter in model.named_parameters():
        if isinstance(parameter, UninitializedParameter):
            raise ValueError(f"model has no shape for {name!r} yet: run it on a batch first")
