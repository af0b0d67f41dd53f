# Modules are taken apart and put together here, which torch has no public names for.
# pyright: reportPrivateUsage=false
# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Chains of linear layers, read off the modules themselves: no export is needed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.connectivity.following import transposes
from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.following.recording import Followed, Recorder
from prunelimits.models.mlp import MLP

_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Hardshrink,
    nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanhshrink, nn.Threshold,
)  # fmt: skip
_NOTHING = (nn.Identity, nn.Dropout, nn.AlphaDropout)


def plain_chain(model: nn.Module, inputs: object, aliases: Mapping[str, str]) -> Network | None:
    """The steps of an MLP or a plain sequence of linear layers and activations.

    None if it is anything else, has hooks, or is not called with one row of features a sample.
    """
    chain = _chain(model)
    if chain is None or any(_is_hooked(module) for module in model.modules()):
        return None
    linear = [module for _, module in chain if isinstance(module, nn.Linear)]
    if not linear or any(a.out_features != b.in_features for a, b in pairwise(linear)):
        return None
    if inputs is not None and not (
        isinstance(inputs, Tensor)
        and inputs.dim() == 2
        and len(inputs)
        and inputs.shape[1] == linear[0].in_features
    ):
        return None
    record = Recorder()
    x = record.source("input", (1, linear[0].in_features), torch.float64)
    parameters: dict[str, Followed] = {}
    for name, module in chain:
        if isinstance(module, nn.Linear):
            named = [f"{name}.{part}".lstrip(".") for part in ("weight", "bias")]
            for full_name, value in zip(named, (module.weight, module.bias), strict=True):
                if isinstance(value, Tensor) and aliases[full_name] not in parameters:
                    kept_as = aliases[full_name]
                    parameters[kept_as] = record.parameter(kept_as, value.shape, torch.float64)
            weight = parameters[aliases[named[0]]]
            bias = None if not isinstance(module.bias, Tensor) else parameters[aliases[named[1]]]
            shape = torch.Size([1, module.out_features])
            call = Call(name, functional.linear, (), {}, [(shape, torch.float64)], record)
            x = call.layer(
                x, weight, bias, functional.linear, -1,
                paths=transposes.linear, transposed=transposes.linear_transposed,
            )  # fmt: skip
        else:
            call = Call(name, module, (x,), {}, [(x.shape, torch.float64)], record)
            x = call.step((x,), lambda v: v, module)
    return Network(record.steps, [x.step], record.layers, ())


def _chain(model: nn.Module) -> list[tuple[str, nn.Module]] | None:
    if type(model) is MLP:
        result: list[tuple[str, nn.Module]] = []
        for depth, layer in enumerate(model.layers):
            if depth:
                result.append((f"activation {depth}", nn.ReLU()))
            result.append((f"layers.{depth}", layer))
        return result if all(type(layer) is nn.Linear for layer in model.layers) else None
    if type(model) is nn.Linear:
        return [("", model)]
    if type(model) is not nn.Sequential:
        return None
    result = []
    # Not `named_children`, which leaves out a module that stands in the sequence again.
    for name, module in model._modules.items():
        if type(module) is nn.Sequential:
            inner = _chain(module)
            if inner is None:
                return None
            result += [(f"{name}.{part}", leaf) for part, leaf in inner]
        elif type(module) is nn.Linear or type(module) in _ACTIVATIONS:
            result.append((name, module))
        elif type(module) not in _NOTHING:
            return None
    return result


def _is_hooked(module: nn.Module) -> bool:
    common = nn.modules.module
    hooks = (
        module._forward_hooks,
        module._forward_pre_hooks,
        common._global_forward_hooks,
        common._global_forward_pre_hooks,
    )
    return any(hooks) or "forward" in vars(module)
