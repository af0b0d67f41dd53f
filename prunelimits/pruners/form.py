"""Forms of a module in which its weights are not its own tensors: refused, with the remedy."""

from __future__ import annotations

from collections.abc import Container

from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from prunelimits.masks import from_torch_prune

# By name: importing FSDP takes a second.
_WRAPPERS = ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel")
# How a parameter may be sharded over processes: by rows, or whole in each.
_PLACEMENTS = {"Shard", "Replicate"}
_OLD_NORMS = {SpectralNorm: "remove_spectral_norm", WeightNorm: "remove_weight_norm"}


def check_form(model: nn.Module, ignored: Container[int]) -> None:
    """Raises `ValueError` if a weight that may be pruned is kept in another form.

    Args:
        model: Any module.
        ignored: The `id` of every parameter that is left alone: its form does not matter.
    """
    if from_torch_prune(model):
        raise ValueError(
            "model is in torch.nn.utils.prune form: take masks.from_torch_prune(model) as masks "
            "and make the model plain with masks.make_permanent(model)"
        )
    for name, module in model.named_modules():
        if any(kind.__name__ in _WRAPPERS for kind in type(module).mro()):
            raise ValueError(f"model is wrapped in {type(module).__name__}: prune its .module")
        if all(id(parameter) in ignored for parameter in module.parameters()):
            continue
        where = f"at {name!r}" if name else "of its own"
        if parametrize.is_parametrized(module):
            raise ValueError(
                f"model has a parametrization {where}: remove it with "
                "torch.nn.utils.parametrize.remove_parametrizations, or name it in ignore"
            )
        for hook in module._forward_pre_hooks.values():  # pyright: ignore[reportPrivateUsage]
            if type(hook) in _OLD_NORMS:
                remedy = _OLD_NORMS[type(hook)]  # pyright: ignore[reportArgumentType]
                raise ValueError(
                    f"model has a {type(hook).__name__} {where}, which computes the weight "
                    f"anew in every forward pass: remove it with torch.nn.utils.{remedy}, or name "
                    "it in ignore"
                )
    for name, parameter in model.named_parameters():
        if isinstance(parameter, UninitializedParameter):
            raise ValueError(f"model has no shape for {name!r} yet: run it on a batch first")
        if parameter.is_meta and id(parameter) not in ignored:
            raise ValueError(
                f"model has no data for {name!r}, which is on the meta device: load it first"
            )
        kinds = {type(kind).__name__ for kind in getattr(parameter, "placements", ())}
        if not kinds <= _PLACEMENTS and id(parameter) not in ignored:
            raise ValueError(
                f"model has its parameter {name!r} sharded over processes in a form that is not "
                f"followed ({', '.join(sorted(kinds))}): prune the model before it is sharded"
            )
