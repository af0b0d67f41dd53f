"""The network that a command is about: a saved one, or one that a user's function makes."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from prunelimits.arguments import checked_callable
from prunelimits.cli.advice import tell_absent_classes
from prunelimits.cli.importing import current_folder_importable, imported
from prunelimits.cli.saved_inputs import saved_inputs
from prunelimits.saving import load
from prunelimits.saving.network import FORMAT
from prunelimits.structure import copied
from prunelimits.types import Masks


def read_network(
    file: Path | None, model: str | None, state_dict: Path | None
) -> tuple[nn.Module, Masks | None]:
    """A saved network and its masks, or what MODULE:FACTORY makes, with its weights if given.

    The masks are None where zeros are the mask.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If not exactly one of `file` and `model` is given, `state_dict` is given with a
            file, or one of them does not hold what it should.
        TypeError: If what the function makes is no module.
    """
    if (file is None) == (model is None):
        raise ValueError("give a FILE that prunelimits saved, or --model MODULE:FACTORY")
    if file is not None:
        if state_dict is not None:
            raise ValueError("--state-dict belongs to --model, and FILE holds its own")
        try:
            saved, masks = load(file, inputs=saved_inputs(file))
        except ValueError as error:
            if _is_saved_module(file):
                what = "the weights of a model of yours"
            elif _state_dict(file) is not None:
                what = "a state dict and no network that prunelimits saved"
            else:
                raise
            raise ValueError(
                f"{file} is {what}: give --model MODULE:FACTORY --state-dict "
                f"{shlex.quote(str(file))}"
            ) from error
        return saved, masks or None
    assert model is not None
    network = made(model)
    if state_dict is not None and _is_saved_module(state_dict):
        return network, load(state_dict, model=network)[1] or None
    if state_dict is not None:
        load_state_dict(network, state_dict)
    return network, None


def check_data_fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    data: Path | None,
) -> None:
    """Raises if a network does not take inputs, or has no output for one of the labels.

    Too few outputs would not be noticed by binary cross-entropy, which takes any number for a
    class. That classes are absent from the data is told.

    Args:
        model: A trained network; it stays as it is.
        x: A batch of inputs.
        y: All labels, those of the batch first.
        loss: What is computed of outputs and labels.
        data: The file that they are from; None: the Cubist Spiral.

    Raises:
        ValueError: Naming the file.
    """
    trial = copied(model).eval()
    try:
        with torch.no_grad():
            outputs = trial(x)
            loss(outputs, y[: len(x)])
        classes = max(2, outputs.shape[1]) if outputs.dim() > 1 else 2
        if not 0 <= int(y.min()) <= int(y.max()) < classes:
            raise ValueError(f"its outputs tell {classes} classes apart")
    # Whatever a module of the user's raises at inputs that it does not fit.
    except Exception as error:
        what = f"inputs of shape {tuple(x.shape)}, labels {int(y.min())} to {int(y.max())}"
        named = (
            "--data is needed: without it the data are the Cubist Spiral,"
            if data is None
            else f"--data {data}:"
        )
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{named} {what} do not fit the network ({reason})") from error
    tell_absent_classes(y, classes)


def made(name: str) -> nn.Module:
    """The module that MODULE:FACTORY makes; it is imported and called.

    Raises:
        ValueError: If it is not found.
        TypeError: If what it makes is no module.
    """
    with current_folder_importable():
        found = imported("--model", name, "MODULE:FACTORY, such as my_models:resnet")
    result: object = found
    if callable(found) and not isinstance(found, nn.Module):
        result = checked_callable(
            f"--model {name}", found, "a function without arguments", arguments=0
        )()
    if not isinstance(result, nn.Module):
        raise TypeError(f"--model {name} must make a torch.nn.Module, got {type(result).__name__}")
    return result


def load_state_dict(model: nn.Module, path: Path) -> None:
    """Puts a file's weights into the model; no code in the file is run.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds no state dict or one that does not fit.
    """
    with open(path, "rb"):
        pass  # one that is not there is told as other files are
    content = _state_dict(path)
    if content is None:
        raise ValueError(f"{path} must hold a state dict, a dict of tensors{_instead(path)}")
    try:
        model.load_state_dict(content)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the model: {error}") from error


def _instead(path: Path) -> str:
    """What a file holds that is no state dict, and what to do."""
    content = _content(path)
    if content is None:
        return ", got something else, such as a whole model: save model.state_dict() instead"
    if not isinstance(content, dict):
        return f", got a {type(content).__name__}"
    named: dict[object, object] = content
    inside = [name for name, value in named.items() if isinstance(value, dict) and value]
    hint = f": save its {inside[0]!r} in a file of its own" if inside else ""
    return f", got a dict of {', '.join(map(str, list(named)[:5])) or 'nothing'}{hint}"


def _is_saved_module(path: Path) -> bool:
    """Whether a file is one that `prunelimits.save` wrote of a module that is no MLP."""
    content = _content(path)
    return isinstance(content, dict) and content.get("format") == FORMAT  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _content(path: Path) -> object:
    """What `torch.load` reads of a file; None if it cannot, however it puts it."""
    # A file that is something else can make torch raise nearly anything.
    with contextlib.suppress(Exception):
        return torch.load(path, map_location="cpu", weights_only=True)
    return None


def _state_dict(path: Path) -> dict[str, Tensor] | None:
    """The state dict that a file holds; None if it holds anything else."""
    content = _content(path)
    if not isinstance(content, dict) or not content:
        return None
    named = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return named if len(named) == len(content) else None  # pyright: ignore[reportUnknownArgumentType]
