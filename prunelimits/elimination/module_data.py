"""The task of a regrowth of modules, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from prunelimits.arguments import checked_instance, checked_tensor, shown
from prunelimits.elimination.data import EliminationData, checked_pair
from prunelimits.modes import differentiable
from prunelimits.pruners.form import check_form
from prunelimits.sharding import sharded_names
from prunelimits.structure import copied, run
from prunelimits.training import Loss


def data_of_modules(
    x: Tensor,
    y: Tensor,
    measure: tuple[Tensor, Tensor] | None,
    module: nn.Module,
    loss: Loss | None,
) -> EliminationData:
    """The data for modules like this one, which is a copy that may be called, on its device.

    Warns:
        MissingClassWarning: As `EliminationData.of`.

    Raises:
        ValueError: If the module does not take the inputs, or labels do not fit its outputs.
        TypeError: If data are not tensors.
    """
    x = _inputs("x", x)
    pair = None
    if measure is not None:
        measure_x, measure_y = checked_pair(measure)
        pair = (_inputs("measure: x", measure_x), measure_y)
        if pair[0].shape[1:] != x.shape[1:]:
            raise ValueError(
                f"measure: x must have rows of shape {tuple(x.shape[1:])}, as x has, got "
                f"{tuple(pair[0].shape[1:])}"
            )
    parameter = next(module.parameters())
    outputs = _called(module, _placed(x[:1], parameter))
    flat = None if pair is None else (_flat(pair[0]), pair[1])
    widths = (_flat(x).shape[1], outputs.shape[1])
    # Labels are checked as for MLPs.
    checked = EliminationData.of(_flat(x), y, flat, widths, loss)
    x = _placed(x, parameter)
    return EliminationData(
        x,
        _placed(checked.y, parameter),
        x if pair is None else _placed(pair[0], parameter),
        _placed(checked.measure_y, parameter),
        checked.loss,
    )


def checked_starts(start: object) -> list[nn.Module] | None:
    """Copies of the modules to start from, checked to be of one form; None if these are none.

    Raises:
        ValueError: If there is none, they differ in the names or shapes of their tensors, or one is
            sharded, keeps its weights in another form, or holds NaN or infinity.
        TypeError: If one is no module, or cannot be copied.
    """
    if isinstance(start, nn.Module):
        named: dict[str, object] = {"start": start}
    elif isinstance(start, list | tuple) and any(isinstance(part, nn.Module) for part in start):  # pyright: ignore[reportUnknownVariableType]
        named = {f"start[{place}]": part for place, part in enumerate(start)}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    else:
        return None
    form = None
    result: list[nn.Module] = []
    for where, module in named.items():
        checked_instance(where, module, nn.Module, "a module, as the others are")
        assert isinstance(module, nn.Module)
        if sharded_names(module):
            raise ValueError(f"{where} is sharded over processes (DTensor): regrow it before")
        try:
            check_form(module, ())
        except ValueError as error:
            told = str(error).removesuffix(", or name it in ignore")
            raise ValueError(f"{where} cannot be pruned: {told}") from error
        try:
            result.append(copied(module))
        except TypeError as error:
            raise TypeError(f"{where}: {error}") from error
        for name, value in tensors_of(module).items():
            if not bool(value.isfinite().all()):
                raise ValueError(f"{where} must be finite, but {name!r} holds NaN or infinity")
        found = {name: tuple(value.shape) for name, value in tensors_of(module).items()}
        form = found if form is None else form
        if found != form:
            other = next(name for name in {**form, **found} if form.get(name) != found.get(name))
            raise ValueError(
                f"start must be modules of one form, but start[0] and {where} differ in {other!r}"
            )
    return result


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name; what modules share has one name."""
    named = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: value.detach() for name, value in named.items()}


def _inputs(name: str, value: object) -> Tensor:
    value = differentiable(checked_tensor(name, value, finite=True))
    if value.dim() < 1 or len(value) == 0:
        raise ValueError(f"{name} must hold at least one sample, got shape {tuple(value.shape)}")
    return value.detach()


def _flat(x: Tensor) -> Tensor:
    return x.reshape(len(x), -1)


def _placed(value: Tensor, like: Tensor) -> Tensor:
    """On the device of a parameter, and if it holds fractions, in its dtype."""
    return value.to(like.device, like.dtype if value.is_floating_point() else value.dtype)


def _called(module: nn.Module, first: Tensor) -> Tensor:
    """The outputs for one row, in evaluation mode."""
    with torch.no_grad():
        outputs = attempted(lambda: run(copied(module).eval(), first), first)
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != 1:
        raise ValueError(
            f"start must give outputs of shape (n, outputs) for n rows, got {shown(outputs)} for 1"
        )
    return outputs


def attempted(call: Callable[[], Any], x: Tensor) -> Any:  # noqa: ANN401
    """What a call gives, whose failure is told as one of the inputs.

    Raises:
        ValueError: If it fails.
    """
    try:
        return call()
    except Exception as error:  # whatever the module's code raises
        raise ValueError(
            f"x must be what start takes, but calling it with {shown(x)} failed: {error}"
        ) from error
