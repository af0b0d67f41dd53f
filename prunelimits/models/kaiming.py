"""How the networks of the papers start."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from prunelimits.arguments import checked_instance, checked_integer
from prunelimits.modes import in_plain_modes

Module = TypeVar("Module", bound=nn.Module)


@in_plain_modes
def kaiming(model: Module, seed: int) -> Module:
    """A network that was built on the meta device, in memory and with its first parameters.

    Weights of convolutions and linear layers are normal with variance `2 / fan_in`, as in
    [Delving deep into rectifiers](https://arxiv.org/abs/1502.01852), their biases zero;
    normalisations start as the identity. They are drawn from a generator of `seed` in the order of
    the modules, so nothing touches the global random state.

    Args:
        model: Linear layers, convolutions, batch normalisations and what has no parameters.
        seed: Any integer.

    Returns:
        The same module, on the CPU.

    Raises:
        TypeError: If `model` is no module or `seed` no integer.
        ValueError: If a parameter has no shape yet, as in a lazy layer.

    Examples:
        >>> with torch.device("meta"):
        ...     model = nn.Linear(800, 500)
        >>> weight = kaiming(model, seed=0).weight.detach()
        >>> round(float(weight.std()), 3), int(model.bias.count_nonzero())
        (0.05, 0)
    """
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    generator = torch.Generator("cpu").manual_seed(checked_integer("seed", seed) % 2**64)
    for name, value in model.named_parameters():
        if is_lazy(value):
            raise ValueError(f"model must have parameters with shapes, {name!r} is a lazy one")
    model.to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return model
