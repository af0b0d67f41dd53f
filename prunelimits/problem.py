"""From a module to a `Problem`: the task as pure functions, the weights as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Number
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.nn.utils.rnn import PackedSequence

from prunelimits import dtypes
from prunelimits.arguments import (
    checked_callable,
    checked_choice,
    checked_instance,
    checked_loss,
    shown,
)
from prunelimits.modes import differentiable, in_plain_modes
from prunelimits.nested import map_tensors
from prunelimits.sharding import whole
from prunelimits.structure import Normalise, Structure, run
from prunelimits.types import Params, Problem

_HALF = (torch.float16, torch.bfloat16)


@in_plain_modes
def problem_of(
    model: nn.Module,
    loss: Callable[[Any, Any], Tensor] | None = None,
    batches: Iterable[Any] = (),
    *,
    step: Callable[[nn.Module, Any], Tensor] | None = None,
    normalise: Normalise | None = None,
) -> tuple[Problem, Params]:
    """The task of a module in evaluation mode, and its parameters and buffers by name.

    The module is never run itself, but copies of its structure: its mode, gradients, buffers and
    attributes stay as they are, dropout does nothing. Tied parameters have one name. Half precision
    is computed in float32.

    Args:
        model: Any module.
        loss: A scalar for outputs and targets; None where no method asks for it.
        batches: Pairs of inputs and targets, or mappings; all are taken, on the device of the
            model's parameters. Inputs are a tensor, a tuple or list of the model's arguments, or a
            mapping of those by name. A mapping instead of a pair is both inputs and targets: the
            loss is given it whole. NumPy arrays and lists of numbers, or of equally long ones,
            become tensors, wherever they are; what is neither is passed on.
        step: Instead of `loss`, the loss of a model and a batch, of whatever form the batch is.
        normalise: What BatchNorm normalises by: `"running"` (as None) or `"batch"` statistics.

    Raises:
        ValueError: If the module has no parameters, or both `loss` and `step` are given.
        TypeError: If a batch is neither a pair nor a mapping, or an argument of another kind.

    Examples:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> problem, params = problem_of(model, nn.functional.mse_loss)
        >>> problem.apply({"weight": torch.tensor([[1.0, 2.0]])}, torch.ones(1, 2))
        tensor([[3.]])
        >>> params["weight"].requires_grad
        False
    """
    checked_instance("model", model, nn.Module, "a module")
    if loss is not None and step is not None:
        raise ValueError("loss and step cannot both be given: step computes the loss itself")
    if loss is not None:
        checked_callable("loss", loss, "a function of outputs and targets")
    if isinstance(batches, str | bytes) or not isinstance(batches, Iterable):
        raise TypeError(f"batches must be pairs (x, y), got {shown(batches)}")
    normalise = "running" if normalise is None else normalise
    checked_choice("normalise", normalise, ("batch", "running"))
    params = params_of(model)
    device = next(iter(params.values())).device
    structure = Structure(model, normalise)

    def apply(params: Params, x: Any) -> Any:  # noqa: ANN401
        return run(structure.filled(params), x)

    def loss_itself(params: Params, batch: Any) -> Any:  # noqa: ANN401
        assert step is not None
        filled = structure.filled(params)
        try:
            value = step(filled, batch)
        except RuntimeError as error:
            told = dtypes.of_inputs(filled, batch, error)
            if told is None:
                raise
            raise told from error
        return checked_loss("step", value)

    def loss_of(outputs: Any, targets: Any) -> Any:  # noqa: ANN401
        assert loss is not None
        try:
            return loss(outputs, targets)
        except RuntimeError as error:
            told = dtypes.of_targets(outputs, targets, error)
            if told is None:
                raise
            raise told from error

    if step is not None:
        checked_callable("step", step, "a function of a model and a batch")
        prepared = [_prepared(batch, device) for batch in batches]
        pairs = [(batch, batch) for batch in prepared]
        return Problem(loss_itself, _first, pairs, False, _constants(model)), params
    pairs = [_pair(batch, device) for batch in batches]
    return Problem(apply, loss_of if loss else _no_loss, pairs, True, _constants(model)), params


def params_of(model: nn.Module) -> Params:
    """A module's parameters and buffers by name, without gradients; half precision as float32.

    Sharded ones are gathered from all processes.

    Raises:
        ValueError: If the module has none, or one without a shape yet.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    if not tensors:
        raise ValueError(f"model must have parameters, got {type(model).__name__} without any")
    for name, value in tensors.items():
        if isinstance(value, UninitializedParameter | UninitializedBuffer):
            raise ValueError(
                f"model must have its shapes: {name!r} is uninitialised, call the model once"
            )
    return {name: _full(whole(value.detach())) for name, value in tensors.items()}


def _constants(model: nn.Module) -> frozenset[str]:
    """What a training leaves alone; frozen parameters count where others are not frozen."""
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    if len(frozen) == sum(1 for _ in model.parameters()):
        frozen = set[str]()
    return frozenset(frozen | {name for name, _ in model.named_buffers()})


def _pair(batch: Any, device: torch.device) -> tuple[Any, Any]:  # noqa: ANN401
    if isinstance(batch, Mapping):
        whole = _prepared(batch, device)
        return whole, whole
    if not isinstance(batch, tuple | list) or len(batch) != 2:  # pyright: ignore[reportUnknownArgumentType]
        raise TypeError(
            f"batches must hold pairs (x, y), got {type(batch).__name__}: "  # pyright: ignore[reportUnknownArgumentType]
            "mappings by name, and any form with step=, are possible too"
        )
    x, y = batch  # pyright: ignore[reportUnknownVariableType]
    return _prepared(x, device), _prepared(y, device)


def _prepared(value: Any, device: torch.device) -> Any:  # noqa: ANN401
    """Tensors on the device and in full precision, arrays and lists of numbers as tensors."""
    return map_tensors(lambda tensor: _full(_held(tensor).to(device)), _as_tensors(value))


def _held(value: Tensor) -> Tensor:
    if value.is_meta:
        raise ValueError("batches must hold data, got a tensor on the meta device")
    return value


def _as_tensors(value: Any) -> Any:  # noqa: ANN401
    if hasattr(value, "__array_interface__") and not isinstance(value, Tensor):
        return torch.as_tensor(value, device="cpu")
    if isinstance(value, list) and _rows(value) is not None:  # pyright: ignore[reportUnknownArgumentType]
        return torch.tensor(value, device="cpu")
    if isinstance(value, PackedSequence):
        return value
    if isinstance(value, Mapping):
        return {key: _as_tensors(part) for key, part in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        parts = [_as_tensors(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
        kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
        return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
    return value


def _rows(value: Any) -> tuple[int, ...] | None:  # noqa: ANN401
    """The shape of lists of numbers within lists; None where they are no tensor."""
    if isinstance(value, Number):
        return ()
    if not isinstance(value, list) or not value:
        return None
    shapes = {_rows(part) for part in value}  # pyright: ignore[reportUnknownVariableType]
    inner = shapes.pop()
    return None if shapes or inner is None else (len(value), *inner)  # pyright: ignore[reportUnknownArgumentType]


def _full(value: Tensor) -> Tensor:
    return value.float() if value.dtype in _HALF else differentiable(value)


def _first(loss: Any, batch: Any) -> Any:  # noqa: ANN401
    return loss


def _no_loss(outputs: Any, targets: Any) -> NoReturn:  # noqa: ANN401
    raise ValueError("loss is needed by this method, got None")
