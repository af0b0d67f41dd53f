"""A device that is not the CPU, without hardware: it computes on the CPU, and mixes with nothing.

Inside `OtherDevice`, tensors of `DEVICE` are wrappers of CPU tensors. An operation on one of them
and on a CPU tensor with axes is refused, as torch refuses it on a GPU; so are `numpy()` and a
generator of the CPU for numbers there. What is made without saying where is on the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

import prunelimits as pl
from prunelimits.types import Problem

if hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
    backend_registration._setup_privateuseone_for_python_backend("other")
    DEVICE = torch.device("other:0")
else:
    DEVICE = None


class OnDevice(Tensor):
    """A tensor of `DEVICE`; `held` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        result = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        result.held = held
        return result

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(f"can't convert a tensor on {DEVICE} to numpy")

    __array__ = numpy

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})


class OtherDevice(TorchDispatchMode):
    """While it is entered, tensors can be made on `DEVICE`, and operations that mix are refused."""

    def __enter__(self) -> OtherDevice:
        # So that `torch.tensor` and `Module.double` pass through operations, as with fake tensors.
        self._before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        self._overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(self._before)
        torch.__future__.set_overwrite_module_params_on_conversion(self._overwrites)

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})


def run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = [value for value in pytree.tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
    there = [value for value in given if isinstance(value, OnDevice)]
    moves = operation in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
    mixed = [v for v in given if not isinstance(v, OnDevice) and v.dim()] if there else []
    # Rows may be chosen by indices on the CPU.
    indexes = operation in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default)
    if mixed and not moves and not (indexes and isinstance(args[0], OnDevice)):
        raise RuntimeError(f"{operation} of tensors on {DEVICE} and on {mixed[0].device}")
    asked = kwargs.get("device")
    result_there = bool(there) if asked is None else torch.device(asked).type == DEVICE.type
    if operation is torch.ops.aten.copy_.default:
        result_there = isinstance(args[0], OnDevice)
    if indexes:
        result_there = isinstance(args[0], OnDevice)
    generator = kwargs.get("generator")
    if generator is not None and result_there and generator.device.type != DEVICE.type:
        raise RuntimeError(f"{operation} on {DEVICE} with a generator of {generator.device}")
    plain_args, plain_kwargs = pytree.tree_map(_held, (args, kwargs))
    if result_there and asked is not None:
        plain_kwargs["device"] = torch.device("cpu")
    result = operation(*plain_args, **plain_kwargs)
    if not result_there:
        return result
    # What is changed in place is given back itself.
    own = {id(value.held): value for value in there}

    def wrapped(value: object) -> object:
        if not isinstance(value, Tensor):
            return value
        return own[id(value)] if id(value) in own else OnDevice(value)

    return pytree.tree_map(wrapped, result)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, OnDevice) else value


def moved(value: Any) -> Any:
    """Arguments with all tensors on `DEVICE`; modules are changed in place."""
    if isinstance(value, OnDevice):
        return value
    if isinstance(value, nn.Module):
        for module in value.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                setattr(module, name, nn.Parameter(moved(parameter.detach())))
            for name, buffer in list(module.named_buffers(recurse=False)):
                module._buffers[name] = moved(buffer)
        return value
    if isinstance(value, pl.MLPEnsemble):
        return type(value).from_params(value.widths, moved(value.params), moved(value.masks))
    if isinstance(value, Tensor):
        return OnDevice(value.detach().clone())
    if isinstance(value, Problem):
        return value._replace(batches=moved(value.batches))
    if isinstance(value, Mapping):
        return {key: moved(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [moved(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def on_cpu(value: Any) -> Any:
    """A result with tensors of `DEVICE` as those that hold their numbers."""
    if isinstance(value, OnDevice):
        return value.held
    if isinstance(value, nn.Module):
        return {name: on_cpu(part.detach()) for name, part in value.state_dict().items()}
    if isinstance(value, pl.MLPEnsemble):
        return on_cpu([value.params, value.masks, value.momentum])
    if isinstance(value, Mapping):
        return {key: on_cpu(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [on_cpu(part) for part in value]
        return tuple(parts)
    return value
