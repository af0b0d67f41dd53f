"""From a module to a `Problem`: the task as pure functions, the weights as plain data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunelimits.types import Params, Problem

_HALF = (torch.float16, torch.bfloat16)


def problem_of(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    batches: Iterable[tuple[Tensor, Tensor]] = (),
) -> tuple[Problem, Params]:
    """The task of a module in evaluation mode, and its parameters and buffers by name.

    The module is never run itself, but a twin that shares its tensors: its mode, gradients and
    buffers stay as they are, BatchNorm uses its running statistics, dropout does nothing. Tied
    parameters have one name. Half precision is computed in float32.

    Args:
        model: Any module.
        loss: A scalar for outputs and targets; None where no method asks for it.
        batches: Inputs and targets; all are taken, on the device of the model's parameters.

    Raises:
        ValueError: If the module has no parameters.
        TypeError: If a batch is not a pair.

    Examples:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> problem, params = problem_of(model, nn.functional.mse_loss)
        >>> problem.apply({"weight": torch.tensor([[1.0, 2.0]])}, torch.ones(1, 2))
        tensor([[3.]])
        >>> params["weight"].requires_grad
        False
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    if not tensors:
        raise ValueError(f"model must have parameters, got {type(model).__name__} without any")
    device = next(iter(tensors.values())).device
    params: Params = {name: _full(value.detach()) for name, value in tensors.items()}
    twin = _evaluation_twin(model)

    def apply(params: Params, x: Tensor) -> Tensor:
        return functional_call(twin, params, (x,))

    pairs = [_pair(batch, device) for batch in batches]
    return Problem(apply, loss or _no_loss, pairs), params


def _evaluation_twin(model: nn.Module) -> nn.Module:
    """A copy of the module's structure, in evaluation mode, that holds the same tensors."""
    shared: dict[int, Any] = {}
    for module in model.modules():
        # Beside parameters and buffers also plain attributes: deepcopy refuses non-leaf tensors,
        # which `torch.nn.utils.prune` leaves there.
        own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
        for value in (*own, *vars(module).values()):
            if isinstance(value, Tensor):
                shared[id(value)] = value
    return copy.deepcopy(model, shared).eval()


def _pair(batch: tuple[Tensor, Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TypeError(f"batches must hold pairs (x, y), got {type(batch).__name__}")
    x, y = batch
    return _full(x.to(device)), _full(y.to(device))


def _full(value: Tensor) -> Tensor:
    return value.float() if value.dtype in _HALF else value


def _no_loss(outputs: Tensor, targets: Tensor) -> NoReturn:
    raise ValueError("loss is needed by this method, got None")
